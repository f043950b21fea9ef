// Writes on their way to the leader: which answer belongs to which question.
#include "node/forwarding.h"

#include <doctest/doctest.h>

#include "base/limits.h"
#include "node/cluster_time.h"

namespace raftd::node {
namespace {

using std::chrono::milliseconds;

constexpr raft::NodeId kLeader{2};

Forwards::Pending pending(std::uint64_t token, std::size_t bytes = 10,
                          std::int64_t deadline_ms = 100) {
  return {{token}, kLeader, {3}, {milliseconds(deadline_ms)}, {}, Propose{Bytes(bytes)}};
}

Instant at_ms(std::int64_t ms) {
  return {milliseconds(ms)};
}

}  // namespace

TEST_CASE("an answer finds its question once, and only from whom was asked, in this life") {
  Forwards forwards({7}, 1000);
  const ForwardId first = forwards.add(pending(1));
  const ForwardId second = forwards.add(pending(2));
  Forwards::Pending found;
  CHECK_FALSE(forwards.take({{8}, first.seq}, kLeader, found));  // Another life.
  CHECK_FALSE(forwards.take(first, {3}, found));                 // Another node.
  CHECK_FALSE(forwards.take({{7}, 99}, kLeader, found));         // Never asked.
  CHECK_FALSE(forwards.take({{7}, 0}, kLeader, found));
  REQUIRE(forwards.take(second, kLeader, found));
  CHECK(found.token == ClientToken{2});
  CHECK_FALSE(forwards.take(second, kLeader, found));
  REQUIRE(forwards.take(first, kLeader, found));
  CHECK(found.token == ClientToken{1});
  CHECK(forwards.size() == 0);
  forwards.check_invariants();
}

TEST_CASE("what is on its way is bounded in bytes, and the room comes back") {
  Forwards forwards({7}, 100);
  const ForwardId first = forwards.add(pending(1, 60));
  CHECK_FALSE(forwards.has_room(Propose{Bytes(41)}));
  CHECK(forwards.has_room(Propose{Bytes(40)}));
  CHECK(forwards.has_room(Transfer{}));
  Forwards::Pending found;
  REQUIRE(forwards.take(first, kLeader, found));
  CHECK(std::get<Propose>(found.op).command.size() == 60);
  CHECK(forwards.has_room(Propose{Bytes(100)}));
  forwards.check_invariants();
}

TEST_CASE("the bound may shrink below what is on its way: nothing is dropped, nothing added") {
  Forwards forwards({7}, 100);
  const ForwardId id = forwards.add(pending(1, 60));
  forwards.set_bytes_max(50);
  forwards.check_invariants();
  CHECK_FALSE(forwards.has_room(Propose{Bytes(1)}));
  Forwards::Pending found;
  CHECK(forwards.take(id, kLeader, found));
  CHECK(forwards.has_room(Propose{Bytes(50)}));
}

TEST_CASE("one answer that is lost does not stop those behind it, and the table stays bounded") {
  Forwards forwards({7}, 1000);
  forwards.add(pending(1));
  Forwards::Pending found;
  std::size_t answered = 0;
  while (forwards.has_room(Transfer{}) && answered < 10 * limits::kForwardsPendingMax) {
    REQUIRE(forwards.take(forwards.add(pending(2)), kLeader, found));
    ++answered;
  }
  CHECK(answered > limits::kForwardsPendingMax);
  CHECK(answered < 10 * limits::kForwardsPendingMax);
  CHECK(forwards.size() == 1);
  CHECK(forwards.take_all(kLeader).size() == 1);
  CHECK(forwards.has_room(Transfer{}));
}

TEST_CASE("a link that ends gives back what was sent over it, and nothing else") {
  Forwards forwards({7}, 1000);
  forwards.add(pending(1));
  Forwards::Pending other = pending(2);
  other.to = {5};
  const ForwardId kept = forwards.add(std::move(other));
  forwards.add(pending(3));
  const std::vector<Forwards::Pending> ended = forwards.take_all(kLeader);
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].token == ClientToken{1});
  CHECK(ended[1].token == ClientToken{3});
  Forwards::Pending found;
  CHECK(forwards.take(kept, {5}, found));
  forwards.check_invariants();
}

TEST_CASE("a question expires at its deadline; a late answer finds nobody") {
  Forwards forwards({7}, 1000);
  const ForwardId first = forwards.add(pending(1, 10, 100));
  forwards.add(pending(2, 10, 200));
  forwards.add(pending(3, 10, 300));
  CHECK_FALSE(forwards.scan_due(at_ms(99)));
  std::vector<std::uint64_t> expired;
  forwards.scan(at_ms(150), {ClientToken{2}},
                [&](const Forwards::Pending& each) { expired.push_back(each.token.value); });
  CHECK(expired == std::vector<std::uint64_t>{1});  // The second is gone and gets nothing.
  Forwards::Pending found;
  CHECK_FALSE(forwards.take(first, kLeader, found));
  CHECK(forwards.size() == 1);
  CHECK(forwards.next_scan() == at_ms(300));
  forwards.check_invariants();
}

TEST_CASE("cluster time runs while a leader is heard, and stands still without one") {
  ClusterClock clock(milliseconds(100), at_ms(1000));
  clock.advance(at_ms(1050), true);
  CHECK(clock.reading().value == 50);
  clock.advance(at_ms(1090), false);
  CHECK(clock.reading().value == 50);
  clock.advance(at_ms(1100), true);
  CHECK(clock.reading().value == 60);
  CHECK(clock.applied().value == 0);
}

TEST_CASE("a pause of the process is not counted, so nothing expires early") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  clock.advance(at_ms(3'600'000), true);
  CHECK(clock.reading().value == 100);
}

TEST_CASE("cluster time at an entry comes from stamps alone and never goes back") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  CHECK(clock.apply({500}).value == 500);
  CHECK(clock.apply({400}).value == 500);
  CHECK(clock.reading().value == 500);
  clock.advance(at_ms(30), true);
  CHECK(clock.reading().value == 530);
  CHECK(clock.applied().value == 500);
  CHECK(clock.apply({510}).value == 510);
  CHECK(clock.reading().value == 530);
}

TEST_CASE("a stamp that no clock can have given does not overflow the clock") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  const machine::ClusterTime at = clock.apply({~0ULL});
  clock.advance(at_ms(50), true);
  CHECK(clock.reading() >= at);
  CHECK(clock.apply({1}) == at);
}

}  // namespace raftd::node
