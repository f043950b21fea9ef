// Whether a cluster that is given up for lost really is: what raftd recover goes by before it makes
// another one of a single node.
#pragma once

#include <algorithm>
#include <vector>

#include "raft/quorum.h"

namespace raftd::node {

// A member that was asked.
struct Survivor {
  raft::NodeId id;
  bool answers = false;
  bool has_quorum = false;  // It reads what a majority has agreed on.
};

// True: nothing is lost. members: as a node that does not run has them in its log. They may be
// those of long ago: so one that has a majority behind it counts for all, whoever the members are
// by now.
inline bool lives(const raft::Configuration& members, const std::vector<Survivor>& asked) {
  if (std::ranges::any_of(asked, &Survivor::has_quorum)) return true;
  const auto answers = [&](raft::NodeId voter) {
    const auto found = std::ranges::find(asked, voter, &Survivor::id);
    return found != asked.end() && found->answers ? 1 : 0;
  };
  return raft::quorum_value<int>(members, answers) == 1;
}

}  // namespace raftd::node
