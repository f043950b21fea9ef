// Elections: votes and their durability, PreVote, CheckQuorum, quick elections, priority.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE("[ZF-8] a sole voter elects itself at once, and commits once its disk has the entry") {
  Solo solo(first_start(make_configuration({1})));
  solo.node.auto_persist = false;
  CHECK(solo.core().next_deadline() == at(0ms));
  solo.wait(0ms);
  CHECK(solo.role() == Role::kCandidate);
  solo.node.persist(solo.now);  // The vote.
  solo.node.pump(solo.now);
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.core().commit_index() == Index{0});
  solo.node.persist(solo.now);  // The no-op.
  solo.node.pump(solo.now);
  CHECK(solo.core().commit_index() == Index{2});
  CHECK(solo.node.applied.size() == 2);
}

TEST_CASE("[SR-1 CP-3 F01] a vote leaves only when it is durable, and binds after a restart") {
  Solo solo(first_start(three()));
  solo.node.auto_persist = false;
  solo.ask_vote(2, 2, 1, 1);
  CHECK(solo.sent<VoteReply>().empty());
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->hard_state == HardState{{2}, {2}});
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.vote_granted());

  Solo again(solo.node.disk);
  again.ask_vote(3, 2, 9, 1);
  CHECK(!again.vote_granted());
  again.ask_vote(2, 2, 1, 1);
  CHECK(again.vote_granted());  // [F05] The same candidate may ask twice.
}

TEST_CASE("a crash before the vote is durable: the other candidate may have it") {
  Solo solo(first_start(three()));
  solo.node.auto_persist = false;
  solo.ask_vote(2, 2, 1, 1);
  Solo again(solo.node.disk);
  again.ask_vote(3, 2, 1, 1);
  CHECK(again.vote_granted());
}

TEST_CASE("[F02 RF-13 CP-10] nothing clears a vote within its term, and no term ever falls") {
  Solo solo(first_start(three()));
  solo.ask_vote(2, 2, 1, 1);
  CHECK(solo.vote_granted());
  solo.append(3, 2, 1, 1);  // A leader of the same term shows up.
  solo.receive(3, 2, TimeoutNow{});
  CHECK(solo.term() == 3);  // It campaigns; the vote of term 2 was not touched before that.
  CHECK(solo.core().hard_state() == HardState{{3}, {1}});
  solo.receive(2, 1, TimeoutNow{});
  solo.append(2, 2, 1, 1);
  CHECK(solo.core().hard_state() == HardState{{3}, {1}});
}

TEST_CASE("[F03] a vote of an earlier term is not counted") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(first_start(three()), config);
  for (int i = 0; i < 40 && solo.term() < 3; ++i)
    solo.wait(20ms);
  REQUIRE(solo.role() == Role::kCandidate);
  solo.receive(2, solo.term() - 1, VoteReply{true, false});
  CHECK(solo.role() == Role::kCandidate);
  solo.receive(2, solo.term(), VoteReply{true, false});
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("[CP-1] a repeated vote counts once; a vote of a stranger or learner does not count") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5}, {}, {6})));
  while (solo.role() != Role::kPreCandidate)
    solo.wait(20ms);
  solo.receive(2, 2, VoteReply{true, true});
  solo.receive(2, 2, VoteReply{true, true});
  solo.receive(6, 2, VoteReply{true, true});
  solo.receive(9, 2, VoteReply{true, true});
  CHECK(solo.role() == Role::kPreCandidate);
  solo.receive(3, 2, VoteReply{true, true});
  REQUIRE(solo.role() == Role::kCandidate);
  for (int i = 0; i < 3; ++i)
    solo.receive(2, 2, VoteReply{true, false});
  solo.receive(6, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kCandidate);
  solo.receive(4, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("[RF-1] a node that led before its restart is a follower after it") {
  Solo solo(first_start(three()));
  solo.lead();
  Solo again(solo.node.disk);
  CHECK(again.role() == Role::kFollower);
  CHECK(again.term() == solo.term());
}

TEST_CASE("[SR-8 F10] PreVote: an isolated node comes back and nobody's term has changed") {
  Cluster cluster({}, 7);
  cluster.run_for(500ms);
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  const Term term = cluster.nodes.at(leader)->core->role().term;
  const std::uint64_t isolated = leader % 3 + 1;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    cluster.cut.insert({id, isolated});
    cluster.cut.insert({isolated, id});
  }
  cluster.run_for(2000ms);
  CHECK(cluster.nodes.at(isolated)->core->role().term == term);
  cluster.heal();
  cluster.run_for(500ms);
  CHECK(cluster.leader() == leader);
  for (const auto& [id, node] : cluster.nodes) {
    CHECK(node->core->role() == RoleView{node->core->role().role, term, {leader}});
  }
}

