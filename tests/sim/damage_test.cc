// Disks that fail, lie and rot, clocks that leap and links that come and go, played by hand: what a
// node may do then, and what it may not.
#include <doctest/doctest.h>

#include "sim/playground.h"
#include "sim/workload.h"

namespace raftd::sim {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Small segments, so that there is more than one.
Options small(std::size_t nodes) {
  Options options = calm(nodes);
  options.segment_bytes = 16 * limits::kBlockBytes;
  return options;
}

void write_some(Playground& p, std::size_t node, int count) {
  for (int i = 0; i < count; ++i)
    REQUIRE(done(*p.put(node, "k" + std::to_string(i), "x")));
}

// All that run come to the same state.
bool settle(Playground& p, std::size_t node) {
  return p.cluster.run_until(
      [&] {
        const auto leader = p.cluster.leader();
        return leader && p.cluster.running(node) &&
               p.cluster.status(node).applied == p.cluster.status(*leader).last;
      },
      seconds(20));
}

// Some fault that has no other place to come from.
void hit(Cluster& cluster, Rng& rng) {
  const std::size_t node = rng.below(cluster.size());
  const std::size_t other = (node + 1 + rng.below(cluster.size())) % cluster.size();
  const auto lasting = between(rng, milliseconds(20), seconds(2));
  switch (rng.below(12)) {
    case 0:
      return cluster.break_disk(node, DiskFault::kWriteError);
    case 1:
      return cluster.break_disk(node, DiskFault::kSyncError);
    case 2:
      return cluster.break_disk(node, DiskFault::kReadError);
    case 3:
      return cluster.slow_disk(node, milliseconds(1 + rng.below(300)), lasting);
    case 4:
      return cluster.stick_disk(node, lasting);
    case 5:
      cluster.damage(node, static_cast<Cluster::Damage>(rng.below(5)));
      return;
    case 6:
      return cluster.jump_clock(node, lasting * (1 + rng.below(1800)));
    case 7:
      if (other != node) cluster.network().flap(node, other, milliseconds(20), lasting);
      return;
    case 8:
      if (other != node) cluster.network().clog(node, other, lasting);
      return;
    case 9:
      return cluster.network().swizzle(node, lasting);
    case 10:
      return cluster.kill(node, rng.one_in(2));
    default:
      return cluster.pause(node, lasting);
  }
}

}  // namespace

TEST_CASE("[F34] a failed write or sync ends the process at once, and what it promised is there") {
  for (const DiskFault fault : {DiskFault::kWriteError, DiskFault::kSyncError}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      Playground p(small(3), seed);
      write_some(p, p.leader, 10);
      const std::size_t victim = seed % 2 == 0 ? p.leader : p.follower;
      p.cluster.break_disk(victim, fault);
      const auto asked = p.cluster.put(victim, "k", "on the broken disk");
      p.cluster.run_for(milliseconds(100));
      CHECK_FALSE(p.cluster.running(victim));
      CHECK(p.cluster.coverage().disk_errors == 1);
      REQUIRE(p.await_leader());
      p.cluster.start(victim);
      CHECK(settle(p, victim));
      CHECK(p.get(victim, "k9") == "x");
    }
  }
}

TEST_CASE("a directory that cannot be read is refused, and taken when it can be read") {
  Playground p(small(3));
  write_some(p, p.leader, 10);
  p.cluster.kill(p.follower, true);
  p.cluster.break_disk(p.follower, DiskFault::kReadError);
  p.cluster.start(p.follower);
  CHECK_FALSE(p.cluster.running(p.follower));
  CHECK_FALSE(p.cluster.lost(p.follower));
  CHECK(p.cluster.coverage().starts_without_reads == 1);
  p.cluster.start(p.follower);
  CHECK(settle(p, p.follower));
}

TEST_CASE(
    "[F45] a flipped bit or a zeroed sector is refused, harmless, or in the very last frame") {
  Coverage total;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Playground p(small(3), seed);
    write_some(p, p.leader, 20);
    if (seed % 2 == 0) p.cluster.run_for(seconds(3));  // The idle mark is written.
    const bool at_rest = seed % 4 < 2;
    if (at_rest) p.cluster.kill(p.follower, true);
    REQUIRE(p.cluster.damage(
        p.follower, seed % 3 == 0 ? Cluster::Damage::kZeroSector : Cluster::Damage::kBitFlip));
    CHECK_FALSE(
        p.cluster.damage(p.leader, Cluster::Damage::kBitFlip));  // It would be one too many.
    write_some(p, p.leader, 5);
    if (!at_rest) p.cluster.kill(p.follower, false);
    p.cluster.start(p.follower);
    CHECK(p.cluster.lost(p.follower) != p.cluster.running(p.follower));
    total.add(p.cluster.coverage());
    const bool repaired = p.cluster.coverage().log_repairs > 0;
    CHECK(p.cluster.owes(p.follower) == repaired);
    // Nobody else is disturbed, and a damage without consequence has none.
    write_some(p, p.leader, 5);
    if (p.cluster.running(p.follower)) CHECK(settle(p, p.follower));
    CHECK(p.cluster.run_until([&] { return !p.cluster.owes(p.follower); }, seconds(20)));
  }
  CHECK(total.damage == 60);
  CHECK(total.log_repairs > 5);
  CHECK(total.log_repairs + total.log_repairs_refused == total.damage_refused);
  CHECK(total.damage_refused > 10);
  CHECK(total.damage_refused + total.damage_harmless + total.damage_unnoticed == 60);
}

