#include "sim/options.h"

#include <algorithm>

#include "sim/schedule.h"

namespace raftd::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Whole microseconds, so that a script says them shortly.
Duration draw(Rng& rng, Duration low, Duration high) {
  return std::chrono::floor<microseconds>(between(rng, low, high));
}

Duration maybe(Rng& rng, std::uint64_t percent, Duration low, Duration high) {
  return chance(rng, percent) ? std::chrono::floor<milliseconds>(draw(rng, low, high)) : Duration{};
}

// Often enough that followers need them, and that some are always being made or sent.
void draw_snapshots(Rng& rng, Options& options) {
  if (!chance(rng, 60)) return;
  options.snapshot_entries = 5 + rng.below(chance(rng, 50) ? 20 : 400);
  options.snapshot_bytes = limits::kKiB * (1 + rng.below(256));
  options.snapshots_kept = 1 + rng.below(3);
}

// As likely between 1 and 10 as between 100 and 1000.
std::uint64_t magnitude(Rng& rng, std::uint64_t most) {
  std::uint64_t bound = most;
  while (bound > 10 && rng.one_in(2))
    bound /= 10;
  return 1 + rng.below(bound);
}

void draw_nodes(Rng& rng, Options& options) {
  constexpr std::size_t kSizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7};
  options.nodes = kSizes[rng.below(std::size(kSizes))];
  options.heartbeat = milliseconds(20 + rng.below(60));
  options.election = options.heartbeat * (3 + rng.below(6));
  options.pre_vote = !chance(rng, 15);
  options.check_quorum = !chance(rng, 15);
  // From one small entry at a time.
  if (chance(rng, 40)) options.max_inflight_bytes = 100 + rng.below(4 * limits::kKiB);
  if (chance(rng, 20)) options.max_pending_bytes = 4 * limits::kKiB;
  options.priorities = chance(rng, 30);
  options.segment_bytes = limits::kBlockBytes * (3 + rng.below(chance(rng, 50) ? 8 : 200));
}

void draw_clients(Rng& rng, Options& options) {
  options.clients = magnitude(rng, 20);
  options.keys = magnitude(rng, 1000);
  options.skew = static_cast<double>(rng.below(21)) / 10;
  options.key_life = draw(rng, milliseconds(500), seconds(3));
  options.think = draw(rng, milliseconds(2), milliseconds(120));
  options.timeout = draw(rng, milliseconds(100), seconds(2));
  options.reads_percent = rng.below(101);
  options.stale_percent = rng.below(50);
  options.lists_percent = chance(rng, 50) ? rng.below(40) : 0;
  options.repeat_percent = rng.below(101);
  options.abandon_percent = chance(rng, 50) ? rng.below(10) : 0;
  options.value_bytes = magnitude(rng, 100);
  // Large ones are rare: they take the time of many small ones.
  if (chance(rng, 8)) options.value_bytes = magnitude(rng, 64 * limits::kKiB);
}

void draw_network(Rng& rng, Options& options) {
  options.delay_max = draw(rng, microseconds(200), milliseconds(20));
  options.loss_percent = chance(rng, 30) ? rng.below(31) : 0;
  options.duplicate_percent = chance(rng, 30) ? rng.below(31) : 0;
  options.slow_percent = chance(rng, 30) ? rng.below(10) : 0;
  options.late_percent = chance(rng, 30) ? rng.below(50) : 0;
  if (chance(rng, 15)) options.bandwidth = 20'000 + rng.below(1'000'000);
  options.partition_every = maybe(rng, 60, milliseconds(300), seconds(5));
  options.reset_every = maybe(rng, 50, milliseconds(100), seconds(3));
  options.flap_every = maybe(rng, 20, seconds(1), seconds(8));
  options.clog_every = maybe(rng, 30, milliseconds(300), seconds(5));
  options.swizzle_every = maybe(rng, 20, seconds(1), seconds(8));
}