TEST_CASE("[F08] a node with a higher term than the rest is brought back by them") {
  for (const std::uint64_t size : {2U, 3U, 4U, 5U}) {
    std::vector<std::uint64_t> ids;
    for (std::uint64_t id = 1; id <= size; ++id)
      ids.push_back(id);
    ClusterOptions options;
    options.configuration = make_configuration(ids);
    Cluster cluster(options, size);
    cluster.run_for(500ms);
    cluster.crash(1);
    cluster.down.at(1).hard_state.term.value += 9;
    cluster.run_for(300ms);
    cluster.restart(1);
    cluster.run_for(1500ms);
    const std::uint64_t leader = cluster.leader();
    REQUIRE(leader != 0);
    CHECK(cluster.propose(leader, "x"));
    cluster.run_for(300ms);
    for (const auto& [id, node] : cluster.nodes) {
      CHECK(node->core->commit_index().value == cluster.history.size());
    }
  }
}

TEST_CASE("[F11 RF-16] a leader that hears no majority steps down within two election timeouts") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.wait(99ms);
  CHECK(solo.role() == Role::kLeader);
  solo.wait(2ms);
  CHECK(solo.role() == Role::kFollower);
  CHECK(!solo.core().role().leader);
  CHECK(!solo.core().read(solo.now, 1));
}

TEST_CASE("without check_quorum it stays") {
  CoreConfig config = core_config(1);
  config.check_quorum = false;
  Solo solo(first_start(three()), config);
  solo.lead();
  solo.wait(1000ms);
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("[F12] a PreVote of a lower term is answered with the own term") {
  TestDisk disk = first_start(three());
  disk.hard_state.term = {7};
  Solo solo(disk);
  solo.ask_pre_vote(2, 4, 1, 1);
  const auto messages = solo.node.take_sent();
  REQUIRE(messages.size() == 1);
  CHECK(messages.front().term == Term{7});
  CHECK(!std::get<VoteReply>(messages.front().body).granted);
  CHECK(solo.term() == 7);
}

TEST_CASE("a granted PreVote echoes the campaign's term and changes nothing") {
  Solo solo(first_start(three()));
  solo.ask_pre_vote(2, 2, 1, 1);
  const auto messages = solo.node.take_sent();
  REQUIRE(messages.size() == 1);
  CHECK(messages.front().term == Term{2});
  CHECK(std::get<VoteReply>(messages.front().body).granted);
  CHECK(solo.core().hard_state() == HardState{{1}, {}});
  solo.ask_pre_vote(3, 2, 1, 1);
  CHECK(solo.vote_granted());  // It is no vote: another may have one too.
}

TEST_CASE("[ZF-5] a denied vote and a stale append leave the election timer alone") {
  Solo solo(first_start(three()));
  solo.append(2, 3, 1, 1);
  const Instant before = solo.core().next_deadline();
  solo.ask_vote(3, 3, 0, 0);
  solo.append(3, 2, 1, 1);
  CHECK(solo.core().next_deadline() == before);
  // Both, all the time: it campaigns nevertheless.
  for (int i = 0; i < 30 && solo.role() == Role::kFollower; ++i) {
    solo.wait(10ms);
    if (solo.role() != Role::kFollower) break;
    solo.ask_vote(3, 3, 0, 0);
    solo.append(3, 2, 1, 1);
  }
  CHECK(solo.role() == Role::kPreCandidate);
}

TEST_CASE("a vote request within one minimum election timeout of a leader's message is ignored") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.wait(50ms);
  solo.ask_vote(3, 3, 1, 1);
  solo.ask_pre_vote(3, 3, 1, 1);
  CHECK(solo.node.take_sent().empty());
  CHECK(solo.term() == 2);
  solo.ask_vote(3, 3, 1, 1, true);  // The leader itself asked for it.
  CHECK(solo.vote_granted());
}

