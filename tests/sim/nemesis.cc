#include "sim/nemesis.h"

#include "base/text.h"
#include "sim/script.h"

namespace raftd::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr int kReplacements = 3;
constexpr Duration kReplacementPatience = seconds(4);

bool cuts(Shape shape, std::uint64_t half, std::size_t center, std::size_t a, std::size_t b) {
  switch (shape) {
    case Shape::kOneAlone:
      return a == center || b == center;
    case Shape::kHalves:
      return (half >> a & 1) != (half >> b & 1);
    case Shape::kNobodyHears:
      return a == center;
    case Shape::kHearsNobody:
      return b == center;
    case Shape::kBridge:
      return a != center && b != center;
  }
  return false;
}

microseconds micros(std::uint64_t count) {
  return microseconds(static_cast<std::int64_t>(count));
}

}  // namespace

void Nemesis::start() {
  for (const Fault& fault : plan_) {
    cluster_.schedule().after(fault.at, [this, &fault] {
      if (!stopped_) happen(fault);
    });
  }
}

void Nemesis::stop() {
  stopped_ = true;
}

std::size_t Nemesis::victim(const Fault& fault) const {
  if (fault.leader) {
    if (const auto leader = cluster_.leader()) return *leader;
  }
  return fault.node % cluster_.size();
}

void Nemesis::start_later(std::size_t node, Duration after) {
  cluster_.schedule().after(after, [this, node] {
    if (!stopped_) cluster_.start(node);
  });
}

void Nemesis::happen(const Fault& fault) {
  const std::size_t node = victim(fault);
  if (trace_) trace_(strf("    -- node %zu: ", node + 1) + text_of(fault));
  switch (fault.kind) {
    case FaultKind::kKill:
    case FaultKind::kPowerLoss:
    case FaultKind::kPowerLossAll:
    case FaultKind::kStop:
    case FaultKind::kPause:
    case FaultKind::kJumpClock:
    case FaultKind::kTransfer:
    case FaultKind::kStray:
    case FaultKind::kChangeMembers:
    case FaultKind::kJoin:
      return happen_to_process(fault, node);
    case FaultKind::kPartition:
    case FaultKind::kReset:
    case FaultKind::kFlap:
    case FaultKind::kClog:
    case FaultKind::kSwizzle:
      return happen_to_network(fault, node);
    case FaultKind::kFullDisk:
    case FaultKind::kBreakDisk:
    case FaultKind::kSlowDisk:
    case FaultKind::kStuckDisk:
    case FaultKind::kDamage:
    case FaultKind::kLoseDisk:
      return happen_to_disk(fault, node);
  }
}

void Nemesis::happen_to_process(const Fault& fault, std::size_t node) {
  if (fault.kind == FaultKind::kKill) {
    cluster_.kill(node, false);
    start_later(node, fault.lasting);
  } else if (fault.kind == FaultKind::kPowerLoss) {
    lose_power(node, fault.how, fault.lasting);
  } else if (fault.kind == FaultKind::kPowerLossAll) {
    lose_all_power(fault);
  } else if (fault.kind == FaultKind::kStop) {
    if (!cluster_.running(node)) return;
    cluster_.stop(node, fault.lasting * 3 / 4);
    start_later(node, fault.lasting);
  } else if (fault.kind == FaultKind::kPause) {
    cluster_.pause(node, fault.lasting);
  } else if (fault.kind == FaultKind::kJumpClock) {
    cluster_.jump_clock(node, fault.lasting);
  } else if (fault.kind == FaultKind::kTransfer) {
    ++cluster_.coverage().transfers;
    const raft::NodeId target{fault.with % (cluster_.size() + 1)};
    cluster_.submit(node, node::Write{node::Transfer{target}}, seconds(1), [](const auto&) {});
  } else if (fault.kind == FaultKind::kStray) {
    fault.how == 0 ? cluster_.stray(node) : cluster_.rot_memory(node);
  } else if (fault.kind == FaultKind::kChangeMembers) {
    const bool forced = fault.with % 2 == 0;
    cluster_.change_members(node, fault.with & there(), fault.how & there(), forced, seconds(3),
                            [](const auto&) {});
  } else if (fault.kind == FaultKind::kJoin) {
    joining_.join(node, fault.with);
  }
}

