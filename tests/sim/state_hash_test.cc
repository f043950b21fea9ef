// States that stray, on the whole cluster by hand: who notices, who serves, and how it ends.
#include <doctest/doctest.h>

#include "sim/playground.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void write(Playground& p, std::size_t node, int count) {
  for (int i = 0; i < count; ++i)
    p.put(node, "k" + std::to_string(i % 7), "v" + std::to_string(i));
}

bool doubts(const Playground& p, std::size_t node) {
  return p.cluster.running(node) && p.cluster.status(node).doubt.has_value();
}

bool equal(const Playground& p) {
  const std::size_t leader = *p.cluster.leader();
  for (std::size_t i = 0; i < p.cluster.size(); ++i) {
    if (!p.cluster.running(i) || p.cluster.status(i).doubt) return false;
    if (p.cluster.status(i).applied != p.cluster.status(leader).last) return false;
    if (p.cluster.store(i).digest() != p.cluster.store(leader).digest()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a follower whose state strays refuses all, and soon has the others' state again") {
  for (const std::uint64_t snapshots : {0U, 30U}) {
    CAPTURE(snapshots);
    Options options = calm(3);
    options.snapshot_entries = snapshots;
    Playground p(options);
    write(p, p.leader, 10);
    p.cluster.stray(p.follower);
    write(p, p.leader, 5);
    REQUIRE(p.cluster.strayed(p.follower));
    for (int i = 0; i < 70 && !doubts(p, p.follower); ++i)
      p.put(p.leader, "more", std::to_string(i));
    const bool noticed = p.cluster.run_until([&] { return doubts(p, p.follower); }, seconds(1));
    REQUIRE(noticed);
    const auto read = p.cluster.get(p.follower, "k1");
    const auto put = p.cluster.put(p.follower, "k1", "x");
    p.await(read);
    p.await(put);
    CHECK(refused(*read) == Errc::kNotReady);
    CHECK(refused(*put) == Errc::kNotReady);
    CHECK(done(*p.put(p.leader, "others", "go on")));
    REQUIRE(p.cluster.run_until([&] { return equal(p); }, seconds(10)));
    CHECK(p.cluster.status(p.follower).reloads == 1);
    CHECK(p.cluster.status(p.follower).doubts == 1);
    CHECK_FALSE(p.cluster.strayed(p.follower));
    CHECK(p.get(p.follower, "others") == "go on");
    CHECK(done(*p.put(p.follower, "k1", "again")));
  }
}

TEST_CASE("a cluster in which nobody writes reloads a follower as well") {
  Playground p(calm(3));
  p.cluster.stray(p.follower);
  while (p.cluster.status(p.leader).applied.value % limits::kStateHashEntries != 0)
    p.put(p.leader, "k", "x");
  REQUIRE(
      p.cluster.run_until([&] { return p.cluster.status(p.follower).reloads == 1; }, seconds(10)));
  CHECK(equal(p));
}

TEST_CASE(
    "[F56] a leader whose state strays hands over and is reloaded; nothing acknowledged is lost") {
  Playground p(calm(5));
  p.cluster.stray(p.leader);
  int written = 0;
  for (int i = 0; i < 200; ++i) {
    const std::size_t node = p.cluster.leader().value_or(p.leader);
    const auto asked = p.cluster.put(node, "n" + std::to_string(written), "here");
    REQUIRE(p.await(asked));
    if (done(*asked) != nullptr) ++written;
    p.cluster.run_for(milliseconds(5));
  }
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && equal(p); }, seconds(20)));
  CHECK(*p.cluster.leader() != p.leader);
  CHECK(p.cluster.status(p.leader).reloads == 1);
  for (int i = 0; i < written; ++i)
    CHECK(p.get(p.leader, "n" + std::to_string(i)) == "here");
}

TEST_CASE("two nodes cannot tell who is right: both refuse, until one of them starts again") {
  Playground p(calm(2));
  p.cluster.stray(p.follower);
  for (int i = 0; i < 80 && !doubts(p, p.leader); ++i)
    p.cluster.put(p.leader, "k", "v" + std::to_string(i)), p.cluster.run_for(milliseconds(20));
  p.cluster.run_for(seconds(5));
  CHECK(doubts(p, p.leader));
  CHECK(doubts(p, p.follower));
  CHECK(p.cluster.leader().has_value());
  const auto read = p.cluster.get(p.leader, "k");
  p.await(read);
  CHECK(refused(*read) == Errc::kNotReady);
  // What is on its disk is right: it was the memory that strayed.
  p.cluster.kill(p.follower, false);
  p.cluster.start(p.follower);
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && equal(p); }, seconds(20)));
  CHECK(done(*p.put(p.leader, "k", "again")));
}

