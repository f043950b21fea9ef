// What a load generator has counted, and how it is told.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "base/histogram.h"
#include "base/time.h"
#include "cli/load_requests.h"
#include "cli/output.h"

namespace raftd::cli {

struct Tally {
  std::array<FineHistogram, kLoadKinds> latencies;  // By LoadKind,
  // and how many of them are of requests that were due and still waited at the end.
  std::array<std::uint64_t, kLoadKinds> never_sent{};
  std::map<std::string, std::uint64_t> errors;  // By what is said of them; a few kinds.
  Instant begin;
  Instant last;  // When the last of what was counted came.

  void add(LoadKind kind, Instant due, Instant now) {
    latencies[static_cast<std::size_t>(kind)].add(now - due);
    last = now;
  }
  void add_never_sent(LoadKind kind, Instant due, Instant now) {
    latencies[static_cast<std::size_t>(kind)].add(now - due);
    ++never_sent[static_cast<std::size_t>(kind)];
  }
  // Those that came.
  std::uint64_t count(LoadKind kind) const {
    const auto i = static_cast<std::size_t>(kind);
    return latencies[i].count() - never_sent[i];
  }
  std::uint64_t count() const;
};

// A row for each kind, and what went wrong below it.
void print_tally(const Tally& tally, const LoadPlan& plan, const Output& output);
// The same as one line of JSON.
void print_tally_json(const Tally& tally, const LoadPlan& plan, const Output& output);

}  // namespace raftd::cli
