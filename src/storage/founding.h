// Makes a data directory the beginning of a new cluster that has a state from the first day:
// restored from a backup, or what is left of a cluster that lost its majority.
//
// The happy path is: write_founding() writes snapshot, log and identity under names that a start
// removes, and then gives the identity the name "founding", which no start passes by; what the
// steps of steps_to_finish() do is: all that was there before is moved into a directory beside,
// "before-" and the new cluster's id, then the new files get their names, IDENTITY last. Possible
// failure modes are: a crash before "founding" is there: the directory is what it was; after it:
// the steps that are left are found by what is there, and the same command finishes; no space, or a
// disk that fails: the process ends, as after a crash.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "storage/posix_files.h"
#include "storage/recovery.h"
#include "storage/snapshot_file.h"

namespace raftd::storage {

struct Founding {
  Identity identity;  // Of the new cluster.
  SnapshotCut cut;    // With the new cluster's id and members.
  raft::Term term;    // Of the hard state: at least the cut's.
  raft::Incarnation incarnation;
  std::int64_t created_unix_ns = 0;
};

// Appends the next bytes of the body; true: those were the last.
using BodySlices = std::function<bool(Bytes&)>;

// Precondition: the directory's lock is held; founding_begun() is false. Blocking.
void write_founding(PosixFiles& files, const Founding& founding, const BodySlices& body);

// "founding" is there: nothing but steps_to_finish() may follow.
bool founding_begun(const std::vector<FileName>& names);
// Its identity. kCorrupt, kIo.
Result<Identity> founding_identity(DirectoryReader& directory);

struct MoveAside {
  std::string subdirectory;  // Made if it is not there.
  std::vector<FileName> names;
};
using FoundingStep = std::variant<MoveAside, std::vector<DiskOp>>;
// Precondition: founding_begun(). kCorrupt, kIo.
Result<std::vector<FoundingStep>> steps_to_finish(DirectoryReader& directory);

// Takes all the steps. Precondition: the lock is held, "founding" is there. Gives the subdirectory
// in which the old files are; empty: there were none.
Result<std::string> finish_founding(const std::string& path);

// What may be removed from a directory before something is founded in it. kConflict: there are data
// in it, or files of somebody else.
Result<std::vector<DiskOp>> clear_for_founding(DirectoryReader& directory, const std::string& path);

}  // namespace raftd::storage
