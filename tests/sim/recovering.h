// What an operator does who believes that the cluster is lost, once all has come to rest: of nodes
// that have died raftd recover would make clusters of their own. It must refuse as long as a member
// that such a node knows has a quorum behind it.
#pragma once

#include "sim/cluster.h"

namespace raftd::sim {

// Kills some nodes for good, and asks for each of them. Throws a Violation.
void check_recover(Cluster& cluster, Rng rng);

}  // namespace raftd::sim
