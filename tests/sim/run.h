// One whole run: chaos, then peace, then every question that can only be asked at the end.
#pragma once

#include <optional>
#include <string>

#include "sim/cluster.h"
#include "sim/plan.h"

namespace raftd::sim {

// All that decides how a run goes.
struct Script {
  std::uint64_t seed = 0;  // Of all that is not said below: delays, keys, values.
  Options options;
  Plan plan;

  bool operator==(const Script&) const = default;
};

struct RunResult {
  std::optional<std::string> violation;  // "invariant: why".
  std::uint64_t trace_hash = 0;
  Coverage coverage;
  Duration simulated{};

  std::string invariant() const;  // Its name; empty if nothing was violated.
};

// Of one run; more is a storm.
inline constexpr std::uint64_t kEventsMax = 20'000'000;

// until: the run ends after so many events, without a look at the end.
RunResult run(const Script& script, Cluster::TraceSink trace = {},
              std::uint64_t until = kEventsMax);
RunResult run(std::uint64_t seed, const Options& options, Cluster::TraceSink trace = {});

}  // namespace raftd::sim
