// Leadership transfer (thesis 3.10): stop proposals, bring the target's log up to the end, tell it
// to campaign at once.
#include <utility>

#include "raft/state.h"

namespace raftd::raft {
namespace {

// A leader whose disk hangs or is full hands over only once it has led for so long, and tries
// again only after as long: leadership must not chase around among nodes with the same trouble.
// One that hangs still takes writes, one that is full takes none: then a change can hardly harm.
constexpr std::chrono::minutes kHungPatience{1};
constexpr int kFullPatienceTimeouts = 20;

}  // namespace

NodeId Core::State::best_successor(const Leader& leader) const {
  // In an idle cluster all logs are equal, also that of a voter which is down.
  const auto merit = [&](const Progress& peer) {
    const auto heard = peer.last_contact();
    const bool alive = heard && now - *heard < config.election_timeout_min;
    return std::pair(alive, peer.match());
  };
  const Progress* best = nullptr;
  for (const Progress& peer : leader.peers) {
    if (!contains(configuration().voters, peer.id())) continue;
    if (!best || merit(peer) > merit(*best)) best = &peer;
  }
  return best ? best->id() : NodeId{};
}

Status Core::State::start_transfer(NodeId target) {
  auto* leader = as<Leader>();
  if (!leader) return Error{Errc::kNotLeader, "this node is not the leader"};
  if (leader->transfer) return Error{Errc::kTransferring, "a transfer is under way"};
  if (!target) target = best_successor(*leader);
  if (!target) return Error{Errc::kBadInput, "there is no other voter"};
  if (target == config.self) return Error{Errc::kBadInput, "this node is the leader already"};
  if (!contains(configuration().voters, target)) {
    return Error{Errc::kBadInput, "only a voter can become the leader"};
  }
  leader->transfer = Transfer{target, now + config.election_timeout_min, false};
  drive_transfer(*leader);
  return Done{};
}

void Core::State::drive_transfer(Leader& leader) {
  if (!leader.transfer || leader.transfer->sent) return;
  if (match_of(leader, leader.transfer->target) < log.last()) return;
  leader.transfer->sent = true;
  post(leader.transfer->target, hard_state.term, TimeoutNow{}, Gate::kNothing);
}

Duration Core::State::yield_patience() const {
  return disk_full ? config.election_timeout_min * kFullPatienceTimeouts : Duration(kHungPatience);
}

Instant Core::State::yield_deadline(const Leader& leader) const {
  if (leader.transfer || !best_successor(leader)) return Instant::never();
  const Instant hung = batch ? batch->since + config.election_timeout_min : Instant::never();
  return std::max(leader.held_since + yield_patience(), disk_full ? now : hung);
}

Instant Core::State::transfer_deadline(const Leader& leader) const {
  return leader.transfer ? leader.transfer->deadline : Instant::never();
}

void Core::State::transfer_tick(Leader& leader) {
  if (now >= yield_deadline(leader)) {
    leader.held_since = now;
    const Status started_transfer = start_transfer(NodeId{});
    ASSERT(started_transfer);
  } else if (now >= transfer_deadline(leader)) {
    // Thesis 3.10: "If leadership transfer does not complete after about an election timeout, the
    // prior leader aborts the transfer and resumes accepting client requests."
    leader.transfer.reset();
    pending.transfer_failed = true;
    if (must_retire(leader)) become_follower(hard_state.term, NodeId{});
  }
}

void Core::State::on_timeout_now(const Message& message) {
  const auto* follower = as<Follower>();
  if (!follower || term_leader != message.from || !may_campaign()) return;
  campaign(true);
}

}  // namespace raftd::raft
