// Reading the ring of changes. What tidy_slice() has not dropped can be read whole: it drops a
// key's versions only with the change that replaced them, so the version before an event is there
// as long as the event is, unless it is a tombstone, which means the same as none.
#include "kv/events.h"

#include <algorithm>

#include "kv/store_state.h"

namespace raftd::kv {
namespace {

EventKind kind_of(const Version& version) {
  if (version.live()) return EventKind::kPut;
  return version.lease() == 0 ? EventKind::kDelete : EventKind::kExpire;
}

std::size_t weight(const Event& event) {
  return event.item.key.size() + event.item.value.size() +
         (event.prev ? event.prev->key.size() + event.prev->value.size() : 0);
}

}  // namespace

const Version& Store::State::version_of(const Change& change) const {
  const Version* version = change.key->latest_at(change.revision);
  ASSERT(version != nullptr);
  ASSERT_CMP(version->mod(), ==, change.revision);
  return *version;
}

Event Store::State::event_of(const Change& change, bool with_prev) const {
  const Version& version = version_of(change);
  Event event;
  event.kind = kind_of(version);
  event.item = item(change.key->text(), version, version.live(), now);
  if (with_prev) {
    const Version* prev = change.key->at(change.revision - 1);
    if (prev != nullptr) event.prev = item(change.key->text(), *prev, true, now);
  }
  return event;
}

// The place of what comes next, in changes; nothing: it may have been dropped.
std::optional<std::size_t> Store::State::seek(const EventCursor& cursor) const {
  if (cursor.after < trimmed) return std::nullopt;
  if (cursor.hint >= changes_dropped && cursor.hint - changes_dropped <= changes.size()) {
    return cursor.hint - changes_dropped;
  }
  const auto next = std::upper_bound(
      changes.begin(), changes.end(), cursor.after,
      [](Revision after, const Change& change) { return after < change.revision; });
  const auto first = static_cast<std::size_t>(next - changes.begin());
  // After a restore the store may be behind the cursor for a while.
  return std::min(first + cursor.skip, changes.size());
}

// Over the change at that place: the next one is behind it. True: it is the last of its revision.
bool Store::State::advance(EventCursor& cursor, std::size_t& at) const {
  const Revision revision = changes[at].revision;
  ++at;
  cursor.hint = changes_dropped + at;
  ++cursor.skip;
  if (at != changes.size() && changes[at].revision == revision) return false;
  cursor.after = revision;
  cursor.skip = 0;
  return true;
}

EventsRead Store::read_events(EventCursor& cursor, const EventsWanted& wanted,
                              const EventBounds& bounds, std::vector<Event>& out) const {
  const State& s = *state_;
  const std::optional<std::size_t> found = s.seek(cursor);
  if (!found) return EventsRead::kCompacted;
  std::size_t at = *found;
  const std::size_t given_before = out.size();
  std::size_t bytes = 0;
  std::uint64_t open = EventCursor::kNone;  // The event given last, while its revision goes on.
  const auto give = [&](const State::Change& change, std::uint64_t number) {
    out.push_back(s.event_of(change, wanted.prev));
    bytes += weight(out.back());
    open = number;
  };
  const auto visible = [&] {
    return at < s.changes.size() && s.changes[at].revision <= s.stats.revision;
  };
  if (cursor.held != EventCursor::kNone && visible()) {
    ASSERT_CMP(cursor.held, <, cursor.skip);
    give(s.changes[at - (cursor.skip - cursor.held)], cursor.held);
  }
  std::size_t visits = 0;
  for (; visible() && visits < bounds.visits_max; ++visits) {
    const State::Change& change = s.changes[at];
    if (change.key->space() == wanted.span.space && wanted.span.contains(change.key->text()) &&
        wanted.kinds.contains(kind_of(s.version_of(change)))) {
      if (out.size() > given_before && bytes >= bounds.bytes_max) {
        open = EventCursor::kNone;  // This one follows it: it is not the last.
        break;
      }
      give(change, cursor.skip);
    }
    const bool ends = s.advance(cursor, at);
    if (!ends) continue;
    if (open != EventCursor::kNone) out.back().last = true;
    open = EventCursor::kNone;
  }
  cursor.held = open;
  if (open != EventCursor::kNone) out.pop_back();
  return visible() ? EventsRead::kMore : EventsRead::kCaughtUp;
}

EventsRead Store::visit_events(EventCursor& cursor, std::size_t visits_max,
                               const EventVisitor& visitor) const {
  const State& s = *state_;
  const std::optional<std::size_t> found = s.seek(cursor);
  if (!found) return EventsRead::kCompacted;
  std::size_t at = *found;
  const auto visible = [&] {
    return at < s.changes.size() && s.changes[at].revision <= s.stats.revision;
  };
  for (std::size_t visits = 0; visible() && visits < visits_max; ++visits) {
    const State::Change& change = s.changes[at];
    cursor.hint = s.changes_dropped + at;
    visitor(change.key->space(), change.key->text(), kind_of(s.version_of(change)), cursor);
    s.advance(cursor, at);
  }
  return visible() ? EventsRead::kMore : EventsRead::kCaughtUp;
}

void Store::keep_events_after(Revision revision) {
  state_->watched_after = revision;
}

Revision Store::endangered() const {
  const State& s = *state_;
  if (2 * s.window_bytes() < s.history.bytes) return s.stats.compact_revision;
  const std::size_t begin = s.window_begin();
  if (begin == s.changes.size()) return s.stats.compact_revision;
  // A compaction for their bytes takes a quarter of the changes, and what came meanwhile.
  return s.changes[begin + (s.changes.size() - begin) / 3].revision;
}

}  // namespace raftd::kv
