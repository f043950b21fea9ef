// The happy path is: ten times a second the node asks what is due; a change of members is asked of
// the leader as a client would ask for it, and once it is committed nothing is due any more.
//
// Possible failure modes are: there is no leader, another change is under way or came between, too
// few of those that would be left answer (each: again after a second, and whoever wants to leave
// says why once a minute); this node is the only voter, so that it cannot leave (likewise); what
// became of the change is not known (the members tell).
#include "uv/own_member.h"

#include <algorithm>

#include "base/overloaded.h"

namespace raftd::uv {

// False: the members are as wanted, or must stay as they are.
bool OwnMember::want(raft::Configuration& target) {
  const auto own = std::ranges::find(target.addresses, self_, &raft::MemberAddress::id);
  if (own == target.addresses.end()) return false;
  if (!leaving_) return std::exchange(own->peer, peer_) != peer_;
  target.addresses.erase(own);
  std::erase(target.learners, self_);
  std::erase(target.voters, self_);
  if (!target.voters.empty()) return true;
  problem_ = "nobody would be left who votes";
  return false;
}

std::optional<OwnMember::Due> OwnMember::due(Instant now, const raft::ConfigurationAt& present,
                                             raft::Index applied) {
  if (in_flight_ || (attempts_ > 0 && now - tried_ < kRetryInterval)) return std::nullopt;
  if (present.configuration.joint() || present.index > applied) return std::nullopt;
  raft::Configuration target = present.configuration;
  if (!want(target)) return std::nullopt;
  in_flight_ = true;
  tried_ = now;
  return Due{{kOwnTokens | ++attempts_}, {std::move(target), present.index, false}};
}

void OwnMember::done(const node::ClientResult& result) {
  ASSERT(in_flight_);
  in_flight_ = false;
  problem_ = std::visit(overloaded{[](const node::Done&) { return std::string(); },
                                   [](const node::Refused& why) { return why.error.message; },
                                   [](const node::Unknown&) {
                                     return std::string("no answer from the leader in time");
                                   }},
                        result);
}

std::optional<std::string> OwnMember::complaint(Instant now) {
  if (!leaving_ || problem_.empty()) return std::nullopt;
  if (complained_ && now - *complained_ < kComplaintInterval) return std::nullopt;
  complained_ = now;
  return problem_;
}

}  // namespace raftd::uv
