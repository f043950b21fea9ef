// What is in a data directory, for people: read only, as much as is readable, and one line for
// each thing that is wrong. Recovery decides; this only shows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "raft/configuration.h"
#include "storage/recovery.h"
#include "storage/segment_reader.h"

namespace raftd::cli {

// An entry that is not overridden by a later one, and where its payload is.
struct EntryView {
  raft::Index index;
  raft::Term term;
  raft::EntryKind kind = raft::EntryKind::kNoop;
  std::uint64_t segment_seq = 0;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
};

struct SegmentView {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint32_t version = 0;
  raft::Index first;  // Of the entries written in it, overridden ones too; both 0: none.
  raft::Index last;
  std::string state;  // "sealed", "in use", "prepared", or what is wrong.
};

struct LogView {
  std::optional<storage::Identity> identity;
  raft::HardState hard_state;
  raft::Index last_index;
  std::vector<EntryView> entries;
  std::vector<SegmentView> segments;
  std::vector<std::string> damage;  // A sentence each, with file and offset.
};

// in_use: a node runs there, and the unfinished write at the end of its log is none of our
// business. kBadInput: this is no data directory; kIo, kCorrupt: not even its list of files can be
// read.
Result<LogView> view_log(storage::DirectoryReader& directory, bool in_use);

Result<Bytes> read_payload(storage::DirectoryReader& directory, const EntryView& entry);

}  // namespace raftd::cli
