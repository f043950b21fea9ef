// The order of everything. Events only record and step the core; pump() acts.
//
// The happy path is: what arrived in one iteration of the loop leaves in one pump: one request per
// peer, one frame on the disk, one round of read confirmation; what is committed is applied, and
// whoever waits for it is answered last.
// Possible failure modes are: everything that the core, forwarding.h, waiting.h and disk_lanes.h
// name. None of them ends the replica; a failing disk ends the process before it is told here.
#include "node/replica.h"

#include <algorithm>

#include "base/limits.h"
#include "base/overloaded.h"
#include "node/replica_state.h"

namespace raftd::node {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

}  // namespace

Replica::State::State(const raft::CoreConfig& core_config, const storage::JournalOptions& journal,
                      storage::Recovered found, std::uint64_t seed, Instant now, const Outside& out,
                      const SnapshotOptions& snapshots)
    : config(core_config),
      outside(out),
      snapshot_options(snapshots),
      cluster_id(journal.identity.cluster_id),
      core(core_config, found.durable, seed, now),
      lanes(journal, std::move(found.position), core_config.election_timeout_min, out.disk,
            out.log),
      latest(now),
      clock(2 * core_config.heartbeat_interval, now),
      forwards(core_config.incarnation, core_config.max_pending_bytes),
      role(core.role()),
      writing(out.disk, out.log),
      receiving(cluster_id, out.disk, out.machine, out.log),
      sending(out.disk, out.network),
      kept(std::move(found.snapshots)),
      snapshot_at(now),
      hashes(core_config.self, core_config.heartbeat_interval, core_config.election_timeout_min) {
  if (!found.durable.snapshot) return;
  applied = found.durable.snapshot->id.last_index;
  applied_term = found.durable.snapshot->id.last_term;
  clock.apply({found.snapshot_time_ms});
}

Replica::Replica(const raft::CoreConfig& config, const storage::JournalOptions& journal,
                 storage::Recovered recovered, std::uint64_t seed, Instant now, Outside outside,
                 const SnapshotOptions& snapshots)
    : state_(std::make_unique<State>(config, journal, std::move(recovered), seed, now, outside,
                                     snapshots)) {}

Replica::~Replica() = default;

// The events of one iteration may have been stamped after the moment at which its pump began.
Instant Replica::State::at(Instant now) {
  latest = std::max(latest, now);
  return latest;
}

void Replica::on_time(Instant now) {
  state_->core.tick(state_->at(now));
}

void Replica::on_message(Instant now, PeerMessage message) {
  State& s = *state_;
  now = s.at(now);
  std::visit(overloaded{
                 [&](raft::Message& body) { s.core.step(now, std::move(body)); },
                 [&](Forward& body) {
                   if (body.to == s.config.self) s.lead_forward(now, std::move(body));
                 },
                 [&](Forwarded& body) {
                   Forwards::Pending pending;
                   if (body.to != s.config.self) return;
                   if (!s.forwards.take(body.id, body.from, pending)) return;
                   s.forward_ended(now, std::move(pending), body);
                 },
                 [&](const HashQuestion& body) {
                   if (body.to == s.config.self) s.hashes.on_question(body, s.core.role());
                 },
                 [&](const HashAnswer& body) {
                   if (body.to == s.config.self) s.hashes.on_answer(body, s.core.role());
                 },
             },
             message);
}

void Replica::on_peer_part(Instant now, raft::NodeId peer) {
  state_->core.receiving(state_->at(now), peer);
}

void Replica::on_peer_connected(Instant /*now*/, raft::NodeId peer, std::int32_t priority) {
  State& s = *state_;
  if (std::ranges::find(s.links, peer) == s.links.end()) s.links.push_back(peer);
  s.core.connected(peer, priority);
}

void Replica::on_peer_disconnected(Instant now, raft::NodeId peer) {
  State& s = *state_;
  now = s.at(now);
  std::erase(s.links, peer);
  s.core.disconnected(now, peer);
  // The answers to these will never come; whether the leader has appended them nobody knows.
  for (const Forwards::Pending& pending : s.forwards.take_all(peer)) {
    s.answers.emplace_back(pending.token, Unknown{.leader_lost = true});
  }
}

void Replica::on_peer_dropped(raft::NodeId peer) {
  if (state_->sending_to == peer) state_->sending_failed = true;
  state_->core.unreachable(peer);
}

