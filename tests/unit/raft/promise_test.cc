// A node whose log was repaired: it lacks entries that it has acknowledged. It votes as if it had
// them, does not lead, and tells its leader what it lacks.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

// Term 3, and a log that ended at index 6 of term 3.
TestDisk repaired() {
  TestDisk disk;
  disk.hard_state = {{3}, {}};
  disk.promised = LogPosition{{3}, {6}};
  return disk;
}

TEST_CASE("a repaired node votes as if its log still reached as far as it did") {
  Solo solo(repaired());
  solo.ask_pre_vote(2, 4, 5, 3);
  CHECK(!solo.vote_granted());
  solo.ask_vote(2, 4, 5, 3);
  CHECK(!solo.vote_granted());
  solo.ask_vote(2, 4, 9, 2);
  CHECK(!solo.vote_granted());
  solo.ask_pre_vote(3, 5, 6, 3);
  CHECK(solo.vote_granted());
  solo.ask_vote(3, 4, 6, 3);
  CHECK(solo.vote_granted());
}

TEST_CASE(
    "a repaired node does not campaign, also when it is told to, until it has what it lacks") {
  TestDisk disk = repaired();
  disk.entries = {members(1, 1, three())};
  Solo solo(disk);
  solo.wait(2s);
  CHECK(solo.role() == Role::kFollower);
  solo.append(2, 3, 1, 1, {command(2, 2), command(3, 3), command(4, 3), command(5, 3)});
  solo.receive(2, 3, TimeoutNow{});
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.term() == 3);
  solo.append(2, 3, 5, 3, {command(6, 3)});
  solo.receive(2, 3, TimeoutNow{});
  CHECK(solo.role() == Role::kCandidate);
}

TEST_CASE("what it lacks counts as fetched only when it is durable") {
  TestDisk disk = repaired();
  disk.entries = {members(1, 1, three())};
  Solo solo(disk);
  solo.node.auto_persist = false;
  solo.append(2, 3, 1, 1, {command(2, 4 - 1)});
  solo.append(2, 3, 2, 3, {command(3, 3), command(4, 3), command(5, 3), command(6, 3)});
  solo.receive(2, 3, TimeoutNow{});
  CHECK(solo.role() == Role::kFollower);
  while (solo.node.writing) {
    solo.node.persist(solo.now);
    solo.node.pump(solo.now);
  }
  solo.receive(2, 3, TimeoutNow{});
  CHECK(solo.role() == Role::kCandidate);
}

TEST_CASE("one entry of a later leader's is enough: its log holds all that was committed before") {
  TestDisk disk = repaired();
  disk.entries = {members(1, 1, three())};
  Solo solo(disk);
  solo.append(2, 4, 1, 1, {noop(2, 4)});
  solo.receive(2, 4, TimeoutNow{});
  CHECK(solo.role() == Role::kCandidate);
}

TEST_CASE("a leader believes a follower that comes back and lacks what it had acknowledged") {
  Solo solo(with_log(three(), 2, {1, 1, 1, 2, 2}));
  solo.core().connected({2}, 0);
  solo.lead();
  const std::uint64_t last = solo.core().last_index().value;
  const Index commit = solo.core().commit_index();
  solo.core().disconnected(solo.now, {2});
  solo.core().connected({2}, 0);
  solo.node.pump(solo.now);
  solo.node.take_sent();
  solo.wait(20ms);  // A heartbeat.
  solo.reject(2, {{last}, {0}, {}, {}});
  const auto sent = solo.sent<AppendRequest>(2);
  REQUIRE(!sent.empty());
  CHECK(sent.back().prev_index == Index{0});
  CHECK(solo.core().commit_index() == commit);
  solo.accept(2, last);
  CHECK(solo.propose("more"));
  solo.accept(2, last + 1);
  CHECK(solo.core().commit_index() == Index{last + 1});
}

TEST_CASE("a cluster in which a damaged log is repaired loses nothing that was committed") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Cluster cluster({}, seed);
    cluster.run_for(2s);
    std::uint64_t id = 1 + seed % 3;
    for (int round = 0; round < 4; ++round) {
      for (auto& [each, node] : cluster.nodes) {
        if (node->core->role().role != Role::kLeader) continue;
        for (int i = 0; i < 3; ++i)
          (void)node->core->propose(cluster.now, share(to_bytes("x")));
        cluster.settle(each);
      }
      cluster.run_for(Duration(seed * 1ms));
      cluster.crash(id);
      TestDisk& disk = cluster.down.at(id);
      const LogPosition end{
          disk.entries.empty() ? Term{disk.before_term} : disk.entries.back().term,
          {disk.before + disk.entries.size()}};
      disk.promised = std::max(end, disk.promised.value_or(LogPosition{}));
      disk.entries.clear();
      cluster.restart(id);
      cluster.run_for(seed % 2 == 0 ? 300ms : 30ms);
    }
    cluster.run_for(5s);
    std::size_t leaders = 0;
    for (const auto& [each, node] : cluster.nodes)
      leaders += node->core->role().role == Role::kLeader ? 1 : 0;
    CHECK(leaders == 1);
    const Index commit = cluster.nodes.at(1)->core->commit_index();
    for (const auto& [each, node] : cluster.nodes)
      CHECK(node->core->last_index() >= commit);
  }
}

TEST_CASE("a late answer that denies the beginning of a log, where all logs agree, is let go") {
  Solo solo(first_start(three()));
  solo.win_election();
  solo.reject(3, {{1}, {0}, {}, {}});  // Its log was repaired and is empty.
  CHECK(solo.sent<AppendRequest>(3).back().prev_index == Index{0});
  solo.reject(3, {{0}, {0}, {}, {}});
  CHECK(solo.role() == Role::kLeader);
  solo.accept(3, 2);
  CHECK(solo.core().commit_index() == Index{2});
}

}  // namespace
}  // namespace raftd::raft::testing
