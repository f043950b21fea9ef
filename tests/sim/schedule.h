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
    queue_.push({when, next_++, std::move(event)});
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
    // The queue only hands out constant references; the event leaves it the moment after.
    Event event = std::move(const_cast<Item&>(queue_.top()).event);
    now_ = queue_.top().when;
    queue_.pop();
    ++count_;
    event();
    return true;
  }

 private:
  struct Item {
    Instant when;
    std::uint64_t order = 0;
    Event event;
    bool operator<(const Item& other) const {
      return when != other.when ? other.when < when : other.order < order;
    }
  };
  Instant now_{};
  std::uint64_t next_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t end_ = UINT64_MAX;
  std::priority_queue<Item> queue_;
};

inline Duration between(Rng& rng, Duration low, Duration high) {
  if (high <= low) return low;
  return low + Duration(static_cast<std::int64_t>(
                   rng.below(static_cast<std::uint64_t>((high - low).count()))));
}

// Whose random numbers. Each has its own, so that who draws more or less changes nobody else.
enum class Stream : std::uint64_t { kOptions = 1, kCluster, kFaults, kClients, kSnapshots };

inline std::uint64_t stream(std::uint64_t seed, Stream of, std::uint64_t number = 0) {
  return Rng(Rng(seed).next() ^ static_cast<std::uint64_t>(of) << 56 ^ number << 40).next();
}

// Percent of the time.
inline bool chance(Rng& rng, std::uint64_t percent) {
  return rng.below(100) < percent;
}

}  // namespace raftd::sim