void Replica::on_client(Instant now, ClientToken token, ClientOp&& op, Instant deadline) {
  State& s = *state_;
  now = s.at(now);
  ASSERT(token);
  if (s.stop != State::Stop::kNo) {
    s.refuse(token, {Errc::kShuttingDown, "this node is shutting down"});
    return;
  }
  std::visit(overloaded{
                 [&](Write& write) { s.start_write(now, token, write.op, deadline); },
                 [&](Read& read) {
                   ASSERT(read.query);
                   WaitingReads::Waiter waiter{0, token, deadline, std::move(read.query)};
                   switch (read.consistency) {
                     case Consistency::kLinearizable:
                       s.start_read(now, std::move(waiter));
                       break;
                     case Consistency::kLocal:
                       s.fresh_reads.push_back(std::move(waiter));
                       break;
                   }
                 },
                 [&](const MakeSnapshot&) { s.ask_snapshot(token, deadline); },
                 [&](const OpenBackup&) { s.ask_backup(token, deadline); },
                 [&](const Stand&) { s.stand(now, token); },
             },
             op);
}

void Replica::on_client_gone(ClientToken token) {
  state_->gone.insert(token);
}

void Replica::on_disk_done(Instant now, storage::DiskResult result) {
  State& s = *state_;
  now = s.at(now);
  if (s.on_snapshot_disk(now, result)) return;
  DiskLanes::Finished finished = s.lanes.on_done(now, result);
  if (finished.persisted) s.core.persisted(now, *finished.persisted);
  if (finished.read) s.core.log_read_done(now, *finished.read, std::move(finished.entries));
  s.tell_disk_full();
}

void Replica::set_max_pending_bytes(std::size_t bytes) {
  state_->core.set_max_pending_bytes(bytes);
  state_->forwards.set_bytes_max(bytes);
}

void Replica::stop(Instant now) {
  State& s = *state_;
  if (s.stop != State::Stop::kNo) return;
  now = s.at(now);
  s.begin_stop();
  if (s.role.role != raft::Role::kLeader) return;
  if (s.core.configuration().configuration.voters.size() < 2) return;
  if (s.core.transfer(now, raft::NodeId{})) s.transferring = true;
}

void Replica::on_removed(Instant now) {
  State& s = *state_;
  s.end_membership(s.at(now));
  s.transferring = false;  // Nobody waits for that any more.
  if (s.stop == State::Stop::kNo) s.begin_stop();
}

bool Replica::stopped() const {
  return state_->lanes.sealed() && !state_->lanes.running();
}

void Replica::pump(Instant now) {
  State& s = *state_;
  now = s.at(now);
  s.advance_clock(now);
  if (!s.members_told) {
    s.members_told = true;
    s.outside.network.members(s.core.configuration());
  }
  s.scan_snapshot_clients(now);
  s.scan_deadlines(now);
  s.ask_again(now);
  s.propose_chore(now);
  s.promote_learners(now);

  // An answer to a Forward goes before the message that commits what it is about.
  s.send_outbox();
  s.apply_entries_left = limits::kApplyEntriesPerPumpMax;
  s.apply_bytes_left = limits::kApplyBytesPerPumpMax;
  s.reply_bytes_left = limits::kReplyBytesPerPumpMax;
  do {
    while (s.core.has_output())
      s.act(now, s.core.take_output());
    s.apply(now);  // What it frees in the core is output again.
  } while (s.core.has_output());

  s.compare_states(now);
  s.serve_reads();
  s.open_backups();
  s.note_recovery();
  s.deliver_answers();  // A snapshot may find that the memory is no longer what it was.
  s.pump_snapshots(now);
  s.tidy_more = s.outside.machine.tidy_slice();
  s.continue_stop();
  s.lanes.pump(now);
  s.deliver_answers();
}

void Replica::State::act(Instant now, raft::Output output) {
  // Links first, then messages for them.
  if (output.configuration) outside.network.members(*output.configuration);
  for (raft::Message& message : output.messages) {
    if (std::holds_alternative<raft::SnapshotChunk>(message.body)) {
      sending.send(std::move(message));
    } else {
      outside.network.send(std::move(message));
    }
  }
  if (output.persist) lanes.persist(now, *std::move(output.persist));
  for (const raft::LogRead& wanted : output.log_reads) {
    if (!lanes.read(wanted)) core.log_read_done(now, wanted.id, {});
  }
  for (raft::SnapshotChunk& chunk : output.chunks)
    receiving.on_chunk(std::move(chunk));
  for (raft::Entry& entry : output.committed)
    applying.push_back(std::move(entry));
  for (const raft::ReadDone& read : output.reads)
    confirm_read(read);
  if (output.role) change_role(*output.role);
  if (output.hand_over) note_hand_over(*output.hand_over);
  if (output.transfer_failed) fail_transfers();
}

