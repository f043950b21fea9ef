// Goal: what an iteration of the loop was busy with is told from what it slept, whole and by phase.
// Method: a clock in the test's hand.
#include "uv/loop_meter.h"

#include <doctest/doctest.h>

namespace raftd::uv {
namespace {

using std::chrono::milliseconds;
using Phase = LoopMeter::Phase;

TEST_CASE("the first iteration has no beginning; later ones are busy but for what they slept") {
  LoopMeter meter;
  Instant now{std::chrono::seconds(7)};
  CHECK(meter.end_iteration(now, milliseconds(500)).busy == Duration{});
  now = now + milliseconds(30);
  CHECK(meter.end_iteration(now, milliseconds(510)).busy == milliseconds(20));
  now = now + milliseconds(5);
  CHECK(meter.end_iteration(now, milliseconds(515)).busy == Duration{});
  // The kernel's account of sleep may be a little late.
  CHECK(meter.end_iteration(now, milliseconds(516)).busy == Duration{});
}

TEST_CASE("an iteration names the phase that took longest, over all its rounds") {
  LoopMeter meter;
  const Instant begin{std::chrono::seconds(7)};
  const auto at = [&](int ms) { return begin + milliseconds(ms); };
  meter.end_iteration(at(0), {});
  meter.ended(Phase::kReplica, at(4));
  meter.ended(Phase::kPeers, at(6));
  meter.ended(Phase::kClients, at(7));
  meter.begins(at(40));  // Slept for 30 ms, took bytes in for 3.
  meter.ended(Phase::kReplica, at(46));
  meter.ended(Phase::kPeers, at(47));
  meter.ended(Phase::kClients, at(48));
  const LoopMeter::Iteration iteration = meter.end_iteration(at(48), milliseconds(30));
  CHECK(iteration.busy == milliseconds(18));
  CHECK(iteration.longest == Phase::kReplica);
  CHECK(iteration.longest_took == milliseconds(10));
  CHECK(describe(iteration) == "busy for 18 ms, 10 of them in the replica");
  // Nothing of it is left for the next one.
  const LoopMeter::Iteration next = meter.end_iteration(at(59), milliseconds(30));
  CHECK(describe(next) == "busy for 11 ms, 11 of them taking what came in");
}

}  // namespace
}  // namespace raftd::uv
