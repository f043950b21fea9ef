#include "sim/options.h"

#include "sim/schedule.h"

namespace raftd::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Duration maybe(Rng& rng, std::uint64_t percent, Duration low, Duration high) {
  return chance(rng, percent) ? between(rng, low, high) : Duration{};
}

void draw_nodes(Rng& rng, Options& options) {
  constexpr std::size_t kSizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 7};
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
  options.clients = 1 + rng.below(10);
  options.keys = 1 + rng.below(6);
  options.key_life = between(rng, milliseconds(500), seconds(3));
  options.think = between(rng, milliseconds(2), milliseconds(120));
  options.timeout = between(rng, milliseconds(100), seconds(2));
  options.reads_percent = rng.below(91);
  options.abandon_percent = chance(rng, 50) ? rng.below(10) : 0;
  if (chance(rng, 10)) options.value_bytes = 64 * limits::kKiB;
}

void draw_network(Rng& rng, Options& options) {
  options.delay_max = between(rng, microseconds(200), milliseconds(20));
  options.loss_percent = chance(rng, 30) ? rng.below(30) : 0;
  options.duplicate_percent = chance(rng, 30) ? rng.below(30) : 0;
  options.slow_percent = chance(rng, 30) ? rng.below(10) : 0;
  options.partition_every = maybe(rng, 60, milliseconds(300), seconds(5));
  options.reset_every = maybe(rng, 50, milliseconds(100), seconds(3));
}

void draw_machines(Rng& rng, Options& options) {
  options.sync_max = between(rng, microseconds(200), milliseconds(30));
  options.stall_per_mille = chance(rng, 30) ? rng.below(10) : 0;
  options.clock_rate_spread = chance(rng, 50) ? static_cast<std::int64_t>(rng.below(100)) : 0;
  options.loop_delay = between(rng, microseconds(10), milliseconds(2));
  options.crash_every = maybe(rng, 60, milliseconds(400), seconds(6));
  options.power_loss_every = maybe(rng, 40, seconds(1), seconds(10));
  options.pause_every = maybe(rng, 50, milliseconds(500), seconds(5));
  options.disk_full_every = maybe(rng, 15, seconds(2), seconds(8));
  options.transfer_every = maybe(rng, 40, milliseconds(300), seconds(4));
  options.stop_every = maybe(rng, 30, seconds(2), seconds(8));
  options.aim_at_leader_percent = rng.below(101);
}

}  // namespace

Options draw_options(std::uint64_t seed) {
  Rng rng(seed ^ 0x6f7074696f6e73);
  Options options;
  draw_nodes(rng, options);
  draw_clients(rng, options);
  draw_network(rng, options);
  draw_machines(rng, options);
  return options;
}

}  // namespace raftd::sim
