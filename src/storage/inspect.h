// A read-only walk over a data directory for people: what is in each segment, which entries are
// live, what is damaged. Unlike recovery it goes on after what it finds.
//
// The happy path is: every segment is read once, in order. Possible failure modes are: the
// directory cannot be listed: the error; anything in it that is not as it should be: a finding. A
// node may be running meanwhile: the end that it is just writing is no damage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raft/core.h"
#include "storage/format.h"
#include "storage/snapshot_file.h"

namespace raftd::storage {

struct InspectedRecord {
  std::uint64_t frame_seq = 0;
  std::uint64_t offset = 0;  // In the segment.
  format::RecordKind kind{};
  raft::EntryKind entry_kind{};  // Of entries only.
  std::uint64_t term = 0;
  std::uint64_t index = 0;  // Of a hard state: whom the vote went to.
  std::size_t payload_bytes = 0;
};

// How a segment ends.
enum class SegmentState : std::uint8_t {
  kSealed,
  kClean,     // Sealed by a clean stop.
  kOpen,      // The newest one, without a seal: in use, or left so by a crash.
  kPrepared,  // All zeros: the next one.
  kTorn,  // The last write is not whole: a crash, which the next start repairs, or being written.
  kDamaged,
};
const char* segment_state_name(SegmentState state);

struct InspectedSegment {
  FileName file;
  std::uint64_t seq = 0;
  std::uint64_t incarnation = 0;
  std::int64_t created_unix_ns = 0;
  std::uint64_t bytes = 0;
  std::uint64_t frames = 0;
  raft::Index first;  // Of its entries, overridden ones included; both 0: none.
  raft::Index last;
  SegmentState state{};
  std::string problem;  // Of kTorn and kDamaged: which frame, and why it is not good.
  std::vector<InspectedRecord> records;
};

struct InspectedSnapshot {
  FileName file;
  std::uint64_t bytes = 0;
  std::optional<SnapshotCut> cut;  // If it is whole.
  std::string problem;             // Else: why it is not.
};

struct Inspection {
  std::optional<Identity> identity;
  std::vector<InspectedSegment> segments;
  std::vector<InspectedSnapshot> snapshots;  // Oldest first.
  raft::HardState hard_state;
  raft::Index first_index;  // Of the live entries; both 0: none.
  raft::Index last_index;
  // In the newest whole snapshot and in the live entries, oldest first.
  std::vector<raft::ConfigurationAt> configurations;
  std::vector<raft::Entry> entries;   // Live, within InspectOptions.
  std::vector<std::string> findings;  // What a start would refuse: sentences that name the file.
  std::vector<std::string> notes;     // What a start would repair, or a running node is writing.
};

struct InspectOptions {
  raft::Index from{1};
  raft::Index to{UINT64_MAX};
  bool records = false;  // List every record too.
  bool payloads = true;
  bool running = false;  // A node has the directory: directory_in_use().
};

Result<Inspection> inspect(DirectoryReader& directory, const InspectOptions& options);

}  // namespace raftd::storage
