// One test per sentence of the Raft paper's figure 2 (thesis figure 3.1), in its order.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE(
    "figure 2, state: currentTerm, votedFor and log[] are updated on stable storage before "
    "responding to RPCs") {
  Solo solo(first_start(three()));
  solo.node.auto_persist = false;
  solo.append(2, 5, 1, 1, {command(2, 5)});
  CHECK(solo.node.take_sent().empty());
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->hard_state == HardState{{5}, {}});
  CHECK(solo.node.writing->entries.size() == 1);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(!solo.node.take_sent().empty());
}

TEST_CASE("figure 2, state: currentTerm increases monotonically") {
  TestDisk disk = first_start(three());
  disk.hard_state.term = {5};
  Solo solo(disk);
  solo.append(2, 4, 1, 1);
  solo.ask_vote(2, 3, 1, 1);
  solo.receive(3, 2, VoteReply{});
  CHECK(solo.term() == 5);
}

TEST_CASE(
    "figure 2, state: commitIndex and lastApplied are initialized to 0 and increase "
    "monotonically") {
  Solo solo(with_log(three(), 2, {2, 2}));
  CHECK(solo.core().commit_index() == Index{0});
  CHECK(solo.node.applied.empty());
  solo.append(2, 2, 3, 2, {}, 3);
  CHECK(solo.core().commit_index() == Index{3});
  solo.append(2, 2, 3, 2, {}, 1);
  CHECK(solo.core().commit_index() == Index{3});
}

TEST_CASE(
    "figure 2, state: nextIndex is reinitialized after election to leader last log index + 1, "
    "matchIndex to 0") {
  Solo solo(with_log(three(), 2, {2, 2}));
  solo.win_election();
  for (const PeerProgress& peer : solo.core().progress()) {
    CHECK(peer.next == Index{4});
    CHECK(peer.match == Index{0});
  }
}

TEST_CASE("figure 2, AppendEntries 1: reply false if term < currentTerm") {
  TestDisk disk = first_start(three());
  disk.hard_state.term = {5};
  Solo solo(disk);
  solo.append(2, 4, 1, 1, {command(2, 4)});
  const auto messages = solo.node.take_sent();
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].term == Term{5});
  CHECK(std::holds_alternative<AppendReply::Rejected>(
      std::get<AppendReply>(messages[0].body).result));
  CHECK(solo.core().last_index() == Index{1});
}

TEST_CASE(
    "figure 2, AppendEntries 2: reply false if log doesn't contain an entry at prevLogIndex "
    "whose term matches prevLogTerm") {
  Solo solo(with_log(three(), 3, {2, 3}));
  solo.append(2, 4, 4, 3);
  CHECK(solo.rejected());
  solo.append(2, 4, 3, 2);
  CHECK(solo.rejected());
  solo.append(2, 4, 3, 3);
  CHECK(solo.accepted_up_to(3));
}

TEST_CASE(
    "figure 2, AppendEntries 3: if an existing entry conflicts with a new one (same index but "
    "different terms), delete the existing entry and all that follow it") {
  Solo solo(with_log(three(), 3, {2, 3, 3, 3}));
  solo.append(2, 4, 1, 1, {command(2, 2), command(3, 4)});
  CHECK(solo.accepted_up_to(3));
  CHECK(solo.log_terms() == std::vector<std::uint64_t>{1, 2, 4});
  CHECK(solo.core().counters().entries_overwritten == 3);
}

TEST_CASE("figure 2, AppendEntries 4: append any new entries not already in the log") {
  Solo solo(with_log(three(), 2, {2, 2}));
  solo.append(2, 2, 1, 1, {command(2, 2), command(3, 2), command(4, 2), command(5, 2)});
  CHECK(solo.accepted_up_to(5));
  CHECK(solo.core().counters().entries_overwritten == 0);
}

TEST_CASE(
    "figure 2, AppendEntries 5: if leaderCommit > commitIndex, set commitIndex = "
    "min(leaderCommit, index of last new entry)") {
  Solo solo(with_log(three(), 3, {2, 3, 3, 3}));
  solo.append(2, 4, 2, 2, {command(3, 3)}, 9);
  CHECK(solo.core().commit_index() == Index{3});
  solo.append(2, 4, 4, 3, {}, 2);
  CHECK(solo.core().commit_index() == Index{3});
}