TEST_CASE("a leader ignores vote requests while it hears a majority") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.ask_vote(3, solo.term() + 1, 9, solo.term());
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.sent<VoteReply>().empty());
}

TEST_CASE("when the leader's process ends its followers do not wait for an election timeout") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.core().disconnected(solo.now, {3});
  solo.node.pump(solo.now);
  CHECK(solo.core().role().leader == NodeId{2});
  solo.core().disconnected(solo.now, {2});
  solo.node.pump(solo.now);
  CHECK(!solo.core().role().leader);
  solo.wait(50ms);
  CHECK(solo.role() == Role::kPreCandidate);
}

TEST_CASE("a PreVote that found no link is asked again soon after there is one") {
  Solo solo(first_start(three()));
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  REQUIRE(solo.role() == Role::kPreCandidate);
  solo.node.take_sent();
  solo.core().connected({4}, 0);  // No voter.
  solo.wait(30ms);
  CHECK(solo.sent<VoteRequest>().empty());
  solo.core().connected({2}, 0);
  solo.wait(25ms);
  REQUIRE(solo.sent<VoteRequest>(2).size() == 1);
  CHECK(solo.term() == 1);
}

TEST_CASE("a voter to which there was no link is asked by the candidate once there is one") {
  Solo solo(first_start(three()));
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  solo.receive(3, 2, VoteReply{true, true});
  REQUIRE(solo.role() == Role::kCandidate);
  solo.receive(3, 2, VoteReply{false, false});
  solo.node.take_sent();
  solo.core().connected({3}, 0);
  solo.node.pump(solo.now);
  CHECK(solo.sent<VoteRequest>().empty());  // It has said no.
  solo.core().connected({2}, 0);
  solo.node.pump(solo.now);
  const auto asked = solo.sent<VoteRequest>(2);
  REQUIRE(asked.size() == 1);
  CHECK_FALSE(asked.front().pre_vote);
  solo.receive(2, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("with pre_vote off a lost connection proves nothing, and a restart delays votes") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(first_start(three()), config);
  solo.ask_vote(3, 2, 1, 1);
  CHECK(solo.node.take_sent().empty());
  CHECK(solo.term() == 1);
  solo.append(2, 2, 1, 1);
  solo.core().disconnected(solo.now, {2});
  CHECK(solo.core().role().leader == NodeId{2});
  solo.wait(90ms);
  CHECK(solo.role() == Role::kFollower);
}

TEST_CASE("a node waits one timeout more, once, for a connected voter of higher priority") {
  const auto first_campaign = [](bool higher) {
    Solo solo(first_start(three()));
    solo.core().connected({2}, higher ? 5 : 0);
    while (solo.role() == Role::kFollower)
      solo.wait(1ms);
    return solo.now - at(0ms);
  };
  CHECK(first_campaign(false) <= 100ms);
  CHECK(first_campaign(true) >= 100ms);
  CHECK(first_campaign(true) <= 300ms);
}

TEST_CASE("a slow disk starts no election, and a deadline that passes meanwhile is drawn anew") {
  Solo solo(first_start(three()));
  solo.node.auto_persist = false;
  solo.append(2, 2, 1, 1, {command(2, 2)});
  REQUIRE(solo.node.writing);
  solo.wait(2000ms);
  CHECK(solo.role() == Role::kFollower);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  solo.wait(99ms);
  CHECK(solo.role() == Role::kFollower);
  solo.wait(101ms);
  CHECK(solo.role() == Role::kPreCandidate);
}

TEST_CASE("a process that was paused reads its sockets before it campaigns") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.now = solo.now + 1000ms;
  solo.core().tick(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.core().next_deadline() > solo.now);
}