TEST_CASE(
    "[F46] a write that goes astray is refused at the next start, if anything came after it") {
  Coverage total;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Playground p(small(3), seed);
    write_some(p, p.leader, 10);
    REQUIRE(p.cluster.damage(
        p.follower, seed % 2 == 0 ? Cluster::Damage::kLostWrite : Cluster::Damage::kMisdirected));
    const int after = static_cast<int>(seed % 3);
    write_some(p, p.leader, 1 + after);
    p.cluster.run_for(milliseconds(20));
    p.cluster.kill(p.follower, seed % 5 != 0);
    p.cluster.start(p.follower);
    const bool repaired = p.cluster.coverage().log_repairs == 1;
    CHECK(p.cluster.lost(p.follower) != repaired);
    if (after > 0) CHECK(p.cluster.coverage().damage_refused == 1);
    total.add(p.cluster.coverage());
    write_some(p, p.leader, 5);
    if (repaired) CHECK(settle(p, p.follower));
  }
  CHECK(total.damage_refused + total.damage_unnoticed == 60);
  CHECK(total.damage_unnoticed > 0);
}

TEST_CASE("[F45] a repaired node crowns nobody who lacks what its lost log had acknowledged") {
  int repaired = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Playground p(small(3), seed);
    const std::size_t behind = 3 - p.leader - p.follower;
    write_some(p, p.leader, 10);
    p.cluster.kill(behind, false);
    write_some(p, p.leader, 10);  // On the leader and the follower alone.
    p.cluster.run_for(milliseconds(50));
    p.cluster.kill(p.follower, false);
    REQUIRE(p.cluster.damage(p.follower, Cluster::Damage::kBitFlip));
    p.cluster.start(p.follower);
    if (p.cluster.coverage().log_repairs == 0) continue;
    ++repaired;
    p.cluster.kill(p.leader, false);
    p.cluster.start(behind);
    p.cluster.run_for(seconds(20));
    CHECK(!p.cluster.leader());
    p.cluster.start(p.leader);
    CHECK(settle(p, p.follower));
    CHECK(settle(p, behind));
    CHECK(p.get(behind, "k9") == "x");
  }
  CHECK(repaired >= 10);
}

TEST_CASE("[F64] a wiped data directory is refused: it would vote again") {
  Playground p(small(3));
  write_some(p, p.leader, 10);
  REQUIRE(p.cluster.damage(p.follower, Cluster::Damage::kWipe));
  p.cluster.start(p.follower);
  CHECK_FALSE(p.cluster.running(p.follower));
  CHECK(p.cluster.lost(p.follower));
  write_some(p, p.leader, 5);
}

TEST_CASE("no space in the middle of making a file leaves nothing that a start stumbles over") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Playground p(small(1), seed);
    p.cluster.disk(0).set_full(true);
    for (int i = 0; i < 40; ++i)
      p.put(0, "k" + std::to_string(i), std::string(2000, 'x'));
    CHECK(p.cluster.status(0).disk_full);
    p.cluster.kill(0, true);
    p.cluster.start(0);
    REQUIRE(p.cluster.running(0));
    p.cluster.disk(0).set_full(false);
    p.cluster.run_for(seconds(3));
    REQUIRE(p.await_leader());
    CHECK(done(*p.put(0, "again", "x")));
  }
}

