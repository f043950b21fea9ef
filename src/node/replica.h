// One raftd node without its operating system: ties the core, the journal and a state machine
// together and keeps the order of things. Still no I/O: effects go out through three small
// interfaces. uv/ implements them for production, tests/sim for the simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "base/histogram.h"
#include "base/log.h"
#include "machine/state_machine.h"
#include "node/peer_message.h"
#include "raft/core.h"
#include "storage/disk_plan.h"
#include "storage/journal.h"
#include "storage/recovery.h"

namespace raftd::node {

using ClientToken = Strong<struct ClientTokenTag>;  // Never reused.

enum class Consistency : std::uint8_t { kLinearizable, kLocal };

// On a node that is not leader a write is forwarded over the peer link.
struct Write {
  WriteOp op;
};
struct Read {
  std::unique_ptr<machine::Query> query;
  Consistency consistency = Consistency::kLinearizable;
};
// A durable snapshot of at least what is applied here now. Done says of which index and term; its
// reply is a MakeSnapshotReply.
struct MakeSnapshot {};
struct MakeSnapshotReply final : machine::Reply {
  storage::KeptSnapshot kept;
};
// The state as it is now, for a client: a BackupReply (node/backup.h).
struct OpenBackup {};
// This node stands for election now: Done once it does, whatever comes of it.
struct Stand {};
using ClientOp = std::variant<Write, Read, MakeSnapshot, OpenBackup, Stand>;

// A write is Done or Refused when an entry is applied at its index; Unknown at its deadline, or
// when the node stops. Losing leadership, or the tail of the log, decides nothing. A change of
// members is Done when the configuration that ends it is applied, or when it is to remove this node
// and that has happened: then its index is that of the newest configuration which was heard of.
struct Done {
  raft::Index index;  // Of the entry; for a read: applied when it was answered.
  raft::Term term;    // Of the entry; for a read: the current one.
  bool forwarded = false;
  std::unique_ptr<machine::Reply> reply;    // Null: a transfer, a change of members, or Stand.
  std::unique_ptr<machine::Query> query{};  // Of a read: what was asked.
};
struct Refused {  // It did not and will not happen.
  Error error;    // kNotLeader kBusy kTransferring kDiskFull kSuperseded kTimeout kTooBig kBadInput
                  // kConflict (a transfer failed; other members than thought; Stand) kShuttingDown
                  // kNotReady
};
struct Unknown {             // It may or may not have happened.
  bool leader_lost = false;  // The leader changed while it waited.
};
using ClientResult = std::variant<Done, Refused, Unknown>;

class Network {
 public:
  virtual ~Network() = default;
  virtual void send(PeerMessage message) = 0;  // Best effort; may drop; never blocks.
  virtual void members(const raft::ConfigurationAt& configuration) = 0;  // Open and close links.
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual void submit(storage::DiskPlan plan) = 0;  // Later: Replica::on_disk_done(...).
};

class Clients {
 public:
  virtual ~Clients() = default;
  virtual void complete(ClientToken token, ClientResult result) = 0;
};

// For measuring alone: nothing that a replica does depends on what it says.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  virtual Instant read() = 0;
};

struct Outside {
  Network& network;
  Disk& disk;
  Clients& clients;
  machine::StateMachine& machine;
  Log& log;
  Stopwatch* stopwatch = nullptr;  // Null: apply_times() stays empty.
};

// When a local snapshot is made: whichever comes first. Never before what was applied since the
// last one is a quarter of its size, else a large state would be written all the time; and a small
// one not before it is as large, or small_bytes or bytes.
struct SnapshotOptions {
  std::uint64_t entries = 0;  // Applied since the last one; 0: none is made.
  std::uint64_t bytes = 0;    // Of these entries.
  Duration interval{};        // If anything was applied; 0: no limit by time.
  std::size_t keep = 2;       // Newest ones that stay.
  std::uint64_t small_bytes = limits::kSnapshotSmallBytes;
};

// Why a node does not trust its state, and serves nobody until that is over.
struct StateDoubt {
  enum class Why : std::uint8_t {
    kDiffers,    // From its leader's, or, if it leads, from that of a quorum.
    kUndecided,  // It leads, and there is no quorum for anything.
    kDamaged,    // The memory is not what was applied to it.
  };
  Why why{};
  raft::Index index;  // Where it was noticed.
  std::uint64_t own = 0;
  std::uint64_t other = 0;
};

