#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.h"

namespace raftd {
namespace {

// Between a power of two and the next: the bits after the leading one.
template <unsigned StepBits>
std::size_t bucket_of(Duration duration) {
  constexpr std::size_t steps = LogHistogram<StepBits>::kSteps;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  if (us < static_cast<std::int64_t>(steps)) return us <= 0 ? 0 : static_cast<std::size_t>(us);
  const auto value = static_cast<std::uint64_t>(us);
  const auto power = static_cast<std::size_t>(std::bit_width(value)) - 1;
  const std::size_t step = (value >> (power - StepBits)) & (steps - 1);
  return std::min((power - StepBits + 1) * steps + step, LogHistogram<StepBits>::kBuckets - 1);
}

// The largest duration that falls in this bucket, in microseconds.
template <unsigned StepBits>
std::uint64_t bucket_max_us(std::size_t bucket) {
  constexpr std::size_t steps = LogHistogram<StepBits>::kSteps;
  if (bucket < steps) return bucket;
  const std::size_t shift = bucket / steps - 1;
  const std::uint64_t step = bucket % steps;
  return ((steps + step + 1) << shift) - 1;
}

}  // namespace

template <unsigned StepBits>
void LogHistogram<StepBits>::add(Duration duration) {
  ++buckets_[bucket_of<StepBits>(duration)];
  ++count_;
  sum_ += duration;
  max_ = std::max(max_, duration);
}

template <unsigned StepBits>
Duration LogHistogram<StepBits>::quantile(double q) const {
  ASSERT(q >= 0);
  ASSERT(q <= 1);
  if (count_ == 0) return {};
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= rank && seen > 0) {
      return std::min(max_, Duration(std::chrono::microseconds(bucket_max_us<StepBits>(i) + 1)));
    }
  }
  return max_;
}

template <unsigned StepBits>
std::uint64_t LogHistogram<StepBits>::count_at_most(Duration duration) const {
  const std::size_t last = bucket_of<StepBits>(duration);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i <= last; ++i)
    seen += buckets_[i];
  return seen;
}

template <unsigned StepBits>
void LogHistogram<StepBits>::merge(const LogHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i)
    buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

template class LogHistogram<2>;
template class LogHistogram<6>;

void RecentHistogram::turn(Instant now) {
  if (now - current_since_ < kWindow) return;
  previous_ = now - current_since_ < 2 * kWindow ? current_ : Histogram();
  current_.clear();
  current_since_ = now;
}

void RecentHistogram::add(Instant now, Duration duration) {
  turn(now);
  total_.add(duration);
  current_.add(duration);
}

Histogram RecentHistogram::recent(Instant now) const {
  RecentHistogram turned = *this;
  turned.turn(now);
  turned.previous_.merge(turned.current_);
  return turned.previous_;
}

}  // namespace raftd
