#include "base/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace raftd {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST_CASE("an empty histogram has no quantiles") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.quantile(0.99) == Duration());
}

// Of durations of every size, so that the short ones do not hide the long ones.
template <class H>
void check_quantiles(double excess_max) {
  Rng rng(1);
  H histogram;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t us = rng.below(std::uint64_t{1} << rng.below(30)) + 4;
    all.push_back(us);
    histogram.add(microseconds(us));
  }
  std::sort(all.begin(), all.end());
  for (const double q : {0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(all.size()))) - 1;
    const auto truth = static_cast<double>(all[rank]);
    const double shown = std::chrono::duration<double, std::micro>(histogram.quantile(q)).count();
    CHECK(shown >= truth);
    CHECK(shown <= truth * (1 + excess_max) + 1);
  }
  CHECK(histogram.quantile(1) == histogram.max());
}

TEST_CASE(
    "quantiles are at most 25 %, of the fine one 1.6 %, above the true ones, and never below") {
  check_quantiles<Histogram>(0.25);
  check_quantiles<FineHistogram>(0.016);
}

TEST_CASE("nothing is too short or too long to be counted") {
  Histogram histogram;
  histogram.add(Duration(0));
  histogram.add(Duration(-5));
  histogram.add(Duration(1));
  histogram.add(Duration::max());
  CHECK(histogram.count() == 4);
  CHECK(histogram.max() == Duration::max());
  CHECK(histogram.count_at_most(microseconds(1)) == 3);
}

TEST_CASE("merging adds counts, sums and the larger maximum") {
  Histogram a;
  Histogram b;
  a.add(microseconds(10));
  b.add(microseconds(1000));
  b.add(microseconds(20));
  a.merge(b);
  CHECK(a.count() == 3);
  CHECK(a.sum() == microseconds(1030));
  CHECK(a.max() == microseconds(1000));
}

TEST_CASE("recent is between 30 and 60 seconds; total is everything") {
  RecentHistogram histogram;
  const auto at = [](int s) { return Instant{seconds(s)}; };
  histogram.add(at(100), microseconds(1));
  CHECK(histogram.recent(at(129)).count() == 1);
  CHECK(histogram.recent(at(131)).count() == 1);
  histogram.add(at(131), microseconds(1));
  CHECK(histogram.recent(at(132)).count() == 2);
  CHECK(histogram.recent(at(162)).count() == 1);
  CHECK(histogram.recent(at(300)).count() == 0);
  CHECK(histogram.total().count() == 2);
}

}  // namespace raftd
