// The Raft protocol as a deterministic state machine. It does no I/O, reads no clock, draws no
// entropy of its own, starts no threads and knows no library: input goes in through calls, what
// must be done comes out of take_output(). The same object runs under libuv and in the simulator,
// and can be linked alone as a static library.
#pragma once

#include <memory>

#include "base/result.h"
#include "raft/message.h"

namespace raftd::raft {

// Who the members are is not here: it is in the log (Durable).
struct CoreConfig {
  NodeId self;
  Incarnation incarnation;
  Duration heartbeat_interval{};
  Duration election_timeout_min{};     // The timeout is drawn from [min, 2 * min).
  std::int32_t priority = 0;           // A node with a connected voter of higher priority waits one
                                       // more timeout before it campaigns, and hands leadership
                                       // over to it once that keeps up.
  std::size_t log_cache_bytes = 0;     // Ceiling for entries in memory; others: log_reads.
  std::size_t max_pending_bytes = 0;   // Proposed and not committed: then kBusy.
  std::size_t max_inflight_bytes = 0;  // Unanswered, to one follower.
  bool pre_vote = true;
  bool check_quorum = true;
};

struct TermRun {  // Entries from first on have this term, until the next run.
  Index first;
  Term term;
  bool operator==(const TermRun&) const = default;
};

// What recovery found on disk. The only way to make a Core. Without a configuration the node has
// not joined: it never campaigns and waits to be added.
//
// A snapshot that the log does not lead up to (its last entry is before it, or another one is in
// its place) was installed, and the crash came before the log was reset: the core resets it.
struct Durable {
  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;  // The newest good one. Its state has been restored.
  Index first_index{1};        // Of the log on disk; at most one behind the snapshot, else 1.
  Term prev_term;              // Of the entry before it; 0: not known, or there is none.
  Index last_index;            // first_index - 1: the log is empty.
  std::vector<TermRun> terms;  // Of the whole log on disk.
  std::vector<ConfigurationAt> configurations;  // In the log, oldest first.
  std::vector<Entry> tail;                      // The newest, up to kLogCacheIdleBytes.
  // The log was damaged and repaired (storage/repair.h): what this node has said it holds reaches
  // to here, and part of it is missing. Until the log reaches this far again the node votes as if
  // it were there, and never campaigns (Alagappan et al., Protocol-Aware Recovery, FAST 2018).
  std::optional<LogPosition> promised;
};

// One unit of durability. At most one is outstanding at any time; it is within kBatchBytesMax and
// kBatchEntriesMax.
//
// If entries is not empty then everything in the log at or after entries.front().index is
// replaced by it: truncation is not a separate operation, and cannot be reordered. What the core
// has replaced in memory meanwhile does not count as durable when the batch is reported persisted.
struct PersistBatch {
  PersistSeq seq;
  std::optional<HardState> hard_state;
  std::optional<SnapshotId> reset;  // First: the log is empty and starts after this snapshot.
  std::vector<Entry> entries;
};

// Entries that are needed and no longer in memory. Answer with log_read_done(id, ...).
struct LogRead {
  LogReadId id;
  Index first;
  Index last;  // Inclusive; fewer may be returned, but not none if they exist.
  std::size_t bytes_max = 0;
};

struct ReadDone {
  std::uint64_t token = 0;
  std::optional<Index> at;  // Serve the read once applied >= at. nullopt: no leader confirmed it.
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct RoleView {
  Role role = Role::kFollower;
  Term term;
  NodeId leader;  // 0: none is known.
  bool operator==(const RoleView&) const = default;
};

// A transfer that nobody asked for.
struct HandOver {
  enum class Why : std::uint8_t { kDisk, kPriority, kRemoved };
  NodeId target;
  Why why = Why::kDisk;
};

// Everything the outside must do, in the order in which the fields are declared.
struct Output {
  std::vector<Message> messages;        // Safe to send now. See the gate table in core.cc.
  std::optional<PersistBatch> persist;  // Make durable, then call persisted(seq).
  std::vector<LogRead> log_reads;       // Read without blocking, then log_read_done().
  // Received, the next of their file: store it, then chunk_stored(). At most
  // kSnapshotReceiveBytesMax are not stored. What came of another file before may go.
  std::vector<SnapshotChunk> chunks;
  // Apply in order, then call applied(index). The only proof of what became of a proposal: it
  // failed only if another term is committed at its index; an overwritten one may yet win.
  // Bounded by kApplyBytesPerPumpMax and kApplyEntriesPerPumpMax; nothing more is handed out
  // before applied() says that these are done.
  std::vector<Entry> committed;
  std::vector<ReadDone> reads;
  std::optional<ConfigurationAt> configuration;  // Set if another one is now in effect.
  std::optional<RoleView> role;                  // Set if it changed.
  std::optional<HandOver> hand_over;             // Begun: proposals are refused.
  bool transfer_failed = false;  // A transfer was given up; proposals are taken again.
};

// One follower as its leader sees it.
struct PeerProgress {
  enum class State : std::uint8_t { kProbe, kReplicate, kSnapshot };
  NodeId id;
  State state = State::kProbe;
  Index match;
  Index next;
  std::size_t inflight_messages = 0;
  std::size_t inflight_bytes = 0;
  std::optional<Instant> last_contact;  // Of its last message in this term.
  SnapshotId snapshot;                  // That it is being sent; and how much of it is there.
  std::uint64_t snapshot_offset = 0;
};

// For people and metrics; nothing in the protocol depends on them. Since the start.
struct Counters {
  std::uint64_t bad_messages = 0;       // Refused because no correct peer sends them.
  std::uint64_t leader_changes = 0;     // A leader became known that was not the one before.
  std::uint64_t elections_started = 0;  // Real ones, not PreVotes.
  std::uint64_t entries_overwritten = 0;
  std::uint64_t entries_unavailable = 0;  // Reads for a follower that found nothing.
  std::uint64_t snapshots_sent = 0;       // Whole, or found to be there.
  std::uint64_t snapshots_installed = 0;
};

class Core {
 public:
  // seed: of the random timeouts. Precondition: durable is what recover() gave.
  Core(const CoreConfig& config, Durable durable, std::uint64_t seed, Instant now);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Inputs. None of them blocks, fails because of I/O, or calls back. now never goes back.
  void tick(Instant now);
  // A message from a peer: anything may be in it. What no correct peer sends is counted and
  // dropped; it never fails an assertion.
  void step(Instant now, Message message);

