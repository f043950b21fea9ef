#include "base/rng.h"

#include <doctest/doctest.h>

#include <array>

namespace raftd {

TEST_CASE("the same seed gives the same numbers, those of the published splitmix64") {
  Rng rng(1234567);
  CHECK(rng.next() == 6457827717110365317U);
  CHECK(rng.next() == 3203168211198807973U);
  CHECK(rng.next() == 9817491932198370423U);
}

TEST_CASE("below stays below, reaches everything, and favours nothing") {
  Rng rng(7);
  std::array<int, 6> seen{};
  for (int i = 0; i < 60'000; ++i)
    ++seen[rng.below(6)];
  for (const int count : seen) {
    CHECK(count > 9'500);
    CHECK(count < 10'500);
  }
  CHECK(rng.below(1) == 0);
  CHECK(Rng(3).below(~std::uint64_t{0}) < ~std::uint64_t{0});
}

TEST_CASE("two seeds of the operating system differ") {
  CHECK(os_entropy() != os_entropy());
}

}  // namespace raftd
