// Virtual time: one queue of events. Those of one moment run in the order in which they were put.
#pragma once

#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/rng.h"
#include "base/time.h"

namespace raftd::sim {

class Schedule {
 public:
  using Event = std::function<void()>;
  struct Ended {};  // Thrown by run_next().

  Instant now() const { return now_; }
  std::uint64_t count() const { return count_; }

  void at(Instant when, Event event) {
    ASSERT(when >= now_);
    if (when == Instant::never()) return;
    if (free_.empty()) {
      free_.push_back(events_.size());
      events_.emplace_back();
    }
    const std::size_t slot = free_.back();
    free_.pop_back();
    events_[slot] = std::move(event);
    queue_.push({when, next_++, slot});
  }
  void after(Duration delay, Event event) { at(now_ + delay, std::move(event)); }

  // Ended is thrown before the event after this many.
  void end_after(std::uint64_t events) { end_ = events; }

  // False: nothing is left at or before until, and it is until now.
  bool run_next(Instant until) {
    if (queue_.empty() || queue_.top().when > until) {
      now_ = until;
      return false;
    }
    if (count_ == end_) throw Ended();
    const Item item = queue_.top();
    queue_.pop();
    const Event event = std::exchange(events_[item.slot], nullptr);
    free_.push_back(item.slot);
    now_ = item.when;
    ++count_;
    event();
    return true;
  }

 private:
  struct Item {
    Instant when;
    std::uint64_t order = 0;
    std::size_t slot = 0;
    bool operator<(const Item& other) const {
      return when != other.when ? other.when < when : other.order < order;
    }
  };
  Instant now_{};
  std::uint64_t next_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t end_ = UINT64_MAX;
  std::priority_queue<Item> queue_;  // Of small items: sorting moves them often.
  std::vector<Event> events_;        // By slot.
  std::vector<std::size_t> free_;
};

inline Duration between(Rng& rng, Duration low, Duration high) {
  if (high <= low) return low;
  return low + Duration(static_cast<std::int64_t>(
                   rng.below(static_cast<std::uint64_t>((high - low).count()))));
}

// Whose random numbers. Each has its own, so that who draws more or less changes nobody else.
enum class Stream : std::uint64_t {
  kOptions = 1,
  kCluster,
  kFaults,
  kClients,
  kSnapshots,
  kLosses,
  kRecover,
  kCoordination,
  kWatching
};

inline std::uint64_t stream(std::uint64_t seed, Stream of, std::uint64_t number = 0) {
  return Rng(Rng(seed).next() ^ static_cast<std::uint64_t>(of) << 56 ^ number << 40).next();
}

// Percent of the time.
inline bool chance(Rng& rng, std::uint64_t percent) {
  return rng.below(100) < percent;
}

}  // namespace raftd::sim
