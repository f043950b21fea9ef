// A copy of this node's state, as bytes of a snapshot file, while it is sent: cut once, and made a
// slice for each iteration of the loop. What a piece looks like in the answer is the protocol's.
//
// Possible failure modes are: the client goes away (the stream is destroyed, and the cut with it);
// it reads so slowly that too many old versions are held for it, another state is installed, or the
// node stops (the body ends without its end mark).
#pragma once

#include <memory>
#include <string>

#include "api/call.h"
#include "node/backup.h"

namespace raftd::api {

class BackupStream : public http::BodySource {
 public:
  BackupStream(const Site& site, std::unique_ptr<node::Backup> backup);
  Next next(std::string& out) final;

 protected:
  std::uint64_t bytes_left() const { return backup_->bytes_left(); }

 private:
  virtual void add_piece(ByteView piece, std::string& out) = 0;

  const kv::Store& store_;
  std::unique_ptr<node::Backup> backup_;
  std::uint64_t history_bytes_max_;
  Bytes piece_;
};

}  // namespace raftd::api
