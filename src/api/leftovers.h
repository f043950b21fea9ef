// What requests leave behind, for those to come: an ordinary one is answered out of the memory of
// others before it.
#pragma once

#include <memory>

#include "base/spares.h"
#include "http/message.h"
#include "kv/store.h"
#include "node/replica.h"

namespace raftd::api {

class Leftovers {
 public:
  explicit Leftovers(kv::Store& store) : store_(store) {}

  // Each is empty.
  http::Response response();  // With room for the usual header lines.
  Bytes command() { return commands_.take(); }
  std::unique_ptr<kv::GetQuery> get();

  void take_back(http::Response response);  // Was sent.
  void take_back(node::ClientOp& op);       // What the replica has left of it.
  void take_back(node::Done& done);         // Was read.

 private:
  kv::Store& store_;
  Spares<http::Response> responses_;
  Spares<Bytes> commands_;
  Spares<std::unique_ptr<kv::GetQuery>> gets_;
};

}  // namespace raftd::api
