#include "cli/load_pace.h"

namespace raftd::cli {

std::optional<Instant> Pace::take(Instant now) {
  if (per_second_ == 0) return over(now) ? std::nullopt : std::optional(now);
  const Instant at = due(taken_);
  if (at > now || at >= end_) return std::nullopt;
  ++taken_;
  return at;
}

// Not a sum of intervals: their rounding would add up.
Instant Pace::due(std::uint64_t number) const {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  const std::uint64_t rest_ns = number % per_second_ * kNsPerSecond / per_second_;
  return begin_ + std::chrono::seconds(number / per_second_) + Duration(rest_ns);
}

}  // namespace raftd::cli
