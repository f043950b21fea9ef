// The inside of a Core, shared by its files and seen by nobody else: core.cc (inputs, output, the
// gate), election.cc, replication.cc (a leader's side), append.cc (a follower's side), reads.cc,
// transfer.cc, membership.cc, snapshotting.cc, invariants.cc.
#pragma once

#include <algorithm>

#include "base/overloaded.h"
#include "base/rng.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/read_queue.h"
#include "raft/returning.h"

namespace raftd::raft {

// What a message waits for before it may leave this node; the table is in core.cc.
enum class Gate : std::uint8_t {
  kNothing,
  kTerm,  // The present term is durable.
  kVote,  // Term and vote are.
};

struct GatedMessage {
  Message message;
  Gate gate = Gate::kNothing;
};

struct Follower {
  NodeId leader;                 // 0: none is known.
  std::optional<Instant> heard;  // From that leader.
  Index verified;                // The log agrees with the leader's up to here.
  Index acked;                   // The highest match told to it; at most verified and durable.
  ReadSeq read_seen;             // The highest of its read_seqs.
};
struct PreCandidate {
  std::vector<Vote> votes;
};
struct Candidate {
  std::vector<Vote> votes;
};
struct Transfer {
  NodeId target;
  Instant deadline{};
  bool sent = false;  // TimeoutNow.
};
struct Leader {
  Instant since{};
  Index first_index;            // Of its own term: the no-op.
  std::vector<Progress> peers;  // Of every member but itself, ascending.
  std::size_t next_reader = 0;  // Among peers: who is asked first whether it needs old entries.
  Instant heartbeat_deadline{};
  ReadSeq read_seq;  // The newest in use.
  LeaderReads reads;
  Returning returning;  // Its clients.
  std::optional<Transfer> transfer;
  std::size_t pending_bytes = 0;  // Of its own entries that are not committed.
  std::uint64_t appended = 0;     // Bytes of all entries it ever appended.

  // nullptr: no member, or this node itself.
  Progress* find(NodeId id) {
    const auto at = std::ranges::find(peers, id, &Progress::id);
    return at == peers.end() ? nullptr : &*at;
  }
  const Progress* find(NodeId id) const { return const_cast<Leader*>(this)->find(id); }
};
using RoleState = std::variant<Follower, PreCandidate, Candidate, Leader>;

struct OutstandingBatch {
  PersistSeq seq;
  HardState hard_state;
  Instant since{};
};

struct OutstandingRead {
  LogReadId id;
  NodeId peer;  // 0: to be applied here.
  Term term;
  LogRead read;
  bool unwanted = false;  // A snapshot was installed meanwhile.
};

// A snapshot that comes from a leader.
struct Receiving {
  SnapshotMeta meta;
  std::uint64_t handed = 0;  // Bytes given out to be stored.
  std::uint64_t stored = 0;
};

struct ConnectedPeer {
  NodeId id;
  std::int32_t priority = 0;
};

// How it went when leadership was handed to a node of higher priority.
struct Preference {
  std::optional<Instant> last;  // When this was tried, or such a node gave leadership back.
  Duration patience{};          // Since then: how long this node leads before it tries again.
};

// What check_invariants() saw last: some things never go back.
struct Observed {
  HardState hard_state;
  Index commit;
  Index applied;
  bool leader = false;
  Index last;
  std::vector<std::pair<NodeId, Index>> matches;  // Of a leader's peers.
  std::uint64_t snapshots_installed = 0;
};

struct Core::State {
  State(const CoreConfig& core_config, Durable durable, std::uint64_t seed, Instant start);

