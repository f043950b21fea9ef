// Leadership goes to the voter of the highest priority: when, to whom, and when not. The node under
// test has priority 0 and leads; the test plays its peers.
#include <functional>

#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

constexpr Duration kTimeout = 100ms;          // core_config()'s election timeout.
constexpr Duration kSettled = 10 * kTimeout;  // How long all has been well before.
constexpr Duration kSlack = 3 * 20ms;         // It is looked at with each heartbeat.
constexpr Duration kGivenBack = std::chrono::minutes(1);

// Time passes; those who answer have the whole log.
void lead_on(Solo& solo, Duration duration, const std::vector<std::uint64_t>& answering) {
  for (const Instant end = solo.now + duration; solo.now < end;) {
    solo.wait(20ms);
    for (const std::uint64_t id : answering)
      solo.accept(id, solo.core().last_index().value, 1);
  }
}

std::vector<std::uint64_t> told(Solo& solo) {
  std::vector<std::uint64_t> targets;
  for (const Message& message : solo.node.take_sent()) {
    if (std::holds_alternative<TimeoutNow>(message.body)) targets.push_back(message.to.value);
  }
  return targets;
}

TEST_CASE("a leader hands over to a voter of higher priority once both have been steady") {
  Solo solo(first_start(three()));
  solo.core().connected({2}, 5);
  solo.core().connected({3}, 0);
  solo.lead();
  lead_on(solo, kSettled - kSlack, {2, 3});
  CHECK(told(solo).empty());
  CHECK(solo.propose("x"));
  lead_on(solo, 2 * kSlack, {2, 3});
  CHECK(told(solo) == std::vector<std::uint64_t>{2});
  const Status refused = solo.propose("y");
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kTransferring);
  REQUIRE(solo.node.handed_over.size() == 1);
  CHECK(solo.node.handed_over.front().why == HandOver::Why::kPriority);
}

TEST_CASE("of several the highest priority leads, and of equal ones the longest log") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5})));
  for (const std::uint64_t id : {2U, 3U, 4U, 5U})
    solo.core().connected({id}, id == 3 || id == 4 ? 7 : 5);
  solo.lead({2, 3, 4, 5});
  for (const Instant end = solo.now + kSettled + kSlack; solo.now < end;) {
    REQUIRE(solo.core().propose(solo.now, share(to_bytes("x"))));
    solo.wait(20ms);
    const std::uint64_t last = solo.core().last_index().value;
    for (const std::uint64_t id : {2U, 3U, 4U, 5U})
      solo.accept(id, last - (id == 3 ? 1 : id == 4 ? 2 : 0), 1);
    if (!solo.node.handed_over.empty()) break;
  }
  REQUIRE(solo.node.handed_over.size() == 1);
  CHECK(solo.node.handed_over.front().target == NodeId{3});
}

TEST_CASE("priority moves nobody to a node that is no better, silent, behind, new or no voter") {
  // What the others do besides: 3 and 4 answer.
  struct Case {
    const char* what;
    std::int32_t priority;
    std::uint64_t preferred;
    std::function<void(Solo&)> every_time;  // Before they answer.
    bool answers;
  };
  const auto nothing = [](Solo&) {};
  const Case cases[] = {
      {"it has the same priority", 0, 2, nothing, true},
      {"it has a lower priority", -1, 2, nothing, true},
      {"it is silent", 5, 2, nothing, false},
      {"its connection is made anew", 5, 2, [](Solo& s) { s.core().connected({2}, 5); }, true},
      {"what is sent to it does not leave", 5, 2, [](Solo& s) { s.core().unreachable({2}); }, true},
      {"it is a learner", 5, 5, nothing, true},
  };
  for (const Case& each : cases) {
    CAPTURE(each.what);
    Solo solo(first_start(make_configuration({1, 2, 3, 4}, {}, {5})));
    solo.core().connected({each.preferred}, each.priority);
    solo.lead({2, 3, 4});
    for (const Instant end = solo.now + 3 * kSettled; solo.now < end;) {
      lead_on(solo, kSettled / 2,
              each.answers ? std::vector<std::uint64_t>{2, 3, 4, 5}
                           : std::vector<std::uint64_t>{3, 4, 5});
      each.every_time(solo);
    }
    CHECK(told(solo).empty());
    CHECK(solo.role() == Role::kLeader);
  }
}

