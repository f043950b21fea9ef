// Learners that the state says shall vote become voters, by the leader, without anybody's asking.
//
// The happy path is: a few times a second the leader looks how far behind such a learner is; when
// it has lacked little for kPromotionPatience, a change of members makes a voter of it, and takes
// the member out that it replaces. Possible failure modes are: it falls behind or goes silent (it
// begins anew); the change is refused, since another one is under way or too few would answer (it
// is tried again at the next look, and the log says why once a minute); the leader changes (the
// next one begins anew).
#include <algorithm>

#include "base/limits.h"
#include "node/replica_state.h"

namespace raftd::node {
namespace {

constexpr Duration kLookInterval = std::chrono::milliseconds(250);
constexpr Duration kComplaintInterval = std::chrono::minutes(1);

// The learner votes, and the member that it replaces is none any more.
raft::Configuration promoted(raft::Configuration target, const machine::Promotion& wanted) {
  std::erase(target.learners, wanted.learner);
  target.voters.insert(std::ranges::lower_bound(target.voters, wanted.learner), wanted.learner);
  if (!wanted.replaces || wanted.replaces == wanted.learner) return target;
  std::erase(target.voters, wanted.replaces);
  std::erase(target.learners, wanted.replaces);
  std::erase_if(target.addresses, [&](const auto& at) { return at.id == wanted.replaces; });
  return target;
}

}  // namespace

void Replica::State::promote_learners(Instant now) {
  if (!leading || now < promotion_look_at) return;
  const std::vector<machine::Promotion>& wanted = outside.machine.promotions();
  if (wanted.empty()) return;
  promotion_look_at = now + kLookInterval;
  if (transferring || stop != Stop::kNo || doubtful()) return;
  const std::vector<raft::PeerProgress> peers = core.progress();
  const auto keeps_up = [&](raft::NodeId learner) {
    const auto peer = std::ranges::find(peers, learner, &raft::PeerProgress::id);
    return peer != peers.end() && peer->last_contact &&
           now - *peer->last_contact < config.election_timeout_min &&
           peer->match + limits::kPromotionLagMax >= core.last_index();
  };
  std::erase_if(caught_up, [&](const CaughtUp& each) { return !keeps_up(each.learner); });
  for (const machine::Promotion& each : wanted) {
    const auto known = std::ranges::find(caught_up, each.learner, &CaughtUp::learner);
    if (known == caught_up.end()) {
      if (keeps_up(each.learner)) caught_up.push_back({each.learner, now});
      continue;
    }
    if (now - known->since < limits::kPromotionPatience) continue;
    if (promote(now, each)) return;  // One change at a time.
  }
}

bool Replica::State::promote(Instant now, const machine::Promotion& wanted) {
  const raft::ConfigurationAt& present = core.configuration();
  const std::vector<raft::NodeId>& learners = present.configuration.learners;
  if (present.configuration.joint() || !std::ranges::binary_search(learners, wanted.learner)) {
    return false;
  }
  const Result<raft::Index> begun = core.change_members(
      now, {promoted(present.configuration, wanted), present.index, /*forced=*/false});
  if (!begun && now < promotion_complain_at) return false;
  if (!begun) {
    promotion_complain_at = now + kComplaintInterval;
    outside.log.warn("raft: node %llu has caught up and does not become a voter yet: %s",
                     static_cast<unsigned long long>(wanted.learner.value),
                     begun.error().message.c_str());
    return false;
  }
  outside.log.info("raft: node %llu has caught up and becomes a voter",
                   static_cast<unsigned long long>(wanted.learner.value));
  return true;
}

Instant Replica::State::promotion_wakeup() const {
  const bool none = !leading || outside.machine.promotions().empty();
  return none ? Instant::never() : promotion_look_at;
}

}  // namespace raftd::node