void draw_machines(Rng& rng, Options& options) {
  options.clock_rate_spread = chance(rng, 50) ? static_cast<std::int64_t>(rng.below(101)) : 0;
  options.late_timer_percent = chance(rng, 20) ? rng.below(20) : 0;
  options.loop_delay = draw(rng, microseconds(10), milliseconds(2));
  options.crash_every = maybe(rng, 60, milliseconds(400), seconds(6));
  options.power_loss_every = maybe(rng, 40, seconds(1), seconds(10));
  options.power_loss_all_every = maybe(rng, 20, seconds(2), seconds(20));
  options.pause_every = maybe(rng, 50, milliseconds(500), seconds(5));
  options.jump_clock_every = maybe(rng, 20, milliseconds(500), seconds(8));
  options.transfer_every = maybe(rng, 40, milliseconds(300), seconds(4));
  options.stop_every = maybe(rng, 30, seconds(2), seconds(8));
  options.aim_at_leader_percent = rng.below(101);
}

void draw_disks(Rng& rng, Options& options) {
  options.sync_max = draw(rng, microseconds(200), milliseconds(30));
  options.stall_per_mille = chance(rng, 30) ? rng.below(10) : 0;
  options.disk_full_every = maybe(rng, 15, seconds(2), seconds(8));
  options.break_disk_every = maybe(rng, 25, seconds(1), seconds(8));
  options.slow_disk_every = maybe(rng, 15, seconds(2), seconds(10));
  options.stuck_disk_every = maybe(rng, 10, seconds(2), seconds(15));
  options.damage_every = maybe(rng, 15, seconds(2), seconds(20));
}

// What all can do without: a cluster that is hardly hurt.
void be_light(Rng& rng, Options& options) {
  Options light;
  light.nodes = 1 + 2 * rng.below(3);
  light.chaos = seconds(10);
  light.clients = options.clients;
  light.keys = options.keys;
  light.reads_percent = options.reads_percent;
  light.crash_every = options.crash_every;
  light.partition_every = options.partition_every;
  options = light;
  options.burst_every = maybe(rng, 50, milliseconds(300), seconds(2));
}

void be_hard_on_disks(Rng& rng, Options& options) {
  options.nodes = std::max<std::size_t>(options.nodes, 3);
  options.segment_bytes = limits::kBlockBytes * (3 + rng.below(8));
  options.reads_percent /= 4;
  options.power_loss_every = maybe(rng, 100, milliseconds(300), seconds(4));
  options.power_loss_all_every = maybe(rng, 50, seconds(1), seconds(10));
  options.break_disk_every = maybe(rng, 70, milliseconds(500), seconds(4));
  options.slow_disk_every = maybe(rng, 40, seconds(1), seconds(8));
  options.disk_full_every = maybe(rng, 40, seconds(1), seconds(8));
  options.damage_every = maybe(rng, 60, seconds(1), seconds(10));
  if (options.damage_every != Duration{}) options.stray_every = {};
}

// Leaders that stand still, are cut off or have other clocks, and do not know that they are
// deposed.
void ask_a_lot(Rng& rng, Options& options) {
  options.nodes = std::max<std::size_t>(options.nodes, 3);
  options.reads_percent = 60 + rng.below(36);
  options.think = draw(rng, milliseconds(2), milliseconds(30));
  options.clock_rate_spread = static_cast<std::int64_t>(rng.below(101));
  options.aim_at_leader_percent = 60 + rng.below(41);
  options.pause_every = maybe(rng, 80, milliseconds(200), seconds(3));
  options.partition_every = maybe(rng, 80, milliseconds(200), seconds(3));
  options.jump_clock_every = maybe(rng, 40, milliseconds(300), seconds(4));
  options.transfer_every = maybe(rng, 50, milliseconds(200), seconds(3));
}

// Damage is for runs whose quorums stay the same. A disk that is lost for good is missed by whoever
// counts it, and others come in its place.
void lose_disks(Rng& rng, Options& options) {
  if (!chance(rng, 50)) return;
  options.lose_disk_every = draw(rng, seconds(1), seconds(8));
  // A machine that comes needs some time to be a voter.
  options.change_members_every = draw(rng, seconds(2), seconds(15));
  options.chaos = seconds(30);
  options.fresh = 1 + rng.below(2);
  options.spares += options.fresh;
  options.nodes += options.fresh;
}

