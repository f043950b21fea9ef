// What the disk must do, as data. The journal makes plans; an executor (uv::DiskWorker on its
// threads, or the simulator's disk with its faults) carries them out in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/types.h"

namespace raftd::storage {

using FileName = std::string;  // Relative to the data directory; never contains '/'.

struct CreateFile {  // O_EXCL; zeros; then fsync.
  FileName name;
  std::uint64_t bytes = 0;
  // So many at the beginning are written, in pieces, each synced: what is written over them later
  // is synced sooner than behind them, where blocks are only allocated. All, if the file system
  // cannot allocate.
  std::uint64_t written = bytes;
};
struct WriteFile {  // The file exists. May extend it.
  FileName name;
  std::uint64_t offset = 0;
  SharedBytes data;
};
struct ReadFile {
  FileName name;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};
struct SyncFile {  // fdatasync
  FileName name;
};
struct TruncateFile {  // and fsync
  FileName name;
  std::uint64_t bytes = 0;
};
struct CopyFile {  // Bytes from offset to the end, into a new file; then fsync.
  FileName from;
  std::uint64_t offset = 0;
  FileName to;
};
struct RenameFile {
  FileName from;
  FileName to;
};
struct RemoveFile {  // That it is not there is no failure.
  FileName name;
};
struct SyncDirectory {};

using DiskOp = std::variant<CreateFile, WriteFile, ReadFile, SyncFile, TruncateFile, CopyFile,
                            RenameFile, RemoveFile, SyncDirectory>;

using PlanId = Strong<struct PlanIdTag>;

// Plans of one lane run one after the other, in order; lanes run beside each other.
enum class Lane : std::uint8_t {
  kJournal,     // Frames. Nothing else may delay them.
  kBackground,  // Next segment, reserve, snapshots written and received, removals.
  kRead,        // Old entries, pieces of snapshots to send.
};

struct DiskPlan {
  PlanId id;
  Lane lane = Lane::kJournal;
  std::vector<DiskOp> ops;  // In order; the first failure ends the process...
  // ...except ENOSPC here: the plan stops, what it was making or writing is removed, and
  // DiskResult::no_space says so.
  bool may_lack_space = false;
};

struct DiskResult {
  PlanId id;
  Lane lane = Lane::kJournal;
  // One per ReadFile, in order. nullopt: no such file, it was dropped meanwhile (not a failure).
  std::vector<std::optional<Bytes>> reads;
  bool no_space = false;  // The file that the plan was making has been removed; try again later.
  Duration took{};        // A slow sync is worth a warning.
};

}  // namespace raftd::storage