bool Replica::has_more() const {
  const State& s = *state_;
  const bool applies = !s.applying.empty() && (s.slicing || !s.doubtful());
  const bool serves = s.applied_something || s.reads.has_ready(s.applied) || !s.fresh_reads.empty();
  return s.core.has_output() || applies || serves || s.tidy_more || !s.outbox.empty() ||
         !s.answers.empty() || !s.backup_clients.empty();
}

bool Replica::awaits_clients() const {
  return state_->core.awaits_clients();
}

Instant Replica::next_wakeup() const {
  const State& s = *state_;
  Instant wakeup = std::min(s.core.next_deadline(), s.lanes.next_wakeup());
  wakeup = std::min(wakeup, s.snapshot_wakeup());
  wakeup = std::min(wakeup, s.promotion_wakeup());
  wakeup = std::min(wakeup, s.writes.next_scan());
  wakeup = std::min(wakeup, s.reads.next_wakeup());
  wakeup = std::min(wakeup, s.forwards.next_scan());
  if (!s.gone.empty()) wakeup = std::min(wakeup, s.gone_scan_at);
  for (const State::WaitingTransfer& transfer : s.transfers)
    wakeup = std::min(wakeup, transfer.deadline);
  for (const State::WaitingChange& change : s.changes)
    wakeup = std::min(wakeup, change.deadline);
  for (const State::SnapshotClient& client : s.snapshot_clients)
    wakeup = std::min(wakeup, client.deadline);
  // A leader without followers is not woken by heartbeats, and its clock must not stand still.
  if (s.role.role == raft::Role::kLeader) {
    wakeup = std::min(wakeup, s.clock.last_advance() + s.config.heartbeat_interval);
  }
  return wakeup;
}

void Replica::State::advance_clock(Instant now) {
  if (clock.advance(now, heard_leader(now))) note_pause();
}

std::optional<ClusterClock::Heard> Replica::State::heard_leader(Instant now) const {
  if (role.role == raft::Role::kLeader) return ClusterClock::Heard{role.term, now};
  const std::optional<Instant> contact = core.leader_contact();
  const bool hears = role.leader && contact && now - *contact < config.election_timeout_min;
  if (!hears) return std::nullopt;
  return ClusterClock::Heard{role.term, *contact};
}

void Replica::State::send_outbox() {
  for (PeerMessage& message : outbox) {
    const auto* request = std::get_if<Forward>(&message);
    if (request == nullptr) {
      outside.network.send(std::move(message));
      continue;
    }
    const ForwardId id = request->id;
    sending_to = request->to;
    sending_failed = false;
    outside.network.send(std::move(message));
    const raft::NodeId to = std::exchange(sending_to, {});
    Forwards::Pending pending;
    if (sending_failed && forwards.take(id, to, pending)) {
      answers.emplace_back(pending.token, Unknown{.leader_lost = true});
    }
  }
  outbox.clear();
}

void Replica::State::change_role(const raft::RoleView& after) {
  const raft::RoleView before = std::exchange(role, after);
  Log& log = outside.log;
  if (after.role == raft::Role::kLeader) {
    log.info("raft: this node leads, term %llu; its log ends at %llu, committed to %llu",
             number(after.term.value), number(core.last_index().value),
             number(core.commit_index().value));
  } else if (before.role == raft::Role::kLeader) {
    log.warn("raft: this node leads no longer, term %llu", number(after.term.value));
  }
  const bool other_leader = after.leader && after.leader != config.self;
  if (other_leader && (after.leader != before.leader || after.term != before.term)) {
    log.info("raft: follows node %llu, term %llu", number(after.leader.value),
             number(after.term.value));
  } else if (before.leader && !after.leader && before.role != raft::Role::kLeader) {
    log.warn("raft: lost the leader, node %llu of term %llu: writes wait for the next one",
             number(before.leader.value), number(before.term.value));
  }
  if (after.term != before.term || after.role != before.role) {
    leading = false;
    paused = false;  // Who is elected from now on has heard from a majority.
    confirming = false;
    caught_up.clear();
    chore_at = {};
    transferring = false;
  }
  end_transfers(after);
}