TEST_CASE("a voter whose log is far behind is not preferred, one that is about to have it is") {
  for (const bool far : {true, false}) {
    Solo solo(first_start(three()));
    solo.core().connected({2}, 5);
    solo.lead();
    for (std::uint64_t i = 0; i < limits::kPromotionLagMax + (far ? 1 : 0); ++i)
      REQUIRE(solo.core().propose(solo.now, share(to_bytes("x"))));
    solo.node.pump(solo.now);
    const std::uint64_t last = solo.core().last_index().value;
    for (const Instant end = solo.now + 2 * kSettled; solo.now < end;) {
      solo.wait(20ms);
      if (solo.role() != Role::kLeader || !solo.node.handed_over.empty()) break;
      solo.accept(3, last, 1);
      solo.accept(2, 2, 1);
    }
    CHECK(solo.node.handed_over.size() == (far ? 0 : 1));
    CHECK(solo.sent<TimeoutNow>().empty());
    // It is told once it has all.
    solo.accept(2, last, 1);
    CHECK(solo.sent<TimeoutNow>(2).size() == (far ? 0 : 1));
  }
}

TEST_CASE("after each transfer to the preferred voter that fails, the next comes twice as late") {
  Solo solo(first_start(three()));
  solo.core().connected({2}, 5);
  solo.lead();
  std::vector<Instant> attempts;
  for (const Instant end = solo.now + 40 * kSettled; solo.now < end;) {
    lead_on(solo, 20ms, {2, 3});
    if (!told(solo).empty()) attempts.push_back(solo.now);
  }
  REQUIRE(attempts.size() == 5);
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    const Duration expected = kSettled * (1 << i);
    CHECK(attempts[i] - attempts[i - 1] >= expected);
    CHECK(attempts[i] - attempts[i - 1] <= expected + kSlack);
  }
  CHECK(solo.node.transfers_failed == 5);
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("who gives leadership back is left alone for a minute, whoever it came from otherwise") {
  for (const bool higher : {true, false}) {
    Solo solo(first_start(three()));
    solo.core().connected({2}, 5);
    solo.core().connected({3}, 0);
    const std::uint64_t from = higher ? 2 : 3;
    solo.append(from, 2, 1, 1);
    solo.receive(from, 2, TimeoutNow{});
    REQUIRE(solo.role() == Role::kCandidate);
    solo.receive(3, solo.term(), VoteReply{true, false});
    REQUIRE(solo.role() == Role::kLeader);
    const Duration patience = higher ? kGivenBack : kSettled;
    lead_on(solo, patience - kSlack, {2, 3});
    CHECK(told(solo).empty());
    lead_on(solo, 2 * kSlack, {2, 3});
    CHECK(told(solo) == std::vector<std::uint64_t>{2});
  }
}

TEST_CASE("priority waits for the end of a change of members") {
  Solo solo(first_start(three()));
  solo.core().connected({2}, 5);
  solo.lead();
  const MembershipChange change{make_configuration({1, 2, 3}, {}, {4}),
                                solo.core().configuration().index, false};
  REQUIRE(solo.core().change_members(solo.now, change));
  solo.node.pump(solo.now);
  const std::uint64_t before = solo.core().last_index().value - 1;
  for (const Instant end = solo.now + 2 * kSettled; solo.now < end;) {
    solo.wait(20ms);
    solo.accept(2, before, 1);
    solo.accept(3, before, 1);
  }
  CHECK(told(solo).empty());
  lead_on(solo, 2 * kSlack, {2, 3});
  CHECK(told(solo) == std::vector<std::uint64_t>{2});
}

TEST_CASE("leadership ends with the highest priority, and stays there while writes go on") {
  for (const std::uint64_t seed : {31U, 32U, 33U, 34U}) {
    Cluster cluster({.priorities = true}, seed);
    cluster.run_for(2 * kTimeout);
    for (const Instant end = cluster.now + 4 * kSettled; cluster.now < end;) {
      cluster.run_for(5ms);
      if (cluster.leader() != 0) cluster.propose(cluster.leader(), "x");
    }
    CHECK(cluster.leader() == 3);
    CHECK(cluster.leaders.size() <= 3);
    cluster.crash(3);
    cluster.run_for(5 * kTimeout);
    CHECK(cluster.leader() == 2);
    cluster.restart(3);
    cluster.run_for(4 * kSettled);
    CHECK(cluster.leader() == 3);
  }
}

}  // namespace
}  // namespace raftd::raft::testing
