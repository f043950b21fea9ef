// History as a stream of events: each write of each key, oldest first, from the ring that the store
// keeps anyway. A reader is a cursor; it has no queue of its own and holds nothing back.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "kv/query.h"

namespace raftd::kv {

enum class EventKind : std::uint8_t { kPut = 1, kDelete = 2, kExpire = 4 };

class EventKinds {
 public:
  constexpr EventKinds() = default;  // None.
  static constexpr EventKinds all() { return EventKinds(7); }
  constexpr void add(EventKind kind) { bits_ |= static_cast<unsigned>(kind); }
  constexpr bool contains(EventKind kind) const {
    return (bits_ & static_cast<unsigned>(kind)) != 0;
  }

 private:
  constexpr explicit EventKinds(unsigned bits) : bits_(bits) {}
  unsigned bits_ = 0;
};

// Which keys, of one space.
struct KeySpan {
  enum class Kind : std::uint8_t { kKey, kPrefix, kRange };
  Kind kind = Kind::kKey;
  std::string begin;  // The key, the prefix, or the first key of the range.
  std::string end;    // Of a range: the first key behind it; empty: it has no end.
  Space space = Space::kKeys;

  bool contains(std::string_view key) const {  // Of its space.
    switch (kind) {
      case Kind::kKey:
        return key == begin;
      case Kind::kPrefix:
        return key.starts_with(begin);
      case Kind::kRange:
        return key >= begin && (end.empty() || key < end);
    }
    return false;
  }
};

struct Event {
  EventKind kind = EventKind::kPut;
  bool last = false;         // No other event of its revision is wanted.
  Item item;                 // Of a deletion: key and mod alone.
  std::optional<Item> prev;  // Before the change, if that was asked for and there was one.
};

// A place between two events. It is valid for good, on every node and after every restart: what it
// names are revisions; only the hint is of this process.
struct EventCursor {
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

  Revision after = 0;          // All events up to this revision are before it,
  std::uint64_t skip = 0;      //   and so many of the next revision that has any.
  std::uint64_t held = kNone;  // Which of these was read but not given: whether it is the last that
                               //   is wanted of its revision shows only further on.
  std::uint64_t hint = kNone;  // Where it was found, counted as State::changes_dropped is.
};

inline bool before(const EventCursor& one, const EventCursor& other) {
  return one.after != other.after ? one.after < other.after : one.skip < other.skip;
}

struct EventsWanted {
  const KeySpan& span;
  EventKinds kinds = EventKinds::all();
  bool prev = false;
};

struct EventBounds {
  std::size_t visits_max = 0;  // Events that are looked at; at least 1.
  std::size_t bytes_max = 0;   // Of keys and values; one event is given however large it is.
};

enum class EventsRead : std::uint8_t {
  kMore,       // Read on: a bound was reached.
  kCaughtUp,   // There are no more for now.
  kCompacted,  // History has passed the cursor: what followed it is not known any more.
};

}  // namespace raftd::kv