  // Requests. A refusal changes nothing.
  // The index at which the command will be committed, if it is; its term is role().term.
  Result<Index> propose(Instant now, SharedBytes command);  // kNotLeader kBusy kTooBig kDiskFull
                                                            // kTransferring
  // Makes target the configuration, by way of a joint one. A new voter has to be a learner now, one
  // that answers and has the log. Gives the index of the joint entry; the change is over once the
  // configuration entry after it is committed, whoever leads by then.
  // kNotLeader kTransferring kDiskFull; kConflict: another one is in effect, or a change is under
  // way; kBusy: a learner is silent or behind; kNotReady: this term has committed nothing, or too
  // few of the new voters answer; kBadInput.
  Result<Index> change_members(Instant now, const MembershipChange& change);
  // Hands leadership to target (a voter); nobody: to the voter with the highest match. Ends with
  // another RoleView, or with Output.transfer_failed after one election timeout.
  Status transfer(Instant now, NodeId target);  // kNotLeader kTransferring kBadInput
  // This node campaigns now, as if it had heard from nobody for an election timeout; it is elected
  // only if a majority agrees that there is no leader. kConflict: it leads, or may not lead.
  Status stand(Instant now);
  // On any node; one ReadDone follows. kBusy; kNotLeader: no leader is known.
  Status read(Instant now, std::uint64_t token);

  // Completions.
  void persisted(Instant now, PersistSeq seq);
  void applied(Index index);
  void log_read_done(Instant now, LogReadId id, std::vector<Entry> entries);  // Empty: dropped.

  // Snapshots. A local one is durable. Precondition: it is not ahead of applied and persisted.
  void compacted(const SnapshotMeta& snapshot);
  // The log on disk begins here now. Precondition: at most one behind the newest snapshot.
  void dropped(Index first_index);
  // Everything of this file before next_offset is stored.
  void chunk_stored(Instant now, const SnapshotId& id, std::uint64_t next_offset);
  // The received file is verified, durable under its name, and its state is restored. Precondition:
  // it is ahead of what is applied, or at it if one is wanted. What was output to be applied up to
  // it is not to be.
  void installed(Instant now, const SnapshotMeta& snapshot);
  // It did not verify, or there was no space (rejected: its sender is told), or it is not needed
  // any more, since applied has passed it.
  void install_failed(Instant now, const SnapshotId& id, bool rejected);
  // On a leader: this follower is sent the newest snapshot that is at or after index, beside the
  // log and although that does not need it. Ends when all of it is stored there, when it is refused
  // or stuck, and with the term: ask again. Nothing happens before there is such a snapshot.
  void send_snapshot(NodeId peer, Index index);
  // This node's state is to be replaced: a snapshot at or after what is applied is taken although
  // the log goes on behind it; none is sent from here. Until this is taken back; installed() does.
  void want_snapshot(bool wanted);
  // The oldest snapshot that is being sent: it and the log after it should stay. nullopt: none is.
  std::optional<Index> sending_from() const;

  // What the links say. Part of a message from this peer has come, and not its end.
  void receiving(Instant now, NodeId peer);
  void connected(NodeId peer, std::int32_t priority);
  void disconnected(Instant now, NodeId peer);  // The peer closed it: its process ended.
  void unreachable(NodeId peer);                // A message to it was dropped.

  void announce(NodeId peer, Index index);  // Tell this peer at once when index is committed.
  void disk_full(bool full);                // Take no entries; votes and heartbeats go on.

  void set_max_pending_bytes(std::size_t bytes);  // Of CoreConfig; from the next proposal on.

  // Outputs.
  bool has_output() const;
  // Entries wait for others that come within microseconds, or until next_deadline(): do not sleep.
  bool awaits_clients() const;
  Output take_output();
  Instant next_deadline() const;  // When tick() has something to do; never later than needed.

  RoleView role() const;
  HardState hard_state() const;
  Index commit_index() const;
  Index persisted_index() const;  // The durable mark: on this node's disk as it stands in memory.
  Index first_index() const;
  Index last_index() const;
  const ConfigurationAt& configuration() const;  // The newest: in effect.
  // As of index, for a snapshot. Precondition: index is applied.
  const ConfigurationAt& configuration_at(Index index) const;
  std::vector<PeerProgress> progress() const;     // Empty unless leader.
  std::optional<Instant> leader_contact() const;  // When the leader was last heard; now if leader.
  std::size_t pending_bytes() const;              // Proposed here and not committed.
  const Counters& counters() const;

  void check_invariants() const;  // Expensive. The simulator calls it after every step.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::raft
