// Linearizable reads: rounds, what confirms them, reads through another node, always an answer.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

std::uint64_t newest_seq(Solo& solo) {
  ReadSeq newest;
  for (const auto& request : solo.sent<AppendRequest>()) {
    newest = std::max(newest, request.read_seq);
  }
  return newest.value;
}

TEST_CASE("a read is served once a majority has echoed its round") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 7));
  solo.node.pump(solo.now);
  CHECK(solo.node.reads.empty());
  const std::uint64_t seq = newest_seq(solo);
  solo.accept(2, 2, seq);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(solo.node.reads[0].token == 7);
  CHECK(solo.node.reads[0].at == Index{2});
}

TEST_CASE("[F66] before the first commit of its term a leader serves no read, and does then") {
  Solo solo(first_start(three()));
  solo.win_election();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  solo.accept(2, 1, 1);
  solo.accept(3, 1, 1);
  CHECK(solo.node.reads.empty());
  solo.accept(2, 2, 1);
  solo.accept(2, 2, newest_seq(solo));
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(solo.node.reads[0].at == Index{2});
}

TEST_CASE("a sole voter waits for its own no-op, too") {
  Solo solo(first_start(make_configuration({1})));
  solo.node.auto_persist = false;
  solo.wait(0ms);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  REQUIRE(solo.role() == Role::kLeader);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  CHECK(solo.node.reads.empty());
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(solo.node.reads[0].at == Index{2});
}

TEST_CASE("[F67] an echo of an earlier round confirms nothing, one of a later round does") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.wait(20ms);  // A heartbeat goes out; its answer will be late.
  const std::uint64_t old = newest_seq(solo);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  const std::uint64_t seq = newest_seq(solo);
  CHECK(seq > old);
  solo.accept(2, 2, old);
  solo.accept(3, 2, old);
  CHECK(solo.node.reads.empty());
  solo.wait(20ms);  // Not confirmed: it goes out again with the next heartbeat.
  const std::uint64_t again = newest_seq(solo);
  CHECK(again > seq);
  solo.accept(3, 2, again);
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("reads that come while a round is in flight share the next one") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  const std::uint64_t first = newest_seq(solo);
  for (std::uint64_t token = 2; token < 50; ++token)
    REQUIRE(solo.core().read(solo.now, token));
  solo.node.pump(solo.now);
  CHECK(solo.node.take_sent().empty());
  solo.accept(2, 2, first);
  CHECK(solo.node.reads.size() == 1);
  solo.accept(2, 2, newest_seq(solo));
  CHECK(solo.node.reads.size() == 49);
}

// Whom the newest round was sent to.
std::vector<std::uint64_t> asked(Solo& solo) {
  std::vector<std::uint64_t> to;
  for (const Message& message : solo.node.take_sent()) {
    const auto* request = std::get_if<AppendRequest>(&message.body);
    if (request && request->read_seq) to.push_back(message.to.value);
  }
  return to;
}

TEST_CASE("a round asks as many as make a majority, and all voters when one of these is late") {
  Solo solo(first_start(make_configuration({1, 2, 3, 4, 5}, {}, {6})));
  solo.lead({2, 3, 4, 5});
  solo.accept(6, 2, 1);
  asked(solo);
  REQUIRE(solo.core().read(solo.now, 7));
  solo.node.pump(solo.now);
  CHECK(asked(solo) == std::vector<std::uint64_t>{2, 3});
  solo.accept(2, 2, 2);
  solo.wait(limits::kReadRoundPatience);
  CHECK(asked(solo) == std::vector<std::uint64_t>{4, 5});
  solo.accept(5, 2, 2);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(solo.node.reads[0].at == Index{2});
}

