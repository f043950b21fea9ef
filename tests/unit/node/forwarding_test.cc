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

std::optional<ClusterClock::Heard> heard(std::uint64_t term, int ms) {
  return ClusterClock::Heard{{term}, at_ms(ms)};
}

TEST_CASE("cluster time runs while a leader is heard, and stands still without one") {
  ClusterClock clock(milliseconds(100), at_ms(1000));
  clock.advance(at_ms(1050), heard(1, 1040));
  CHECK(clock.reading().value == 50);
  clock.advance(at_ms(1090), std::nullopt);
  CHECK(clock.reading().value == 50);
  clock.advance(at_ms(1100), heard(2, 1095));
  CHECK(clock.reading().value == 60);
  CHECK(clock.applied().value == 0);
}

TEST_CASE("a pause of the process is not counted, so nothing expires early") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  CHECK_FALSE(clock.advance(at_ms(0), heard(1, 0)));
  CHECK(clock.advance(at_ms(3'600'000),
                      heard(1, 3'600'000)));  // Whoever acts on the time has to know.
  CHECK(clock.reading().value == 100);
}

TEST_CASE("a follower is never ahead of a leader that only paused, nor behind one that died") {
  const auto silent = [] {
    ClusterClock clock(milliseconds(100), at_ms(0));
    clock.advance(at_ms(0), heard(1, 0));
    clock.advance(at_ms(90), heard(1, 80));
    clock.advance(at_ms(150), heard(1, 80));
    clock.advance(at_ms(240), heard(1, 80));
    CHECK(clock.reading().value == 240);
    return clock;
  };
  ClusterClock paused = silent();
  paused.advance(at_ms(300), heard(1, 290));
  CHECK(paused.reading().value == 190);  // 80, as much of the pause as counts, and 10 since.
  paused.advance(at_ms(310), heard(1, 305));
  CHECK(paused.reading().value == 200);
  ClusterClock given_up = silent();
  given_up.advance(at_ms(500), std::nullopt);
  CHECK(given_up.reading().value == 240);
  given_up.advance(at_ms(510), heard(1, 505));  // Nobody else was elected.
  CHECK(given_up.reading().value == 185);
  ClusterClock died = silent();
  died.advance(at_ms(300), heard(2, 290));
  CHECK(died.reading().value == 300);
  ClusterClock told = silent();
  told.apply({260});  // It had counted more than this node.
  told.advance(at_ms(300), heard(1, 290));
  CHECK(told.reading().value == 270);
}

TEST_CASE("cluster time at an entry comes from stamps alone and never goes back") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  CHECK(clock.apply({500}).value == 500);
  CHECK(clock.apply({400}).value == 500);
  CHECK(clock.reading().value == 500);
  clock.advance(at_ms(30), heard(1, 30));
  CHECK(clock.reading().value == 530);
  CHECK(clock.applied().value == 500);
  CHECK(clock.apply({510}).value == 510);
  CHECK(clock.reading().value == 530);
}

TEST_CASE(
    "who is ahead of the next leader goes back to its first stamp, so that nothing ends early") {
  const auto ahead = [] {
    ClusterClock clock(milliseconds(100), at_ms(0));
    clock.apply({500}, {1}, false);
    clock.advance(at_ms(0), heard(1, 0));
    clock.advance(at_ms(90), heard(1, 90));
    CHECK(clock.reading().value == 590);
    return clock;
  };
  ClusterClock follower = ahead();
  CHECK(follower.apply({520}, {2}, false).value == 520);
  CHECK(follower.reading().value == 520);
  follower.advance(at_ms(120), heard(2, 120));
  CHECK(follower.apply({530}, {2}, false).value == 530);  // The leader's own way to this node.
  CHECK(follower.reading().value == 550);
  ClusterClock leader = ahead();
  CHECK(leader.apply({520}, {2}, true).value == 520);  // It has stamped others since.
  CHECK(leader.reading().value == 590);
}

TEST_CASE("a stamp that no clock can have given does not overflow the clock") {
  ClusterClock clock(milliseconds(100), at_ms(0));
  const machine::ClusterTime at = clock.apply({~0ULL});
  clock.advance(at_ms(50), heard(1, 50));
  CHECK(clock.reading() >= at);
  CHECK(clock.apply({1}) == at);
}

}  // namespace raftd::node
