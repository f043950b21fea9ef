// Changes of members: what one is made of, what is refused, and who finishes it.
#include "base/limits.h"
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

Result<Index> change(Solo& solo, const Configuration& target, bool forced = true) {
  const Index based_on = solo.core().configuration().index;
  const auto changed = solo.core().change_members(solo.now, {target, based_on, forced});
  solo.node.pump(solo.now);
  return changed;
}

const Configuration& in_effect(Solo& solo) {
  return solo.core().configuration().configuration;
}

Errc refusal(const Result<Index>& result) {
  REQUIRE(!result);
  return result.error().code;
}

// Leads 2 and 3, and 4 that learns and has the log.
Solo leading_with_learner() {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  solo.lead();
  solo.accept(4, 2, 1);
  solo.node.take_sent();
  return solo;
}

TEST_CASE("a change goes through a joint configuration and leaves it by itself") {
  Solo solo = leading_with_learner();
  const auto index = change(solo, make_configuration({1, 2, 4}, {}, {}));
  REQUIRE(index);
  CHECK(*index == Index{3});
  const Configuration joint = make_configuration({1, 2, 4}, {1, 2, 3});
  CHECK(in_effect(solo) == joint);  // As soon as it is appended.
  solo.accept(2, 3);
  CHECK(solo.core().commit_index() == Index{3});  // 1 and 2 are a majority of both.
  CHECK(in_effect(solo) == make_configuration({1, 2, 4}));
  CHECK(solo.core().configuration().index == Index{4});
  solo.accept(4, 4);
  CHECK(solo.core().commit_index() == Index{4});
}

TEST_CASE("in the joint phase a majority of the old voters alone commits nothing") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4, 5, 6})));
  solo.lead();
  for (const std::uint64_t learner : {4U, 5U, 6U})
    solo.accept(learner, 2, 1);
  REQUIRE(change(solo, make_configuration({4, 5, 6})));
  solo.accept(2, 3);
  solo.accept(3, 3);
  solo.accept(4, 3);
  CHECK(solo.core().commit_index() == Index{2});
  CHECK(in_effect(solo).joint());
  solo.accept(5, 3);
  CHECK(solo.core().commit_index() == Index{3});
  CHECK(!in_effect(solo).joint());
}

TEST_CASE("a change of learners, or of an address, goes the same way") {
  Solo solo = leading_with_learner();
  Configuration target = make_configuration({1, 2, 3}, {}, {9});
  target.addresses[1].peer = "elsewhere:2";
  REQUIRE(change(solo, target));
  CHECK(in_effect(solo).joint());
  solo.accept(3, 3);
  CHECK(in_effect(solo) == target);
}

TEST_CASE("a change that cannot be made now is refused with the reason, and changes nothing") {
  Solo follower(first_start(three()));
  CHECK(refusal(change(follower, make_configuration({1, 2}))) == Errc::kNotLeader);

  Solo solo = leading_with_learner();
  const Configuration before = in_effect(solo);
  CHECK(refusal(solo.core().change_members(solo.now, {three(), {7}, true})) == Errc::kConflict);
  CHECK(refusal(change(solo, make_configuration({1, 2, 3, 5}))) == Errc::kBadInput);
  CHECK(refusal(change(solo, Configuration{})) == Errc::kBadInput);
  CHECK(refusal(change(solo, make_configuration({1, 2}, {1, 2, 3}))) == Errc::kBadInput);
  std::vector<std::uint64_t> many = {1, 2, 3};
  for (std::uint64_t id = 10; many.size() <= limits::kVotersMax; ++id)
    many.push_back(id);
  CHECK(refusal(change(solo, make_configuration(many))) == Errc::kBadInput);
  solo.core().disk_full(true);
  CHECK(refusal(change(solo, three())) == Errc::kDiskFull);
  solo.core().disk_full(false);
  CHECK(in_effect(solo) == before);

  REQUIRE(solo.core().transfer(solo.now, {2}));
  CHECK(refusal(change(solo, three())) == Errc::kTransferring);
}

TEST_CASE("a second change waits until the first one is over, not only until it is joint") {
  Solo solo = leading_with_learner();
  REQUIRE(change(solo, make_configuration({1, 2, 3, 4})));
  CHECK(refusal(change(solo, three())) == Errc::kConflict);
  solo.accept(2, 3);
  solo.accept(3, 3);
  CHECK(!in_effect(solo).joint());
  CHECK(refusal(change(solo, three())) == Errc::kConflict);  // The last entry is not committed.
  solo.accept(2, 4);
  solo.accept(3, 4);
  CHECK(change(solo, three()));
}

TEST_CASE("a leader that has committed nothing in its term takes no change of members") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {noop(2, 2)}, 2);  // The present configuration is committed.
  solo.win_election();
  CHECK(refusal(change(solo, make_configuration({1, 2}))) == Errc::kNotReady);
  solo.accept(2, 3);
  CHECK(change(solo, make_configuration({1, 2})));
}

TEST_CASE("a learner whose log is far behind does not become a voter") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  solo.lead();
  for (std::uint64_t i = 0; i < limits::kPromotionLagMax; ++i)
    REQUIRE(solo.propose("x"));
  CHECK(refusal(change(solo, make_configuration({1, 2, 3, 4}))) == Errc::kBusy);
  solo.accept(4, 2);
  CHECK(change(solo, make_configuration({1, 2, 3, 4})));
}