// Where a replica stands: cheap to ask for after every event.
struct ReplicaMarks {
  raft::RoleView role;
  raft::HardState hard_state;
  raft::Index commit;
  raft::Index applied;
  raft::Index persisted;
  raft::Index first;
  raft::Index last;
  std::size_t pending_bytes = 0;
};

// For /status, /metrics, logs and tests.
struct ReplicaStatus : ReplicaMarks {
  raft::ConfigurationAt configuration;
  std::vector<raft::PeerProgress> progress;  // Empty unless leader.
  std::optional<Instant> leader_contact;
  raft::Counters counters;
  std::size_t waiting_writes = 0;
  std::size_t waiting_reads = 0;
  std::uint64_t forwarded_total = 0;
  bool disk_full = false;
  bool recovered = false;  // What was committed at the start has been applied.
  bool transferring = false;
  machine::ClusterTime cluster_time;
  std::uint64_t log_bytes_on_disk = 0;
  std::optional<storage::KeptSnapshot> snapshot;  // The newest.
  std::uint64_t snapshots_made = 0;               // Since the start.
  std::optional<StateDoubt> doubt;
  std::uint64_t doubts = 0;   // Since the start: how often there was one,
  std::uint64_t reloads = 0;  //   and how often a snapshot replaced the state for it.
};

class Replica {
 public:
  // Precondition: the machine's state is that of recovered.durable.snapshot, or empty.
  Replica(const raft::CoreConfig& config, const storage::JournalOptions& journal,
          storage::Recovered recovered, std::uint64_t seed, Instant now, Outside outside,
          const SnapshotOptions& snapshots = {});
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Events. Each only records and steps the core; pump() acts.
  void on_time(Instant now);
  void on_message(Instant now, PeerMessage message);
  void on_peer_part(Instant now, raft::NodeId peer);  // Of a message from it, and not its end.
  void on_peer_connected(Instant now, raft::NodeId peer, std::int32_t priority);
  void on_peer_disconnected(Instant now, raft::NodeId peer);  // The connection ended.
  void on_peer_dropped(raft::NodeId peer);                    // A message to it did not leave.
  // Exactly one Clients::complete(token) follows, in a pump; at the deadline at the latest, unless
  // on_client_gone(token) comes before it.
  // What is not kept of op, as the bytes of a command that was copied into the log, stays there.
  void on_client(Instant now, ClientToken token, ClientOp&& op, Instant deadline);
  void on_client_gone(ClientToken token);
  void on_disk_done(Instant now, storage::DiskResult result);

  // Of the configuration: what is proposed here, or forwarded, and not committed. From now on.
  void set_max_pending_bytes(std::size_t bytes);

  // Stopping: takes no more clients (kShuttingDown), hands leadership over if it has it. stopped()
  // when nothing is in flight any more and the segment is sealed as clean.
  void stop(Instant now);
  // This node is a member no longer, for good: no entry will come here any more. A change that was
  // to remove it is Done, all else that waits ends at once; then as stop(), but hands nothing over.
  void on_removed(Instant now);
  bool stopped() const;

  void pump(Instant now);       // Once per loop iteration: this is the group commit.
  bool has_more() const;        // A slice waits: do not sleep in the next poll.
  bool awaits_clients() const;  // As the core says; likewise.
  Instant next_wakeup() const;

  raft::RoleView role() const;
  std::optional<Instant> leader_contact(Instant now) const;  // now if this node leads.
  ReplicaMarks marks() const;
  std::size_t waiting_writes() const;                  // Of this node's clients.
  std::size_t waiting_reads() const;                   // The same.
  const raft::ConfigurationAt& configuration() const;  // In effect.
  std::vector<raft::PeerProgress> progress() const;    // Empty unless leader.
  ReplicaStatus status(Instant now) const;
  const RecentHistogram& sync_times() const;    // Of journal plans.
  const RecentHistogram& commit_times() const;  // From propose to apply, where a client waits.
  const RecentHistogram& apply_times() const;   // Of one pump's applies.

  void check_invariants() const;  // Expensive; the core's too.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::node
