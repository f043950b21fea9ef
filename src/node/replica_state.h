// What a replica consists of. Included by the replica's own files alone: replica.cc (the order of
// everything), clients.cc (requests and their answers), applying.cc (committed entries),
// promoting.cc (learners that become voters),
// snapshotting.cc (snapshots and what they make superfluous), snapshot_clients.cc (those that
// clients ask for), comparing.cc (whether the state is that of the others).
#pragma once

#include "node/backup.h"
#include "node/cluster_time.h"
#include "node/command_blocks.h"
#include "node/disk_lanes.h"
#include "node/forwarding.h"
#include "node/replica.h"
#include "node/snapshot_receiving.h"
#include "node/snapshot_sending.h"
#include "node/snapshot_writing.h"
#include "node/state_hashes.h"
#include "node/waiting.h"

namespace raftd::node {

struct Replica::State {
  // The core's tokens from here on are not those of reads.
  static constexpr std::uint64_t kConfirmations = 1ULL << 63;

  State(const raft::CoreConfig& core_config, const storage::JournalOptions& journal,
        storage::Recovered recovered, std::uint64_t seed, Instant now, const Outside& out,
        const SnapshotOptions& snapshots);

  // replica.cc
  Instant at(Instant now);
  void act(Instant now, raft::Output output);
  void change_role(const raft::RoleView& after);
  void send_outbox();
  void tell_disk_full();
  void begin_stop();
  void continue_stop();
  void note_recovery();
  void advance_clock(Instant now);
  std::optional<ClusterClock::Heard> heard_leader(Instant now) const;

  // clients.cc
  void start_write(Instant now, ClientToken token, WriteOp& op, Instant deadline);
  // What a leader does with it: Appended or Begun.
  using Led = std::variant<Forwarded::Appended, Forwarded::Begun>;
  Result<Led> lead(Instant now, WriteOp& op);
  void start_leading(Instant now, Forwards::Pending& pending);
  void wait_at(const Forwarded::Appended& at, const Forwards::Pending& pending, bool forwarded);
  void end_changes(const raft::Entry& applied_now);
  void forward(Forwards::Pending pending, raft::NodeId leader);
  void forward_ended(Instant now, Forwards::Pending pending, const Forwarded& answer);
  void forward_refused(Instant now, Forwards::Pending pending, raft::NodeId from,
                       const Forwarded::Refused& refused);
  void lead_forward(Instant now, Forward request);
  void start_read(Instant now, WaitingReads::Waiter waiter);
  void ask_again(Instant now);
  void confirm_read(const raft::ReadDone& read);
  void serve_reads();
  void end_transfers(const raft::RoleView& view);
  void fail_transfers();
  void end_membership(Instant now);
  void note_hand_over(const raft::HandOver& hand_over);
  void stand(Instant now, ClientToken token);
  void scan_deadlines(Instant now);
  void refuse(ClientToken token, Error error);
  void unknown(ClientToken token, raft::Term asked_in);
  void deliver_answers();
  std::size_t waiting_writes() const;
  std::size_t waiting() const;

  // applying.cc
  void apply(Instant now);
  bool apply_front(Instant now);
  void applied_entry(Instant now, const raft::Entry& entry, std::unique_ptr<machine::Reply> reply);
  void propose_chore(Instant now);
  void note_pause();
  bool still_leads(Instant now);

  // promoting.cc
  void promote_learners(Instant now);
  bool promote(Instant now, const machine::Promotion& wanted);
  Instant promotion_wakeup() const;

  // snapshotting.cc
  bool on_snapshot_disk(Instant now, const storage::DiskResult& result);
  void pump_snapshots(Instant now);
  bool snapshot_due(Instant now) const;
  bool enough_applied(raft::Index last) const;
  storage::SnapshotCut cut_here() const;
  void begin_snapshot(Instant now);
  void take_received(Instant now);
  void own_snapshot(const raft::SnapshotMeta& meta, const storage::KeptSnapshot& file);
  void keep_snapshot(const storage::KeptSnapshot& made);
  void install(Instant now);
  void drop_superfluous();
  raft::Index droppable() const;
  Instant snapshot_wakeup() const;

  // snapshot_clients.cc
  void ask_snapshot(ClientToken token, Instant deadline);
  void ask_backup(ClientToken token, Instant deadline);
  void serve_snapshot_clients(Instant now);
  void open_backups();
  void snapshot_kept(const storage::KeptSnapshot& made);
  void scan_snapshot_clients(Instant now);
  void refuse_snapshot_clients(const Error& error);

