// The answer to /v3/election/observe: the leader of an election, and each that follows.
#pragma once

#include <string>

#include "etcd/call.h"
#include "kv/watch_hub.h"

namespace raftd::etcd {

// The happy path is: any change below the election's name gives a turn, and whoever leads then is
// told, if that or his value is another than was told last. Possible failure modes are: changes
// come faster than the client reads (the last is told); nobody leads (nothing is told); the client
// goes away (the stream is destroyed); the node stops (the stream ends).
class ObserveStream final : public http::BodySource, kv::Watcher::Client {
 public:
  ObserveStream(const api::Site& site, api::RequestId request, std::string name);

  Next next(std::string& out) override;
  bool lasting() const override { return true; }

 private:
  void on_turn() override;
  void on_endangered(kv::Revision) override {}  // What it tells next is not out of the history.

  api::Site site_;
  api::RequestId request_;
  std::string name_;
  kv::Revision told_ = 0;  // Of the leader's key, when it was told.
  bool has_turn_ = false;
  kv::Watcher watcher_;
};

}  // namespace raftd::etcd
