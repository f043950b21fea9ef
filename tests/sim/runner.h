// Many runs, in processes of their own: one that ends badly says so and does not take the rest
// along.
#pragma once

#include <string>

#include "sim/run.h"

namespace raftd::sim {

struct Range {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
};

struct Batch {
  Range seeds;
  Profile profile{};
  unsigned jobs = 1;    // Processes.
  Duration time_max{};  // By the clock on the wall; zero: no limit.
};

struct BatchResult {
  std::uint64_t seeds = 0;
  Duration simulated{};
  Duration took{};         // By the clock on the wall.
  Duration took_of_cpu{};  // Of all processes together.
  Coverage coverage;
  std::string failure;  // One line about the first run that failed; empty: none did.
};

// Says on standard error, every few seconds, how far it is. Stops at the first failure.
BatchResult run_batch(const Batch& batch);

// "12", or "12 --profile disk": the arguments that name a run.
std::string name_of(std::uint64_t seed, Profile profile);
std::string failure_of(std::uint64_t seed, Profile profile, const RunResult& result);

// From now on a failed assertion, a wild pointer or a minute without end in this process prints a
// line that begins with FAIL, about this run, and ends the process.
void watch_run(std::uint64_t seed, Profile profile);

}  // namespace raftd::sim
