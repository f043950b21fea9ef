// What must hold after every step, and what must not have gone back since the last look.
#include <algorithm>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {

void Core::State::check_leader(const Leader& leader) const {
  ASSERT(durable_hard_state == hard_state);
  ASSERT(hard_state.voted_for == config.self);
  ASSERT(term_leader == config.self);
  ASSERT(gated.empty());
  if (leader.first_index >= log.first()) {
    ASSERT(log.term_at(leader.first_index) == hard_state.term);
  }
  std::size_t pending_bytes = 0;
  Index own = std::max(log.commit().next(), leader.first_index);
  for (; own <= log.last(); own = own.next())
    pending_bytes += memory_bytes(log.at(own));
  ASSERT_CMP(pending_bytes, ==, leader.pending_bytes);
  NodeId before;
  for (const Progress& peer : leader.peers) {
    ASSERT_CMP(peer.id(), >, before);
    before = peer.id();
    peer.check_invariants(log.last());
    ASSERT_CMP(peer.read_acked(), <=, leader.read_seq);
  }
  const bool forgot = std::any_of(leader.peers.begin(), leader.peers.end(),
                                  [](const Progress& peer) { return peer.forgot(); });
  if (log.commit() >= leader.first_index && !forgot) {
    const auto match = [&](NodeId id) { return match_of(leader, id); };
    const auto reached = quorum_value<Index>(configuration(), match);
    ASSERT_CMP(log.commit(), >=, reached);
    // Until its configuration is committed others may have made the majority.
    if (log.configuration().index <= log.commit()) ASSERT_CMP(log.commit(), ==, reached);
  }
  if (observed.leader && observed.hard_state.term == hard_state.term) {
    // Leader Append-Only (Raft paper, figure 3); and what a follower has acked stays acked.
    ASSERT_CMP(observed.last, <=, log.last());
    // Figure 8: what earlier terms left is committed with an entry of this one, never by counting.
    // But for a snapshot that came before this node led: it holds what is committed.
    const bool installed = observed.snapshots_installed != counters.snapshots_installed;
    if (log.commit() < leader.first_index && !installed) {
      ASSERT_CMP(log.commit(), ==, observed.commit);
    }
    for (const Progress& peer : leader.peers) {
      const auto seen =
          std::ranges::find(observed.matches, peer.id(), &std::pair<NodeId, Index>::first);
      // It may have left and come back between two looks.
      const bool same = seen != observed.matches.end() && peer.since() == leader.since;
      if (same && !peer.forgot()) ASSERT_CMP(seen->second, <=, peer.match());
    }
  }
}

void Core::State::check_follower(const Follower& follower) const {
  ASSERT_CMP(follower.verified, <=, log.last());
  ASSERT_CMP(follower.acked, <=, std::min(follower.verified, log.durable()));
  if (follower.leader) {
    ASSERT(follower.leader == term_leader);
    ASSERT(follower.leader != config.self);
    ASSERT(follower.heard.has_value());
  }
}

void Core::State::check_invariants() {
  log.check_invariants();
  ASSERT_CMP(hard_state.term, >=, log.last_term());
  ASSERT_CMP(durable_hard_state.term, <=, batched_hard_state.term);
  ASSERT_CMP(batched_hard_state.term, <=, hard_state.term);
  if (!batch) ASSERT(durable_hard_state == batched_hard_state);
  ASSERT_CMP(log_reads.size(), <=, limits::kLogReadsInFlightMax);
  for (const GatedMessage& each : gated) {
    ASSERT(each.message.term == hard_state.term);
    ASSERT(!durable_enough(each.gate));
  }
  if (snapshot) ASSERT_CMP(log.first(), <=, snapshot->id.last_index.next());
  if (receiving) {
    ASSERT_CMP(receiving->stored, <=, receiving->handed);
    ASSERT_CMP(receiving->handed, <=, receiving->meta.id.file_bytes);
  }
  if (!apply_buffer.empty()) ASSERT(apply_buffer.front().index == log.handed().next());

  // Term and commit index never fall; there is one vote in a term.
  ASSERT_CMP(observed.hard_state.term, <=, hard_state.term);
  if (observed.hard_state.term == hard_state.term && observed.hard_state.voted_for) {
    ASSERT(observed.hard_state.voted_for == hard_state.voted_for);
  }
  ASSERT_CMP(observed.commit, <=, log.commit());
  ASSERT_CMP(observed.applied, <=, log.applied());

  if (const auto* leader = as<Leader>()) {
    check_leader(*leader);
  } else if (const auto* follower = as<Follower>()) {
    check_follower(*follower);
  } else if (as<Candidate>()) {
    ASSERT(!term_leader);  // A pre-candidate may know who led its term: it has not left it yet.
  }
  observe();
}

// In place: this runs after every event of a simulated cluster.
void Core::State::observe() {
  const auto* leader = as<Leader>();
  observed.hard_state = hard_state;
  observed.commit = log.commit();
  observed.applied = log.applied();
  observed.leader = leader != nullptr;
  observed.last = log.last();
  observed.snapshots_installed = counters.snapshots_installed;
  observed.matches.clear();
  if (leader == nullptr) return;
  for (const Progress& peer : leader->peers)
    observed.matches.emplace_back(peer.id(), peer.match());
}

}  // namespace raftd::raft
