#include "storage/inspect.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "storage/data_dir.h"
#include "storage/segment_reader.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

class Inspector {
 public:
  Inspector(DirectoryReader& directory, const InspectOptions& options)
      : directory_(directory), options_(options) {}

  Result<Inspection> run();

 private:
  void list_others(const std::vector<FileName>& names);
  void inspect_snapshots(const std::vector<FileName>& names);
  void list_entries();
  void ask_recovery();
  void inspect_segment(std::uint64_t seq, bool newest);
  Status walk(SegmentReader& reader, InspectedSegment& segment, bool newest);
  void take(InspectedSegment& segment, const GoodFrame& frame,
            const std::vector<format::Record>& records);
  void take_entry(InspectedSegment& segment, const format::Record& record);
  void judge_end(InspectedSegment& segment, const SegmentRest& rest, bool newest, bool last_seals);
  void damaged(InspectedSegment& segment, const std::string& problem);

  DirectoryReader& directory_;
  const InspectOptions& options_;
  Inspection inspection_;
  std::map<std::uint64_t, raft::Entry> live_;
  std::uint64_t next_frame_seq_ = 1;
};

void Inspector::damaged(InspectedSegment& segment, const std::string& problem) {
  segment.state = SegmentState::kDamaged;
  segment.problem = problem;
  inspection_.findings.push_back(segment.file + ": " + problem);
}

void Inspector::take_entry(InspectedSegment& segment, const format::Record& record) {
  const std::uint64_t index = record.header.index;
  live_.erase(live_.lower_bound(index), live_.end());
  raft::Entry& entry = live_[index];
  entry.index = raft::Index{index};
  entry.term = raft::Term{record.header.term};
  entry.kind = static_cast<raft::EntryKind>(record.header.entry_kind);
  const bool wanted =
      options_.payloads && entry.index >= options_.from && entry.index <= options_.to;
  if (wanted || entry.kind == raft::EntryKind::kConfiguration) {
    entry.payload = share(Bytes(record.payload.begin(), record.payload.end()));
  }
  if (!segment.first || entry.index < segment.first) segment.first = entry.index;
  segment.last = std::max(segment.last, entry.index);
}

void Inspector::take(InspectedSegment& segment, const GoodFrame& frame,
                     const std::vector<format::Record>& records) {
  segment.frames += 1;
  for (const format::Record& record : records) {
    const auto kind = static_cast<format::RecordKind>(record.header.kind);
    if (kind == format::RecordKind::kReset) live_.clear();
    if (kind == format::RecordKind::kEntry) take_entry(segment, record);
    if (kind == format::RecordKind::kHardState) {
      inspection_.hard_state = {raft::Term{record.header.term}, raft::NodeId{record.header.index}};
    }
    if (!options_.records) continue;
    segment.records.push_back({frame.header.frame_seq, frame.offset + record.offset, kind,
                               static_cast<raft::EntryKind>(record.header.entry_kind),
                               record.header.term, record.header.index, record.payload.size()});
  }
}

void Inspector::judge_end(InspectedSegment& segment, const SegmentRest& rest, bool newest,
                          bool last_seals) {
  if (rest.zero && (last_seals || newest)) {
    if (!last_seals) segment.state = SegmentState::kOpen;
    return;
  }
  const std::string at =
      strf("frame %llu at offset %llu: ", Number{rest.frame_seq}, Number{rest.offset});
  if (rest.zero) return damaged(segment, at + "zeros, expected a frame or a seal");
  if (last_seals) return damaged(segment, at + "bytes after the seal, expected zeros");
  if (rest.later_frame_offset) {
    return damaged(segment, strf("%s%s, and frame %llu follows at offset %llu", at.c_str(),
                                 rest.reason.c_str(), Number{rest.later_frame_seq},
                                 Number{*rest.later_frame_offset}));
  }
  if (!newest) return damaged(segment, at + rest.reason);
  segment.state = SegmentState::kTorn;
  segment.problem = at + rest.reason;
  inspection_.notes.push_back(strf(
      "%s: %s (%s)", segment.file.c_str(), segment.problem.c_str(),
      options_.running ? "a node is writing it" : "torn by a crash; the next start repairs it"));
}

