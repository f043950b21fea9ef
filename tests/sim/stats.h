// What the runs of a range have seen, by name, and what they should have seen.
#pragma once

#include <span>
#include <string>

#include "sim/cluster.h"

namespace raftd::sim {

struct Counter {
  std::string_view name;  // One word.
  std::uint64_t Coverage::*count;
  unsigned expected_in = 0;  // Profiles, as bits.
};
std::span<const Counter> counters();  // All of them.
const Counter* counter_named(std::string_view name);

std::string table_of(const Coverage& coverage);
// Names of what never happened in many runs of a profile, and should have; empty: none. A profile
// in which it never happens is blind for it.
std::string never_seen(const Coverage& coverage, Profile profile);

}  // namespace raftd::sim
