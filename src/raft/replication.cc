// A leader's side of the log: proposals, what goes to which follower when, what is committed
// (thesis 3.5, 3.6, 10.2).
#include <utility>

#include "base/limits.h"
#include "base/text.h"
#include "raft/state.h"

namespace raftd::raft {

Result<Index> Core::State::propose(SharedBytes command) {
  auto* leader = as<Leader>();
  if (!leader) return Error{Errc::kNotLeader, "this node is not the leader"};
  const std::size_t bytes = command.bytes.size();
  if (bytes > limits::kEntryBytesMax) {
    return Error{Errc::kTooBig, strf("a command of %zu bytes; at most %zu are allowed", bytes,
                                     limits::kEntryBytesMax)};
  }
  if (leader->transfer) return Error{Errc::kTransferring, "leadership is being handed over"};
  if (disk_full) return Error{Errc::kDiskFull, "the leader's disk is full"};
  const std::size_t memory = bytes + sizeof(Entry);
  if (log.unpersisted_bytes() + memory > limits::kUnpersistedBytesMax) {
    return Error{Errc::kBusy, "too much waits for the leader's disk"};
  }
  if (leader->pending_bytes + memory > config.max_pending_bytes) {
    return Error{Errc::kBusy, "too much waits to be committed"};
  }
  append_own(EntryKind::kCommand, std::move(command));
  leader->returning.came(now);
  return log.last();
}

void Core::State::append_own(EntryKind kind, SharedBytes payload) {
  Leader& leader = *as<Leader>();
  Entry entry{log.last().next(), hard_state.term, kind, std::move(payload)};
  const std::size_t bytes = memory_bytes(entry);
  log.append(std::move(entry));
  leader.pending_bytes += bytes;
  leader.appended += bytes;
}

Index Core::State::match_of(const Leader& leader, NodeId id) const {
  // Thesis 10.2.1: the leader may write its disk while the followers write theirs, and counts
  // itself only once its own write is done.
  if (id == config.self) return log.durable();
  const Progress* peer = leader.find(id);
  return peer ? peer->match() : Index{};
}

// Raft paper, figure 2: "If there exists an N such that N > commitIndex, a majority of
// matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N". Not for entries of
// earlier terms: figure 8 shows what would be lost. left: when that left here which
// has just been acknowledged.
void Core::State::advance_commit(Instant left) {
  Leader& leader = *as<Leader>();
  const Index reached =
      quorum_value<Index>(configuration(), [&](NodeId id) { return match_of(leader, id); });
  if (reached <= log.commit() || reached < leader.first_index) return;
  leader.returning.committed(now, reached.value - log.commit().value, now - left);
  commit_to(reached);
}

void Core::State::commit_to(Index index) {
  if (index == log.commit()) return;
  if (auto* leader = as<Leader>()) {
    const Index first = std::max(log.commit().next(), leader->first_index);
    for (Index own = first; own <= index; own = own.next()) {
      leader->pending_bytes -= memory_bytes(log.at(own));
    }
    for (Progress& peer : leader->peers)
      peer.committed(now);
  }
  log.commit_to(index);
}

bool Core::State::committed_in_own_term() const {
  const auto* leader = as<Leader>();
  return leader && log.commit() >= leader->first_index;
}

void Core::State::on_append_reply(const Message& message, const AppendReply& reply) {
  auto* leader = as<Leader>();
  Progress* peer = leader ? leader->find(message.from) : nullptr;
  if (peer == nullptr) return;
  const Index claimed =
      std::visit(overloaded{
                     [](const AppendReply::Accepted& accepted) { return accepted.match; },
                     [](const AppendReply::Rejected& rejected) { return rejected.prev_index; },
                 },
                 reply.result);
  if (claimed > log.last() || reply.read_seq > leader->read_seq) {
    ++counters.bad_messages;  // It speaks of what was never sent to it.
    return;
  }
  peer->heard(now, reply.read_seq);
  peer->fit_window(now, reply.read_seq, config.election_timeout_min, config.max_inflight_bytes);
  std::visit(overloaded{
                 [&](const AppendReply::Accepted& accepted) { on_accepted(*peer, accepted.match); },
                 [&](const AppendReply::Rejected& rejected) { on_rejected(*peer, rejected); },
             },
             reply.result);
  confirm_round(*leader);
  drive_transfer(*leader);
}

void Core::State::on_accepted(Progress& peer, Index match) {
  const bool sending = peer.snapshot() != nullptr;
  if (peer.accepted(match)) advance_commit(peer.requested());
  if (sending && peer.snapshot() == nullptr) ++counters.snapshots_sent;
}

// Raft paper, end of section 5.3: the rejection names the conflicting term and its first index, so
// that one answer is enough for a whole term.
void Core::State::on_rejected(Progress& peer, const AppendReply::Rejected& rejected) {
  // All logs agree before their beginning: this answers a request of a term that is over.
  if (!rejected.prev_index) return;
  if (rejected.prev_index <= peer.match()) {
    // An old answer, or its log was repaired and it lacks what it once had: the next answer tells.
    if (peer.replicating()) return peer.rejected(peer.match().next());
    if (!peer.probing() || rejected.prev_index < peer.next().prev()) return;
    peer.forget_match();
  }
  if (!peer.believes_rejection(rejected.prev_index)) return;
  Index next = rejected.last_index.next();
  if (rejected.conflict_term) {
    // Behind the last entry of that term here; if there is none, where the other's term begins.
    const Index same = log.last_up_to(rejected.conflict_term);
    const bool shared = same >= log.first() && log.term_at(same) == rejected.conflict_term;
    next = shared ? same.next() : rejected.conflict_first;
  }
  peer.rejected(std::clamp(next, peer.match().next(), rejected.prev_index));
}

bool Core::State::has_window(const Progress& peer) const {
  const std::size_t bytes = log.cached(peer.next())
                                ? memory_bytes(log.at(peer.next()))
                                : peer.message_bytes_max(config.max_inflight_bytes);
  return peer.has_room(bytes, config.max_inflight_bytes);
}

bool Core::State::entries_due(const Leader& leader, const Progress& peer) const {
  if (!peer.replicating() || !log.cached(peer.next()) || peer.reading()) return false;
  return now >= may_leave_at(leader, peer) && has_window(peer);
}

// Entries wait for it until its answer comes, or that takes long; and for others that come soon.
bool Core::State::gathers(const Leader& leader, const Progress& peer) const {
  return peer.replicating() && log.cached(peer.next()) && !peer.reading() &&
         now < may_leave_at(leader, peer) && has_window(peer);
}

// Entries that wait for it, if there is room: from when on they may go; now at the earliest.
Instant Core::State::may_leave_at(const Leader& leader, const Progress& peer) const {
  if (!peer.gathered(now, leader.appended)) return peer.gather_deadline();
  return leader.returning.awaited(now) ? leader.returning.until() : now;
}

// A leader writes its own entries when they leave for a follower: nothing is committed before that
// has them, too, and what is written earlier is one sync more.
Instant Core::State::own_write_at() const {
  const auto* leader = as<Leader>();
  Instant at = Instant::never();
  for (std::size_t i = 0; leader && i < leader->peers.size(); ++i) {
    const Progress& peer = leader->peers[i];
    if (!is_voter(configuration(), peer.id())) continue;
    if (peer.replicating() && peer.next() > log.durable().next()) return now;
    if (gathers(*leader, peer)) at = std::min(at, may_leave_at(*leader, peer));
  }
  if (at != Instant::never()) return at;
  return leader && leader->returning.awaited(now) ? leader->returning.until() : now;
}

bool Core::State::awaits_clients() const {
  const auto* leader = as<Leader>();
  if (!leader || !leader->returning.awaited(now)) return false;
  if (!batch && log.durable() < log.last()) return true;
  return std::ranges::any_of(leader->peers,
                             [&](const Progress& peer) { return gathers(*leader, peer); });
}

// Old entries are needed for it, and there is room for one more question.
bool Core::State::read_due(const Progress& peer) const {
  if (!peer.replicating() || peer.reading() || peer.next() > log.last()) return false;
  if (log.cached(peer.next()) || log_reads.size() >= limits::kLogReadsInFlightMax) return false;
  return peer.next() >= log.first() && has_window(peer);
}

bool Core::State::replication_due(const Leader& leader) const {
  return std::any_of(leader.peers.begin(), leader.peers.end(), [&](const Progress& peer) {
    if (peer.next_chunk() || may_begin_snapshot(leader, peer)) return true;
    return peer.probe_due() || entries_due(leader, peer) || wants_round(leader, peer) ||
           peer.announce_due(now, log.commit()) || read_due(peer);
  });
}

void Core::State::replicate(Leader& leader) {
  for (Progress& peer : leader.peers) {
    send_chunks(leader, peer);
    while (peer.probe_due() || entries_due(leader, peer))
      send_entries(leader, peer);
    const bool round = wants_round(leader, peer);
    if (!round && !peer.announce_due(now, log.commit())) continue;
    if (peer.replicating() && log.cached(peer.next()) && !peer.reading() && has_window(peer)) {
      send_entries(leader, peer);  // Since something is sent anyway.
    } else {
      // With read_seq 0 nobody answers: it only announces the commit index.
      send_append(leader, peer, {}, round ? leader.read_seq : ReadSeq{});
    }
  }
  read_for_followers(leader);
}

void Core::State::send_entries(Leader& leader, Progress& peer) {
  std::vector<Entry> entries;
  const std::size_t payload_max = peer.message_bytes_max(config.max_inflight_bytes);
  std::size_t payload = 0;
  std::size_t memory = 0;
  Index index = peer.next();
  while (log.cached(index) && entries.size() < limits::kAppendEntriesMax) {
    const Entry& entry = log.at(index);
    payload += entry.payload.bytes.size();
    memory += memory_bytes(entry);
    const bool fits = payload <= payload_max && peer.has_room(memory, config.max_inflight_bytes) &&
                      memory <= peer.window(config.max_inflight_bytes);
    if (!fits && !entries.empty()) break;
    entries.push_back(entry);
    index = index.next();
  }
  // A probe must be answered, with or without entries.
  const bool needs_answer = !peer.replicating() && entries.empty();
  const bool echo = needs_answer || wants_round(leader, peer);
  send_append(leader, peer, std::move(entries), echo ? leader.read_seq : ReadSeq{});
}

void Core::State::send_append(Leader& leader, Progress& peer, std::vector<Entry> entries,
                              ReadSeq read_seq) {
  const Index prev = peer.next().prev();
  const std::optional<Term> prev_term = log.term_at(prev);
  Progress::Sent sent{prev, entries.size(), 0, log.last(), log.commit(), read_seq, leader.appended};
  for (const Entry& entry : entries)
    sent.bytes += memory_bytes(entry);
  AppendRequest request{prev, prev_term.value_or(Term{}), log.commit(), read_seq,
                        std::move(entries)};
  // Before the log begins nothing is known: (0, 0) verifies nothing.
  if (!prev_term) request.prev_index = {};
  peer.sent(now, sent);
  post(peer.id(), hard_state.term, std::move(request), Gate::kNothing);
}

void Core::State::read_for_followers(Leader& leader) {
  const std::size_t count = leader.peers.size();
  for (std::size_t i = 0; i < count; ++i) {
    Progress& peer = leader.peers[(leader.next_reader + i) % count];
    if (!read_due(peer)) continue;
    const Index last = std::min(log.last(), log.cache_first().prev());
    const std::size_t bytes_max =
        std::min(peer.message_bytes_max(config.max_inflight_bytes), limits::kLogReadBytesMax);
    peer.set_reading(request_read(peer.id(), peer.next(), last, bytes_max));
  }
  // Another one is first next time, so that none waits for ever.
  if (count > 0) leader.next_reader = (leader.next_reader + 1) % count;
}

// Heartbeats never wait for anything. A round of reads that is not confirmed yet goes out again.
void Core::State::send_heartbeats(Leader& leader) {
  leader.heartbeat_deadline = now + config.heartbeat_interval;
  leader.read_seq = leader.read_seq.next();
  for (Progress& peer : leader.peers)
    send_append(leader, peer, {}, leader.read_seq);
}

void Core::State::leader_tick() {
  Leader& leader = *as<Leader>();
  // Thesis 6.2: a leader steps down if an election timeout elapses without a successful round of
  // heartbeats to a majority of its cluster.
  const bool alone = now >= quorum_contact(leader) + config.election_timeout_min;
  if (config.check_quorum && alone) return become_follower(hard_state.term, NodeId{});
  transfer_tick(leader);
  if (!as<Leader>()) return;  // It could hand over to nobody, and was to retire.
  for (Progress& peer : leader.peers)
    snapshot_tick(peer);
  if (now < leader.heartbeat_deadline) return;
  heed_priorities(leader);
  send_heartbeats(leader);
}

Instant Core::State::leader_deadline(const Leader& leader) const {
  Instant deadline = std::min({leader.heartbeat_deadline, yield_deadline(leader),
                               transfer_deadline(leader), round_deadline(leader)});
  if (awaits_clients()) deadline = std::min(deadline, leader.returning.until());
  if (config.check_quorum && !sole_voter()) {
    deadline = std::min(deadline, quorum_contact(leader) + config.election_timeout_min);
  }
  for (const Progress& peer : leader.peers) {
    deadline = std::min(deadline, peer.announce_deadline(log.commit()));
    if (peer.snapshot() != nullptr) {
      deadline = std::min(deadline, peer.snapshot_resend_at(config.election_timeout_min));
    }
    if (gathers(leader, peer)) deadline = std::min(deadline, may_leave_at(leader, peer));
  }
  return deadline;
}

}  // namespace raftd::raft
