// Thousands of seeded runs with lost, late, repeated and reordered messages, partitions, crashes
// that keep only what was durable, full disks and transfers. What is checked after every event is
// in raft_support/cluster.h. RAFTD_SEEDS=N runs N seeds, RAFTD_SEED=S only that one.
#include <doctest/doctest.h>

#include <cstdlib>

#include "raft/quorum.h"
#include "raft_support/cluster.h"

namespace raftd::raft::testing {
namespace {

constexpr std::uint64_t kNodesMax = 6;

ClusterOptions options_for(Rng& rng) {
  ClusterOptions options;
  const std::vector<Configuration> shapes = {
      make_configuration({1, 2, 3}),
      make_configuration({1, 2, 3}),
      make_configuration({1, 2, 3, 4, 5}),
      make_configuration({1}),
      make_configuration({1, 2}),
      make_configuration({1, 2, 3}, {}, {4}),
      make_configuration({1, 2, 3}, {3, 4, 5}),
      make_configuration({1, 2, 4}, {1, 2, 3}, {3}),
  };
  options.configuration = shapes[rng.below(shapes.size())];
  options.pre_vote = !rng.one_in(4);
  options.check_quorum = !rng.one_in(4);
  // Without either of them whoever has gone without knowing it disturbs the others for ever.
  if (options.configuration.joint()) options.pre_vote = options.check_quorum = true;
  options.members_change = options.pre_vote && options.check_quorum && rng.one_in(2);
  // A disk slower than an election timeout: with PreVote nobody campaigns because of it.
  if (rng.one_in(4)) options.disk_max = options.pre_vote ? 150ms : 40ms;
  if (rng.one_in(4)) options.latency_max = 20ms;
  return options;
}

std::uint64_t any_node(Cluster& cluster) {
  auto node = cluster.nodes.begin();
  std::advance(node, static_cast<std::ptrdiff_t>(cluster.rng.below(cluster.nodes.size())));
  return node->first;
}

// Any other set of members, as far as it is allowed: who becomes a voter learns first.
void change_members(Cluster& cluster) {
  Rng& rng = cluster.rng;
  const std::uint64_t leader = cluster.leader();
  if (leader == 0) return;
  Core& core = *cluster.nodes.at(leader)->core;
  const ConfigurationAt present = core.configuration();
  std::vector<std::uint64_t> voters;
  std::vector<std::uint64_t> learners;
  for (std::uint64_t id = 1; id <= kNodesMax; ++id) {
    const bool known = contains(members_of(present.configuration), {id});
    if (rng.one_in(known ? 4 : 2)) continue;
    if (known && !rng.one_in(4)) {
      voters.push_back(id);
    } else {
      learners.push_back(id);
    }
    if (!cluster.nodes.contains(id) && !cluster.down.contains(id)) cluster.start(id, {});
  }
  const Configuration target = make_configuration(voters, {}, learners);
  if (core.change_members(cluster.now, {target, present.index, true})) ++cluster.changes;
  cluster.settle(leader);
}

void disturb(Cluster& cluster) {
  const std::size_t members = cluster.nodes.size() + cluster.down.size();
  Rng& rng = cluster.rng;
  switch (rng.below(9)) {
    case 0:
      if (cluster.nodes.size() > 1) cluster.crash(any_node(cluster));
      break;
    case 1:
    case 2:
      if (!cluster.down.empty()) cluster.restart(cluster.down.begin()->first);
      break;
    case 3:  // One way, one pair.
      cluster.cut.insert({1 + rng.below(members), 1 + rng.below(members)});
      break;
    case 4: {  // Everybody from one.
      const std::uint64_t alone = 1 + rng.below(members);
      for (std::uint64_t id = 1; id <= members; ++id) {
        cluster.cut.insert({id, alone});
        cluster.cut.insert({alone, id});
      }
      break;
    }
    case 5:
      cluster.cut.clear();
      break;
    case 6:
      cluster.loss = rng.one_in(2) ? 0 : rng.below(40);
      cluster.reorder = rng.one_in(3);
      break;
    case 7: {
      const std::uint64_t id = any_node(cluster);
      static_cast<void>(cluster.nodes.at(id)->core->transfer(cluster.now, {}));
      cluster.settle(id);
      break;
    }
    case 8:
      cluster.nodes.at(any_node(cluster))->core->disk_full(rng.one_in(2));
      break;
  }
}

void work(Cluster& cluster, int& proposals) {
  const std::uint64_t id = any_node(cluster);
  if (cluster.rng.one_in(3)) {
    cluster.read(id);
    return;
  }
  for (std::uint64_t i = cluster.rng.below(5); i > 0; --i) {
    cluster.propose(id, "p" + std::to_string(++proposals));
  }
}

// The leader that nothing is under way at: no change of members, and not its own farewell.
const Core* settled_leader(const Cluster& cluster) {
  const std::uint64_t id = cluster.leader();
  if (id == 0) return nullptr;
  const Core& core = *cluster.nodes.at(id)->core;
  const ConfigurationAt& present = core.configuration();
  const bool over = !present.configuration.joint() && present.index <= core.commit_index();
  return over && contains(present.configuration.voters, {id}) ? &core : nullptr;
}

// All is well again: soon there is a leader, and everybody gets what it takes.
void check_recovery(Cluster& cluster) {
  cluster.heal();
  bool committed = false;
  for (int i = 0; i < 60 && !committed; ++i) {
    cluster.run_for(50ms);
    const std::uint64_t leader = cluster.leader();
    if (leader != 0 && cluster.propose(leader, "last-" + std::to_string(i))) {
      cluster.run_for(200ms);
      committed = std::ranges::any_of(cluster.history, [&](const Entry& entry) {
        return as_text(entry.payload.bytes) == "last-" + std::to_string(i);
      });
    }
  }
  REQUIRE(committed);
  bool settled = false;
  for (int i = 0; i < 100 && !settled; ++i) {
    const Core* before = settled_leader(cluster);
    cluster.run_for(300ms);
    settled = before != nullptr && settled_leader(cluster) == before;
  }
  REQUIRE(settled);
  const std::uint64_t served = cluster.reads_served;
  const auto members = members_of(settled_leader(cluster)->configuration().configuration);
  for (const NodeId id : members) {
    const TestNode& node = *cluster.nodes.at(id.value);
    CHECK(node.core->commit_index().value == cluster.history.size());
    CHECK(node.disk.entries.size() == cluster.history.size());
    CHECK(cluster.read(id.value));
  }
  cluster.run_for(300ms);
  CHECK(cluster.reads_served == served + members.size());
  cluster.check_log_matching();
}

// Gives how many changes of members were begun.
std::uint64_t run(std::uint64_t seed) {
  INFO("seed ", seed);
  Rng rng(seed);
  Cluster cluster(options_for(rng), rng.next());
  int proposals = 0;
  for (int step = 0; step < 60; ++step) {
    cluster.run_for(Duration(static_cast<Duration::rep>(rng.below(40'000'000))));
    work(cluster, proposals);
    if (rng.one_in(3)) disturb(cluster);
    if (cluster.options.members_change && rng.one_in(4)) change_members(cluster);
  }
  cluster.check_log_matching();
  check_recovery(cluster);
  return cluster.changes;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST_CASE(
    "[F01 F03 F04 F05 F06 F07 F08 F09 F11 F12 F19 F20 F21 F25 F27 F29 SR-2] nothing that a "
    "network, disks and crashes do breaks safety, and when they stop the cluster recovers") {
  const std::uint64_t only = from_environment("RAFTD_SEED", 0);
  if (only != 0) return static_cast<void>(run(only));
  const std::uint64_t seeds = from_environment("RAFTD_SEEDS", 500);
  std::uint64_t changes = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed)
    changes += run(seed);
  CHECK(changes >= seeds / 2);
}

}  // namespace
}  // namespace raftd::raft::testing
