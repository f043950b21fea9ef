// The happy path is: the stream's watcher sleeps; an event gives it a turn, it wakes the
// connection, which asks for what there is; that is one bounded piece, and if there is more the
// next turn is asked for. An election opens with the state of its start. With init the items of one
// revision come first, a bounded piece in each turn, and the watcher waits at that revision
// meanwhile.
//
// Possible failure modes are: the client reads slowly (the connection does not ask, so the cursor
// stays where it is); history passes the cursor, or the revision that is being listed (reset and a
// new list, or compacted and the end); another state is restored (the same, if something is missing
// between); the client goes away (the stream is destroyed); the node stops (the stream ends).
#include "api/watch_stream.h"

#include <algorithm>
#include <utility>

#include "api/locks.h"
#include "api/watch_format.h"

namespace raftd::api {

WatchStream::WatchStream(const Site& site, RequestId request, WatchQuery query)
    : site_(site),
      request_(request),
      format_(query.format),
      init_(query.init),
      prev_(query.prev),
      opening_(std::move(query.opening)),
      told_(query.after.value_or(site.store.stats().revision)),
      spoke_(site.watches.now),
      progress_(site.watches.now),
      watcher_(site.watches.hub, *this, std::move(query.span), query.kinds, told_),
      alarm_(site.watches.alarms, *this) {
  if (init_ && !query.after) begin_list();
  lost_ = query.after && *query.after < site.store.stats().compact_revision;
  alarm_.set(spoke_ + std::min<Duration>(limits::kWatchHeartbeat, progress_interval()));
}

// A client that is told so often how far it is finds history at that place when it comes back.
Duration WatchStream::progress_interval() const {
  const auto age = std::chrono::milliseconds(site_.store.history_limits().age_ms);
  return std::min<Duration>(limits::kWatchProgress, age / 2);
}

void WatchStream::on_turn() {
  has_turn_ = true;
  site_.feeder.wake(request_);
}

void WatchStream::on_endangered(kv::Revision revision) {
  if (listing_ || told_ > revision) return;
  progress_wanted_ = true;
  watcher_.ask_turn();
}

void WatchStream::on_alarm() {
  const Instant now = site_.watches.now;
  const Instant due = std::min(spoke_ + limits::kWatchHeartbeat, progress_ + progress_interval());
  if (due > now) return alarm_.set(due);
  watcher_.ask_turn();
  // Whether it can say anything then is up to its client.
  const Instant progress_due = progress_ + progress_interval();
  const Instant again = now + std::min<Duration>(limits::kWatchHeartbeat, progress_interval());
  alarm_.set(progress_due > now ? std::min(again, progress_due) : again);
}

http::BodySource::Next WatchStream::next(std::string& out) {
  if (ended_ || site_.watches.stopping) return Next::kEnd;
  if (!has_turn_) return Next::kLater;
  has_turn_ = false;
  std::size_t& left = site_.watches.bytes_left;
  if (left == 0) {
    watcher_.keep_turn();
    return Next::kLater;
  }
  const bool listed = listing_;
  if (std::exchange(lost_, false)) {
    lose_history(out);
  } else if (!opening_.empty()) {
    begin(out);
  } else if (listing_) {
    list(out);
  } else {
    follow(out);
  }
  // What a list costs is seldom seen in its bytes: most of it may be keys that are gone.
  left -= std::min(left, listed ? std::max(out.size(), 4 * limits::kWatchTurnBytes) : out.size());
  if (ended_) return Next::kEnd;
  if (out.empty()) return Next::kLater;
  spoke_ = site_.watches.now;
  return Next::kMore;
}

void WatchStream::begin(std::string& out) {
  out = std::exchange(opening_, {});
  tell_progress(out, told_);
  watcher_.ask_turn();
}

void WatchStream::follow(std::string& out) {
  std::vector<kv::Event>& events = site_.watches.events;
  events.clear();
  const kv::EventsRead read =
      watcher_.read({limits::kWatchVisitsPerTurnMax, limits::kWatchTurnBytes}, prev_, events);
  for (const kv::Event& event : events) {
    if (format_ == WatchFormat::kElection) {
      add_election_event(out, site_.store, event);
    } else {
      add_event(out, format_, event, prev_);
    }
    if (event.last) told_ = event.item.mod;
  }
  switch (read) {
    case kv::EventsRead::kMore:
      watcher_.ask_turn();
      break;
    case kv::EventsRead::kCaughtUp:
      break;
    case kv::EventsRead::kCompacted:
      return lose_history(out);
  }
  pulse(out, !events.empty());
}

void WatchStream::pulse(std::string& out, bool said_something) {
  const Instant now = site_.watches.now;
  const kv::Revision position = watcher_.position();
  // Who waits for the future, or for a state that is being caught up with, is not there yet.
  const bool known = position >= told_ && position <= site_.store.stats().revision;
  if (known && (progress_wanted_ || now - progress_ >= progress_interval())) {
    return tell_progress(out, position);
  }
  if (!said_something && now - spoke_ >= limits::kWatchHeartbeat) add_heartbeat(out, format_);
}

void WatchStream::tell_progress(std::string& out, kv::Revision revision) {
  add_progress(out, format_, revision);
  told_ = revision;
  progress_ = site_.watches.now;
  progress_wanted_ = false;
}

void WatchStream::begin_list() {
  listing_ = true;
  list_revision_ = site_.store.stats().revision;
  list_from_.clear();
  watcher_.restart(list_revision_);
  watcher_.ask_turn();
}

void WatchStream::list(std::string& out) {
  kv::RangeQuery query;
  query.prefix = watcher_.span.begin;
  query.start = list_from_;
  query.rev = list_revision_;
  query.limit = limits::kWatchVisitsPerTurnMax;
  query.bytes_max = limits::kWatchTurnBytes;
  const bool one_key = watcher_.span.kind == kv::KeySpan::Kind::kKey;
  if (one_key) query.limit = 1;  // It is the first of all that begin with it.
  const std::unique_ptr<machine::Reply> reply = site_.store.query(query, {});
  ASSERT(reply != nullptr);
  auto& range = dynamic_cast<kv::RangeReply&>(*reply);
  watcher_.ask_turn();
  if (range.result != kv::RangeReply::Result::kDone) return lose_history(out);
  for (const kv::RangeReply::Row& row : range.rows) {
    if (watcher_.span.contains(row.item.key)) add_snapshot(out, format_, row.item);
  }
  list_from_ = std::move(range.next);
  if (range.more && !(one_key && range.page_full)) return;
  listing_ = false;
  tell_progress(out, list_revision_);
}

void WatchStream::lose_history(std::string& out) {
  const kv::Revision compact_revision = site_.store.stats().compact_revision;
  add_lost(out, format_, compact_revision, init_);
  if (init_) {
    begin_list();
  } else {
    ended_ = true;
  }
}

}  // namespace raftd::api
