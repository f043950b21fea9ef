// One test per rule of the thesis, by section: 3 (the algorithm), 4 (configurations in the log,
// learners), 6.4 (reads), 9.6 (PreVote), 10.2.1 (writing in parallel). Figure 2 has its own file.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE(
    "3.3: a server with a stale term rejects no newer one, and a request with a stale term is "
    "rejected") {
  TestDisk disk = first_start(three());
  disk.hard_state.term = {4};
  Solo solo(disk);
  solo.append(2, 3, 1, 1);
  CHECK(solo.rejected());
  solo.append(2, 5, 1, 1);
  CHECK(solo.accepted_up_to(1));
}

TEST_CASE("3.4: when servers start up, they begin as followers") {
  for (const std::uint64_t term : {1U, 7U}) {
    TestDisk disk = first_start(three());
    disk.hard_state = {{term}, {1}};
    Solo solo(disk);
    CHECK(solo.role() == Role::kFollower);
  }
}

TEST_CASE(
    "3.4: each candidate restarts its randomized election timeout at the start of an election, "
    "from an interval of which the bounds are known") {
  std::vector<Duration> drawn;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CoreConfig config = core_config(1);
    config.pre_vote = false;
    Solo solo(first_start(three()), config, seed);
    while (solo.role() == Role::kFollower)
      solo.wait(1ms);
    drawn.push_back(solo.now - at(0ms));
  }
  const auto [low, high] = std::minmax_element(drawn.begin(), drawn.end());
  CHECK(*low >= 100ms);
  CHECK(*low < 110ms);
  CHECK(*high > 190ms);
  CHECK(*high <= 201ms);
}

TEST_CASE(
    "3.4: each server will vote for at most one candidate in a given term, on a first-come-"
    "first-served basis") {
  Solo solo(first_start(three()));
  solo.ask_vote(3, 2, 1, 1);
  CHECK(solo.vote_granted());
  solo.ask_vote(2, 2, 9, 1);
  CHECK(!solo.vote_granted());
}

TEST_CASE(
    "3.4: if the leader's term is at least as large as the candidate's current term, then the "
    "candidate recognizes the leader as legitimate; a smaller one it rejects") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(first_start(three()), config);
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  solo.append(2, solo.term() - 1, 1, 1);
  CHECK(solo.role() == Role::kCandidate);
  solo.append(2, solo.term(), 1, 1);
  CHECK(solo.role() == Role::kFollower);
}

TEST_CASE("3.4: a split vote ends with a new term, in which somebody wins") {
  ClusterOptions options;
  options.configuration = make_configuration({1, 2, 3, 4});
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Cluster cluster(options, seed);
    cluster.run_for(1500ms);
    CHECK(cluster.leader() != 0);
  }
}

TEST_CASE(
    "3.5: the leader appends the command as a new entry, then issues AppendEntries in parallel "
    "to each of the other servers") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5})));
  solo.lead({2, 3, 4, 5});
  REQUIRE(solo.propose("x"));
  CHECK(solo.sent<AppendRequest>().size() == 4);
}

TEST_CASE(
    "3.5: if followers crash or run slowly the leader retries indefinitely, even after it has "
    "responded to the client") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  solo.accept(2, 3);
  CHECK(solo.core().commit_index() == Index{3});
  solo.core().unreachable({3});
  for (int i = 0; i < 100; ++i) {
    solo.wait(20ms);
    solo.accept(2, 3, 1);
  }
  solo.node.take_sent();
  solo.accept(3, 2, 1);
  const auto sent = solo.sent<AppendRequest>(3);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].entries.front().index == Index{3});
}

TEST_CASE("3.5: a leader never overwrites or deletes entries in its log; it only appends") {
  Solo solo(with_log(three(), 3, {2, 2, 3}));
  solo.win_election();
  const auto before = solo.log_terms();
  solo.reject(2, {{4}, {9}, {3}, {2}});
  solo.append(3, solo.term(), 1, 1, {command(2, solo.term())});
  CHECK(solo.log_terms() == before);
}

