// A fixed list of runs, and what must be true of the simulator itself.
#include <doctest/doctest.h>

#include "sim/run.h"
#include "sim/workload.h"

namespace raftd::sim {
namespace {

// A sanitizer makes everything some thirty times slower: fewer runs, and more of them by hand.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr std::uint64_t kSeeds = kSanitized ? 6 : 40;

}  // namespace

TEST_CASE("fixed seeds of the swarm run without a violation, and see everything worth seeing") {
  Coverage total;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Options options = draw_options(seed);
    options.chaos = std::chrono::seconds(10);
    const RunResult result = run(seed, options);
    CHECK_MESSAGE(!result.violation, result.violation.value_or(""));
    total.add(result.coverage);
  }
  if (kSanitized) return;
  // A swarm in which one of these never happens has gone blind.
  CHECK(total.leader_changes > 100);
  CHECK(total.overwritten > 10);
  CHECK(total.kills > 20);
  CHECK(total.power_losses > 20);
  CHECK(total.torn_sectors > 0);
  CHECK(total.recoveries_with_notes > 0);
  CHECK(total.interrupted_repairs > 0);
  CHECK(total.clean_stops > 5);
  CHECK(total.pauses > 20);
  CHECK(total.partitions > 20);
  CHECK(total.resets > 20);
  CHECK(total.full_disks > 0);
  CHECK(total.transfers > 10);
  CHECK(total.forwarded > 1000);
  CHECK(total.writes_done > 1000);
  CHECK(total.writes_superseded > 0);
  CHECK(total.writes_unknown > 10);
  CHECK(total.reads_done > 1000);
  CHECK(total.abandoned > 0);
}

TEST_CASE("two runs of one seed are the same to the last event, two seeds are not") {
  Options options = draw_options(3);
  options.chaos = std::chrono::seconds(5);
  const RunResult first = run(3, options);
  const RunResult again = run(3, options);
  const RunResult other = run(4, options);
  CHECK(first.trace_hash == again.trace_hash);
  CHECK(first.coverage.events == again.coverage.events);
  CHECK(first.trace_hash != other.trace_hash);
}

TEST_CASE("the oracle refuses what is wrong") {
  const auto status = [](raft::Role role, std::uint64_t term, std::uint64_t commit) {
    node::ReplicaStatus made;
    made.role = {role, {term}, {}};
    made.hard_state = {{term}, {}};
    made.commit = {commit};
    return made;
  };
  const auto entry = [](std::uint64_t index, std::uint64_t term) {
    return machine::Applied{{index}, {term}, {}, {}};
  };
  Oracle oracle;
  oracle.node_is(0, 1, status(raft::Role::kLeader, 5, 3));
  CHECK_THROWS_AS(oracle.node_is(1, 1, status(raft::Role::kLeader, 5, 3)), Violation);
  CHECK_THROWS_AS(oracle.node_is(0, 1, status(raft::Role::kLeader, 5, 2)), Violation);
  CHECK_THROWS_AS(oracle.node_is(0, 1, status(raft::Role::kFollower, 4, 3)), Violation);
  oracle.node_is(0, 2, status(raft::Role::kFollower, 5, 0));  // Another life begins at 0.

  oracle.applied(0, entry(1, 5));
  oracle.applied(1, entry(1, 5));
  CHECK_THROWS_AS(oracle.applied(1, entry(1, 6)), Violation);
  CHECK_THROWS_AS(oracle.applied(1, entry(3, 5)), Violation);
  oracle.state_is(0, {1}, 77);
  CHECK_THROWS_AS(oracle.state_is(1, {1}, 78), Violation);
  CHECK_THROWS_AS(oracle.acknowledged({2}, {5}, 1), Violation);
  CHECK_THROWS_AS(oracle.acknowledged({1}, {6}, 0), Violation);

  // A canary: a write that was refused, and is in the log.
  const Bytes put = kv::encode(kv::Put{.key = "k", .value = "v9-", .condition = {}});
  oracle.applied(0, {{2}, {5}, {}, ByteView(put).subspan(machine::kStampBytes)});
  oracle.acknowledged({2}, {5}, 9);
  CHECK_THROWS_AS(oracle.acknowledged({2}, {5}, 8), Violation);
  oracle.check_refused();
  oracle.refused(9);
  CHECK_THROWS_AS(oracle.check_refused(), Violation);
}

}  // namespace raftd::sim
