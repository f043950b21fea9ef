// One whole run: chaos, then peace, then every question that can only be asked at the end.
#pragma once

#include <optional>
#include <string>

#include "sim/cluster.h"

namespace raftd::sim {

struct RunResult {
  std::optional<std::string> violation;
  std::uint64_t trace_hash = 0;
  Coverage coverage;
  Duration simulated{};
};

RunResult run(std::uint64_t seed, const Options& options, Cluster::TraceSink trace = {});

}  // namespace raftd::sim
