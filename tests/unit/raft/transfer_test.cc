// Leadership transfer (thesis 3.10), on request and by a leader whose disk fails it.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE(
    "[F14] the target is caught up, then told; meanwhile proposals are refused, to be retried") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  solo.accept(3, 3);
  solo.node.take_sent();
  REQUIRE(solo.core().transfer(solo.now, {2}));
  solo.node.pump(solo.now);
  CHECK(solo.sent<TimeoutNow>().empty());
  const Status refused = solo.propose("y");
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kTransferring);
  CHECK(solo.core().transfer(solo.now, {3}).error().code == Errc::kTransferring);
  solo.accept(2, 3);
  CHECK(solo.sent<TimeoutNow>(2).size() == 1);
  solo.accept(2, 3);
  CHECK(solo.sent<TimeoutNow>(2).empty());
}

TEST_CASE("[RF-7] a transfer that does not succeed is given up after an election timeout") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().transfer(solo.now, {2}));
  for (int i = 0; i < 12; ++i) {
    solo.wait(9ms);
    solo.accept(3, 2, 1);
  }
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.node.transfers_failed == 1);
  CHECK(solo.propose("x"));
}

TEST_CASE("a transfer needs a leader and a voter that is another") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  CHECK(solo.core().transfer(solo.now, {2}).error().code == Errc::kNotLeader);
  solo.lead();
  for (const std::uint64_t bad : {1U, 4U, 9U}) {
    CHECK(solo.core().transfer(solo.now, {bad}).error().code == Errc::kBadInput);
  }
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("without a target it is the voter with the most of the log that is alive") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  solo.lead({2, 3});
  REQUIRE(solo.propose("x"));
  solo.accept(4, 3);
  solo.accept(3, 3);
  solo.node.take_sent();
  REQUIRE(solo.core().transfer(solo.now, {}));
  solo.node.pump(solo.now);
  CHECK(solo.sent<TimeoutNow>(3).size() == 1);
}

TEST_CASE("the target campaigns at once, without PreVote, and its voters let it") {
  Cluster cluster({}, 21);
  cluster.run_for(500ms);
  const std::uint64_t old = cluster.leader();
  REQUIRE(old != 0);
  const std::uint64_t target = old % 3 + 1;
  const Term term = cluster.nodes.at(old)->core->role().term;
  REQUIRE(cluster.nodes.at(old)->core->transfer(cluster.now, {target}));
  cluster.settle(old);
  cluster.run_for(60ms);
  CHECK(cluster.leader() == target);
  CHECK(cluster.nodes.at(target)->core->role().term == term.next());
}

TEST_CASE("[F15] a late TimeoutNow of an earlier term, or from one who does not lead, is ignored") {
  Solo solo(first_start(three()));
  solo.append(2, 3, 1, 1);
  solo.receive(2, 2, TimeoutNow{});
  solo.receive(3, 2, TimeoutNow{});
  solo.receive(3, 3, TimeoutNow{});
  solo.receive(3, 4, TimeoutNow{});
  CHECK(solo.term() == 3);
  CHECK(solo.role() == Role::kFollower);
  solo.receive(2, 3, TimeoutNow{});
  CHECK(solo.role() == Role::kCandidate);
  CHECK(solo.term() == 4);
  for (const auto& request : solo.sent<VoteRequest>())
    CHECK(request.transfer);
}

TEST_CASE("a node whose disk is full or hangs does not take leadership over") {
  for (const bool full : {true, false}) {
    Solo solo(first_start(three()));
    solo.append(2, 2, 1, 1);
    if (full) {
      solo.core().disk_full(true);
    } else {
      solo.node.auto_persist = false;
      solo.append(2, 2, 1, 1, {command(2, 2)});
      solo.wait(100ms);
    }
    solo.receive(2, 2, TimeoutNow{});
    CHECK(solo.role() == Role::kFollower);
    if (full) {
      solo.core().disk_full(false);
    } else {
      solo.node.persist(solo.now);
    }
    solo.receive(2, 2, TimeoutNow{});
    CHECK(solo.role() == Role::kCandidate);
  }
}

