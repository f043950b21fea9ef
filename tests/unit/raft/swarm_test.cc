// Thousands of seeded runs with lost, late, repeated and reordered messages, partitions, crashes
// that keep only what was durable, full disks and transfers. What is checked after every event is
// in raft_support/cluster.h. RAFTD_SEEDS=N runs N seeds, RAFTD_SEED=S only that one.
#include <doctest/doctest.h>

#include <cstdlib>

#include "raft_support/cluster.h"

namespace raftd::raft::testing {
namespace {

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

void disturb(Cluster& cluster, std::size_t members) {
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

// All is well again: soon there is a leader, and everybody gets what it takes.
void check_recovery(Cluster& cluster) {
  cluster.heal();
  bool committed = false;
  for (int i = 0; i < 60 && !committed; ++i) {
    cluster.run_for(50ms);
    const std::uint64_t leader = cluster.leader();
    if (leader != 0 && cluster.propose(leader, "last-" + std::to_string(i))) {
      cluster.run_for(200ms);
      committed = !cluster.history.empty() &&
                  as_text(cluster.history.back().payload.bytes) == "last-" + std::to_string(i);
    }
  }
  REQUIRE(committed);
  cluster.run_for(300ms);
  const std::uint64_t served = cluster.reads_served;
  for (const auto& [id, node] : cluster.nodes) {
    CHECK(node->core->commit_index().value == cluster.history.size());
    CHECK(node->disk.entries.size() == cluster.history.size());
    CHECK(cluster.read(id));
  }
  cluster.run_for(300ms);
  CHECK(cluster.reads_served == served + cluster.nodes.size());
  cluster.check_log_matching();
}

void run(std::uint64_t seed) {
  INFO("seed ", seed);
  Rng rng(seed);
  Cluster cluster(options_for(rng), rng.next());
  const std::size_t members = cluster.options.configuration.addresses.size();
  int proposals = 0;
  for (int step = 0; step < 60; ++step) {
    cluster.run_for(Duration(static_cast<Duration::rep>(rng.below(40'000'000))));
    work(cluster, proposals);
    if (rng.one_in(3)) disturb(cluster, members);
  }
  cluster.check_log_matching();
  check_recovery(cluster);
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST_CASE(
    "[F01 F03 F04 F05 F06 F07 F08 F09 F11 F12 F19 F20 F21 F25 F27 F29 SR-2] nothing that a "
    "network, disks and crashes do breaks safety, and when they stop the cluster recovers") {
  const std::uint64_t only = from_environment("RAFTD_SEED", 0);
  if (only != 0) return run(only);
  const std::uint64_t seeds = from_environment("RAFTD_SEEDS", 500);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed)
    run(seed);
}

}  // namespace
}  // namespace raftd::raft::testing