Status Inspector::walk(SegmentReader& reader, InspectedSegment& segment, bool newest) {
  TRY(const bool zero, all_zero(directory_, segment.file, segment.bytes));
  if (zero && newest) {
    segment.state = SegmentState::kPrepared;
    return Done{};
  }
  TRY(const std::optional<format::SegmentHeader> header, reader.header());
  if (!header) {
    TRY(const SegmentRest rest, reader.rest(next_frame_seq_));
    if (newest && !rest.later_frame_offset) {
      segment.state = SegmentState::kTorn;
      segment.problem = reader.header_reason();
      inspection_.notes.push_back(segment.file + ": its first write is not whole");
    } else {
      damaged(segment, "offset 0: " + reader.header_reason());
    }
    return Done{};
  }
  if (header->version != format::kVersion) {
    damaged(segment, strf("format version is %u, expected %u", header->version, format::kVersion));
    return Done{};
  }
  segment.incarnation = header->incarnation;
  segment.created_unix_ns = static_cast<std::int64_t>(header->created_unix_ns);
  next_frame_seq_ = header->frame_seq_first;
  if (inspection_.segments.empty()) {  // What was before it may be dropped.
    inspection_.hard_state = {raft::Term{header->hard_term}, raft::NodeId{header->hard_vote}};
  }
  std::vector<format::Record> records;
  bool seals = false;
  while (!seals) {
    TRY(const std::optional<GoodFrame> frame, reader.next(next_frame_seq_, records));
    if (!frame) break;
    next_frame_seq_ += 1;
    seals = frame->seals;
    const bool clean =
        seals && records[0].header.kind == static_cast<std::uint8_t>(format::RecordKind::kClean);
    segment.state = clean ? SegmentState::kClean : SegmentState::kSealed;
    take(segment, *frame, records);
  }
  TRY(const SegmentRest rest, reader.rest(next_frame_seq_));
  judge_end(segment, rest, newest, seals);
  return Done{};
}

void Inspector::inspect_segment(std::uint64_t seq, bool newest) {
  InspectedSegment segment;
  segment.seq = seq;
  segment.file = format::segment_name(seq);
  const auto bytes = directory_.size(segment.file);
  if (!bytes) {
    damaged(segment, bytes.error().message);
  } else {
    segment.bytes = *bytes;
    SegmentReader reader(directory_, seq, *bytes);
    const Status walked = walk(reader, segment, newest);
    if (!walked) damaged(segment, walked.error().message);
  }
  inspection_.segments.push_back(std::move(segment));
}

void Inspector::list_others(const std::vector<FileName>& names) {
  for (const FileName& name : names) {
    if (format::parse_segment_name(name) || format::is_torn_name(name) ||
        format::parse_snapshot_name(name) || format::is_incoming_name(name) ||
        format::is_unfinished_name(name) || name == format::kLockName ||
        name == format::kIdentityName || name == format::kReserveName || name == "lost+found" ||
        name == format::kRepairName || name == format::kTicketName ||
        name == format::kRemovedName || format::is_damaged_name(name) ||
        format::is_before_name(name)) {
      continue;
    }
    inspection_.findings.push_back(
        strf("%s: raftd does not know this file", percent_escape(name).c_str()));
  }
}

// A bad one is no finding: whether the others make up for it is for recovery to say.
void Inspector::inspect_snapshots(const std::vector<FileName>& names) {
  for (const FileName& name : names) {
    if (!format::parse_snapshot_name(name)) continue;
    InspectedSnapshot snapshot;
    snapshot.file = name;
    SnapshotFileReader reader([](ByteView) { return Status(Done{}); });
    const auto meta = read_snapshot(directory_, name, reader);
    if (meta) {
      snapshot.cut = reader.cut();
      snapshot.bytes = meta->id.file_bytes;
    } else if (options_.running) {
      continue;  // The node may just have removed it.
    } else {
      snapshot.problem = meta.error().message;
      inspection_.notes.push_back(snapshot.problem);
    }
    inspection_.snapshots.push_back(std::move(snapshot));
  }
  std::sort(inspection_.snapshots.begin(), inspection_.snapshots.end(),
            [](const auto& a, const auto& b) { return a.file < b.file; });
}