TEST_CASE("a node that stops with a full and stuck disk sleeps until its last frame is synced") {
  Playground p(small(1));
  p.cluster.disk(0).set_full(true);
  for (int i = 0; i < 40; ++i)
    p.put(0, "k" + std::to_string(i), std::string(2000, 'x'));
  REQUIRE(p.cluster.status(0).disk_full);
  p.cluster.run_for(milliseconds(500));
  p.cluster.stick_disk(0, seconds(5));
  const std::uint64_t before = p.cluster.schedule().count();
  p.cluster.stop(0, seconds(10));
  p.cluster.schedule().end_after(before + 20'000);
  CHECK_NOTHROW(p.cluster.run_for(seconds(8)));
  CHECK_FALSE(p.cluster.running(0));
}

TEST_CASE(
    "[F16] a leader with a slow disk stays leader; with a stuck one, all is well afterwards") {
  Playground p(calm(3));
  p.cluster.slow_disk(p.leader, milliseconds(300), seconds(20));
  for (int i = 0; i < 20; ++i)
    CHECK(done(*p.put(p.follower, "k", "x")));
  CHECK(p.cluster.leader() == p.leader);
  p.cluster.stick_disk(p.leader, seconds(10));
  for (int i = 0; i < 5; ++i)
    p.put(p.leader, "k", "x");
  p.cluster.run_for(seconds(12));
  REQUIRE(p.await_leader());
  CHECK(done(*p.put(p.leader, "k", "x")));
}

TEST_CASE("[F69] a clock that leaps an hour ahead costs at most an election, and no wrong answer") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Playground p(calm(3), seed);
    REQUIRE(done(*p.put(p.leader, "k", "old")));
    const auto read = p.cluster.get(p.follower, "k");
    p.cluster.jump_clock(p.leader, hours(1));
    p.cluster.jump_clock(p.follower, seconds(1));
    p.cluster.run_for(milliseconds(10));
    REQUIRE(p.await(read));
    if (done(*read)) CHECK(value(*read) == "old");
    REQUIRE(p.await_leader());
    p.cluster.run_for(seconds(1));
    CHECK(done(*p.put(p.follower, "k", "new")));
    CHECK(p.get(p.leader, "k") == "new");
  }
}

TEST_CASE("[F67] a leader that stood still for an hour answers nothing with what it had then") {
  Options options = calm(3);
  options.heartbeat = milliseconds(500);
  options.election = seconds(2);
  Playground p(options);
  REQUIRE(done(*p.put(p.leader, "k", "old")));
  p.cluster.pause(p.leader, hours(1));
  const auto early = p.cluster.get(p.leader, "k", seconds(5));
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() != p.leader; }, seconds(20)));
  REQUIRE(p.await_leader());
  REQUIRE(done(*p.put(*p.cluster.leader(), "k", "new")));
  p.cluster.run_for(hours(1));
  REQUIRE(p.await(early));
  if (done(*early)) CHECK(value(*early) == "new");
  REQUIRE(p.await_leader());
  CHECK(p.get(p.leader, "k") == "new");
}

TEST_CASE(
    "[F11] links that flap, clog, heal in another order or are slow keep no quorum from work") {
  Options options = calm(5);
  options.bandwidth = 200'000;
  options.late_percent = 50;
  Playground p(options);
  Workload workload(p.cluster, 7);
  workload.start();
  SimNetwork& network = p.cluster.network();
  for (int round = 0; round < 10; ++round) {
    network.flap(p.leader, p.follower, milliseconds(20), seconds(2));
    network.clog((p.leader + 2) % 5, p.leader, milliseconds(700));
    p.cluster.run_for(seconds(1));
    network.swizzle((p.leader + 3) % 5, seconds(2));
    network.reset(p.leader, (p.leader + 2) % 5);
    p.cluster.run_for(seconds(3));
  }
  workload.forget_successes();
  CHECK(p.cluster.run_until([&] { return workload.all_succeeded(); }, seconds(20)));
  workload.stop();
  CHECK(p.cluster.run_until([&] { return workload.idle(); }, seconds(10)));
  workload.check_histories();
  CHECK(p.cluster.network().late() > 0);
}

TEST_CASE("all of it at once, and the nodes whose disks are whole come to the same state") {
  Coverage total;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Options options = draw_options(seed);
    options.late_percent = 10;
    options.late_timer_percent = 5;
    Cluster cluster(seed, options);
    Workload workload(cluster, seed + 1);
    Rng rng(seed + 2);
    workload.start();
    for (int step = 0; step < 60; ++step) {
      cluster.run_for(between(rng, {}, milliseconds(400)));
      hit(cluster, rng);
      for (std::size_t node = 0; node < cluster.size(); ++node) {
        if (rng.one_in(4)) cluster.start(node);
      }
    }
    cluster.be_kind();
    for (std::size_t node = 0; node < cluster.size(); ++node)
      cluster.start(node);
    workload.forget_successes();
    REQUIRE(cluster.run_until([&] { return workload.all_succeeded(); }, seconds(40)));
    workload.stop();
    const auto converged = [&] {
      for (std::size_t node = 0; node < cluster.size(); ++node) {
        if (cluster.lost(node)) continue;
        if (cluster.status(node).applied != cluster.oracle().last()) return false;
      }
      return workload.idle();
    };
    REQUIRE(cluster.run_until(converged, seconds(40)));
    cluster.oracle().check_refused();
    workload.check_histories();
    cluster.collect_coverage();
    total.add(cluster.coverage());
  }
  CHECK(total.disk_errors > 10);
  CHECK(total.slow_disks > 10);
  CHECK(total.damage > 5);
  CHECK(total.damage_refused > 0);
  CHECK(total.clock_jumps > 10);
  CHECK(total.late_messages > 0);
}

}  // namespace raftd::sim
