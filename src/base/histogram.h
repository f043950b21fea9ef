// Counts of durations in logarithmic buckets (powers of two of a microsecond, in equal steps each):
// quantiles within a fraction of a step, fixed memory, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace raftd {

// Steps: two to the power of StepBits.
template <unsigned StepBits>
class LogHistogram {
 public:
  static constexpr std::size_t kSteps = std::size_t{1} << StepBits;
  static constexpr std::size_t kBuckets = kSteps * 32;

  void add(Duration duration);
  std::uint64_t count() const { return count_; }
  Duration sum() const { return sum_; }
  Duration max() const { return max_; }
  Duration quantile(double q) const;  // Upper bound of the bucket; zero if nothing was counted.
  // How many were at most this long: for Prometheus' cumulative buckets.
  std::uint64_t count_at_most(Duration duration) const;
  void merge(const LogHistogram& other);
  void clear() { *this = LogHistogram(); }

 private:
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  Duration sum_{};
  Duration max_{};
};

extern template class LogHistogram<2>;
extern template class LogHistogram<6>;

using Histogram = LogHistogram<2>;      // 1 KiB; quantiles are at most 25 % too high.
using FineHistogram = LogHistogram<6>;  // 16 KiB; at most 1.6 %.

// The last minute, for /status: two halves of a minute each, the older one forgotten.
class RecentHistogram {
 public:
  void add(Instant now, Duration duration);
  Histogram recent(Instant now) const;  // Between one and two windows long.
  const Histogram& total() const { return total_; }

 private:
  static constexpr Duration kWindow = std::chrono::seconds(30);
  void turn(Instant now);

  Histogram total_;
  Histogram current_;
  Histogram previous_;
  Instant current_since_{};
};

}  // namespace raftd
