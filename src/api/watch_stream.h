// The body of GET /watch, and of GET /election/{name}?watch, while it is sent (native API, sections
// 7 and 11): what they differ in is what is said of an event.
#pragma once

#include <optional>
#include <string>

#include "api/call.h"
#include "api/watches.h"

namespace raftd::api {

enum class WatchFormat : std::uint8_t {
  kSse,
  kNdjson,
  kElection,  // Server-sent events of one election.
};

struct WatchQuery {
  kv::KeySpan span;  // A key or a prefix.
  kv::EventKinds kinds = kv::EventKinds::all();
  WatchFormat format = WatchFormat::kSse;
  bool init = false;
  bool prev = false;
  std::optional<kv::Revision> after;  // As the client said.
  std::string opening;                // Said before everything else: the state at `after`.
};

// After, else Last-Event-ID, which an EventSource sends when it comes back.
void read_watch_start(const Context& context, ParamReader& reader, WatchQuery& query);
// Nothing: none that is offered to who sends this Accept.
std::optional<WatchFormat> negotiate_watch(const std::string* accept);
ApiError watch_not_acceptable(bool lines_offered);  // 406.
// The head of the stream, or why there is none. at: of what the replica has confirmed.
http::Response start_watch(const Site& site, RequestId request, WatchQuery query, raft::Index at);

class WatchStream final : public http::BodySource, kv::Watcher::Client, Alarm::Client {
 public:
  WatchStream(const Site& site, RequestId request, WatchQuery query);

  Next next(std::string& out) override;
  bool lasting() const override { return true; }

 private:
  void on_turn() override;
  void on_endangered(kv::Revision revision) override;
  void on_alarm() override;

  void begin(std::string& out);
  void list(std::string& out);
  void follow(std::string& out);
  void pulse(std::string& out, bool said_something);
  void tell_progress(std::string& out, kv::Revision revision);
  void begin_list();
  void lose_history(std::string& out);
  Duration progress_interval() const;

  Site site_;
  const RequestId request_;
  const WatchFormat format_;
  const bool init_;
  const bool prev_;
  bool listing_ = false;  // The items of list_revision_, from list_from_ on.
  bool has_turn_ = false;
  bool progress_wanted_ = false;
  bool lost_ = false;  // What the client has is older than history.
  bool ended_ = false;
  kv::Revision list_revision_ = 0;
  std::string opening_;  // Until it is said.
  kv::Revision told_;    // What the client knows to have: events up to here.
  std::string list_from_;
  Instant spoke_;     // When it last said anything,
  Instant progress_;  //   and when it said how far it is.
  kv::Watcher watcher_;
  Alarm alarm_;
};

}  // namespace raftd::api
