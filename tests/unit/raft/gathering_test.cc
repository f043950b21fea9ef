// What waits for more of its kind: entries for a follower, and a leader's own writes for these.
#include "base/limits.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE("entries gather while others are unanswered: 64 KiB, or one millisecond") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("a"));
  CHECK(solo.sent<AppendRequest>(2).size() == 1);  // Nothing was unanswered: at once.
  REQUIRE(solo.propose("b"));
  CHECK(solo.sent<AppendRequest>(2).empty());
  CHECK(solo.core().next_deadline() == solo.now + limits::kAppendGatherDelay);
  solo.wait(999us);
  CHECK(solo.sent<AppendRequest>(2).empty());
  solo.wait(1us);
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
  REQUIRE(solo.propose(std::string(limits::kAppendGatherBytes, 'x')));
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
}

TEST_CASE("a leader writes its entries when they leave for a voter, or have waited a millisecond") {
  Solo solo(first_start(make_configuration({1, 2, 3}, {}, {4})));
  solo.lead();
  solo.accept(4, 2, 1);
  solo.node.auto_persist = false;
  REQUIRE(solo.propose("a"));
  REQUIRE(solo.node.writing);
  solo.node.persist(solo.now);
  solo.accept(4, 3);
  REQUIRE(solo.propose("b"));  // To the learner at once, but it does not count.
  CHECK(solo.sent<AppendRequest>(4).size() == 2);
  CHECK(!solo.node.writing);
  solo.accept(3, 3);  // "a" is committed, and "b" goes to node 3.
  CHECK(solo.core().commit_index() == Index{3});
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->entries.front().index == Index{4});
  solo.node.persist(solo.now);
  REQUIRE(solo.propose("c"));
  CHECK(!solo.node.writing);
  solo.wait(limits::kAppendGatherDelay);
  CHECK(solo.node.writing);
}

TEST_CASE("a leader's own write does not wait for followers that are not there") {
  Solo solo(first_start(three()));
  solo.lead();
  for (const std::uint64_t id : {2U, 3U})
    solo.core().unreachable({id});
  solo.node.auto_persist = false;
  REQUIRE(solo.propose("a"));
  CHECK(solo.node.writing);
}

}  // namespace
}  // namespace raftd::raft::testing
