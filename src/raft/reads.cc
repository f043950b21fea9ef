// Linearizable reads without the disk (thesis 6.4): ReadIndex on the leader, and for any other
// node by asking it.
//
// The happy path is: read() queues; take_output() starts a round with the commit index of that
// moment, and asks a quorum; it echoes read_seq, or a later one; the reads are served once that
// index is applied. Possible failure modes are: who was asked is late (then all are); the round's
// messages are lost (it goes out again with a heartbeat); nothing is committed in the leader's term
// yet (reads wait); leadership ends (own reads ask the next leader, peers are told); nobody answers
// within an election timeout (nullopt).
#include <utility>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {

Status Core::State::read(std::uint64_t token) {
  auto* leader = as<Leader>();
  const auto* follower = as<Follower>();
  if (!leader && !(follower && follower->leader)) {
    return Error{Errc::kNotLeader, "no leader is known"};
  }
  const std::size_t waiting = leader ? leader->reads.size() : remote_reads.size();
  if (waiting >= limits::kReadsPendingMax) return Error{Errc::kBusy, "too many reads wait"};
  if (leader) {
    leader->reads.add({token, NodeId{}, {}, 0, now});
  } else {
    remote_reads.add({token, now, 0});
  }
  return Done{};
}

void Core::State::finish_local_read(std::uint64_t token, std::optional<Index> at) {
  pending.reads.push_back({token, at});
}

void Core::State::answer_waiter(const ReadWaiter& waiter, std::optional<Index> at) {
  if (!waiter.peer) return finish_local_read(waiter.token, at);
  post(waiter.peer, hard_state.term, ReadIndexReply{waiter.incarnation, waiter.seq, at},
       Gate::kNothing);
}

bool Core::State::round_due(const Leader& leader) const {
  return leader.reads.round_due() && committed_in_own_term();
}

// Thesis 6.4: the leader needs to have committed an entry of its term; saves the commit index;
// makes sure by a round of heartbeats that it has not been superseded.
void Core::State::start_round(Leader& leader) {
  ASSERT(committed_in_own_term());
  leader.read_seq = leader.read_seq.next();
  leader.reads.start_round(now, leader.read_seq, log.commit());
  choose_round(leader);
  confirm_round(leader);
}

// A quorum is enough, of those who answer soonest: one follower more, woken for every round, takes
// the time of them all where they share a machine, and its traffic where they do not. It is asked
// when these let the round wait, and by the heartbeats.
void Core::State::choose_round(Leader& leader) {
  for (Progress& peer : leader.peers)
    peer.choose(false);
  const auto chosen = [&](NodeId id) {
    const Progress* peer = leader.find(id);
    return id == config.self || (peer && peer->chosen()) ? 1 : 0;
  };
  while (quorum_value<int>(configuration(), chosen) == 0) {
    Progress* soonest = nullptr;
    for (Progress& peer : leader.peers) {
      if (peer.chosen() || !is_voter(configuration(), peer.id())) continue;
      if (!soonest || peer.answers_in(now) < soonest->answers_in(now)) soonest = &peer;
    }
    ASSERT(soonest != nullptr);  // All of them are a quorum.
    soonest->choose(true);
  }
}

bool Core::State::wants_round(const Leader& leader, const Progress& peer) const {
  if (!leader.reads.in_round() || peer.read_sent() >= leader.reads.round()) return false;
  if (!peer.chosen() && now < leader.reads.begun() + limits::kReadRoundPatience) return false;
  return is_voter(configuration(), peer.id());
}

// When those who were not chosen are asked, too.
Instant Core::State::round_deadline(const Leader& leader) const {
  if (!leader.reads.in_round()) return Instant::never();
  const bool left = std::ranges::any_of(leader.peers, [&](const Progress& peer) {
    return peer.read_sent() < leader.reads.round() && is_voter(configuration(), peer.id());
  });
  return left ? leader.reads.begun() + limits::kReadRoundPatience : Instant::never();
}

// Compared with >=, and never by an id that could come back: an answer to a later round proves
// that its sender followed this leader later still.
void Core::State::confirm_round(Leader& leader) {
  if (!leader.reads.in_round()) return;
  const auto acked = [&](NodeId id) {
    if (id == config.self) return leader.read_seq;
    const Progress* peer = leader.find(id);
    return peer ? peer->read_acked() : ReadSeq{};
  };
  if (quorum_value<ReadSeq>(configuration(), acked) < leader.reads.round()) return;
  const Index at = leader.reads.at();
  for (const ReadWaiter& waiter : leader.reads.finish_round())
    answer_waiter(waiter, at);
}

void Core::State::expire_reads() {
  const Instant since{now.since_origin - config.election_timeout_min};
  if (auto* leader = as<Leader>()) {
    if (leader->reads.oldest() > since) return;
    for (const ReadWaiter& waiter : leader->reads.expire(since)) {
      answer_waiter(waiter, std::nullopt);
    }
    return;
  }
  for (const RemoteReads::Token& read : remote_reads.expire(since)) {
    finish_local_read(read.token, std::nullopt);
  }
}

// Its leadership ends: own reads ask whoever leads next, peers do so themselves.
void Core::State::leave_reads(Leader& leader) {
  for (const ReadWaiter& waiter : leader.reads.take_all()) {
    if (waiter.peer) {
      answer_waiter(waiter, std::nullopt);
    } else {
      remote_reads.add({waiter.token, waiter.since, 0});
    }
  }
}

bool Core::State::ask_due() const {
  const auto* follower = as<Follower>();
  if (!follower || !follower->leader) return false;
  if (remote_reads.ask_due()) return true;
  const std::optional<Instant> asked = remote_reads.asked_at();
  return asked && now >= *asked + config.heartbeat_interval;
}

void Core::State::ask_leader() {
  const std::uint64_t seq = remote_reads.ask(now);
  post(as<Follower>()->leader, hard_state.term, ReadIndexRequest{config.incarnation, seq},
       Gate::kNothing);
}

void Core::State::on_read_index_request(const Message& message, const ReadIndexRequest& request) {
  auto* leader = as<Leader>();
  const ReadWaiter waiter{0, message.from, request.incarnation, request.seq, now};
  if (!leader || leader->reads.size() >= limits::kReadsPendingMax) {
    return answer_waiter(waiter, std::nullopt);
  }
  leader->reads.add(waiter);
}

void Core::State::on_read_index_reply(const Message& message, const ReadIndexReply& reply) {
  const auto* follower = as<Follower>();
  if (reply.incarnation != config.incarnation) return;  // Meant for a former life of this node.
  if (!follower || follower->leader != message.from || !reply.at) return;
  for (const RemoteReads::Token& read : remote_reads.answered(reply.seq)) {
    finish_local_read(read.token, reply.at);
  }
  // What it named is committed; only what was compared with its log may be taken for the same.
  commit_to(std::max(log.commit(), std::min(*reply.at, follower->verified)));
}

Instant Core::State::reads_deadline() const {
  const auto* leader = as<Leader>();
  Instant deadline = leader ? leader->reads.oldest() : remote_reads.oldest();
  deadline = deadline + config.election_timeout_min;
  const auto* follower = as<Follower>();
  const std::optional<Instant> asked = remote_reads.asked_at();
  if (follower && follower->leader && asked) {
    deadline = std::min(deadline, *asked + config.heartbeat_interval);
  }
  return deadline;
}

}  // namespace raftd::raft