void Replica::State::note_hand_over(const raft::HandOver& hand_over) {
  transferring = role.role == raft::Role::kLeader;
  const auto why = [&] {
    switch (hand_over.why) {
      case raft::HandOver::Why::kDisk:
        return "this node's disk is full, or has not answered for an election timeout";
      case raft::HandOver::Why::kPriority:
        return "it has the higher priority, and keeps up";
      case raft::HandOver::Why::kRemoved:
        return "this node is no voter any more";
    }
    return "";
  };
  outside.log.info("raft: hands leadership to node %llu: %s", number(hand_over.target.value),
                   why());
}

void Replica::State::tell_disk_full() {
  if (lanes.full() == disk_full_told) return;
  disk_full_told = lanes.full();
  core.disk_full(disk_full_told);
}

void Replica::State::note_recovery() {
  if (recovered) return;
  if (!recover_to && core.commit_index() > applied) recover_to = core.commit_index();
  if (!recover_to && applied) recover_to = applied;
  recovered = recover_to && applied >= recover_to;
}

void Replica::State::begin_stop() {
  ASSERT(stop == Stop::kNo);
  stop = Stop::kDraining;
  // What a parked read waits for may never come.
  for (const WaitingReads::Waiter& waiter : reads.take_parked()) {
    refuse(waiter.token, {Errc::kShuttingDown, "this node is shutting down"});
  }
  refuse_snapshot_clients({Errc::kShuttingDown, "this node is shutting down"});
  backups.break_all();
}

void Replica::State::continue_stop() {
  if (stop != Stop::kDraining) return;
  if (transferring && role.role == raft::Role::kLeader) return;
  if (waiting() > 0 || !fresh_reads.empty()) return;
  stop = Stop::kSealing;
  lanes.seal();
}

raft::RoleView Replica::role() const {
  return state_->core.role();
}

std::optional<Instant> Replica::leader_contact(Instant now) const {
  if (role().role == raft::Role::kLeader) return now;
  return state_->core.leader_contact();
}

ReplicaMarks Replica::marks() const {
  const State& s = *state_;
  return {s.core.role(),       s.core.hard_state(),      s.core.commit_index(),
          s.applied,           s.core.persisted_index(), s.core.first_index(),
          s.core.last_index(), s.core.pending_bytes()};
}

std::size_t Replica::waiting_writes() const {
  return state_->waiting_writes();
}

std::size_t Replica::waiting_reads() const {
  return state_->reads.size() + state_->fresh_reads.size();
}

const raft::ConfigurationAt& Replica::configuration() const {
  return state_->core.configuration();
}

std::vector<raft::PeerProgress> Replica::progress() const {
  return state_->core.progress();
}

ReplicaStatus Replica::status(Instant now) const {
  const State& s = *state_;
  ReplicaStatus status;
  static_cast<ReplicaMarks&>(status) = marks();
  status.configuration = s.core.configuration();
  status.progress = progress();
  status.leader_contact = leader_contact(now);
  status.counters = s.core.counters();
  status.waiting_writes = s.waiting_writes();
  status.waiting_reads = waiting_reads();
  status.forwarded_total = s.forwarded_total;
  status.disk_full = s.lanes.full();
  status.recovered = s.recovered;
  status.transferring = s.transferring;
  status.cluster_time = s.clock.reading();
  status.log_bytes_on_disk = s.lanes.journal().bytes_on_disk();
  if (!s.kept.empty()) status.snapshot = s.kept.back();
  status.snapshots_made = s.snapshots_made;
  status.doubt = s.hashes.doubt();
  status.doubts = s.doubts;
  status.reloads = s.reloads;
  return status;
}

const RecentHistogram& Replica::sync_times() const {
  return state_->lanes.sync_times();
}

const RecentHistogram& Replica::commit_times() const {
  return state_->commit_times;
}

const RecentHistogram& Replica::apply_times() const {
  return state_->apply_times;
}

void Replica::check_invariants() const {
  const State& s = *state_;
  s.core.check_invariants();
  s.writes.check_invariants(s.applied);
  s.forwards.check_invariants();
  ASSERT_CMP(s.applied, <=, s.core.commit_index());
  ASSERT_CMP(s.waiting(), <=, limits::kProposalsPendingMax + limits::kReadsPendingMax);
  if (s.chore_at) ASSERT_CMP(s.chore_at, >, s.applied);
  if (!s.applying.empty()) ASSERT_CMP(s.applying[0].index, ==, s.applied.next());
}

}  // namespace raftd::node