void Nemesis::happen_to_network(const Fault& fault, std::size_t node) {
  SimNetwork& network = cluster_.network();
  const std::size_t other = fault.with % cluster_.size();
  if (fault.kind == FaultKind::kPartition) return partition(fault, node);
  if (fault.kind == FaultKind::kSwizzle) return network.swizzle(node, fault.lasting);
  if (node == other) return;
  if (fault.kind == FaultKind::kReset) {
    network.reset(node, other);
  } else if (fault.kind == FaultKind::kFlap) {
    network.flap(node, other, micros(fault.how), fault.lasting);
  } else if (fault.kind == FaultKind::kClog) {
    network.clog(node, other, fault.lasting);
  }
}

void Nemesis::happen_to_disk(const Fault& fault, std::size_t node) {
  if (fault.kind == FaultKind::kFullDisk) {
    fill_disk(node, fault.lasting);
  } else if (fault.kind == FaultKind::kBreakDisk) {
    cluster_.break_disk(node, static_cast<DiskFault>(fault.how % kDiskErrors));
    // Whenever the operation comes that fails.
    start_later(node, fault.lasting);
    start_later(node, fault.lasting + seconds(1));
    start_later(node, fault.lasting + seconds(4));
  } else if (fault.kind == FaultKind::kSlowDisk) {
    cluster_.slow_disk(node, micros(fault.how), fault.lasting);
  } else if (fault.kind == FaultKind::kStuckDisk) {
    cluster_.stick_disk(node, fault.lasting);
  } else if (fault.kind == FaultKind::kLoseDisk) {
    if (cluster_.lose_disk(node)) replace(node, kReplacements);
  } else if (fault.kind == FaultKind::kDamage) {
    // It shows at the next start, which comes soon.
    if (!cluster_.damage(node, static_cast<Cluster::Damage>(fault.how % kDamages))) return;
    cluster_.schedule().after(seconds(1), [this, node] {
      if (!stopped_) cluster_.kill(node, true);
    });
    start_later(node, seconds(2));
  }
}

// An operator sees to it that somebody comes in its place, more than once if need be.
void Nemesis::replace(std::size_t node, int attempts) {
  if (stopped_ || attempts == 0 || !cluster_.is_member(node)) return;
  joining_.replace(node);
  cluster_.schedule().after(kReplacementPatience,
                            [this, node, attempts] { replace(node, attempts - 1); });
}

// Nobody asks for a member whose disk is lost, or whose machine does not exist yet.
std::uint64_t Nemesis::there() const {
  const std::size_t first = cluster_.size() - cluster_.options().fresh;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < cluster_.size(); ++i) {
    if (cluster_.lost(i) || (i >= first && !joining_.came(i))) continue;
    bits |= 1ULL << i;
  }
  return bits;
}

// Waits a while for the worst moment.
void Nemesis::lose_power(std::size_t node, std::uint64_t tries, Duration lasting) {
  if (tries > 0 && cluster_.running(node) && !cluster_.disk(node).mid_frame()) {
    cluster_.schedule().after(microseconds(97), [this, node, tries, lasting] {
      if (!stopped_) lose_power(node, tries - 1, lasting);
    });
    return;
  }
  cluster_.kill(node, true);
  start_later(node, lasting);
}

void Nemesis::lose_all_power(const Fault& fault) {
  const std::size_t size = cluster_.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t node = (fault.node + i) % size;
    const auto part = static_cast<std::int64_t>(i + 1);
    cluster_.kill(node, true);
    start_later(node, fault.lasting * part / static_cast<std::int64_t>(size));
  }
}

void Nemesis::partition(const Fault& fault, std::size_t center) {
  ++cluster_.coverage().partitions;
  const auto shape = static_cast<Shape>(fault.how % kShapes);
  for (std::size_t a = 0; a < cluster_.size(); ++a) {
    for (std::size_t b = 0; b < cluster_.size(); ++b) {
      if (a != b && cuts(shape, fault.with, center, a, b)) cluster_.network().block(a, b);
    }
  }
  cluster_.schedule().after(fault.lasting, [this] { cluster_.network().heal(); });
}

void Nemesis::fill_disk(std::size_t node, Duration lasting) {
  ++cluster_.coverage().full_disks;
  cluster_.disk(node).set_full(true);
  cluster_.schedule().after(lasting, [this, node] { cluster_.disk(node).set_full(false); });
}

}  // namespace raftd::sim
