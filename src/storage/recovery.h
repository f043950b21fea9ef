// Reads a data directory into raft::Durable, or says exactly why it must not be used.
//
// The happy path is: the newest snapshot is read and restored; every segment ends with its seal,
// the newest one perhaps with the zeros that were never used; its records are replayed, and the
// journal goes on in a new segment. Possible failure modes are: the last frame is torn, which a
// crash explains: it is set aside and cut off; the newest snapshot is bad, and the log reaches back
// to the one before, or to the beginning: that is taken; anything that no crash explains: the
// directory is refused, and nothing in it is changed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "raft/core.h"
#include "storage/disk_plan.h"
#include "storage/format.h"

namespace raftd::storage {

using ClusterId = std::array<std::uint8_t, 16>;

// The few reads that recovery needs. Blocking: it runs before the event loop does.
class DirectoryReader {
 public:
  virtual ~DirectoryReader() = default;
  virtual Result<std::vector<FileName>> list() = 0;  // In any order.
  virtual Result<std::uint64_t> size(const FileName& name) = 0;
  // Fewer bytes only at the end of the file.
  virtual Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) = 0;
};

// Where a frame's entries are. One per frame, not per entry. A later frame overrides an earlier.
struct FrameAt {
  std::uint64_t segment_seq = 0;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  // Header, records and padding.
  raft::Index first;        // Both 0: no entries.
  raft::Index last;
};

struct SegmentInfo {
  std::uint64_t seq = 0;
  std::uint64_t bytes = 0;
  raft::Index first;  // Of its entries; both 0: none.
  raft::Index last;
};

// Where the journal goes on.
struct JournalPosition {
  std::uint64_t next_segment_seq = 1;
  std::uint64_t next_frame_seq = 1;
  raft::Incarnation incarnation;  // The new one.
  std::uint32_t prev_seal_crc32c = 0;
  raft::Index first_index;
  raft::Index last_index;
  raft::Term last_term;
  raft::HardState hard_state;
  std::uint64_t prepared_bytes = 0;  // Of the next segment, which is there, all zeros; 0: is not.
  std::uint64_t reserve_bytes = 0;   // 0: there is none.
  std::uint64_t reset_segment_seq = 0;  // Where the log was last reset; those before may go.
  raft::Index snapshot_index;           // The newest known durable; 0: none.
  raft::Term snapshot_term;
  std::vector<FrameAt> frames;
  std::vector<SegmentInfo> segments;
};

// A snapshot file that is kept.
struct KeptSnapshot {
  FileName name;
  raft::Index index;
  raft::Term term;
  std::uint64_t bytes = 0;
};

struct Recovered {
  raft::Durable durable;
  JournalPosition position;
  std::vector<KeptSnapshot> snapshots;  // Oldest first; the last one is durable.snapshot.
  std::uint64_t snapshot_time_ms = 0;   // The cluster's, when that one was cut.
  // Execute first, as a plan that may lack space: a copy of torn bytes, for people. Without space
  // there is none; then go on.
  std::vector<DiskOp> set_aside;
  std::vector<DiskOp> repairs;  // Execute before anything else: trim, seal, remove, sync (always).
  std::vector<std::string> notes;  // What was repaired and why; logged at start.
};

struct Identity {
  ClusterId cluster_id{};
  raft::NodeId node_id;
  std::uint64_t instance = 0;  // Random, drawn once: the same id on an empty disk is another.
};

// Gets the body of a snapshot, one verified piece after the other. An error: it is no good.
using SnapshotBody = std::function<Status(ByteView)>;

// Where the state of a snapshot goes while it is read. Owned by whoever has the state machine.
class StateSink {
 public:
  virtual ~StateSink() = default;
  // A body follows, from its beginning: what came before is no good.
  virtual void begin() = 0;
  virtual Status feed(ByteView body) = 0;
  virtual Status complete() = 0;  // All of it has been fed: is it a state?
};

// How far a recovery is.
struct RecoveryProgress {
  FileName file;            // That is being read.
  std::uint64_t read = 0;   // Bytes, of all files together.
  std::uint64_t total = 0;  // Grows when a snapshot is bad and the one before it is tried.
};
// Called after every read of a mebibyte or so, from within recover().
using RecoveryProgressSink = std::function<void(const RecoveryProgress&)>;

struct RecoverOptions {
  Identity identity;  // Segments of another cluster or node, snapshots of another, are refused.
  raft::Incarnation incarnation;   // Drawn for this start.
  std::size_t tail_bytes_max = 0;  // Of entries to keep in Durable.tail.
  // A prepared segment or a reserve that is smaller (unfinished) is removed and made again.
  std::size_t prepared_bytes_min = limits::kFrameBytesMax + 2 * limits::kBlockBytes;
  std::string machine_name = {};  // What the bodies of snapshots must say.
  StateSink* sink = nullptr;      // Null: snapshots are only verified.
  RecoveryProgressSink progress = {};
};

// A configuration in the log or in the snapshot has this member: whoever joined under this id has
// heard from the leader that it is one.
bool names_member(const raft::Durable& durable, raft::NodeId id);

// REPAIR, as repair.h describes it. nullopt: there is none. kCorrupt, kIo.
Result<std::optional<format::RepairFile>> read_repair(DirectoryReader& directory);

// kCorrupt: the directory must not be used; the message names file, offset, index and what was
// expected (exit status 65).
Result<Recovered> recover(DirectoryReader& directory, const RecoverOptions& options);

}  // namespace raftd::storage