TEST_CASE("a round begins with those who answered soonest, and not with one who owes an answer") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.wait(20ms);
  const std::uint64_t heartbeat = newest_seq(solo);
  solo.accept(3, 2, heartbeat);
  solo.wait(1ms);
  solo.accept(2, 2, heartbeat);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  CHECK(asked(solo) == std::vector<std::uint64_t>{3});
  solo.wait(2 * limits::kReadRoundPatience);
  CHECK(asked(solo) == std::vector<std::uint64_t>{2});
  solo.accept(2, 2, heartbeat + 1);
  CHECK(solo.node.reads.size() == 1);
  REQUIRE(solo.core().read(solo.now, 2));
  solo.node.pump(solo.now);
  CHECK(asked(solo) == std::vector<std::uint64_t>{2});
}

TEST_CASE("a round asks no one whose link is gone while others have one") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.wait(20ms);
  const std::uint64_t heartbeat = newest_seq(solo);
  solo.accept(2, 2, heartbeat);
  solo.accept(3, 2, heartbeat);
  solo.core().disconnected(solo.now, {2});
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  CHECK(asked(solo) == std::vector<std::uint64_t>{3});
}

TEST_CASE("in the joint phase a round asks a majority of both halves") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4, 5})));
  solo.lead();
  for (const std::uint64_t learner : {4U, 5U})
    solo.accept(learner, 2, 1);
  REQUIRE(solo.core().change_members(
      solo.now, {make_configuration({1, 4, 5}), solo.core().configuration().index, true}));
  solo.node.pump(solo.now);
  REQUIRE(solo.core().configuration().configuration.joint());
  asked(solo);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  CHECK(asked(solo) == std::vector<std::uint64_t>{2, 3, 4});
  solo.accept(2, 2, 2);
  solo.accept(3, 2, 2);
  CHECK(solo.node.reads.empty());
  solo.accept(4, 2, 2);
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("a rejection of the same term confirms a read as well") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  const std::uint64_t seq = newest_seq(solo);
  solo.receive(3, solo.term(), AppendReply{AppendReply::Rejected{{2}, {1}, {}, {}}, {seq}});
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("a request that brings a new read_seq along with entries is answered twice") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {}, 0, 3);
  solo.node.take_sent();
  solo.node.auto_persist = false;
  solo.append(2, 2, 1, 1, {command(2, 2)}, 0, 4);
  const AppendReply at_once = solo.only_reply();
  CHECK(at_once.read_seq == ReadSeq{4});
  CHECK(std::get<AppendReply::Accepted>(at_once.result).match == Index{1});
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(2));
}

TEST_CASE("[F68] a read that nobody confirms is answered after an election timeout") {
  CoreConfig config = core_config(1);
  config.check_quorum = false;
  Solo solo(first_start(three()), config);
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  solo.wait(100ms);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(!solo.node.reads[0].at);
}

TEST_CASE(
    "[F68] a leader that is deposed answers its reads through the next leader, or not at all") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.core().read(solo.now, 1));
  solo.receive(3, solo.term(), ReadIndexRequest{{33}, 5});
  solo.node.take_sent();
  const std::uint64_t next = solo.term() + 1;
  solo.append(2, next, 2, next - 1);
  const auto sent = solo.node.take_sent();
  bool told = false;
  bool asked = false;
  for (const Message& message : sent) {
    if (const auto* reply = std::get_if<ReadIndexReply>(&message.body)) {
      told = message.to == NodeId{3} && reply->seq == 5 && !reply->at;
    }
    if (std::get_if<ReadIndexRequest>(&message.body)) asked = message.to == NodeId{2};
  }
  CHECK(told);
  CHECK(asked);
  solo.wait(60ms);
  solo.append(2, next, 2, next - 1);
  solo.wait(60ms);
  REQUIRE(solo.node.reads.size() == 1);
  CHECK(!solo.node.reads[0].at);
}

