// Snapshots between nodes (thesis section 5): a follower that needs entries which are gone is sent
// the file in pieces, beside appends and with a window of its own.
//
// The happy path is: the leader sends the first piece, its answer says how much of this very file
// is there from a transfer before, the rest follows in a window; when all is stored the follower's
// shell verifies and restores it, installed() resets the log, and the next ack says so. Possible
// failure modes are: pieces are lost (the answers to those behind them say where to go on); nothing
// moves (resent after an election timeout, given up after ten); the leader changes (the same file
// goes on where it was, another begins anew); it does not verify (told, begun anew).
//
// A follower whose state turned out to be wrong is sent one as well, although it has the log. Then
// the file goes beside the entries, which the follower stores and acks all the while; the transfer
// ends when all of it is stored there.
#include <utility>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {
namespace {

constexpr int kStuckTimeouts = 10;  // Election timeouts without progress: given up.

}  // namespace

void Core::State::compacted(const SnapshotMeta& durable) {
  ASSERT_CMP(durable.id.last_index, <=, log.applied());
  ASSERT_CMP(durable.id.last_index, <=, log.durable());
  if (!snapshot || snapshot->id.last_index < durable.id.last_index) snapshot = durable;
}

// A leader's side.

void Core::State::send_snapshot(NodeId to, Index index) {
  auto* leader = as<Leader>();
  Progress* peer = leader ? leader->find(to) : nullptr;
  if (peer) peer->want_snapshot(index);
}

bool Core::State::needs_snapshot(const Progress& peer) const {
  if (peer.snapshot() != nullptr || !snapshot || snapshot_wanted) return false;
  if (peer.snapshot_wanted() && *peer.snapshot_wanted() <= snapshot->id.last_index) return true;
  return peer.next() < log.first() || !log.term_at(peer.next().prev());
}

bool Core::State::may_begin_snapshot(const Leader& leader, const Progress& peer) const {
  if (!needs_snapshot(peer)) return false;
  const std::optional<Instant> contact = peer.last_contact();
  if (!contact || now - *contact >= config.election_timeout_min) return false;
  const auto sends = std::count_if(leader.peers.begin(), leader.peers.end(),
                                   [](const Progress& p) { return p.snapshot() != nullptr; });
  return static_cast<std::size_t>(sends) < limits::kSnapshotSendsMax;
}

void Core::State::send_chunks(Leader& leader, Progress& peer) {
  if (may_begin_snapshot(leader, peer)) {
    const bool log_needs_it = peer.next() < log.first() || !log.term_at(peer.next().prev());
    log_needs_it ? peer.begin_snapshot(now, *snapshot) : peer.begin_beside(now, *snapshot);
  }
  while (const std::optional<std::uint64_t> offset = peer.next_chunk()) {
    const SnapshotMeta& meta = *peer.snapshot();
    const auto bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(limits::kSnapshotWireBytes, meta.id.file_bytes - *offset));
    post(peer.id(), hard_state.term, SnapshotChunk{meta, *offset, bytes, {}}, Gate::kNothing);
    peer.chunk_sent(bytes);
  }
}

void Core::State::on_snapshot_reply(const Message& message, const SnapshotReply& reply) {
  auto* leader = as<Leader>();
  Progress* peer = leader ? leader->find(message.from) : nullptr;
  if (peer == nullptr) return;
  peer->heard(now, ReadSeq{});
  if (peer->snapshot() == nullptr || peer->snapshot()->id != reply.id) return;
  if (reply.rejected) {
    peer->give_up_snapshot();  // Begun anew after the next heartbeat's answer.
  } else {
    peer->chunk_acked(now, reply.next_offset);
    if (peer->snapshot() == nullptr) ++counters.snapshots_sent;
  }
}

void Core::State::snapshot_tick(Progress& peer) {
  if (peer.snapshot() == nullptr) return;
  if (now >= peer.snapshot_moved() + config.election_timeout_min * kStuckTimeouts) {
    peer.give_up_snapshot();
  } else if (now >= peer.snapshot_resend_at(config.election_timeout_min)) {
    peer.resend_snapshot(now);
  }
}

