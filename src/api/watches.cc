// The happy path of a long-poll is: its watcher has nothing to read and sleeps; the first event
// that concerns it gives it a turn, and its request goes on. Possible failure modes are: nothing
// happens before its time is over; history passes it, or another state is restored (as if there had
// been an event: the client gets what is there now); the node stops.
#include "api/watches.h"

#include <utility>

#include "api/answer.h"
#include "api/service.h"

namespace raftd::api {

std::optional<ApiError> check_watchers(const Watches& watches, const ServiceLimits& limits) {
  if (watches.hub.watchers() < limits.watchers) return std::nullopt;
  ApiError error = bad_request("this node has as many watchers as it may have");
  error.status = 429;
  error.code = "overloaded";
  error.retry_after_ms = 1000;
  add_member(error.extra, "limit", "limits.watchers");
  add_member(error.extra, "max", limits.watchers);
  return error;
}

LongPoll::LongPoll(Watches& watches, Owner& owner, std::uint64_t id, Park park)
    : watches_(watches),
      owner_(owner),
      id_(id),
      watcher_(watches.hub, *this, std::move(park.span), kv::EventKinds::all(), park.after),
      alarm_(watches.alarms, *this) {
  alarm_.set(park.until);
}

void LongPoll::on_turn() {
  look();
}

// An event that came just before counts.
void LongPoll::on_alarm() {
  if (look()) return;
  owner_.on_woken(id_, {Woken::Why::kTimedOut, watcher_.position()});
}

bool LongPoll::look() {
  if (watches_.stopping) {
    owner_.on_woken(id_, {Woken::Why::kStopping, 0});
    return true;
  }
  std::vector<kv::Event>& events = watches_.events;
  events.clear();
  const kv::EventsRead read = watcher_.read({limits::kWatchVisitsPerTurnMax, 1}, false, events);
  if (!events.empty() || read == kv::EventsRead::kCompacted) {
    owner_.on_woken(id_, {Woken::Why::kChanged, 0});
    return true;
  }
  if (read == kv::EventsRead::kMore) watcher_.ask_turn();
  return false;
}

}  // namespace raftd::api