TEST_CASE("a follower asks the leader once for all reads that wait") {
  Solo solo(first_start(three()));
  CHECK(solo.core().read(solo.now, 1).error().code == Errc::kNotLeader);
  solo.append(2, 2, 1, 1, {command(2, 2), command(3, 2)}, 1);
  solo.node.take_sent();
  for (std::uint64_t token = 1; token <= 3; ++token)
    REQUIRE(solo.core().read(solo.now, token));
  solo.node.pump(solo.now);
  const auto asked = solo.sent<ReadIndexRequest>(2);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].incarnation == Incarnation{1000});
  solo.receive(2, 2, ReadIndexReply{{1000}, asked[0].seq, Index{3}});
  CHECK(solo.node.reads.size() == 3);
  CHECK(solo.core().commit_index() == Index{3});  // So that the read need not wait.
}

TEST_CASE("an answer meant for a former life of the process is ignored") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  const auto asked = solo.sent<ReadIndexRequest>(2);
  REQUIRE(asked.size() == 1);
  solo.receive(2, 2, ReadIndexReply{{999}, asked[0].seq, Index{1}});
  solo.receive(2, 2, ReadIndexReply{{1000}, asked[0].seq + 1, Index{1}});
  solo.receive(3, 2, ReadIndexReply{{1000}, asked[0].seq, Index{1}});
  CHECK(solo.node.reads.empty());
}

TEST_CASE("a question is asked again, and the answer to any of them is good") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  REQUIRE(solo.core().read(solo.now, 1));
  solo.node.pump(solo.now);
  const auto first = solo.sent<ReadIndexRequest>(2);
  solo.wait(20ms);
  REQUIRE(solo.core().read(solo.now, 2));
  solo.wait(20ms);
  const auto second = solo.sent<ReadIndexRequest>(2);
  REQUIRE(first.size() == 1);
  REQUIRE(!second.empty());
  CHECK(second.back().seq > first[0].seq);
  solo.receive(2, 2, ReadIndexReply{{1000}, first[0].seq, Index{1}});
  REQUIRE(solo.node.reads.size() == 1);  // Not the second read: it came after that question.
  CHECK(solo.node.reads[0].token == 1);
  solo.receive(2, 2, ReadIndexReply{{1000}, second.back().seq, Index{1}});
  CHECK(solo.node.reads.size() == 2);
}

TEST_CASE("a node that does not lead says so at once") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.receive(3, 2, ReadIndexRequest{{33}, 5});
  const auto replies = solo.sent<ReadIndexReply>(3);
  REQUIRE(replies.size() == 1);
  CHECK(!replies[0].at);
}

TEST_CASE("the number of waiting reads is bounded") {
  Solo solo(first_start(three()));
  solo.win_election();
  for (std::uint64_t i = 0; i < limits::kReadsPendingMax; ++i) {
    REQUIRE(solo.core().read(solo.now, i));
  }
  const Status busy = solo.core().read(solo.now, 1);
  REQUIRE(!busy);
  CHECK(busy.error().code == Errc::kBusy);
  solo.receive(3, solo.term(), ReadIndexRequest{{33}, 5});
  CHECK(!solo.sent<ReadIndexReply>(3).at(0).at);
}

TEST_CASE("[RF-16 F67] a paused leader that wakes up in another's term serves nothing stale") {
  Cluster cluster({}, 9);
  cluster.run_for(500ms);
  const std::uint64_t old = cluster.leader();
  REQUIRE(old != 0);
  // A pause: nothing reaches it and nothing leaves it, and its clock stands still.
  auto paused = std::move(cluster.nodes.at(old));
  cluster.nodes.erase(old);
  cluster.persists.erase(old);
  cluster.run_for(1000ms);
  const std::uint64_t next = cluster.leader();
  REQUIRE(next != 0);
  REQUIRE(cluster.propose(next, "new"));
  cluster.run_for(100ms);
  cluster.nodes[old] = std::move(paused);
  CHECK(cluster.read(old));  // Before any tick: it believes that it leads.
  cluster.run_for(1000ms);   // The cluster checks that the answer is not older than the read.
  CHECK(cluster.open_reads[old].empty());
  CHECK(cluster.leader() == next);
}

}  // namespace
}  // namespace raftd::raft::testing
