// Makes a plan's faults happen.
#pragma once

#include "sim/cluster.h"
#include "sim/joining.h"
#include "sim/plan.h"

namespace raftd::sim {

class Nemesis {
 public:
  Nemesis(Cluster& cluster, Plan plan, Cluster::TraceSink trace = {})
      : cluster_(cluster), plan_(std::move(plan)), trace_(std::move(trace)), joining_(cluster) {}

  void start();
  void stop();  // Nothing begins any more; whoever is down stays so.
  const Joining& joining() const { return joining_; }

 private:
  void happen(const Fault& fault);
  void happen_to_process(const Fault& fault, std::size_t node);
  void happen_to_network(const Fault& fault, std::size_t node);
  void happen_to_disk(const Fault& fault, std::size_t node);
  void lose_power(std::size_t node, std::uint64_t tries, Duration lasting);
  void lose_all_power(const Fault& fault);
  void partition(const Fault& fault, std::size_t center);
  void fill_disk(std::size_t node, Duration lasting);
  std::size_t victim(const Fault& fault) const;
  void replace(std::size_t node, int attempts);
  std::uint64_t there() const;
  void start_later(std::size_t node, Duration after);

  Cluster& cluster_;
  Plan plan_;
  Cluster::TraceSink trace_;
  Joining joining_;
  bool stopped_ = false;
};

}  // namespace raftd::sim
