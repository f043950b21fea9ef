// The happy path is: each object of the body makes or cancels a watch, which is confirmed by a
// message. A watch sleeps; an event gives it a turn, it wakes the connection, and is asked for what
// there is: one message of a bounded number of whole revisions. What is more comes with its next
// turn.
//
// Possible failure modes are: the client reads slowly (the connection does not ask, so the cursors
// stay where they are; of what it asks for itself only so much waits, then the stream fails);
// history passes a cursor (canceled, and the end of the stream: clients begin anew); a request is
// malformed (an error, and the end); one revision has more events than a message may have (it goes
// on in the next message); the client goes away (the stream is destroyed); the node stops (the
// stream ends).
#include "etcd/watch_stream.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace raftd::etcd {
namespace {

std::string result_json(const WatchResponse& response) {
  std::string json = "{\"result\":";
  add_json(json, response);
  return json + "}\n";
}

kv::KeySpan span_of(const WatchCreateRequest& request) {
  kv::KeySpan span;
  span.begin = request.key.empty() ? std::string(1, '\0') : request.key;
  if (request.range_end.empty()) return span;
  span.kind = kv::KeySpan::Kind::kRange;
  if (request.range_end != kv::Span::kEndless) span.end = request.range_end;
  return span;
}

kv::EventKinds kinds_of(const WatchCreateRequest& request) {
  const auto filtered = [&](FilterType type) {
    return std::find(request.filters.begin(), request.filters.end(), type) != request.filters.end();
  };
  kv::EventKinds kinds;
  if (!filtered(FilterType::kNoPut)) kinds.add(kv::EventKind::kPut);
  if (!filtered(FilterType::kNoDelete)) {
    kinds.add(kv::EventKind::kDelete);
    kinds.add(kv::EventKind::kExpire);
  }
  return kinds;
}

KeyValue deleted(KeyValue value) {
  KeyValue out;
  out.key = std::move(value.key);
  out.mod_revision = value.mod_revision;
  return out;
}

Event to_event(kv::Event& event) {
  Event out;
  KeyValue& value = out.kv.emplace(key_value(std::move(event.item)));
  if (event.kind != kv::EventKind::kPut) {
    out.type = EventType::kDelete;
    value = deleted(std::move(value));
  }
  if (event.prev) out.prev_kv = key_value(*std::move(event.prev));
  return out;
}

}  // namespace

// One of the stream's, from its creation to its end.
class WatchStream::Watch final : kv::Watcher::Client, api::Alarm::Client {
 public:
  // after: events of revisions above it.
  Watch(WatchStream& stream, const WatchCreateRequest& request, kv::Revision after)
      : stream_(stream),
        id_(request.watch_id),
        prev_(request.prev_kv),
        fragments_(request.fragment),
        lost_(after + 1 < stream.site_.store.stats().compact_revision),
        told_(after),
        spoke_(stream.site_.watches.now),
        watcher_(stream.site_.watches.hub, *this, span_of(request), kinds_of(request), after),
        alarm_(stream.site_.watches.alarms, *this) {
    if (request.progress_notify) {
      notifies_ = true;
      alarm_.set(spoke_ + stream.site_.limits.etcd_progress);
    }
  }

  std::int64_t id() const { return id_; }
  kv::Revision position() const { return watcher_.position(); }
  void ask_turn() { watcher_.ask_turn(); }
  void keep_turn() {
    has_turn_ = false;
    watcher_.keep_turn();
  }

  // Appends a message, or nothing.
  void speak(std::string& out) {
    has_turn_ = false;
    if (lost_) return lose_history(out);
    std::vector<kv::Event>& events = stream_.site_.watches.events;
    kv::EventsRead read{};
    do {
      events.clear();
      read =
          watcher_.read({limits::kWatchVisitsPerTurnMax, limits::kWatchTurnBytes}, prev_, events);
      for (kv::Event& event : events)
        take(event);
      // What has begun is finished in this turn: thousands of watches must not keep halves.
    } while (read == kv::EventsRead::kMore && whole_ == 0 && !events_.empty());
    if (read == kv::EventsRead::kCompacted) return lose_history(out);
    if (read == kv::EventsRead::kMore) watcher_.ask_turn();
    if (whole_ != 0) {
      say_events(out);
    } else if (std::exchange(progress_wanted_, false)) {
      say_progress(out);
    }
  }

