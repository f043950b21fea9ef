// When a load generator asks: whenever it can (closed loop), or at a constant rate (open loop),
// however long the answers take. In an open loop a request that had to wait for its turn began when
// it was due: a stall of the server is in the latency of every request that it held up, and not
// only of those that were under way.
#pragma once

#include <cstdint>
#include <optional>

#include "base/assert.h"
#include "base/time.h"

namespace raftd::cli {

class Pace {
 public:
  // per_second: 0 is a closed loop.
  Pace(Instant begin, Duration length, std::uint64_t per_second)
      : begin_(begin), end_(begin + length), per_second_(per_second) {
    ASSERT(length > Duration());
  }

  // The beginning of the next request; nothing: none is due. Also after the end an open loop gives
  // what was due before it.
  std::optional<Instant> take(Instant now);
  // Nothing is due before.
  Instant next() const { return per_second_ == 0 ? begin_ : due(taken_); }
  bool over(Instant now) const { return now >= end_; }
  Instant begin() const { return begin_; }
  Instant end() const { return end_; }

 private:
  Instant due(std::uint64_t number) const;

  Instant begin_;
  Instant end_;
  std::uint64_t per_second_;
  std::uint64_t taken_ = 0;  // In an open loop.
};

}  // namespace raftd::cli