TEST_CASE("3.5: the leader can bypass all of the conflicting entries in a term with one RPC") {
  // The leader's log: 1 4 4 4 6 6 6. The follower's: 1 4 4 5 5 5 5 5; both as in the paper's 5.3.
  Solo solo(with_log(three(), 6, {4, 4, 4, 6, 6, 6}));
  solo.win_election();
  solo.node.take_sent();
  solo.reject(2, {{7}, {8}, {5}, {4}});
  auto sent = solo.sent<AppendRequest>(2);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].prev_index == Index{3});
  CHECK(sent[0].entries.size() == 5);
}

TEST_CASE("3.6.1: a candidate cannot win unless its log contains all committed entries") {
  Cluster cluster({}, 4);
  cluster.run_for(500ms);
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  const std::uint64_t behind = leader % 3 + 1;
  cluster.crash(behind);
  for (int i = 0; i < 5; ++i)
    CHECK(cluster.propose(leader, "x"));
  cluster.run_for(100ms);
  cluster.crash(leader);
  cluster.restart(behind);
  for (int i = 0; i < 20; ++i) {
    cluster.run_for(100ms);
    CHECK(cluster.leader() != behind);
  }
  CHECK(cluster.leader() != 0);
}

TEST_CASE(
    "3.6.2: Raft never commits log entries from previous terms by counting replicas; once an "
    "entry from the current term is committed, all prior entries are committed indirectly") {
  Solo solo(with_log(three(), 4, {2, 2}));
  solo.win_election();
  solo.accept(2, 3);
  solo.accept(3, 3);
  CHECK(solo.core().commit_index() == Index{0});
  solo.accept(3, 4);
  CHECK(solo.core().commit_index() == Index{4});
}

TEST_CASE(
    "3.7: if a follower receives an AppendEntries request that includes log entries already "
    "present in its log, it ignores those entries") {
  Solo solo(first_start(three()));
  for (int i = 0; i < 3; ++i) {
    solo.append(2, 2, 1, 1, {command(2, 2), command(3, 2)});
    CHECK(solo.accepted_up_to(3));
  }
  CHECK(solo.log_terms() == std::vector<std::uint64_t>{1, 2, 2});
}

TEST_CASE("3.8: term, vote and log survive a restart; the commit index is found again") {
  Solo solo(first_start(three()));
  solo.append(2, 3, 1, 1, {command(2, 3), command(3, 3)}, 3);
  Solo again(solo.node.disk);
  CHECK(again.term() == 3);
  CHECK(again.core().last_index() == Index{3});
  CHECK(again.core().commit_index() == Index{0});
  again.append(2, 3, 3, 3, {}, 3);
  CHECK(again.core().commit_index() == Index{3});
  CHECK(again.node.applied.size() == 3);
}

TEST_CASE(
    "3.10: the prior leader stops accepting new client requests, brings the target's log up to "
    "date, and sends TimeoutNow") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  REQUIRE(solo.core().transfer(solo.now, {2}));
  CHECK(!solo.propose("y"));
  CHECK(solo.sent<TimeoutNow>(2).empty());
  solo.accept(2, 3);
  CHECK(solo.sent<TimeoutNow>(2).size() == 1);
}

TEST_CASE(
    "3.10: if leadership transfer does not complete after about an election timeout, the prior "
    "leader aborts the transfer and resumes accepting client requests") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().transfer(solo.now, {2}));
  for (int i = 0; i < 6; ++i) {
    solo.wait(19ms);
    solo.accept(3, 2, 1);
  }
  CHECK(solo.propose("y"));
}

TEST_CASE("4.1: a server always uses the latest configuration in its log, committed or not") {
  Solo solo(first_start(three()));
  const Configuration five = make_configuration({1, 2, 3, 4, 5});
  solo.append(2, 2, 1, 1, {members(2, 2, five)});
  CHECK(solo.core().commit_index() == Index{0});
  CHECK(solo.core().configuration().configuration == five);
  solo.win_election({3, 4});
  solo.accept(4, 3);
  CHECK(solo.core().commit_index() == Index{0});  // Two of five.
  solo.accept(5, 3);
  CHECK(solo.core().commit_index() == Index{3});
}

TEST_CASE("4.1: if the entry is overwritten the server falls back to the previous configuration") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {members(2, 2, make_configuration({1, 2, 3, 4}))});
  solo.append(3, 3, 1, 1, {noop(2, 3)});
  CHECK(solo.core().configuration().configuration == three());
}