std::optional<Index> Core::State::sending_from() const {
  std::optional<Index> from;
  const auto* leader = as<Leader>();
  if (!leader) return from;
  for (const Progress& peer : leader->peers) {
    if (peer.snapshot() == nullptr) continue;
    const Index index = peer.snapshot()->id.last_index;
    from = std::min(from.value_or(index), index);
  }
  return from;
}

// A follower's side.

void Core::State::reply_to_chunk(const SnapshotId& id, std::uint64_t next_offset, bool rejected) {
  const auto* follower = as<Follower>();
  if (!follower || !follower->leader) return;
  post(follower->leader, hard_state.term, SnapshotReply{id, next_offset, rejected}, Gate::kTerm);
}

void Core::State::on_snapshot_chunk(Message& message, SnapshotChunk& chunk) {
  ASSERT_CMP(message.term, ==, hard_state.term);
  if (term_leader && term_leader != message.from) {
    ++counters.bad_messages;
    return;
  }
  if (!as<Follower>()) become_follower(hard_state.term, message.from);
  follow(message.from);
  const SnapshotId& id = chunk.meta.id;
  const bool wanted = snapshot_wanted && id.last_index >= log.applied();
  if (id.last_index <= log.commit() && !wanted) {
    // What is committed agrees with every leader's log.
    Follower& follower = *as<Follower>();
    follower.verified = std::max(follower.verified, id.last_index);
    acknowledge(message.from, std::min(id.last_index, log.durable()), ReadSeq{});
    return;
  }
  if (!receiving || receiving->meta.id != id) {
    if (chunk.offset != 0) return reply_to_chunk(id, 0, false);
    receiving = Receiving{chunk.meta, 0, 0};
  }
  const bool room =
      receiving->handed + chunk.bytes - receiving->stored <= limits::kSnapshotReceiveBytesMax;
  if (chunk.offset != receiving->handed || !room) {
    // Not while the one before it is being stored: its own answer comes.
    if (receiving->handed == receiving->stored) reply_to_chunk(id, receiving->stored, false);
    return;
  }
  receiving->handed += chunk.bytes;
  pending.chunks.push_back(std::move(chunk));
}

void Core::State::chunk_stored(const SnapshotId& id, std::uint64_t next_offset) {
  if (!receiving || receiving->meta.id != id) return;
  ASSERT_CMP(next_offset, <=, receiving->handed);
  receiving->stored = next_offset;
  reply_to_chunk(id, next_offset, false);
}

void Core::State::install_failed(const SnapshotId& id, bool rejected) {
  if (!receiving || receiving->meta.id != id) return;
  receiving.reset();
  pending.chunks.clear();  // Of it: the shell has forgotten what they would follow.
  if (rejected) reply_to_chunk(id, 0, true);
}

void Core::State::installed(const SnapshotMeta& received) {
  const Index at = received.id.last_index;
  ASSERT_CMP(at, >=, log.applied());
  if (!std::exchange(snapshot_wanted, false)) ASSERT_CMP(at, >, log.applied());
  ASSERT_CMP(received.id.last_term, <=, hard_state.term);
  ++counters.snapshots_installed;
  receiving.reset();
  snapshot = received;
  for (OutstandingRead& read : log_reads) {
    if (!read.peer) read.unwanted = true;
  }
  apply_reading = false;
  apply_buffer.clear();
  // What is committed is the same in every log, and stays.
  if (at <= log.commit() || log.term_at(at) == received.id.last_term) {
    log.skip_to(at);
  } else {
    ASSERT(!as<Leader>());  // Leader Completeness: a leader's log leads up to what is committed.
    log.reset_to(received);
  }
  auto* follower = as<Follower>();
  if (!follower) return;
  if (follower->leader) follower->verified = std::max(follower->verified, at);
  acknowledge_durable();
}

}  // namespace raftd::raft
