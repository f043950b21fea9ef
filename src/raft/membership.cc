// Changes of membership by joint consensus (thesis 4.3), the only way there is.
//
// The happy path is: change_members() appends a configuration in which majorities of the old and
// of the new voters count; when that is committed its leader appends the new one alone; when that
// is committed the change is over. Possible failure modes are: the leader changes (the next one has
// the joint configuration in its log and goes on, or does not have it, and the change never was);
// one half has no majority (nothing is committed until it has); the leader itself goes (it leads,
// without counting itself, until the last entry is committed, and then hands over).
#include <utility>

#include "base/limits.h"
#include "base/text.h"
#include "raft/state.h"

namespace raftd::raft {

Status Core::State::may_change(const Leader& leader, Index based_on) const {
  if (leader.transfer) return Error{Errc::kTransferring, "leadership is being handed over"};
  if (disk_full) return Error{Errc::kDiskFull, "the leader's disk is full"};
  const ConfigurationAt& present = log.configuration();
  if (present.configuration.joint() || present.index > log.commit()) {
    return Error{Errc::kConflict, strf("a change of members is under way since index %llu",
                                       static_cast<unsigned long long>(present.index.value))};
  }
  // What earlier terms left may hold a configuration that this node has not seen committed.
  if (!committed_in_own_term()) {
    return Error{Errc::kNotReady, "this leader has committed nothing in its term yet"};
  }
  if (present.index != based_on) {
    return Error{Errc::kConflict, "the members have been changed meanwhile"};
  }
  return Done{};
}

bool Core::State::answers(const Leader& leader, NodeId id) const {
  if (id == config.self) return true;
  const Progress* peer = leader.find(id);
  const std::optional<Instant> heard = peer == nullptr ? std::nullopt : peer->last_contact();
  return heard && now - *heard < config.election_timeout_min;
}

// Thesis 4.2.1: a server that has no log yet, or is not there, would keep what is proposed from
// being committed.
Status Core::State::may_become(const Leader& leader, const Configuration& target) const {
  const Configuration& present = configuration();
  for (const NodeId voter : target.voters) {
    if (contains(present.voters, voter)) continue;
    const auto id = static_cast<unsigned long long>(voter.value);
    if (!contains(present.learners, voter)) {
      return Error{Errc::kBadInput, strf("member %llu is no learner yet", id)};
    }
    if (!answers(leader, voter)) {
      return Error{Errc::kBusy, strf("member %llu does not answer", id)};
    }
    const Progress* peer = leader.find(voter);
    if (peer == nullptr) continue;  // This node: made a learner, and not handed over yet.
    if (peer->match() + limits::kPromotionLagMax < log.last()) {
      return Error{Errc::kBusy, strf("the log of member %llu is too far behind", id)};
    }
  }
  return Done{};
}

Result<Index> Core::State::change_members(const MembershipChange& change) {
  auto* leader = as<Leader>();
  if (!leader) return Error{Errc::kNotLeader, "this node is not the leader"};
  const Configuration& target = change.target;
  TRY([[maybe_unused]] const Done allowed, may_change(*leader, change.based_on));
  TRY([[maybe_unused]] const Done correct, check(target));
  if (target.joint()) return Error{Errc::kBadInput, "configuration: it has outgoing voters"};
  TRY([[maybe_unused]] const Done able, may_become(*leader, target));
  const auto heard = [&](NodeId voter) { return answers(*leader, voter) ? 1 : 0; };
  if (!change.forced && quorum_value<int>(target, heard) == 0) {
    return Error{Errc::kNotReady, "too few of the voters that would be left answer"};
  }
  append_configuration(*leader, joint_of(configuration(), target));
  return log.last();
}

// In effect at once (thesis 4.1): who is not in it is not sent anything from here on, and who is
// new is.
void Core::State::append_configuration(Leader& leader, const Configuration& next) {
  const Index before = log.last();
  append_own(EntryKind::kConfiguration, share(encode(next)));
  std::vector<Progress> peers;
  for (const MemberAddress& member : next.addresses) {
    if (member.id == config.self) continue;
    if (Progress* known = leader.find(member.id)) {
      peers.push_back(std::move(*known));
    } else {
      peers.emplace_back(member.id, before, now);
    }
  }
  leader.peers = std::move(peers);
  leader.next_reader = 0;
  // Fewer may be a majority now.
  advance_commit(now);
  confirm_round(leader);
}

bool Core::State::joint_ends(const Leader& leader) const {
  const ConfigurationAt& present = log.configuration();
  return !leader.transfer && present.configuration.joint() && present.index <= log.commit() &&
         committed_in_own_term();
}

// Thesis 4.2.2: a leader that is not in the new configuration steps down once that is committed.
bool Core::State::must_retire(const Leader& leader) const {
  const ConfigurationAt& present = log.configuration();
  return !leader.transfer && present.index <= log.commit() &&
         !is_voter(present.configuration, config.self);
}

void Core::State::drive_change(Leader& leader) {
  if (joint_ends(leader)) append_configuration(leader, after_joint(configuration()));
  if (!must_retire(leader)) return;
  hand_over(NodeId{}, HandOver::Why::kRemoved);
}

}  // namespace raftd::raft
