// What goes wrong in a run, and when: drawn from the seed before the run begins, so that a fault
// can be left out of a run without changing the others.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sim/options.h"

namespace raftd::sim {

enum class FaultKind : std::uint8_t {
  kKill,
  kPowerLoss,     // how: wait so many short moments for one at which a frame is half written.
  kPowerLossAll,  // Of all nodes at once; each starts again in its own time.
  kStop,          // Orderly.
  kPause,
  kJumpClock,  // Forward by lasting.
  kTransfer,   // with: the node that shall lead, from 1; 0: whichever is best.
  kPartition,  // how: the shape; with: a set of nodes, as bits.
  kReset,      // Of the connection to the node with.
  kFlap,       // Of the connection to the node with; how: microseconds.
  kClog,       // Of the way to the node with.
  kSwizzle,
  kFullDisk,
  kBreakDisk,  // how: DiskFault.
  kSlowDisk,   // how: microseconds more for each operation.
  kStuckDisk,
  kDamage,         // how: Cluster::Damage.
  kStray,          // Once in a run. how: 0: it applies another value; 1: its memory rots.
  kChangeMembers,  // The node is asked to; forced where with is even. with: the voters; how: the
                   // learners; as bits.
  kJoin,           // A machine joins by way of the node; with: what decides how.
  kLoseDisk,       // For good; another machine joins in its place.
};

enum class Shape : std::uint8_t {
  kOneAlone,
  kHalves,
  kNobodyHears,  // The node.
  kHearsNobody,  // The node.
  kBridge,       // All see the node, and each other not.
};
inline constexpr std::uint64_t kShapes = 5;
inline constexpr std::uint64_t kDiskErrors = 3;  // The first values of DiskFault.
inline constexpr std::uint64_t kDamages = 5;

struct Fault {
  Duration at{};
  FaultKind kind{};
  // Whom it hits: the leader of that moment, or, if there is none or leader is false, this node.
  // Counted from 0, and around where there are fewer.
  bool leader = false;
  std::size_t node = 0;
  Duration lasting{};  // Until it is healed, or the node starts again.
  std::uint64_t how = 0;
  std::uint64_t with = 0;

  bool operator==(const Fault&) const = default;
};

using Plan = std::vector<Fault>;  // Ascending in time.

struct FaultInfo {
  FaultKind kind;
  std::string_view name;  // One word.
  Duration Options::*every;
  Duration shortest;  // It lasts.
  Duration longest;
};
// One for each kind, in order.
const std::vector<FaultInfo>& fault_kinds();
const FaultInfo& info(FaultKind kind);

// Each kind has its own random numbers: one more kind, or another rate, changes no other.
Plan draw_plan(std::uint64_t seed, const Options& options);

}  // namespace raftd::sim