void Inspector::list_entries() {
  for (const InspectedSnapshot& snapshot : inspection_.snapshots) {
    if (!snapshot.cut) continue;
    inspection_.configurations = {snapshot.cut->configuration};
    inspection_.last_index = snapshot.cut->last_index;
  }
  for (auto& [index, entry] : live_) {
    if (!inspection_.first_index) inspection_.first_index = entry.index;
    inspection_.last_index = entry.index;
    if (entry.kind == raft::EntryKind::kConfiguration) {
      auto configuration = raft::decode_configuration(entry.payload.bytes);
      if (!configuration) {
        inspection_.findings.push_back(
            strf("entry %llu: %s", Number{index}, configuration.error().message.c_str()));
      } else if (inspection_.configurations.empty() ||
                 inspection_.configurations.back().index < entry.index) {
        inspection_.configurations.push_back({entry.index, *std::move(configuration)});
      }
    }
    if (entry.index < options_.from || entry.index > options_.to) continue;
    inspection_.entries.push_back(std::move(entry));
  }
}

Result<Inspection> Inspector::run() {
  TRY(const std::vector<FileName> names, directory_.list());
  auto identity = read_identity(directory_);
  if (identity) inspection_.identity = *identity;
  if (!identity) inspection_.findings.push_back(identity.error().message);
  std::vector<std::uint64_t> seqs;
  for (const FileName& name : names) {
    if (const auto seq = format::parse_segment_name(name)) seqs.push_back(*seq);
  }
  if (seqs.empty() && identity && !*identity) {
    return Error{Errc::kBadInput, "no data of raftd is in this directory"};
  }
  if (identity && !*identity) inspection_.findings.emplace_back("IDENTITY: it is missing");
  std::sort(seqs.begin(), seqs.end());
  list_others(names);
  inspect_snapshots(names);
  // The newest that holds anything, and behind it one of zeros.
  std::size_t used = seqs.size();
  if (used > 0) {
    const FileName last = format::segment_name(seqs.back());
    const auto bytes = directory_.size(last);
    const auto zero = bytes ? all_zero(directory_, last, *bytes) : Result<bool>(false);
    if (zero && *zero) used -= 1;
  }
  for (std::size_t i = 0; i < seqs.size(); ++i) {
    // What is missing before the first may be dropped: that is for recovery to say, too.
    if (i > 0 && seqs[i] != seqs[i - 1] + 1) {
      inspection_.findings.push_back(format::segment_name(seqs[i]) +
                                     ": a segment before it is missing");
    }
    inspect_segment(seqs[i], i + 1 >= used);
  }
  list_entries();
  ask_recovery();
  return std::move(inspection_);
}

// The walk looks at each segment for itself. Whether they are one log, and whether it may be used,
// has one judge. A running node's directory changes meanwhile: it would be judged too harshly.
void Inspector::ask_recovery() {
  if (options_.running || !inspection_.identity || !inspection_.findings.empty()) return;
  RecoverOptions options;
  options.identity = *inspection_.identity;
  options.incarnation = raft::Incarnation{1};  // For a journal that is not opened.
  const auto recovered = recover(directory_, options);
  if (!recovered) inspection_.findings.push_back(recovered.error().message);
}

}  // namespace

const char* segment_state_name(SegmentState state) {
  switch (state) {
    case SegmentState::kSealed:
      return "sealed";
    case SegmentState::kClean:
      return "clean";
    case SegmentState::kOpen:
      return "open";
    case SegmentState::kPrepared:
      return "prepared";
    case SegmentState::kTorn:
      return "torn";
    case SegmentState::kDamaged:
      return "damaged";
  }
  return "unknown";
}

Result<Inspection> inspect(DirectoryReader& directory, const InspectOptions& options) {
  return Inspector(directory, options).run();
}

}  // namespace raftd::storage
