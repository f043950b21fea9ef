// What goes wrong, and when.
#pragma once

#include "sim/cluster.h"

namespace raftd::sim {

class Nemesis {
 public:
  Nemesis(Cluster& cluster, std::uint64_t seed) : cluster_(cluster), rng_(seed) {}

  void start();
  void stop();  // Nothing begins any more; whoever is down stays so.

 private:
  void often(Duration every, void (Nemesis::*fault)());
  void crash();
  void power_loss();
  void lose_power(std::size_t node, int tries);
  void partition();
  void reset();
  void pause();
  void fill_disk();
  void transfer();
  void stop_node();
  std::size_t victim();
  void start_later(std::size_t node);

  Cluster& cluster_;
  Rng rng_;
  bool stopped_ = false;
};

}  // namespace raftd::sim