TEST_CASE("[F65] too few voters that answer would be left: refused, unless it is forced") {
  Solo solo = leading_with_learner();
  solo.wait(60ms);
  solo.accept(2, 2);
  solo.wait(60ms);  // 3 and 4 are not heard any more.
  REQUIRE(solo.role() == Role::kLeader);
  CHECK(refusal(change(solo, make_configuration({1, 3}), false)) == Errc::kNotReady);
  CHECK(change(solo, make_configuration({1, 3}), true));
}

TEST_CASE("a leader that goes does not count itself, and hands over when it is not in it") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(change(solo, make_configuration({2, 3})));
  solo.accept(2, 3);
  CHECK(in_effect(solo).joint());  // Of 2 and 3 only one has it.
  solo.accept(3, 3);
  CHECK(in_effect(solo) == make_configuration({2, 3}));
  solo.accept(2, 4);
  CHECK(solo.core().commit_index() == Index{3});
  CHECK(solo.sent<TimeoutNow>().empty());
  solo.accept(3, 4);
  CHECK(solo.core().commit_index() == Index{4});
  CHECK(solo.sent<TimeoutNow>().size() == 1);
  CHECK(!solo.propose("x"));
  SUBCASE("and leads no longer than an election timeout if nobody takes over") {
    for (int i = 0; i < 12; ++i) {
      solo.wait(10ms);
      if (solo.role() != Role::kLeader) break;
      solo.accept(2, 4, 1);
      solo.accept(3, 4, 1);
    }
    CHECK(solo.node.transfers_failed == 1);
    CHECK(solo.role() == Role::kFollower);
    solo.wait(3000ms);
    CHECK(solo.role() == Role::kFollower);  // Nor does it campaign: that is committed.
  }
}

TEST_CASE("a leader that is made a learner hands over as well") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(change(solo, make_configuration({2, 3}, {}, {1})));
  for (const std::uint64_t match : {3U, 4U}) {
    solo.accept(2, match);
    solo.accept(3, match);
  }
  CHECK(solo.sent<TimeoutNow>().size() == 1);
}

TEST_CASE("who leads next finishes the change that it finds in its log") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {noop(2, 2), members(3, 2, make_configuration({1, 2}, {1, 2, 3}))}, 2);
  solo.win_election({2, 3});
  CHECK(in_effect(solo).joint());
  solo.accept(2, 3);
  CHECK(in_effect(solo).joint());  // Not by counting an earlier term's entry.
  solo.accept(2, 4);
  CHECK(in_effect(solo) == make_configuration({1, 2}));
  CHECK(solo.core().configuration().index == Index{5});
}

TEST_CASE("a change whose entry is overwritten never was") {
  Solo solo = leading_with_learner();
  REQUIRE(change(solo, make_configuration({1, 2, 3, 4})));
  solo.append(3, 9, 2, 2, {noop(3, 9)});
  CHECK(in_effect(solo) == make_configuration({1, 2, 3}, {}, {4}));
}

TEST_CASE("who is new is sent the log at once, who has gone nothing any more") {
  Solo solo = leading_with_learner();
  REQUIRE(change(solo, make_configuration({1, 2}, {}, {4, 5})));
  CHECK(solo.sent<AppendRequest>(5).size() == 1);
  solo.accept(2, 3);
  solo.accept(3, 3);
  CHECK(!in_effect(solo).joint());
  solo.node.take_sent();
  solo.wait(20ms);
  CHECK(solo.sent<AppendRequest>(3).empty());
  solo.accept(3, 3);  // Late.
  solo.wait(20ms);
  CHECK(solo.sent<AppendRequest>(3).empty());
}

TEST_CASE("a voter that is new does not cost a long-serving leader its leadership") {
  Solo solo(first_start(make_configuration({1}, {}, {2})));
  solo.wait(1ms);
  REQUIRE(solo.role() == Role::kLeader);
  solo.wait(10'000ms);
  CHECK(refusal(change(solo, make_configuration({1, 2}))) == Errc::kBusy);  // Never heard.
  solo.accept(2, 2, 1);
  REQUIRE(change(solo, make_configuration({1, 2})));
  solo.wait(50ms);
  CHECK(solo.role() == Role::kLeader);
}

TEST_CASE("what waits is committed by the majority that the last of the others leave behind") {
  Solo solo(first_start(make_configuration({1, 2})));
  solo.lead({2});
  REQUIRE(change(solo, make_configuration({1})));
  REQUIRE(solo.propose("x"));
  REQUIRE(solo.core().read(solo.now, 1));
  CHECK(solo.core().commit_index() == Index{2});
  solo.accept(2, 3, 1);
  CHECK(in_effect(solo) == make_configuration({1}));
  CHECK(solo.core().commit_index() == solo.core().last_index());
  CHECK(solo.node.reads.size() == 1);
}

TEST_CASE("old entries that are read for a member that goes meanwhile are let go") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})), core_config(1), 1, 0);
  solo.node.auto_log_reads = false;
  solo.win_election();
  solo.accept(2, 2, 1);
  solo.reject(4, {{1}, {0}, {}, {}});
  solo.accept(4, 0);
  solo.node.pump(solo.now);
  REQUIRE(!solo.node.log_reads.empty());
  REQUIRE(change(solo, three()));
  solo.accept(2, 3);
  solo.node.take_sent();
  solo.node.finish_log_reads(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.sent<AppendRequest>(4).empty());
}

}  // namespace
}  // namespace raftd::raft::testing