TEST_CASE("figure 2, RequestVote 1: reply false if term < currentTerm") {
  TestDisk disk = first_start(three());
  disk.hard_state.term = {5};
  Solo solo(disk);
  solo.ask_vote(2, 4, 9, 3);
  CHECK(!solo.vote_granted());
}

TEST_CASE(
    "figure 2, RequestVote 2: if votedFor is null or candidateId, and candidate's log is at "
    "least as up-to-date as receiver's log, grant vote") {
  struct Case {
    std::uint64_t voted_for;
    std::uint64_t last_index;
    std::uint64_t last_term;
    bool granted;
  };
  // The receiver's log ends at (3, 2).
  for (const Case& each :
       {Case{0, 3, 2, true}, Case{2, 3, 2, true}, Case{3, 3, 2, false}, Case{0, 2, 2, false},
        Case{0, 9, 1, false}, Case{0, 1, 3, true}, Case{0, 4, 2, true}}) {
    TestDisk disk = with_log(three(), 4, {2, 2});
    disk.hard_state.voted_for = {each.voted_for};
    Solo solo(disk);
    solo.ask_vote(2, 4, each.last_index, each.last_term);
    CHECK(solo.vote_granted() == each.granted);
  }
}

TEST_CASE("figure 2, all servers: if commitIndex > lastApplied, apply log[lastApplied] in order") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {command(2, 2, "a"), command(3, 2, "b"), command(4, 2, "c")}, 3);
  REQUIRE(solo.node.applied.size() == 3);
  CHECK(as_text(solo.node.applied[1].payload.bytes) == "a");
  CHECK(as_text(solo.node.applied[2].payload.bytes) == "b");
}

TEST_CASE(
    "figure 2, all servers: if RPC request or response contains term T > currentTerm, set "
    "currentTerm = T, convert to follower") {
  const std::vector<Body> bodies = {
      VoteRequest{{1}, {1}, false, true},
      VoteReply{},
      AppendRequest{{1}, {1}, {}, {1}, {}},
      AppendReply{AppendReply::Rejected{{1}, {1}, {}, {}}, {}},
      ReadIndexReply{},
      ReadIndexRequest{},
  };
  for (const Body& body : bodies) {
    Solo solo(first_start(three()));
    solo.lead();
    solo.receive(2, 9, body);
    CHECK(solo.term() == 9);
    CHECK(solo.role() == Role::kFollower);
  }
}

TEST_CASE("figure 2, followers: respond to RPCs from candidates and leaders") {
  Solo solo(first_start(three()));
  solo.ask_vote(2, 2, 1, 1);
  CHECK(solo.vote_granted());
  solo.append(2, 2, 1, 1);
  CHECK(solo.accepted_up_to(1));
}

TEST_CASE(
    "figure 2, followers: if election timeout elapses without receiving AppendEntries RPC "
    "from current leader or granting vote to candidate: convert to candidate") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo silent(first_start(three()), config);
  silent.wait(200ms);
  CHECK(silent.role() == Role::kCandidate);
  Solo led(first_start(three()), config);
  for (int i = 0; i < 20; ++i) {
    led.append(2, 2, 1, 1);
    led.wait(90ms);
    CHECK(led.role() == Role::kFollower);
  }
  Solo granting(first_start(three()));
  granting.wait(0ms);
  for (std::uint64_t term = 2; term < 20; ++term) {
    granting.ask_vote(2, term, 1, 1);
    CHECK(granting.vote_granted());
    granting.wait(90ms);
    CHECK(granting.role() == Role::kFollower);
  }
}

TEST_CASE(
    "figure 2, candidates: on conversion increment currentTerm, vote for self, reset election "
    "timer, send RequestVote RPCs to all other servers") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(with_log(three(), 3, {2, 3}), config);
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  CHECK(solo.core().hard_state() == HardState{{4}, {1}});
  const auto messages = solo.node.take_sent();
  REQUIRE(messages.size() == 2);
  for (const Message& message : messages) {
    const auto& request = std::get<VoteRequest>(message.body);
    CHECK(message.term == Term{4});
    CHECK(request.last_index == Index{3});
    CHECK(request.last_term == Term{3});
  }
  solo.wait(98ms);
  CHECK(solo.term() == 4);
}

