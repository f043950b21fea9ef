// The vocabulary of the protocol (thesis figure 3.1): distinct integers, entries, hard state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/strong.h"
#include "base/time.h"

namespace raftd::raft {

using Term = Strong<struct TermTag>;
using Index = Strong<struct IndexTag>;
using NodeId = Strong<struct NodeIdTag>;    // 0 means nobody.
using ReadSeq = Strong<struct ReadSeqTag>;  // Monotonic within a term; never reused.
using PersistSeq = Strong<struct PersistSeqTag>;
using LogReadId = Strong<struct LogReadIdTag>;
using Incarnation = Strong<struct IncarnationTag>;  // Random, drawn at each process start.

// The numbers are on disk and on the wire.
enum class EntryKind : std::uint8_t { kNoop = 1, kCommand = 2, kConfiguration = 3 };

struct Entry {
  Index index;
  Term term;
  EntryKind kind = EntryKind::kNoop;
  SharedBytes payload;  // Empty for kNoop; encode(Configuration) for kConfiguration.
};

// Where a log ends. The greater one is more up-to-date (Raft paper, section 5.4.1).
struct LogPosition {
  Term term;
  Index index;
  auto operator<=>(const LogPosition&) const = default;
};

struct HardState {
  Term term;
  NodeId voted_for;
  bool operator==(const HardState&) const = default;
};

}  // namespace raftd::raft
