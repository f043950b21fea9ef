// A follower's side of AppendEntries (Raft paper, figure 2, "AppendEntries RPC, receiver").
#include <utility>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {

void Core::State::follow(NodeId leader) {
  auto* follower = as<Follower>();
  ASSERT(follower);
  if (follower->leader != leader) {
    *follower = Follower{};
    follower->leader = leader;
    remote_reads.forget_question();
    if (last_leader != leader) ++counters.leader_changes;
    last_leader = leader;
    term_leader = leader;
  }
  follower->heard = now;
  deferred = false;
  draw_election_deadline();
}

void Core::State::on_append_request(Message& message, AppendRequest& request) {
  ASSERT_CMP(message.term, ==, hard_state.term);
  if (term_leader && term_leader != message.from) {
    ++counters.bad_messages;  // Two leaders in one term, or two processes with one id.
    return;
  }
  // Raft paper, figure 2: "If AppendEntries RPC received from new leader: convert to follower".
  if (!as<Follower>()) become_follower(hard_state.term, message.from);
  follow(message.from);
  if (reject_append(message, request)) return;

  Follower& follower = *as<Follower>();
  std::size_t known = 0;
  while (known < request.entries.size() &&
         log.term_at(request.entries[known].index) == request.entries[known].term) {
    ++known;
  }
  const std::size_t taken = entries_to_take(request, known);
  if (taken > known) {
    const Index index = request.entries[known].index;
    // Neither a committed entry nor one that this leader's log has is ever in conflict with it.
    if (index <= log.commit() || index <= follower.verified) {
      ++counters.bad_messages;
      return;
    }
    counters.entries_overwritten += log.truncate(index);
    for (std::size_t i = known; i < taken; ++i)
      log.append(std::move(request.entries[i]));
  }
  const Index end = request.prev_index + taken;
  follower.verified = std::max(follower.verified, end);
  commit_to(std::max(log.commit(), std::min(request.commit, end)));

  const bool new_round = request.read_seq > follower.read_seen;
  follower.read_seen = std::max(follower.read_seen, request.read_seq);
  if (end > request.prev_index && end <= log.durable()) {
    acknowledge(message.from, end, request.read_seq);
  } else if (request.entries.empty() ? static_cast<bool>(request.read_seq) : new_round) {
    acknowledge(message.from, std::min(request.prev_index, log.durable()), request.read_seq);
  }
}

// "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm".
bool Core::State::reject_append(const Message& message, const AppendRequest& request) {
  const std::optional<Term> term = log.term_at(request.prev_index);
  const bool reaches_dropped = !term || !request.entries.empty();
  if (request.prev_index.next() < log.first() && reaches_dropped) {
    // What was dropped is committed, and every leader's log holds that: it goes on behind it.
    Follower& follower = *as<Follower>();
    follower.verified = std::max(follower.verified, log.commit());
    acknowledge(message.from, std::min(log.commit(), log.durable()), request.read_seq);
    return true;
  }
  if (term == request.prev_term) return false;
  if (request.prev_index <= log.commit()) {
    ++counters.bad_messages;  // Every leader's log holds what is committed.
    return true;
  }
  AppendReply::Rejected rejected{request.prev_index, log.last(), {}, {}};
  if (term) {
    rejected.conflict_term = *term;
    rejected.conflict_first = log.first_of_term_at(request.prev_index);
  }
  post(message.from, hard_state.term, AppendReply{rejected, request.read_seq}, Gate::kTerm);
  return true;
}

// How many of the entries may stay: those already there, and of the others as many as the disk can
// be asked to take. The rest is sent again.
std::size_t Core::State::entries_to_take(const AppendRequest& request, std::size_t known) const {
  std::size_t bytes = log.unpersisted_bytes();
  std::size_t taken = known;
  for (; taken < request.entries.size(); ++taken) {
    const Entry& entry = request.entries[taken];
    bytes += memory_bytes(entry);
    if (bytes > limits::kUnpersistedBytesMax) break;
    if (disk_full && entry.kind == EntryKind::kCommand) break;
  }
  return taken;
}

void Core::State::acknowledge(NodeId leader, Index match, ReadSeq read_seq) {
  ASSERT_CMP(match, <=, log.durable());
  Follower& follower = *as<Follower>();
  ASSERT_CMP(match, <=, follower.verified);
  follower.acked = std::max(follower.acked, match);
  post(leader, hard_state.term, AppendReply{AppendReply::Accepted{match}, read_seq}, Gate::kTerm);
}

// One ack for all that has become durable, so that a steady stream cannot hold its own acks back.
void Core::State::acknowledge_durable() {
  const auto* follower = as<Follower>();
  if (!follower || !follower->leader) return;
  const Index match = std::min(follower->verified, log.durable());
  if (match > follower->acked) acknowledge(follower->leader, match, follower->read_seen);
}

}  // namespace raftd::raft