  // core.cc
  bool sole_voter() const;
  void touch(Instant to);
  void tick();
  void step(Message&& message);
  void dispatch(Message& message);
  void answer_lower_term(const Message& message);
  void post(NodeId to, Term term, Body body, Gate gate);
  bool durable_enough(Gate gate) const;
  void open_gate();
  void persisted(PersistSeq seq);
  bool has_output() const;
  bool persist_due() const;
  Instant own_write_at() const;
  bool awaits_clients() const;
  bool apply_due() const;
  bool apply_read_due() const;
  Output take_output();
  void output_persist(Output& out);
  void output_apply(Output& out);
  std::pair<Index, Term> newest_configuration() const;
  void output_views(Output& out);
  void log_read_done(LogReadId id, std::vector<Entry> entries);
  bool agrees_with_log(const LogRead& read, const std::vector<Entry>& entries) const;
  LogReadId request_read(NodeId peer, Index first, Index last, std::size_t bytes_max);
  void evict();
  Instant next_deadline() const;
  RoleView role_view() const;
  const Configuration& configuration() const { return log.configuration().configuration; }

  template <class T>
  T* as() {
    return std::get_if<T>(&role);
  }
  template <class T>
  const T* as() const {
    return std::get_if<T>(&role);
  }

  // election.cc
  void become(RoleState next);
  void become_follower(Term term, NodeId leader);
  void start_pre_vote();
  void campaign(bool transfer);
  void become_leader();
  void request_votes(const VoteRequest& request, Term term, Gate gate);
  void count_votes();
  void count_own_vote();
  bool may_campaign() const;
  bool must_wait_for_priority() const;
  bool hears_leader() const;
  void on_election_timeout();
  void stand_now();
  Status stand();
  void draw_election_deadline();
  void draw_election_deadline_within(Duration bound);
  bool log_is_current(const VoteRequest& request) const;
  void settle_promise();
  void on_pre_vote_request(const Message& message, const VoteRequest& request);
  void on_vote_request(const Message& message, const VoteRequest& request);
  void on_vote_reply(const Message& message, const VoteReply& reply);
  void on_part(NodeId peer);
  void on_connected(NodeId peer, std::int32_t priority);
  void ask_again(NodeId peer);
  void on_disconnected(NodeId peer);
  Instant quorum_contact(const Leader& leader) const;

  // append.cc
  void on_append_request(Message& message, AppendRequest& request);
  void follow(NodeId leader);
  bool reject_append(const Message& message, const AppendRequest& request);
  std::size_t entries_to_take(const AppendRequest& request, std::size_t known) const;
  void acknowledge(NodeId leader, Index match, ReadSeq read_seq);
  void acknowledge_durable();

  // replication.cc
  Result<Index> propose(SharedBytes command);
  void append_own(EntryKind kind, SharedBytes payload);
  void on_append_reply(const Message& message, const AppendReply& reply);
  void on_accepted(Progress& peer, Index match);
  void on_rejected(Progress& peer, const AppendReply::Rejected& rejected);
  void advance_commit(Instant left);
  void commit_to(Index index);
  Index match_of(const Leader& leader, NodeId id) const;
  bool committed_in_own_term() const;
  Instant may_leave_at(const Leader& leader, const Progress& peer) const;
  bool gathers(const Leader& leader, const Progress& peer) const;
  bool entries_due(const Leader& leader, const Progress& peer) const;
  bool has_window(const Progress& peer) const;
  bool read_due(const Progress& peer) const;
  bool replication_due(const Leader& leader) const;
  void replicate(Leader& leader);
  void send_entries(Leader& leader, Progress& peer);
  void send_append(Leader& leader, Progress& peer, std::vector<Entry> entries, ReadSeq read_seq);
  void send_heartbeats(Leader& leader);
  void read_for_followers(Leader& leader);
  void leader_tick();
  Instant leader_deadline(const Leader& leader) const;

  // reads.cc
  Status read(std::uint64_t token);
  void finish_local_read(std::uint64_t token, std::optional<Index> at);
  void answer_waiter(const ReadWaiter& waiter, std::optional<Index> at);
  bool round_due(const Leader& leader) const;
  void start_round(Leader& leader);
  void choose_round(Leader& leader);
  bool wants_round(const Leader& leader, const Progress& peer) const;
  Instant round_deadline(const Leader& leader) const;
  void confirm_round(Leader& leader);
  void expire_reads();
  void leave_reads(Leader& leader);
  void ask_leader();
  bool ask_due() const;
  Instant reads_deadline() const;
  void on_read_index_request(const Message& message, const ReadIndexRequest& request);
  void on_read_index_reply(const Message& message, const ReadIndexReply& reply);