void change_members(Rng& rng, Options& options) {
  options.nodes = 2 + rng.below(6);
  options.check_quorum = true;  // Without it, who is removed and does not know disturbs for ever.
  options.damage_every = {};
  options.stray_every = {};
  options.change_members_every = draw(rng, milliseconds(100), seconds(3));
  options.aim_at_leader_percent = 30 + rng.below(71);
  options.crash_every = maybe(rng, 70, milliseconds(300), seconds(4));
  options.partition_every = maybe(rng, 70, milliseconds(200), seconds(4));
  options.transfer_every = maybe(rng, 40, milliseconds(300), seconds(4));
  options.spares = rng.below(options.nodes);
  options.join_every = maybe(rng, 60, milliseconds(200), seconds(4));
}

// Snapshots in between, leaders that go, and few other faults: much is asked for in little time.
void coordinate(Rng& rng, Options& options) {
  options.nodes = 1 + 2 * rng.below(3);
  options.chaos = seconds(10);
  options.coordinators = 3 + rng.below(5);
  options.clients = 1 + rng.below(2);
  options.think = draw(rng, milliseconds(2), milliseconds(40));
  options.value_bytes = std::min<std::size_t>(options.value_bytes, 100);
  options.clock_rate_spread = chance(rng, 30) ? static_cast<std::int64_t>(rng.below(101)) : 0;
  options.late_timer_percent = 0;
  if (options.nodes < 3) options.stray_every = {};  // Nobody would overrule it.
  options.pause_every = maybe(rng, 30, milliseconds(500), seconds(5));
  options.jump_clock_every = maybe(rng, 20, milliseconds(500), seconds(8));
  options.transfer_every = maybe(rng, 50, milliseconds(300), seconds(4));
}

}  // namespace

std::optional<Profile> profile_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kProfileNames); ++i) {
    if (kProfileNames[i] == name) return static_cast<Profile>(i);
  }
  return std::nullopt;
}

Options draw_options(std::uint64_t seed, Profile profile) {
  Rng rng(stream(seed, Stream::kOptions));
  Options options;
  draw_nodes(rng, options);
  draw_clients(rng, options);
  draw_network(rng, options);
  draw_machines(rng, options);
  draw_disks(rng, options);
  // What a window of one entry lets through in time, or all that waits would have to drain first
  // when the faults stop.
  if (options.max_inflight_bytes < 8 * limits::kKiB) {
    options.max_pending_bytes =
        std::min(options.max_pending_bytes,
                 16 * options.max_inflight_bytes + 4 * options.value_bytes + 4 * limits::kKiB);
  }
  Rng own(stream(seed, Stream::kSnapshots));
  draw_snapshots(own, options);
  // Who shall overrule a state that is wrong has to be there; and one node of a run is enough.
  if (options.nodes >= 3 && options.damage_every == Duration{}) {
    options.stray_every = maybe(own, 20, seconds(2), seconds(10));
  }
  options.repair = chance(own, 75);
  switch (profile) {
    case Profile::kSwarm:
      break;
    case Profile::kLite:
      be_light(rng, options);
      break;
    case Profile::kDisk:
      be_hard_on_disks(rng, options);
      break;
    case Profile::kReads:
      ask_a_lot(rng, options);
      break;
    case Profile::kBeyond:
      be_hard_on_disks(rng, options);
      options.damage_beyond = true;
      options.damage_every = maybe(rng, 100, milliseconds(500), seconds(4));
      options.stray_every = {};
      break;
    case Profile::kMembership: {
      Rng losses(stream(seed, Stream::kLosses));
      change_members(rng, options);
      lose_disks(losses, options);
      break;
    }
    case Profile::kStore:
      break;
  }
  Rng coordination(stream(seed, Stream::kCoordination));
  if (profile == Profile::kStore) {
    coordinate(coordination, options);
  } else if (chance(coordination, 30)) {
    options.coordinators = 1 + coordination.below(3);
  }
  return options;
}

}  // namespace raftd::sim
