#include "sim/recovering.h"

#include <algorithm>

#include "base/text.h"
#include "node/survivors.h"
#include "sim/violation.h"

namespace raftd::sim {
namespace {

using std::chrono::seconds;

struct Dead {
  std::size_t node;
  raft::Configuration known;  // As its log has it.
};

std::vector<Dead> kill_some(Cluster& cluster, Rng& rng) {
  std::vector<Dead> dead;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.running(i) || !rng.one_in(2)) continue;
    dead.push_back({i, cluster.status(i).configuration.configuration});
  }
  for (const Dead& each : dead)
    cluster.kill(each.node, false);
  return dead;
}

// Who answers, and who reads what a majority has agreed on.
std::vector<node::Survivor> ask_all(Cluster& cluster) {
  std::vector<std::shared_ptr<Cluster::Asked>> reads;
  for (std::size_t i = 0; i < cluster.size(); ++i)
    reads.push_back(cluster.get(i, "k", seconds(1)));
  const auto answered = [&] {
    return std::ranges::all_of(reads, [](const auto& read) { return read->answered; });
  };
  cluster.run_until(answered, seconds(5));
  std::vector<node::Survivor> all;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    const auto& result = reads[i]->result;
    const bool read = result && std::holds_alternative<node::Done>(*result);
    all.push_back({{i + 1}, cluster.running(i), read});
  }
  return all;
}

}  // namespace

void check_recover(Cluster& cluster, Rng rng) {
  const std::vector<Dead> dead = kill_some(cluster, rng);
  const auto runs = [&](std::size_t node) { return cluster.running(node); };
  const bool quorum = cluster.quorum(runs);
  const auto led = [&] {
    const auto leader = cluster.leader();
    return leader && cluster.is_member(*leader);
  };
  if (quorum) cluster.run_until(led, seconds(30));
  cluster.run_for(seconds(3));
  const std::vector<node::Survivor> all = ask_all(cluster);
  for (const Dead& each : dead) {
    std::vector<node::Survivor> known;
    bool meets = false;  // Somebody who is one of those that count by now.
    for (const raft::NodeId id : raft::members_of(each.known)) {
      if (id.value == each.node + 1) continue;
      known.push_back(all[id.value - 1]);
      meets = meets || (cluster.running(id.value - 1) && cluster.is_member(id.value - 1));
    }
    if (node::lives(each.known, known)) {
      ++cluster.coverage().recovers_refused;
      continue;
    }
    ++cluster.coverage().recovers_allowed;
    if (quorum && meets) {
      violated("recover", strf("node %zu would become a cluster of its own, and a member that it "
                               "knows has a quorum behind it",
                               each.node + 1));
    }
  }
}

}  // namespace raftd::sim
