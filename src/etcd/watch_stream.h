// The answer to /v3/watch: many watches in one stream, made and cancelled by what the client sends
// meanwhile (etcd-v3: A6).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "api/alarms.h"
#include "etcd/call.h"
#include "http/json_splitter.h"
#include "kv/watch_hub.h"

namespace raftd::etcd {

class WatchStream final : public http::BodySource {
 public:
  WatchStream(const api::Site& site, api::RequestId request);
  ~WatchStream() override;

  Next next(std::string& out) override;
  bool lasting() const override { return true; }
  void on_body(std::string_view bytes) override;
  void on_body_end() override;

 private:
  class Watch;

  void take(const WatchRequest& request);
  void create(const WatchCreateRequest& request);
  void cancel(std::int64_t id);
  void tell_progress();
  void refuse_watch(std::string_view reason);
  std::int64_t choose_id();
  void fail(const Error& error);  // The last message.
  void say(const WatchResponse& response);
  void say(std::string json);
  void on_turn(Watch& watch);
  void forget_turn(const Watch& watch);

  api::Site site_;
  api::RequestId request_;
  http::JsonSplitter splitter_;
  std::map<std::int64_t, std::unique_ptr<Watch>> watches_;
  std::deque<Watch*> turns_;          // That may have something to say.
  std::deque<std::string> messages_;  // To be sent before that.
  std::int64_t next_id_ = 0;
  bool ended_ = false;  // After the messages.
};

}  // namespace raftd::etcd