 private:
  void on_turn() override {
    if (!std::exchange(has_turn_, true)) stream_.on_turn(*this);
  }

  void on_endangered(kv::Revision revision) override {
    if (!notifies_ || told_ > revision) return;
    progress_wanted_ = true;
    watcher_.ask_turn();
  }

  void on_alarm() override {
    const Instant now = stream_.site_.watches.now;
    const Instant due = spoke_ + stream_.site_.limits.etcd_progress;
    if (due > now) return alarm_.set(due);
    progress_wanted_ = true;
    watcher_.ask_turn();
    alarm_.set(now + stream_.site_.limits.etcd_progress);
  }

  // Events are gathered as JSON until their revision has no more of them.
  void take(kv::Event& event) {
    const auto revision = event.item.mod;
    const bool last = event.last;
    events_ += events_.empty() ? "" : ",";
    add_json(events_, to_event(event));
    if (last || events_.size() >= limits::kEtcdWatchMessageBytes) {
      whole_ = events_.size();
      revision_ = revision;
      goes_on_ = !last;
    }
  }

  void say_events(std::string& out) {
    WatchResponse response = head(revision_);
    response.fragment = fragments_ && goes_on_;
    out = "{\"result\":";
    add_json(out, response);
    out.pop_back();
    out.append(",\"events\":[").append(events_, 0, whole_).append("]}}\n");
    events_.erase(0, std::min(events_.size(), whole_ + 1));  // And the comma.
    whole_ = 0;
    note_told(revision_);
  }

  // Who waits for the future, or for a state that is being caught up with, is not there yet.
  void say_progress(std::string& out) {
    const kv::Revision position = watcher_.position();
    if (!events_.empty() || position < told_ || position > stream_.site_.store.stats().revision) {
      return;
    }
    out = result_json(head(position));
    note_told(position);
  }

  void lose_history(std::string& out) {
    WatchResponse response = head(0);
    response.canceled = true;
    // Who begins there again must get further: the events of the floor itself are gone, too.
    const kv::Revision floor = stream_.site_.store.stats().compact_revision;
    response.compact_revision = static_cast<std::int64_t>(told_ + 1 == floor ? floor + 1 : floor);
    out = result_json(response);
    stream_.ended_ = true;
  }

  WatchResponse head(kv::Revision revision) const {
    WatchResponse response;
    response.header = header(stream_.site_, revision);
    response.watch_id = id_;
    return response;
  }

  void note_told(kv::Revision revision) {
    told_ = revision;
    spoke_ = stream_.site_.watches.now;
  }

  WatchStream& stream_;
  const std::int64_t id_;
  const bool prev_;
  const bool fragments_;  // It wants to be told that a revision goes on.
  const bool lost_;       // Whatever is left of what came before the floor.
  bool has_turn_ = false;
  bool notifies_ = false;
  bool progress_wanted_ = false;
  kv::Revision told_;  // Everything up to it.
  Instant spoke_;
  std::string events_;     // Comma between them; up to whole_ they may be sent,
  std::size_t whole_ = 0;  //   which is where this revision ends:
  kv::Revision revision_ = 0;
  bool goes_on_ = false;  // That revision, behind whole_.
  kv::Watcher watcher_;
  api::Alarm alarm_;
};

WatchStream::WatchStream(const api::Site& site, api::RequestId request)
    : site_(site), request_(request), splitter_(site.limits.request_bytes) {}

WatchStream::~WatchStream() = default;

http::BodySource::Next WatchStream::next(std::string& out) {
  if (site_.watches.stopping) return Next::kEnd;
  while (messages_.empty() && !ended_ && !turns_.empty()) {
    std::size_t& left = site_.watches.bytes_left;
    if (left == 0) {
      for (Watch* watch : std::exchange(turns_, {}))
        watch->keep_turn();
      break;
    }
    Watch* watch = turns_.front();
    turns_.pop_front();
    watch->speak(out);
    left -= std::min(left, out.size());
    if (!out.empty()) return ended_ ? Next::kEnd : Next::kMore;
  }
  if (!messages_.empty()) {
    out = std::move(messages_.front());
    messages_.pop_front();
    return messages_.empty() && ended_ ? Next::kEnd : Next::kMore;
  }
  return ended_ ? Next::kEnd : Next::kLater;
}

