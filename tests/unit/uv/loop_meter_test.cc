// Goal: what an iteration of the loop was busy with is told from what it slept, whole and by phase.
// Method: a clock in the test's hand.
#include "uv/loop_meter.h"

#include <doctest/doctest.h>

namespace raftd::uv {
namespace {

using std::chrono::milliseconds;
using Phase = LoopMeter::Phase;

TEST_CASE("an iteration is busy from when the kernel woke it, not while it slept before") {
  LoopMeter meter;
  const Instant woke{std::chrono::seconds(7)};
  CHECK(meter.end_iteration(woke, woke).busy == Duration{});
  meter.begins(woke + milliseconds(15));
  CHECK(meter.end_iteration(woke, woke + milliseconds(20)).busy == milliseconds(20));
  const Instant again = woke + milliseconds(500);
  CHECK(meter.end_iteration(again, again + milliseconds(5)).busy == milliseconds(5));
}

TEST_CASE("an iteration names the phase that took longest, over all its rounds") {
  LoopMeter meter;
  const Instant begin{std::chrono::seconds(7)};
  const auto at = [&](int ms) { return begin + milliseconds(ms); };
  meter.begins(at(5));
  meter.ended(Phase::kReplica, at(11));
  meter.ended(Phase::kPeers, at(12));
  meter.ended(Phase::kClients, at(13));
  meter.ended(Phase::kReplica, at(17));
  meter.ended(Phase::kPeers, at(18));
  const LoopMeter::Iteration iteration = meter.end_iteration(begin, at(18));
  CHECK(iteration.busy == milliseconds(18));
  CHECK(iteration.longest == Phase::kReplica);
  CHECK(iteration.longest_took == milliseconds(10));
  CHECK(describe(iteration) == "busy for 18 ms, 10 of them in the replica");
  // Nothing of it is left for the next one.
  const LoopMeter::Iteration next = meter.end_iteration(at(48), at(59));
  CHECK(describe(next) == "busy for 11 ms, 11 of them taking what came in");
}

}  // namespace
}  // namespace raftd::uv
