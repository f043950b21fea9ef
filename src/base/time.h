// Monotonic time since an arbitrary origin. Only uv/ and main.cc read a clock; everyone else is
// told what time it is.
#pragma once

#include <chrono>
#include <compare>

namespace raftd {

using Duration = std::chrono::nanoseconds;

struct Instant {
  Duration since_origin{};
  constexpr auto operator<=>(const Instant&) const = default;
  static constexpr Instant never() { return {Duration::max()}; }
};

// never() + d is never(): a deadline that does not exist stays one.
constexpr Instant operator+(Instant t, Duration d) {
  if (t == Instant::never()) return t;
  return {t.since_origin + d};
}
constexpr Duration operator-(Instant a, Instant b) {
  return a.since_origin - b.since_origin;
}

}  // namespace raftd
