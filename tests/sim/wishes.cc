#include "sim/wishes.h"

#include <algorithm>

#include "base/text.h"
#include "sim/violation.h"

namespace raftd::sim {

std::size_t Wishes::ticket(raft::NodeId replaces) {
  tickets_.push_back({{}, replaces});
  return tickets_.size() - 1;
}

std::optional<raft::NodeId> Wishes::in_effect(std::size_t node, const raft::ConfigurationAt& at) {
  const Roles now = roles_of(at.configuration);
  const bool founding = at.index == raft::Index{1};
  std::optional<raft::NodeId> replaced;
  if (!founding && std::ranges::find(asked_, now) == asked_.end()) {
    replaced = replaced_on_the_way_to(now);
    if (!replaced) {
      violated("members", strf("nobody asked for those that node %zu has in entry %llu", node + 1,
                               static_cast<unsigned long long>(at.index.value)));
    }
    asked_.push_back(now);  // The end of its joint phase has the same members.
  }
  if (std::ranges::find(seen_, now) == seen_.end()) seen_.push_back(now);
  return replaced && *replaced ? replaced : std::nullopt;
}

Wishes::Roles Wishes::promoted(Roles roles, raft::NodeId learner, raft::NodeId replaces) {
  std::erase(roles.learners, learner);
  roles.voters.insert(std::ranges::lower_bound(roles.voters, learner), learner);
  if (replaces == learner) return roles;
  std::erase(roles.voters, replaces);
  std::erase(roles.learners, replaces);
  return roles;
}

// By a promotion from some members that were in effect. Nothing: there is no such ticket; nobody
// (0): all of them stay.
std::optional<raft::NodeId> Wishes::replaced_on_the_way_to(const Roles& now) const {
  for (const Roles& before : seen_) {
    for (const raft::NodeId learner : before.learners) {
      for (const Ticket& ticket : tickets_) {
        if (ticket.learner && ticket.learner != learner) continue;
        if (promoted(before, learner, ticket.replaces) != now) continue;
        const bool leaves = std::ranges::binary_search(before.voters, ticket.replaces) ||
                            std::ranges::binary_search(before.learners, ticket.replaces);
        return leaves && ticket.replaces != learner ? ticket.replaces : raft::NodeId{};
      }
    }
  }
  return std::nullopt;
}

}  // namespace raftd::sim
