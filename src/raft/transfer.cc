// Leadership transfer (thesis 3.10): stop proposals, bring the target's log up to the end, tell it
// to campaign at once. On request; by a leader whose disk fails it; to a node of higher priority.
//
// Links that stall need no transfer. Without a majority CheckQuorum ends the leader within an
// election timeout, and whoever campaigns next has one. With a majority all goes on, and nobody can
// tell whether it is the link to the silent node that stands still or the node itself: then to hand
// over would help nothing, and a follower that is paused would cost the cluster its leader.
#include <tuple>
#include <utility>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {
namespace {

// A leader whose disk hangs or is full hands over at once. But a node that was handed leadership,
// or has tried to be rid of it, holds it for so long: it must not chase around among nodes with the
// same trouble. One that hangs still takes writes, one that is full takes none: then a change can
// hardly harm.
constexpr std::chrono::minutes kHungPatience{1};
constexpr int kFullPatienceTimeouts = 20;

// Before leadership goes to a node of higher priority this one has led, and that one has kept up,
// for so many election timeouts. After each attempt the leader waits twice as long, up to the
// bound, until it has not tried for twice that. Who of higher priority hands leadership over has a
// reason (its disk, its operator, its end), and is left alone for kHungPatience at least.
constexpr int kPreferTimeouts = 10;
constexpr std::chrono::minutes kPreferPatienceMax{10};

}  // namespace

NodeId Core::State::best_successor(const Leader& leader) const {
  // In an idle cluster all logs are equal, also that of a voter which is down.
  const auto merit = [&](const Progress& peer) {
    return std::tuple(answers(leader, peer.id()), peer.match(), priority_of(peer.id()));
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

// Precondition: it may be.
void Core::State::hand_over(NodeId target, HandOver::Why why) {
  const Status begun = start_transfer(target);
  ASSERT(begun);
  pending.hand_over = HandOver{as<Leader>()->transfer->target, why};
}

void Core::State::drive_transfer(Leader& leader) {
  if (!leader.transfer || leader.transfer->sent) return;
  if (match_of(leader, leader.transfer->target) < log.last()) return;
  leader.transfer->sent = true;
  post(leader.transfer->target, hard_state.term, TimeoutNow{}, Gate::kNothing);
}

Instant Core::State::disk_fails_at() const {
  if (disk_full) return now;
  return batch ? batch->since + config.election_timeout_min : Instant::never();
}

Duration Core::State::yield_patience() const {
  return disk_full ? config.election_timeout_min * kFullPatienceTimeouts : Duration(kHungPatience);
}

Instant Core::State::yield_deadline(const Leader& leader) const {
  const Instant fails = disk_fails_at();
  if (fails == Instant::never() || leader.transfer) return Instant::never();
  if (!answers(leader, best_successor(leader))) return Instant::never();
  return handed ? std::max(*handed + yield_patience(), fails) : fails;
}

Instant Core::State::transfer_deadline(const Leader& leader) const {
  return leader.transfer ? leader.transfer->deadline : Instant::never();
}

void Core::State::transfer_tick(Leader& leader) {
  if (now >= yield_deadline(leader)) {
    handed = now;
    hand_over(NodeId{}, HandOver::Why::kDisk);
  } else if (now >= transfer_deadline(leader)) {
    // Thesis 3.10: "If leadership transfer does not complete after about an election timeout, the
    // prior leader aborts the transfer and resumes accepting client requests."
    leader.transfer.reset();
    pending.transfer_failed = true;
    if (must_retire(leader)) become_follower(hard_state.term, NodeId{});
  }
}

// nullopt, which is less than any: there is no connection.
std::optional<std::int32_t> Core::State::priority_of(NodeId peer) const {
  const auto found = std::ranges::find(connected, peer, &ConnectedPeer::id);
  if (found == connected.end()) return std::nullopt;
  return found->priority;
}

Duration Core::State::preference_patience() const {
  const Duration shortest = config.election_timeout_min * kPreferTimeouts;
  const bool recent = preference.last && now - *preference.last < 2 * kPreferPatienceMax;
  return recent ? std::max(preference.patience, shortest) : shortest;
}

bool Core::State::may_prefer(const Leader& leader) const {
  const ConfigurationAt& members = log.configuration();
  if (leader.transfer || members.configuration.joint() || members.index > log.commit())
    return false;
  if (!committed_in_own_term()) return false;
  if (sending_from()) return false;  // The next leader would begin that snapshot anew.
  const Instant last = std::max(leader.since, preference.last.value_or(leader.since));
  return now >= last + preference_patience();
}

NodeId Core::State::preferred_successor(const Leader& leader) const {
  const Duration steady_min = config.election_timeout_min * kPreferTimeouts;
  const auto merit = [&](const Progress& peer) {
    return std::pair(priority_of(peer.id()), peer.match());
  };
  const Progress* best = nullptr;
  for (const Progress& peer : leader.peers) {
    if (!contains(configuration().voters, peer.id())) continue;
    if (priority_of(peer.id()).value_or(config.priority) <= config.priority) continue;
    if (!peer.steady_since() || now - *peer.steady_since() < steady_min) continue;
    if (!best || merit(peer) > merit(*best)) best = &peer;
  }
  return best ? best->id() : NodeId{};
}

// With each heartbeat: nothing here is urgent enough for a deadline of its own. How far the target
// may be behind bounds how long writes are refused.
void Core::State::heed_priorities(Leader& leader) {
  for (Progress& peer : leader.peers) {
    const bool close = peer.match() + limits::kPromotionLagMax >= log.last();
    peer.observe(now, close && answers(leader, peer.id()));
  }
  if (!may_prefer(leader)) return;
  const NodeId target = preferred_successor(leader);
  if (!target) return;
  preference = {now, std::min<Duration>(2 * preference_patience(), kPreferPatienceMax)};
  hand_over(target, HandOver::Why::kPriority);
}

void Core::State::on_timeout_now(const Message& message) {
  const auto* follower = as<Follower>();
  if (!follower || term_leader != message.from || !may_campaign()) return;
  // It would be no better a leader. Without an answer the other gives the transfer up.
  if (now >= disk_fails_at()) return;
  handed = now;
  if (priority_of(message.from) > config.priority) {
    preference = {now, std::max(preference_patience(), Duration(kHungPatience))};
  }
  campaign(true);
}

}  // namespace raftd::raft
