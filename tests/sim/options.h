// What one run is like. Each seed draws its own: rare combinations of sizes and faults are where
// the bugs are, and in some runs each fault does not exist at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/limits.h"
#include "base/time.h"

namespace raftd::sim {

struct Options {
  std::size_t nodes = 3;
  std::size_t spares = 0;                      // Of these: the last ones are no members at first.
  std::size_t fresh = 0;                       // Of those: the last ones come only with tickets.
  Duration chaos = std::chrono::seconds(20);   // Faults happen.
  Duration settle = std::chrono::seconds(30);  // They have stopped; all must be well by then.

  // Of the nodes.
  Duration heartbeat = std::chrono::milliseconds(50);
  Duration election = std::chrono::milliseconds(250);
  bool pre_vote = true;
  bool check_quorum = true;
  std::size_t log_cache_bytes = limits::kLogCacheBytesMin;
  std::size_t max_pending_bytes = 64 * limits::kMiB;
  std::size_t max_inflight_bytes = limits::kAppendsInFlightBytesMax;
  std::size_t segment_bytes = 256 * limits::kKiB;
  std::uint64_t snapshot_entries = 0;  // 0: none is made.
  std::uint64_t snapshot_bytes = limits::kMiB;
  std::uint64_t snapshots_kept = 2;
  bool priorities = false;

  // Of the clients.
  std::size_t clients = 6;
  std::uint64_t without_clients = 0;  // As bits: they do nothing.
  std::size_t keys = 4;
  Duration key_life = std::chrono::seconds(2);  // Then clients go on to other keys.
  Duration think = std::chrono::milliseconds(40);
  Duration burst_every{};  // So often they do not think for a moment; zero: never.
  Duration timeout = std::chrono::milliseconds(800);
  std::size_t value_bytes = 32;
  std::uint64_t reads_percent = 40;
  std::uint64_t stale_percent = 20;   // Of reads: from the node's own state, or of a revision on.
  std::uint64_t lists_percent = 10;   // The same.
  std::uint64_t repeat_percent = 40;  // Of writes that nobody answered.
  double skew = 1.2;                  // Of the keys' popularity (Zipf); 0: all are alike.
  std::uint64_t abandon_percent = 2;
  std::size_t coordinators = 0;  // Clients that use transactions, leases and locks; as many watch.

  // Of the network.
  Duration delay_min = std::chrono::microseconds(100);
  Duration delay_max = std::chrono::milliseconds(2);
  std::uint64_t loss_percent = 0;       // Of raft messages.
  std::uint64_t duplicate_percent = 0;  // The same.
  std::uint64_t slow_percent = 0;       // Of messages take up to 200 ms.
  std::uint64_t late_percent = 0;  // Of those that a broken connection loses come all the same.
  std::uint64_t bandwidth = 0;     // Bytes per second, of each direction; 0: no limit.

  // Of the disks.
  Duration sync_min = std::chrono::microseconds(100);
  Duration sync_max = std::chrono::milliseconds(3);
  std::uint64_t stall_per_mille = 0;  // Of plans take up to three seconds.
  bool damage_beyond = false;         // Damage may hit more nodes than can be survived.
  bool repair = true;                 // A start that is refused is followed by raftd repair.

  // Of the processes.
  std::int64_t clock_rate_spread = 0;  // Per mille.
  Duration loop_delay = std::chrono::microseconds(200);
  std::uint64_t late_timer_percent = 0;  // By up to 500 ms.

  // How often, on average, a fault begins; plan.h says which. Zero: never.
  Duration crash_every{};
  Duration power_loss_every{};
  Duration power_loss_all_every{};
  Duration stop_every{};
  Duration pause_every{};
  Duration jump_clock_every{};
  Duration transfer_every{};
  Duration partition_every{};
  Duration reset_every{};
  Duration flap_every{};
  Duration clog_every{};
  Duration swizzle_every{};
  Duration disk_full_every{};
  Duration break_disk_every{};
  Duration slow_disk_every{};
  Duration stuck_disk_every{};
  Duration damage_every{};
  Duration stray_every{};
  Duration change_members_every{};
  Duration join_every{};
  Duration lose_disk_every{};
  std::uint64_t aim_at_leader_percent = 50;

  bool operator==(const Options&) const = default;
};

// What a range of seeds is about.
enum class Profile : std::uint8_t {
  kSwarm,  // All of it, each seed a part.
  kLite,   // Kills and partitions, and few of them.
  kDisk,
  kReads,
  kBeyond,  // Damage to more disks than can be survived: no progress is expected, nothing wrong.
  kMembership,  // Nodes join, are removed and come back, as voters and as learners.
  kStore,       // Transactions, leases and locks before all else.
};
inline constexpr std::string_view kProfileNames[] = {"swarm",  "lite",       "disk", "reads",
                                                     "beyond", "membership", "store"};
std::optional<Profile> profile_named(std::string_view name);

Options draw_options(std::uint64_t seed, Profile profile = Profile::kSwarm);

}  // namespace raftd::sim