  // transfer.cc
  Status start_transfer(NodeId target);
  void hand_over(NodeId target, HandOver::Why why);
  NodeId best_successor(const Leader& leader) const;
  void drive_transfer(Leader& leader);
  void transfer_tick(Leader& leader);
  Instant disk_fails_at() const;
  Duration yield_patience() const;
  std::optional<std::int32_t> priority_of(NodeId peer) const;
  Duration preference_patience() const;
  bool may_prefer(const Leader& leader) const;
  NodeId preferred_successor(const Leader& leader) const;
  void heed_priorities(Leader& leader);
  Instant yield_deadline(const Leader& leader) const;
  Instant transfer_deadline(const Leader& leader) const;
  void on_timeout_now(const Message& message);

  // membership.cc
  Result<Index> change_members(const MembershipChange& change);
  Status may_change(const Leader& leader, Index based_on) const;
  bool answers(const Leader& leader, NodeId id) const;
  Status may_become(const Leader& leader, const Configuration& target) const;
  void append_configuration(Leader& leader, const Configuration& next);
  bool joint_ends(const Leader& leader) const;
  bool must_retire(const Leader& leader) const;
  void drive_change(Leader& leader);

  // snapshotting.cc
  void compacted(const SnapshotMeta& durable);
  void chunk_stored(const SnapshotId& id, std::uint64_t next_offset);
  void installed(const SnapshotMeta& received);
  void install_failed(const SnapshotId& id, bool rejected);
  std::optional<Index> sending_from() const;
  void on_snapshot_chunk(Message& message, SnapshotChunk& chunk);
  void on_snapshot_reply(const Message& message, const SnapshotReply& reply);
  void reply_to_chunk(const SnapshotId& id, std::uint64_t next_offset, bool rejected);
  void send_snapshot(NodeId to, Index index);
  bool needs_snapshot(const Progress& peer) const;
  bool may_begin_snapshot(const Leader& leader, const Progress& peer) const;
  void send_chunks(Leader& leader, Progress& peer);
  void snapshot_tick(Progress& peer);

  // invariants.cc
  void check_invariants();
  void observe();
  void check_leader(const Leader& leader) const;
  void check_follower(const Follower& follower) const;

  CoreConfig config;
  Rng rng;
  Instant now;
  Instant started;
  HardState hard_state;
  HardState durable_hard_state;          // On disk.
  HardState batched_hard_state;          // On disk once the outstanding batch is.
  std::optional<SnapshotMeta> snapshot;  // The newest durable one.
  std::optional<Receiving> receiving;
  std::optional<LogPosition> promised;  // As in Durable, until it is kept again.
  EntryLog log;
  std::optional<OutstandingBatch> batch;
  PersistSeq last_batch;
  RoleState role{Follower{}};
  NodeId term_leader;  // Who leads the present term; 0: not known. There is no second one.
  NodeId last_leader;  // Of any term, for the counter.
  Instant election_deadline{};
  bool deferred = false;                 // Has waited one timeout for a node of higher priority.
  std::vector<ConnectedPeer> connected;  // Ascending.
  std::optional<Instant> handed;         // A transfer brought leadership here, or was to take it.
  Preference preference;
  bool disk_full = false;
  bool snapshot_wanted = false;
  RemoteReads remote_reads;
  std::vector<OutstandingRead> log_reads;  // At most kLogReadsInFlightMax.
  LogReadId last_log_read;
  bool apply_reading = false;
  std::deque<Entry> apply_buffer;  // Read from disk to be applied: [handed + 1, ...].
  std::vector<GatedMessage> gated;
  Output pending;  // What take_output() will give, as far as it is made at once.
  RoleView shown_role;
  std::optional<std::pair<Index, Term>> shown_configuration;  // Index 0: none at all.
  Counters counters;
  Observed observed;
};

// Whether a correct peer may have sent it, as far as the message itself and the receiver's id and
// term show. What is wrong otherwise only a state can tell.
bool plausible(const Message& message, NodeId self, Term own_term);

}  // namespace raftd::raft