TEST_CASE("a node that is reloaded keeps no snapshot of the state that it had") {
  Options options = calm(3);
  options.snapshot_entries = 5;
  options.snapshot_bytes = 100;
  Playground p(options);
  write(p, p.leader, 70);
  p.cluster.stray(p.follower);
  write(p, p.leader, 70);
  REQUIRE(
      p.cluster.run_until([&] { return p.cluster.status(p.follower).reloads == 1; }, seconds(10)));
  p.cluster.run_for(seconds(1));
  p.cluster.kill(p.follower, true);
  p.cluster.start(p.follower);
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && equal(p); }, seconds(20)));
  CHECK(p.cluster.status(p.follower).doubts == 0);
}

TEST_CASE("a node that is killed while it is reloaded begins anew, and ends with the right state") {
  Options options = calm(3);
  options.snapshot_entries = 5;
  options.snapshot_bytes = 100;
  options.bandwidth = 20'000;
  Playground p(options);
  for (int i = 0; i < 60; ++i)
    p.put(p.leader, "big" + std::to_string(i), std::string(1000, 'x'));
  p.cluster.stray(p.follower);
  for (int i = 0; i < 300 && !doubts(p, p.follower); ++i) {
    p.put(p.leader, "k", "v" + std::to_string(i));
    p.cluster.run_for(milliseconds(10));
  }
  REQUIRE(doubts(p, p.follower));
  p.cluster.run_for(milliseconds(500));
  p.cluster.kill(p.follower, true);
  p.cluster.start(p.follower);
  for (int i = 0; i < 80; ++i)
    p.put(p.leader, "k", "w" + std::to_string(i));
  REQUIRE(p.cluster.run_until([&] { return equal(p); }, seconds(60)));
}

TEST_CASE(
    "memory that rots is found by the next snapshot, which nobody gets; then it is replaced") {
  for (const bool at_leader : {false, true}) {
    CAPTURE(at_leader);
    Options options = calm(3);
    options.snapshot_entries = 30;
    options.snapshot_bytes = 100;
    Playground p(options);
    const std::size_t node = at_leader ? p.leader : p.follower;
    write(p, p.follower, 40);
    p.cluster.rot_memory(node);
    const auto newest = [&] { return p.cluster.status(node).snapshot->index; };
    const raft::Index before = newest();
    for (int i = 0; i < 200 && p.cluster.status(node).doubts == 0; ++i) {
      p.cluster.put((node + 1) % 3, "k", "v" + std::to_string(i));
      p.cluster.run_for(milliseconds(10));
    }
    REQUIRE(p.cluster.status(node).doubts == 1);
    if (doubts(p, node)) {
      CHECK(p.cluster.status(node).doubt->why == node::StateDoubt::Why::kDamaged);
      CHECK(newest() == before);
    }
    REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && equal(p); }, seconds(20)));
    CHECK(p.cluster.status(node).reloads == 1);
    if (at_leader) CHECK(*p.cluster.leader() != node);
  }
}

TEST_CASE("a node without others whose memory rots refuses all until it is started again") {
  Options options = calm(1);
  options.snapshot_entries = 30;
  options.snapshot_bytes = 100;
  Playground p(options);
  write(p, 0, 10);
  p.cluster.rot_memory(0);
  for (int i = 0; i < 100 && !doubts(p, 0); ++i) {
    p.cluster.put(0, "k", "v" + std::to_string(i));
    p.cluster.run_for(milliseconds(10));
  }
  REQUIRE(doubts(p, 0));
  p.cluster.run_for(seconds(5));
  const auto read = p.cluster.get(0, "k");
  p.await(read);
  CHECK(refused(*read) == Errc::kNotReady);
  p.cluster.kill(0, false);
  p.cluster.start(0);
  REQUIRE(p.await_leader());
  CHECK(p.get(0, "k1") == "v8");
}

}  // namespace raftd::sim