TEST_CASE("a node without a configuration never campaigns and still votes") {
  TestDisk disk;
  Solo solo(disk);
  solo.wait(2000ms);
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.term() == 0);
  solo.ask_vote(2, 1, 0, 0);
  CHECK(solo.vote_granted());
  solo.append(2, 1, 0, 0, {members(1, 1, three())});
  CHECK(solo.core().configuration().index == Index{1});
}

TEST_CASE("a term that no cluster reaches is refused") {
  Solo solo(first_start(three()));
  solo.ask_vote(2, (1ULL << 32) + 2, 1, 1);
  CHECK(solo.term() == 1);
  CHECK(solo.core().counters().bad_messages == 1);
  solo.ask_vote(2, (1ULL << 32) + 1, 1, 1);
  CHECK(solo.term() == (1ULL << 32) + 1);
}

TEST_CASE("[SR-6 F07] a second leader of one term, be it with one's own id, is refused") {
  Solo solo(first_start(three()));
  solo.lead();
  const std::uint64_t last = solo.core().last_index().value;
  solo.append(2, solo.term(), last, solo.term(), {command(last + 1, solo.term())});
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.core().counters().bad_messages == 1);
  solo.append(1, solo.term(), last, solo.term());
  CHECK(solo.core().counters().bad_messages == 2);

  Solo follower(first_start(three()));
  follower.append(2, 2, 1, 1, {command(2, 2, "a")});
  follower.append(3, 2, 1, 1, {command(2, 2, "b")});
  CHECK(follower.core().counters().bad_messages == 1);
  CHECK(follower.core().role().leader == NodeId{2});
}

TEST_CASE("[F09] a cluster elects and commits with every setting of pre_vote and check_quorum") {
  for (const bool pre_vote : {false, true}) {
    for (const bool check_quorum : {false, true}) {
      ClusterOptions options;
      options.pre_vote = pre_vote;
      options.check_quorum = check_quorum;
      Cluster cluster(options, 3);
      for (int round = 0; round < 5; ++round) {
        cluster.run_for(1000ms);
        const std::uint64_t leader = cluster.leader();
        REQUIRE(leader != 0);
        CHECK(cluster.propose(leader, "x"));
        cluster.run_for(100ms);
        CHECK(as_text(cluster.history.back().payload.bytes) == "x");
        cluster.crash(leader);
        cluster.run_for(1000ms);
        CHECK(cluster.leader() != 0);
        cluster.restart(leader);
      }
    }
  }
}

TEST_CASE("a node that is told to stand asks for votes at once, and deposes nobody who is heard") {
  Solo solo(first_start(three()));
  REQUIRE(solo.core().stand(solo.now));
  CHECK(solo.role() == Role::kPreCandidate);
  CHECK(solo.term() == 1);
  solo.win_election();
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.core().stand(solo.now).error().code == Errc::kConflict);
  Solo learner(first_start(make_configuration({2, 3}, {}, {1})));
  CHECK(learner.core().stand(learner.now).error().code == Errc::kConflict);

  Cluster cluster({}, 3);
  cluster.run_for(1000ms);
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  const Term term = cluster.nodes.at(leader)->core->role().term;
  REQUIRE(cluster.nodes.at(leader % 3 + 1)->core->stand(cluster.now));
  cluster.run_for(1000ms);
  CHECK(cluster.leader() == leader);
  CHECK(cluster.nodes.at(leader)->core->role().term == term);
}

}  // namespace
}  // namespace raftd::raft::testing