TEST_CASE(
    "4.1: a server accepts AppendEntries from a leader, and grants its vote to a candidate, "
    "that is not part of its configuration") {
  Solo solo(first_start(three()));
  solo.ask_vote(8, 2, 1, 1);
  CHECK(solo.vote_granted());
  solo.append(9, 3, 1, 1);
  CHECK(solo.accepted_up_to(1));
}

TEST_CASE(
    "4.2.1: a server that is not a voter receives the log, is not counted, and starts no "
    "election") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  solo.lead();
  solo.accept(4, 2);
  solo.node.take_sent();
  REQUIRE(solo.propose("x"));
  CHECK(solo.sent<AppendRequest>(4).size() == 1);
  solo.accept(4, 3);
  CHECK(solo.core().commit_index() == Index{2});
  Solo learner(first_start(make_configuration({2, 3}, {}, {1})));
  learner.wait(5000ms);
  CHECK(learner.term() == 1);
  CHECK(learner.role() == Role::kFollower);
}

TEST_CASE(
    "4.2.2: a server that is not part of its own latest configuration still starts elections") {
  TestDisk disk = first_start(make_configuration({1, 2, 3}));
  disk.entries.push_back(members(2, 1, make_configuration({2, 3})));
  Solo solo(disk);
  solo.wait(200ms);
  CHECK(solo.role() == Role::kPreCandidate);
  solo.receive(2, 2, VoteReply{true, true});
  CHECK(solo.role() == Role::kPreCandidate);  // It does not count itself.
  solo.receive(3, 2, VoteReply{true, true});
  CHECK(solo.role() == Role::kCandidate);
}

TEST_CASE(
    "4.2.3: if a server receives a RequestVote request within the minimum election timeout of "
    "hearing from a current leader, it does not update its term or grant its vote") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.wait(99ms);
  solo.ask_vote(3, 9, 9, 8);
  CHECK(solo.term() == 2);
  CHECK(solo.node.take_sent().empty());
}

TEST_CASE("4.2.3: it does not affect leadership transfer") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.ask_vote(3, 3, 1, 1, true);
  CHECK(solo.vote_granted());
}

TEST_CASE(
    "4.3: agreement, for elections and entry commitment, requires separate majorities from "
    "both the old and new configurations") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {1, 4, 5})));
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  solo.receive(2, 2, VoteReply{true, true});
  solo.receive(3, 2, VoteReply{true, true});
  CHECK(solo.role() == Role::kPreCandidate);
  solo.receive(4, 2, VoteReply{true, true});
  solo.receive(2, 2, VoteReply{true, false});
  solo.receive(3, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kCandidate);
  solo.receive(4, 2, VoteReply{true, false});
  REQUIRE(solo.role() == Role::kLeader);
  solo.accept(2, 2);
  solo.accept(3, 2);
  CHECK(solo.core().commit_index() == Index{0});
  solo.accept(5, 2);
  CHECK(solo.core().commit_index() == Index{2});
}

TEST_CASE("4.3: log entries are replicated to all servers in both configurations") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {1, 4, 5})));
  solo.win_election({2, 3, 4, 5});
  std::size_t requests = 0;
  for (const Message& message : solo.node.take_sent()) {
    if (std::get_if<AppendRequest>(&message.body)) ++requests;
  }
  CHECK(requests == 4);
}

TEST_CASE("4.3: a read is confirmed, and a leader kept, by both majorities only") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4, 5})));
  solo.lead();
  solo.accept(4, 2, 1);
  solo.accept(5, 2, 1);
  REQUIRE(solo.core().change_members(solo.now, {make_configuration({1, 4, 5}), {1}, true}));
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  solo.accept(2, 2, 2);
  solo.accept(3, 2, 2);
  CHECK(solo.node.reads.empty());
  solo.accept(4, 2, 2);
  CHECK(solo.node.reads.size() == 1);
  for (int i = 0; i < 3; ++i) {
    solo.wait(40ms);
    if (solo.role() != Role::kLeader) break;
    solo.accept(2, 2, 2);
    solo.accept(3, 2, 2);
  }
  CHECK(solo.role() == Role::kFollower);
}

