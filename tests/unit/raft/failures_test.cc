// What went wrong in other systems and no other file here is about; tests/catalogue.md has them
// all.
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

CoreConfig without_pre_vote() {
  CoreConfig config = core_config(1);
  config.pre_vote = false;
  return config;
}

void wait_to_campaign(Solo& solo) {
  for (int i = 0; i < 20 && solo.role() != Role::kCandidate; ++i)
    solo.wait(20ms);
  REQUIRE(solo.role() == Role::kCandidate);
  solo.node.take_sent();
}

TEST_CASE("[F04] a candidate's own vote is on its disk, and nobody else gets it in that term") {
  Solo solo(first_start(three()), without_pre_vote());
  wait_to_campaign(solo);
  const std::uint64_t term = solo.term();
  CHECK(solo.node.disk.hard_state == HardState{{term}, {1}});
  solo.ask_vote(2, term, 9, 1);
  CHECK(!solo.vote_granted());
  Solo again(solo.node.disk);
  again.ask_vote(2, term, 9, 1);
  CHECK(!again.vote_granted());
}

TEST_CASE("[F05] a candidate whose answer was lost asks again and gets the same vote again") {
  Solo solo(first_start(three()));
  for (int i = 0; i < 3; ++i) {
    solo.ask_vote(2, 2, 1, 1);
    CHECK(solo.vote_granted());
  }
  solo.ask_vote(3, 2, 1, 1);
  CHECK(!solo.vote_granted());
}

TEST_CASE("[F06] a campaign's term is above the term of the disk, however old the log is") {
  Solo solo(with_log(three(), 7, {1, 1}), without_pre_vote());
  wait_to_campaign(solo);
  CHECK(solo.term() == 8);
  CHECK(solo.node.disk.hard_state.term == Term{8});
}

TEST_CASE(
    "[F22] a request that begins in what a snapshot has replaced is answered, and cuts nothing") {
  Solo solo(with_log(three(), 1, {1, 1, 1, 1, 1}));
  solo.append(2, 1, 6, 1, {}, 6);
  solo.core().compacted({{{4}, {1}, 100, 1}, {{1}, three()}});
  solo.core().dropped({5});
  solo.node.take_sent();
  solo.append(2, 1, 2, 1, {command(3, 1), command(4, 1), command(5, 1)}, 6);
  CHECK(solo.accepted_up_to(6));  // All that is committed here, which the leader has as well.
  solo.append(2, 1, 0, 0, {members(1, 1, three()), command(2, 1)}, 6);
  CHECK(solo.accepted_up_to(6));
  CHECK(solo.core().first_index() == Index{5});
  CHECK(solo.core().last_index() == Index{6});
  CHECK(solo.core().counters().bad_messages == 0);
}

TEST_CASE("[F27] a leader that steps down keeps every entry, and acks them to the next leader") {
  Solo solo(first_start(three()));
  solo.lead();
  const std::uint64_t term = solo.term();
  const std::uint64_t committed = solo.core().commit_index().value;
  REQUIRE(solo.propose("a"));
  REQUIRE(solo.propose("b"));
  solo.append(2, term + 1, committed, term);
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.core().last_index().value == committed + 2);
  CHECK(solo.node.disk.entries.size() == committed + 2);
  solo.node.take_sent();
  solo.append(2, term + 1, committed + 2, term);
  CHECK(solo.accepted_up_to(committed + 2));
}

TEST_CASE("[F30] an ack of an earlier term counts for nothing in a later one") {
  Solo solo(first_start(three()));
  solo.lead();
  const std::uint64_t earlier = solo.term();
  solo.append(2, earlier + 1, solo.core().last_index().value, earlier);
  solo.win_election();
  REQUIRE(solo.propose("a"));
  const Index committed = solo.core().commit_index();
  solo.receive(2, earlier, AppendReply{AppendReply::Accepted{solo.core().last_index()}, {1}});
  solo.receive(3, earlier, AppendReply{AppendReply::Accepted{solo.core().last_index()}, {1}});
  CHECK(solo.core().commit_index() == committed);
  solo.accept(2, solo.core().last_index().value);
  CHECK(solo.core().commit_index() == solo.core().last_index());
}

TEST_CASE("[F57] [F73] after a start nothing is taken for committed until a leader says so") {
  Solo solo(with_log(three(), 2, {1, 2}));
  CHECK(solo.core().last_index() == Index{3});
  CHECK(solo.core().commit_index() == Index{0});
  solo.append(2, 2, 3, 2, {}, 2);
  CHECK(solo.core().commit_index() == Index{2});
  CHECK(solo.node.applied.size() == 2);
}

TEST_CASE("[F59] a configuration that was not committed is in effect again after a restart") {
  TestDisk disk = first_start(three());
  disk.entries.push_back(members(2, 1, make_configuration({1, 2, 3, 4, 5})));
  Solo solo(disk, without_pre_vote());
  CHECK(solo.core().configuration().index == Index{2});
  wait_to_campaign(solo);
  solo.receive(2, solo.term(), VoteReply{true, false});
  CHECK(solo.role() == Role::kCandidate);  // Two of three, and not of five.
  solo.receive(5, solo.term(), VoteReply{true, false});
  CHECK(solo.role() == Role::kLeader);
}

}  // namespace
}  // namespace raftd::raft::testing
