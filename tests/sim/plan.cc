#include "sim/plan.h"

#include <algorithm>

#include "sim/schedule.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A script prints microseconds.
Duration draw_time(Rng& rng, Duration low, Duration high) {
  return std::chrono::floor<std::chrono::microseconds>(between(rng, low, high));
}

void draw_rest(Rng& rng, const Options& options, Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kPowerLoss:
      fault.how = rng.one_in(3) ? 0 : 200;
      break;
    case FaultKind::kPartition:
      fault.how = rng.below(kShapes);
      fault.with = rng.below(1ULL << options.nodes);
      break;
    case FaultKind::kReset:
    case FaultKind::kClog:
      fault.with = rng.below(options.nodes);
      break;
    case FaultKind::kFlap:
      fault.with = rng.below(options.nodes);
      fault.how = 5000 + rng.below(200'000);
      break;
    case FaultKind::kTransfer:
      fault.with = rng.below(options.nodes + 1);
      break;
    case FaultKind::kBreakDisk:
      fault.how = rng.below(kDiskErrors);
      break;
    case FaultKind::kSlowDisk:
      fault.how = 1000 + rng.below(300'000);
      break;
    case FaultKind::kDamage:
      fault.how = rng.below(kDamages);
      break;
    case FaultKind::kJumpClock:
      // Mostly short: after a long one all timers have run out in any case.
      fault.lasting /= static_cast<std::int64_t>(1 + rng.below(10'000));
      fault.lasting = std::chrono::floor<std::chrono::microseconds>(fault.lasting);
      break;
    case FaultKind::kKill:
    case FaultKind::kPowerLossAll:
    case FaultKind::kStop:
    case FaultKind::kPause:
    case FaultKind::kSwizzle:
    case FaultKind::kFullDisk:
    case FaultKind::kStuckDisk:
    case FaultKind::kLoseDisk:
      break;
    case FaultKind::kStray:
      fault.how = rng.one_in(3) ? 1 : 0;
      break;
    case FaultKind::kChangeMembers:
      fault.with = rng.below(1ULL << options.nodes);
      fault.how = rng.below(1ULL << options.nodes);
      break;
    case FaultKind::kJoin:
      fault.with = rng.below(1ULL << 20);
      break;
  }
}

}  // namespace

const std::vector<FaultInfo>& fault_kinds() {
  using O = Options;
  using F = FaultKind;
  static const std::vector<FaultInfo> kinds = {
      {F::kKill, "kill", &O::crash_every, milliseconds(1), seconds(1)},
      {F::kPowerLoss, "power-loss", &O::power_loss_every, milliseconds(1), seconds(1)},
      {F::kPowerLossAll, "power-loss-all", &O::power_loss_all_every, milliseconds(1), seconds(1)},
      {F::kStop, "stop", &O::stop_every, seconds(2), seconds(4)},
      {F::kPause, "pause", &O::pause_every, milliseconds(10), seconds(3)},
      {F::kJumpClock, "jump-clock", &O::jump_clock_every, milliseconds(100), minutes(60)},
      {F::kTransfer, "transfer", &O::transfer_every, {}, {}},
      {F::kPartition, "partition", &O::partition_every, milliseconds(20), seconds(3)},
      {F::kReset, "reset", &O::reset_every, {}, {}},
      {F::kFlap, "flap", &O::flap_every, milliseconds(100), seconds(3)},
      {F::kClog, "clog", &O::clog_every, milliseconds(10), seconds(2)},
      {F::kSwizzle, "swizzle", &O::swizzle_every, milliseconds(100), seconds(3)},
      {F::kFullDisk, "full-disk", &O::disk_full_every, milliseconds(100), seconds(5)},
      {F::kBreakDisk, "break-disk", &O::break_disk_every, milliseconds(10), seconds(1)},
      {F::kSlowDisk, "slow-disk", &O::slow_disk_every, milliseconds(100), seconds(5)},
      {F::kStuckDisk, "stuck-disk", &O::stuck_disk_every, milliseconds(100), seconds(8)},
      {F::kDamage, "damage", &O::damage_every, {}, {}},
      {F::kStray, "stray", &O::stray_every, {}, {}},
      {F::kChangeMembers, "change-members", &O::change_members_every, {}, {}},
      {F::kJoin, "join", &O::join_every, {}, {}},
      {F::kLoseDisk, "lose-disk", &O::lose_disk_every, {}, {}},
  };
  return kinds;
}

const FaultInfo& info(FaultKind kind) {
  return fault_kinds()[static_cast<std::size_t>(kind)];
}

Plan draw_plan(std::uint64_t seed, const Options& options) {
  Plan plan;
  for (const FaultInfo& each : fault_kinds()) {
    const Duration every = options.*each.every;
    if (every == Duration{}) continue;
    Rng rng(stream(seed, Stream::kFaults, static_cast<std::uint64_t>(each.kind)));
    Fault fault;
    fault.kind = each.kind;
    for (;;) {
      fault.at += draw_time(rng, every / 4, every * 2);
      if (fault.at >= options.chaos) break;
      Fault& made = plan.emplace_back(fault);
      made.leader = chance(rng, options.aim_at_leader_percent);
      made.node = rng.below(options.nodes);
      made.lasting = draw_time(rng, each.shortest, each.longest);
      draw_rest(rng, options, made);
    }
  }
  std::ranges::stable_sort(plan, {}, &Fault::at);
  return plan;
}

}  // namespace raftd::sim