TEST_CASE("a learner ignores TimeoutNow") {
  Solo solo(first_start(make_configuration({2, 3}, {}, {1})));
  solo.append(2, 2, 1, 1);
  solo.receive(2, 2, TimeoutNow{});
  CHECK(solo.role() == Role::kFollower);
}

// The others answer and have all; nobody takes leadership over.
void lead_on(Solo& solo, Duration duration) {
  for (const Instant end = solo.now + duration; solo.now < end;) {
    solo.wait(20ms);
    for (const std::uint64_t id : {2U, 3U})
      solo.accept(id, solo.core().last_index().value, 1);
  }
}

TEST_CASE("a leader whose disk hangs or is full hands over at once, and then not for a while") {
  for (const bool full : {false, true}) {
    CAPTURE(full);
    Solo solo(first_start(three()));
    solo.lead();
    if (full) {
      solo.core().disk_full(true);
    } else {
      solo.node.auto_persist = false;
      REQUIRE(solo.propose("x"));
      lead_on(solo, 80ms);
      CHECK(solo.sent<TimeoutNow>().empty());  // A disk may be slow.
    }
    lead_on(solo, 60ms);
    CHECK(solo.sent<TimeoutNow>().size() == 1);
    REQUIRE(solo.node.handed_over.size() == 1);
    CHECK(solo.node.handed_over.front().why == HandOver::Why::kDisk);
    const Duration patience = full ? 20 * core_config(1).election_timeout_min : Duration(60s);
    lead_on(solo, patience - patience / 10);
    CHECK(solo.sent<TimeoutNow>().empty());
    CHECK(solo.node.transfers_failed == 1);
    lead_on(solo, patience / 5);
    CHECK(solo.sent<TimeoutNow>().size() == 1);
    CHECK(solo.role() == Role::kLeader);
  }
}

TEST_CASE("who was handed leadership keeps it for a while, although its disk hangs too") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.receive(2, 2, TimeoutNow{});
  solo.receive(2, solo.term(), VoteReply{true, false});
  REQUIRE(solo.role() == Role::kLeader);
  lead_on(solo, 40ms);
  solo.node.auto_persist = false;
  REQUIRE(solo.propose("x"));
  lead_on(solo, 59s);
  CHECK(solo.sent<TimeoutNow>().empty());
  lead_on(solo, 2s);
  CHECK(solo.sent<TimeoutNow>().size() == 1);
}

TEST_CASE("a leader whose disk is full hands over to nobody who does not answer") {
  CoreConfig config = core_config(1);
  config.check_quorum = false;  // Else it would not lead.
  Solo solo(first_start(three()), config);
  solo.lead();
  solo.wait(200ms);
  solo.core().disk_full(true);
  solo.wait(1s);
  CHECK(solo.node.handed_over.empty());
  lead_on(solo, 40ms);
  CHECK(solo.node.handed_over.size() == 1);
}

TEST_CASE("a voter that falls silent moves nobody, a majority that does ends the leader") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5})));
  solo.lead({2, 3, 4, 5});
  lead_on(solo, 2min);  // 4 and 5 are silent, whosever fault it is.
  CHECK(solo.sent<TimeoutNow>().empty());
  CHECK(solo.role() == Role::kLeader);
  solo.wait(120ms);
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.sent<TimeoutNow>().empty());
}

TEST_CASE("a sole voter has nobody to hand over to") {
  Solo solo(first_start(make_configuration({1})));
  solo.wait(0ms);
  solo.core().disk_full(true);
  solo.wait(120s);
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.core().transfer(solo.now, {}).error().code == Errc::kBadInput);
}

}  // namespace
}  // namespace raftd::raft::testing