  // comparing.cc
  void compare_states(Instant now);
  void note_doubt();
  void refuse_reads();
  bool doubtful() const { return hashes.doubt().has_value(); }
  Error doubt_error() const;

  raft::CoreConfig config;
  Outside outside;
  SnapshotOptions snapshot_options;
  storage::ClusterId cluster_id;
  raft::Core core;
  DiskLanes lanes;
  Instant latest;  // No event was later.
  ClusterClock clock;

  CommandBlocks blocks;  // Of the log, on a leader.
  WaitingWrites writes;
  WaitingReads reads;
  Forwards forwards;
  Ring<WaitingReads::Waiter> fresh_reads;  // Of local state: answered in the next pump.
  struct WaitingTransfer {
    ClientToken token;
    Instant deadline;
    raft::NodeId target;
    raft::NodeId leader;  // Who handed it over.
    raft::Term term;
    bool here = false;  // This node was the leader.
  };
  std::vector<WaitingTransfer> transfers;  // Few: the core takes one at a time.
  struct WaitingChange {
    ClientToken token;
    Instant deadline;
    raft::Index index;  // Where it begins.
    raft::Term term;
    bool forwarded = false;
    bool leaves = false;  // This node is none of the wanted members.
  };
  std::vector<WaitingChange> changes;  // The same.
  GoneClients gone;                    // Their waiters go at the next scan.
  Instant gone_scan_at{};

  struct SnapshotClient {
    ClientToken token;
    Instant deadline;
    raft::Index at_least;  // What was applied when it asked.
  };
  Backups backups;                               // Outlives the answers that hold one.
  std::vector<SnapshotClient> snapshot_clients;  // Each wants one that is durable.
  std::vector<SnapshotClient> backup_clients;    // Each wants the state as bytes.

  std::vector<PeerMessage> outbox;  // Forwards and answers to them.
  std::vector<std::pair<ClientToken, ClientResult>> answers;
  std::vector<std::pair<ClientToken, ClientResult>> delivering;
  std::vector<raft::NodeId> links;  // Connected peers.
  raft::NodeId sending_to;          // While network.send runs with a Forward.
  bool sending_failed = false;      // It was dropped at once.

  Ring<raft::Entry> applying;          // Committed, handed out by the core, not applied.
  bool slicing = false;                // Its front is applied in slices.
  std::size_t apply_entries_left = 0;  // In this pump.
  std::size_t apply_bytes_left = 0;
  std::size_t reply_bytes_left = 0;  // Of those to writes, in this pump.
  raft::Index applied;
  raft::Term applied_term;
  bool applied_something = false;  // Since parked reads were tried.
  bool tidy_more = false;
  raft::Index chore_at;  // The outstanding chore; 0: none.
  bool leading = false;  // And an entry of the own term is applied.
  // The process stood still, and no round with a quorum that began later has confirmed that it
  // still leads. Until then it proposes no chores.
  bool paused = false;
  std::uint64_t confirmation = kConfirmations;  // The token of the round asked for last;
  bool confirming = false;                      //   it has not ended.
  struct CaughtUp {
    raft::NodeId learner;
    Instant since;
  };
  std::vector<CaughtUp> caught_up;  // Learners that shall vote, and do not lag.
  Instant promotion_look_at{};
  Instant promotion_complain_at{};

  raft::RoleView role;
  bool members_told = false;
  bool disk_full_told = false;
  bool transferring = false;
  raft::Index recover_to;  // What was committed when this node first heard of it; 0: not yet.
  bool recovered = false;
  std::uint64_t forwarded_total = 0;

  SnapshotWriting writing;
  SnapshotReceiving receiving;
  SnapshotSending sending;
  std::vector<storage::KeptSnapshot> kept;  // Oldest first.
  std::uint64_t bytes_since = 0;            // Of entries applied since the newest was cut.
  Instant snapshot_at{};                    // When that was.
  std::uint64_t snapshots_made = 0;
  std::uint64_t removals = 0;  // Plans that removed old snapshots.
  bool removing = false;       // One runs.

  StateHashes hashes;
  bool doubted = false;          // As said in the log.
  raft::Index reload_from;       // Somebody needs a snapshot at or after it; 0: nobody.
  raft::Index distrusted_below;  // Own snapshots before it may be of a wrong state.
  std::uint64_t doubts = 0;
  std::uint64_t reloads = 0;

  enum class Stop : std::uint8_t { kNo, kDraining, kSealing };
  Stop stop = Stop::kNo;

  RecentHistogram commit_times;
  RecentHistogram apply_times;
};

}  // namespace raftd::node