TEST_CASE("figure 2, candidates: if votes received from majority of servers: become leader") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5})));
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  for (const std::uint64_t id : {2U, 3U})
    solo.receive(id, 2, VoteReply{true, true});
  solo.receive(2, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kCandidate);
  solo.receive(3, 2, VoteReply{true, false});
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE(
    "figure 2, candidates: if AppendEntries RPC received from new leader: convert to "
    "follower") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(first_start(three()), config);
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  solo.append(2, solo.term(), 1, 1);
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.core().role().leader == NodeId{2});
}

TEST_CASE("figure 2, candidates: if election timeout elapses: start new election") {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  Solo solo(first_start(three()), config);
  while (solo.role() == Role::kFollower)
    solo.wait(1ms);
  solo.wait(200ms);
  CHECK(solo.term() >= 3);
  CHECK(solo.role() == Role::kCandidate);
}

TEST_CASE(
    "figure 2, leaders: upon election send initial AppendEntries to each server; repeat "
    "during idle periods to prevent election timeouts") {
  Solo solo(first_start(three()));
  solo.win_election();
  std::size_t first = 0;
  for (const Message& message : solo.node.take_sent()) {
    if (std::get_if<AppendRequest>(&message.body)) ++first;
  }
  CHECK(first == 2);
  for (int i = 0; i < 5; ++i) {
    solo.wait(20ms);
    std::size_t to_each = 0;
    for (const Message& message : solo.node.take_sent()) {
      if (std::get_if<AppendRequest>(&message.body)) ++to_each;
    }
    CHECK(to_each >= 2);
    solo.accept(2, 2, 1);
    solo.accept(3, 2, 1);
  }
}

TEST_CASE(
    "figure 2, leaders: if command received from client: append entry to local log, respond "
    "after entry applied to state machine") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  CHECK(solo.core().last_index() == Index{3});
  CHECK(solo.node.applied.size() == 2);
  solo.accept(2, 3);
  CHECK(solo.node.applied.size() == 3);
}

TEST_CASE(
    "figure 2, leaders: if last log index >= nextIndex for a follower: send AppendEntries RPC "
    "with log entries starting at nextIndex") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  const auto sent = solo.sent<AppendRequest>(2);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].prev_index == Index{2});
  REQUIRE(sent[0].entries.size() == 1);
  CHECK(sent[0].entries[0].index == Index{3});
}

TEST_CASE("figure 2, leaders: if successful: update nextIndex and matchIndex for follower") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  solo.accept(2, 3);
  CHECK(solo.core().progress()[0].match == Index{3});
  CHECK(solo.core().progress()[0].next == Index{4});
}

TEST_CASE(
    "figure 2, leaders: if AppendEntries fails because of log inconsistency: decrement "
    "nextIndex and retry") {
  Solo solo(with_log(three(), 3, {2, 2, 3}));
  solo.win_election();
  solo.node.take_sent();
  solo.reject(2, {{4}, {2}, {}, {}});
  const auto sent = solo.sent<AppendRequest>(2);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].prev_index == Index{2});
  CHECK(sent[0].entries.size() == 3);
}

TEST_CASE(
    "figure 2, leaders: if there exists an N such that N > commitIndex, a majority of "
    "matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N") {
  Solo solo(with_log(make_configuration({1, 2, 3, 4, 5}), 3, {2, 3}));
  solo.win_election({2, 3});
  solo.accept(2, 4);
  CHECK(solo.core().commit_index() == Index{0});
  solo.accept(3, 3);
  solo.accept(4, 3);
  CHECK(solo.core().commit_index() == Index{0});  // Index 3 is of an earlier term.
  solo.accept(3, 4);
  CHECK(solo.core().commit_index() == Index{4});
}

}  // namespace
}  // namespace raftd::raft::testing
