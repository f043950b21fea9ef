// What waits for more of its kind: entries for a follower, a leader's own writes for these, and
// both for clients that were just answered.
#include "base/limits.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

constexpr Duration kCommitTime = 400us;

void ask(Solo& solo, int writes) {
  for (int i = 0; i < writes; ++i)
    REQUIRE(solo.core().propose(solo.now, share(to_bytes("x"))));
  solo.node.pump(solo.now);
}

// All that was proposed.
void commit(Solo& solo, Duration took = kCommitTime) {
  solo.wait(took);
  solo.accept(2, solo.core().last_index().value);
  REQUIRE(solo.core().commit_index() == solo.core().last_index());
  solo.node.take_sent();
}

// Clients that ask again 100 us after they were answered, so many of them each time; they have just
// been answered.
void keep_asking(Solo& solo, const std::vector<int>& writes, Duration took = kCommitTime) {
  for (const int each : writes) {
    ask(solo, each);
    commit(solo, took);
    solo.wait(100us);
  }
}

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

TEST_CASE("who came back soon after each of the last commits is waited for after this one") {
  Solo solo(first_start(three()));
  solo.lead();
  keep_asking(solo, {3, 3, 3});
  ask(solo, 1);  // It has happened twice: that is no proof.
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
  commit(solo);
  keep_asking(solo, {3, 3, 3, 3});
  ask(solo, 1);
  ask(solo, 1);
  CHECK(solo.core().awaits_clients());
  CHECK(solo.sent<AppendRequest>(2).empty());
  ask(solo, 1);
  CHECK(!solo.core().awaits_clients());
  const auto requests = solo.sent<AppendRequest>(2);
  REQUIRE(requests.size() == 1);
  CHECK(requests.front().entries.size() == 3);
}

TEST_CASE("clients are waited for no longer than the commit took, or half a millisecond") {
  for (const Duration took : {Duration(300us), Duration(2ms)}) {
    CAPTURE(took.count());
    Solo solo(first_start(three()));
    solo.lead();
    keep_asking(solo, {2, 2, 2, 2, 2}, took);
    ask(solo, 1);
    const Duration left = std::min(took, Duration(500us)) - 100us;
    CHECK(solo.core().next_deadline() == solo.now + left);
    solo.wait(left - 1us);
    CHECK(solo.sent<AppendRequest>(2).empty());
    solo.wait(1us);
    CHECK(solo.sent<AppendRequest>(2).size() == 1);
    CHECK(!solo.core().awaits_clients());
  }
}

TEST_CASE("clients that were late for two commits are waited for no more") {
  Solo solo(first_start(three()));
  solo.lead();
  keep_asking(solo, {2, 2, 2, 2, 2});
  for (int i = 0; i < 2; ++i) {
    ask(solo, 1);
    solo.wait(1ms);
    ask(solo, 1);
    commit(solo);
    solo.wait(100us);
  }
  ask(solo, 1);
  CHECK(!solo.core().awaits_clients());
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
}

TEST_CASE("clients that come in other numbers than were answered are not waited for") {
  Solo solo(first_start(three()));
  solo.lead();
  for (int i = 0; i < 20; ++i) {
    ask(solo, 1 + i % 2);
    CHECK(!solo.core().awaits_clients());
    commit(solo);
    solo.wait(100us);
  }
}

TEST_CASE("clients are not waited for when one of them is back later than the commit took") {
  Solo solo(first_start(three()));
  solo.lead();
  for (int i = 0; i < 20; ++i) {
    ask(solo, 1);
    CHECK(!solo.core().awaits_clients());
    solo.wait(1ms);
    ask(solo, 1);
    commit(solo);
    solo.wait(100us);
  }
}

TEST_CASE("a leader without followers waits for its clients before it writes") {
  Solo solo(first_start(make_configuration({1})));
  solo.wait(1s);
  REQUIRE(solo.role() == Role::kLeader);
  solo.node.auto_persist = false;
  for (int i = 0; i < 5; ++i) {
    ask(solo, 2);
    solo.wait(kCommitTime);
    solo.node.persist(solo.now);
    REQUIRE(solo.core().commit_index() == solo.core().last_index());
    solo.wait(100us);
  }
  ask(solo, 1);
  CHECK(solo.core().awaits_clients());
  CHECK(!solo.node.writing);
  ask(solo, 1);
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->entries.size() == 2);
}

}  // namespace
}  // namespace raftd::raft::testing