TEST_CASE(
    "6.2: a leader steps down if an election timeout elapses without a successful round of "
    "heartbeats to a majority of its cluster") {
  Solo solo(first_start(three()));
  solo.lead();
  for (int i = 0; i < 10; ++i) {
    solo.wait(90ms);
    solo.accept(3, 2, 1);
  }
  CHECK(solo.role() == Role::kLeader);
  solo.wait(100ms);
  CHECK(solo.role() == Role::kFollower);
}

TEST_CASE(
    "6.4 step 1: if the leader has not yet marked an entry from its current term committed, it "
    "waits until it has done so") {
  Solo solo(first_start(three()));
  solo.win_election();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  solo.accept(2, 1, 1);
  CHECK(solo.node.reads.empty());
  solo.accept(2, 2, 1);
  solo.accept(2, 2, 2);
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("6.4 step 2: the leader saves its current commit index in readIndex") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  REQUIRE(solo.propose("later"));
  solo.accept(2, 3);
  CHECK(solo.core().commit_index() == Index{3});
  solo.accept(2, 3, 2);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(solo.node.reads[0].at == Index{2});
}

TEST_CASE(
    "6.4 step 3: the leader issues a new round of heartbeats and waits for their "
    "acknowledgments from a majority of the cluster") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5})));
  solo.lead({2, 3, 4, 5});
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  // To as many as make a majority with it, and to the others when these are late.
  CHECK(solo.sent<AppendRequest>().size() == 2);
  solo.wait(limits::kReadRoundPatience);
  CHECK(solo.sent<AppendRequest>().size() == 2);
  solo.accept(2, 2, 2);
  solo.accept(2, 2, 2);
  CHECK(solo.node.reads.empty());
  solo.accept(5, 2, 2);
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("6.4: the leader can amortize one round of heartbeats across any number of reads") {
  Solo solo(first_start(three()));
  solo.lead();
  for (std::uint64_t token = 0; token < 1000; ++token)
    REQUIRE(solo.core().read(solo.now, token));
  solo.node.pump(solo.now);
  CHECK(solo.sent<AppendRequest>().size() == 1);
  solo.accept(2, 2, 2);
  CHECK(solo.node.reads.size() == 1000);
}

TEST_CASE("6.4: a follower serves a read by asking the leader for a current readIndex") {
  Cluster cluster({}, 8);
  cluster.run_for(500ms);
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  CHECK(cluster.propose(leader, "x"));
  cluster.run_for(50ms);
  const std::uint64_t served = cluster.reads_served;
  for (std::uint64_t id = 1; id <= 3; ++id)
    CHECK(cluster.read(id));
  cluster.run_for(50ms);
  CHECK(cluster.reads_served == served + 3);
}

TEST_CASE(
    "9.6: a candidate only increments its term if a majority would be willing to grant it "
    "their votes") {
  Solo solo(first_start(three()));
  solo.wait(5000ms);
  CHECK(solo.role() == Role::kPreCandidate);
  CHECK(solo.term() == 1);
  solo.receive(2, 1, VoteReply{false, true});
  solo.receive(3, 2, VoteReply{true, true});
  CHECK(solo.role() == Role::kCandidate);
  CHECK(solo.term() == 2);
}

TEST_CASE("10.2.1: the leader replicates before its own disk is done, and may commit before it") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.node.auto_persist = false;
  REQUIRE(solo.propose("x"));
  CHECK(solo.sent<AppendRequest>().size() == 2);
  solo.accept(2, 3);
  CHECK(solo.core().commit_index() == Index{2});
  solo.accept(3, 3);
  CHECK(solo.core().commit_index() == Index{3});
  CHECK(solo.node.applied.size() == 3);
  CHECK(solo.core().persisted_index() == Index{2});
}

TEST_CASE("10.2.2: the leader pipelines: it does not wait for an answer to send the next entries") {
  Solo solo(first_start(three()));
  solo.lead();
  std::size_t sent = 0;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(solo.propose("x"));
    solo.wait(1ms);
    sent += solo.sent<AppendRequest>(2).size();
  }
  CHECK(sent == 5);
  CHECK(solo.core().progress()[0].inflight_messages == 5);
  CHECK(solo.core().progress()[0].next == Index{8});
}

}  // namespace
}  // namespace raftd::raft::testing
