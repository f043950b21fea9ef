// Makes a log that is damaged inside usable again, without breaking what the node has promised
// (protocol-aware recovery: Alagappan et al., FAST 2018).
//
// A node's acknowledgements and its votes spoke of its log as it was. What is unreadable now may
// have been committed with its word, so the log must never be cut and used as if it ended there.
// Instead the whole log is set aside, the newest good snapshot stays, and REPAIR remembers where
// the old log ended: the node starts with an empty log behind that snapshot, votes as if it still
// had the old one, and leads only once it has fetched as much from a leader
// (raft::Durable::promised).
//
// The happy path is: REPAIR becomes durable, then the first segment of the new log, then the old
// files are renamed to damaged-*. Possible failure modes are: the repair is cut short anywhere: no
// start accepts what it left, and the next repair finishes what REPAIR says; the last hard state or
// the end of the log cannot be known, since nothing good stands behind the damage: a vote could be
// given twice, so the directory is refused, and the member has to be replaced.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/recovery.h"

namespace raftd::storage {

struct RepairPlan {
  std::vector<DiskOp> ops;      // In order; may be stopped anywhere, and planned anew.
  std::string damage;           // Why a start refuses the directory.
  raft::HardState hard_state;   // It is kept; or the next term begins, if promised is a guess.
  raft::LogPosition promised;   // Where the old log ended, at most.
  raft::Index left;             // What is left, in a snapshot; 0: nothing.
  std::vector<FileName> aside;  // Renamed to damaged-*, oldest first.
};

// Only reads. nullopt: a start accepts the directory, there is nothing to repair. kCorrupt: it
// cannot be repaired, or a start would refuse what comes of it, and the message says why.
// Precondition: options.sink is null.
Result<std::optional<RepairPlan>> plan_repair(DirectoryReader& directory,
                                              const RecoverOptions& options);

}  // namespace raftd::storage