void WatchStream::on_body(std::string_view bytes) {
  using Cut = http::JsonSplitter::Event;
  while (!bytes.empty() && !ended_) {
    const http::JsonSplitter::Step step = splitter_.feed(bytes);
    bytes.remove_prefix(step.consumed);
    if (step.event == Cut::kMore) return;
    if (step.event == Cut::kTooLarge) return fail(invalid("request is too large"));
    if (step.event == Cut::kNoObject) {
      return fail({Code::kInvalidArgument, "what follows is no JSON object"});
    }
    Result<WatchRequest> request = from_json<WatchRequest>(splitter_.object());
    if (!request) return fail({Code::kInvalidArgument, request.error().message});
    take(*request);
  }
}

void WatchStream::on_body_end() {
  if (!ended_ && !splitter_.between()) {
    fail({Code::kInvalidArgument, "the body ends within an object"});
  }
}

void WatchStream::take(const WatchRequest& request) {
  if (request.create_request) {
    create(*request.create_request);
  } else if (request.cancel_request) {
    cancel(request.cancel_request->watch_id);
  } else if (request.progress_request) {
    tell_progress();
  }
}

void WatchStream::create(const WatchCreateRequest& asked) {
  WatchCreateRequest request = asked;
  const kv::KeySpan span = span_of(request);
  if (span.kind == kv::KeySpan::Kind::kRange && !span.end.empty() && span.end <= span.begin) {
    return refuse_watch("mvcc: watcher range is empty");
  }
  if (api::check_watchers(site_.watches, site_.limits)) {
    return fail(exhausted("too many requests"));
  }
  if (request.watch_id == 0) {
    request.watch_id = choose_id();
  } else if (watches_.contains(request.watch_id)) {
    return refuse_watch("mvcc: duplicate watch ID provided on the WatchStream");
  }
  const kv::Revision revision = site_.store.stats().revision;
  const kv::Revision after =
      request.start_revision > 0 ? static_cast<kv::Revision>(request.start_revision) - 1 : revision;
  WatchResponse response;
  response.header = header(site_, revision);
  response.watch_id = request.watch_id;
  response.created = true;
  say(response);
  watches_.emplace(request.watch_id, std::make_unique<Watch>(*this, request, after))
      .first->second->ask_turn();
}

void WatchStream::refuse_watch(std::string_view reason) {
  WatchResponse response;
  response.header = header(site_, site_.store.stats().revision);
  response.watch_id = -1;
  response.created = true;
  response.canceled = true;
  response.cancel_reason = reason;
  say(response);
}

std::int64_t WatchStream::choose_id() {
  while (watches_.contains(next_id_))
    ++next_id_;
  return next_id_++;
}

void WatchStream::cancel(std::int64_t id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  forget_turn(*found->second);
  watches_.erase(found);
  WatchResponse response;
  response.header = header(site_, site_.store.stats().revision);
  response.watch_id = id;
  response.canceled = true;
  say(response);
}

// What all watches have told.
void WatchStream::tell_progress() {
  kv::Revision revision = site_.store.stats().revision;
  for (const auto& [id, watch] : watches_)
    revision = std::min(revision, watch->position());
  WatchResponse response;
  response.header = header(site_, revision);
  response.watch_id = -1;
  say(response);
}

void WatchStream::say(const WatchResponse& response) {
  say(result_json(response));
}

void WatchStream::say(std::string json) {
  if (messages_.size() < limits::kEtcdWatchAnswersMax) {
    messages_.push_back(std::move(json));
    return;
  }
  messages_.push_back(stream_json(exhausted("too many requests")));
  ended_ = true;
}

void WatchStream::fail(const Error& error) {
  messages_.push_back(stream_json(error));
  ended_ = true;
}

void WatchStream::on_turn(Watch& watch) {
  turns_.push_back(&watch);
  site_.feeder.wake(request_);
}

void WatchStream::forget_turn(const Watch& watch) {
  turns_.erase(std::remove(turns_.begin(), turns_.end(), &watch), turns_.end());
}

}  // namespace raftd::etcd
