#include "storage/recovery.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "storage/counting_reader.h"
#include "storage/format.h"
#include "storage/log_replay.h"
#include "storage/segment_reader.h"
#include "storage/snapshot_file.h"
#include "storage/verdict.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

Error corrupt(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

struct File {
  FileName name;
  std::uint64_t seq = 0;
  std::uint64_t bytes = 0;
};

// What the directory holds, by kind.
struct Listing {
  std::vector<File> segments;           // Ascending.
  std::vector<KeptSnapshot> snapshots;  // Oldest first.
  std::vector<FileName> torn;           // Ascending.
  std::vector<FileName> unfinished;
  std::uint64_t reserve_bytes = 0;
  bool reserve = false;
  bool ticket = false;
};

Result<Listing> list(DirectoryReader& directory) {
  TRY(const std::vector<FileName> names, directory.list());
  Listing listing;
  for (const FileName& name : names) {
    if (name == format::kLockName || name == format::kIdentityName || name == "lost+found" ||
        name == format::kRepairName || name == format::kRemovedName ||
        format::is_damaged_name(name) || format::is_before_name(name)) {
      continue;
    }
    if (name == format::kTicketName) {
      listing.ticket = true;
      continue;
    }
    if (format::is_unfinished_name(name) || format::is_incoming_name(name)) {
      listing.unfinished.push_back(name);
    } else if (const auto snapshot = format::parse_snapshot_name(name)) {
      TRY(const std::uint64_t bytes, directory.size(name));
      listing.snapshots.push_back({name, {snapshot->first}, {snapshot->second}, bytes});
    } else if (format::is_torn_name(name)) {
      listing.torn.push_back(name);
    } else if (name == format::kReserveName) {
      TRY(listing.reserve_bytes, directory.size(name));
      listing.reserve = true;
    } else if (const auto seq = format::parse_segment_name(name)) {
      TRY(const std::uint64_t bytes, directory.size(name));
      listing.segments.push_back({name, *seq, bytes});
    } else {
      return corrupt(strf("%s: raftd does not know this file; move it elsewhere if it is yours",
                          percent_escape(name).c_str()));
    }
  }
  const auto older = [](const File& a, const File& b) { return a.seq < b.seq; };
  std::sort(listing.segments.begin(), listing.segments.end(), older);
  std::sort(listing.torn.begin(), listing.torn.end());
  std::sort(listing.snapshots.begin(), listing.snapshots.end(),
            [](const KeptSnapshot& a, const KeptSnapshot& b) {
              return std::pair(a.index, a.term) < std::pair(b.index, b.term);
            });
  return listing;
}

// How a segment ended, as the next one's header must repeat it.
struct Joint {
  std::uint64_t next_frame_seq = 1;
  std::uint32_t seal_crc32c = 0;
  bool sealed = true;    // Before the first segment there is nothing that could be open.
  raft::Index snapshot;  // That its header knew of.
};

class Recovery {
 public:
  Recovery(DirectoryReader& directory, const RecoverOptions& options)
      : directory_(directory, options.progress),
        options_(options),
        replay_(options.tail_bytes_max) {}

  Result<Recovered> run();

 private:
  Status check_sequence() const;
  Status find_snapshot();
  Result<SnapshotCut> try_snapshot(const KeptSnapshot& snapshot);
  Status check_reach();
  Status find_repair();
  Status find_promise();
  Status find_prepared();
  Status read_segment(const File& file, bool newest);
  Status check_header(const File& file, const format::SegmentHeader& header);
  Result<SegmentEnd> end_of(const File& file, const SegmentRest& rest, bool header_valid,
                            bool sealed, bool newest) const;
  Status settle(const File& file, const SegmentReader& reader, const SegmentRest& rest,
                const SegmentEnd& end);
  void seal(const File& file, std::uint64_t offset, bool torn);
  void set_torn_aside(const File& file, const SegmentRest& rest);
  void finish_repairs();
  std::string where(const SegmentReader& reader, const SegmentRest& rest) const;

  CountingReader directory_;
  const RecoverOptions& options_;
  LogReplay replay_;
  Listing listing_;
  Recovered recovered_;
  Joint joint_;
  std::uint64_t incarnation_ = 0;  // Of the segment being read.
  bool prepared_found_ = false;    // Behind the segments there is one of zeros.
  std::optional<File> newest_;     // The newest segment that holds anything and stays.
  std::optional<FileName> new_torn_;
  std::vector<FileName> bad_snapshots_;
  std::optional<Error> snapshot_error_;  // Of the newest, if it is bad.
  std::optional<format::RepairFile> repair_;
};

Status Recovery::find_repair() {
  TRY(repair_, read_repair(directory_));
  if (!repair_) return Done{};
  const Identity& identity = options_.identity;
  if (!std::equal(identity.cluster_id.begin(), identity.cluster_id.end(), repair_->cluster_id) ||
      repair_->node_id != identity.node_id.value) {
    return corrupt("REPAIR: it is of another node");
  }
  if (listing_.segments.empty() || listing_.segments.front().seq < repair_->segment_seq) {
    return corrupt("REPAIR: the repair was cut short; run raftd repair again");
  }
  return Done{};
}

Status Recovery::find_promise() {
  if (!repair_) return Done{};
  if (replay_.hard_state().term.value < repair_->hard_term) {
    return corrupt(strf("REPAIR: it knows of term %llu, and the log ends in term %llu",
                        Number{repair_->hard_term}, Number{replay_.hard_state().term.value}));
  }
  const raft::LogPosition promised{{repair_->promised_term}, {repair_->promised_index}};
  if (raft::LogPosition{replay_.last_term(), replay_.last_index()} >= promised) {
    recovered_.repairs.emplace_back(RemoveFile{FileName(format::kRepairName)});
    return Done{};
  }
  recovered_.durable.promised = promised;
  recovered_.notes.push_back(strf(
      "REPAIR: the log was repaired: it ends at index %llu; until it reaches index %llu of term "
      "%llu again this node does not lead, and votes for nobody whose log does not reach there",
      Number{replay_.last_index().value}, Number{promised.index.value},
      Number{promised.term.value}));
  return Done{};
}

Status Recovery::check_sequence() const {
  // Those at the beginning may be dropped: check_reach() tells.
  std::uint64_t expected = listing_.segments.empty() ? 1 : listing_.segments.front().seq;
  for (const File& file : listing_.segments) {
    if (file.seq != expected) {
      return corrupt(strf("%s: expected %s before it: a segment is missing", file.name.c_str(),
                          format::segment_name(expected).c_str()));
    }
    expected += 1;
  }
  if (listing_.segments.empty()) {
    return corrupt(strf("%s: it is missing: a lost log must not become a new node that votes again",
                        format::segment_name(1).c_str()));
  }
  return Done{};
}

// An all-zero segment at the end was made and never used. It is the next one, or it goes.
Status Recovery::find_prepared() {
  const File last = listing_.segments.back();
  TRY(const bool zero, all_zero(directory_, last.name, last.bytes));
  if (!zero) return Done{};
  if (listing_.segments.size() == 1) {
    return corrupt(
        strf("%s: it holds nothing, expected at least the first frame: a lost log must "
             "not become a new node that votes again",
             last.name.c_str()));
  }
  listing_.segments.pop_back();
  prepared_found_ = true;
  if (last.bytes >= options_.prepared_bytes_min) {
    recovered_.position.prepared_bytes = last.bytes / limits::kBlockBytes * limits::kBlockBytes;
    return Done{};
  }
  recovered_.repairs.emplace_back(RemoveFile{last.name});
  return Done{};
}

Status Recovery::check_header(const File& file, const format::SegmentHeader& header) {
  const auto refuse = [&](const char* field, std::uint64_t found, std::uint64_t expected) {
    return corrupt(strf("%s: segment header: %s is %llu, expected %llu", file.name.c_str(), field,
                        Number{found}, Number{expected}));
  };
  if (header.version != format::kVersion) {
    return refuse("format version", header.version, format::kVersion);
  }
  const Identity& identity = options_.identity;
  if (!std::equal(identity.cluster_id.begin(), identity.cluster_id.end(), header.cluster_id)) {
    return corrupt(strf("%s: segment header: its cluster is %s, expected %s", file.name.c_str(),
                        to_hex(std::as_bytes(std::span(header.cluster_id))).c_str(),
                        to_hex(std::as_bytes(std::span(identity.cluster_id))).c_str()));
  }
  if (file.seq == listing_.segments.front().seq && file.seq > 1) {
    // What was before it is dropped: it says itself where the log stood.
    replay_.begin_log({header.prev_index}, {header.prev_term},
                      {{header.hard_term}, {header.hard_vote}});
    joint_.next_frame_seq = header.frame_seq_first;
    joint_.seal_crc32c = header.prev_seal_crc32c;
  }
  if (header.snapshot_index < joint_.snapshot.value) {
    return refuse("snapshot index", header.snapshot_index, joint_.snapshot.value);
  }
  joint_.snapshot = {header.snapshot_index};
  const raft::HardState& hard_state = replay_.hard_state();
  struct Field {
    const char* name;
    std::uint64_t found;
    std::uint64_t expected;
  };
  const Field fields[] = {
      {"node id", header.node_id, identity.node_id.value},
      {"segment number", header.segment_seq, file.seq},
      {"number of its first frame", header.frame_seq_first, joint_.next_frame_seq},
      {"crc of the seal before", header.prev_seal_crc32c, joint_.seal_crc32c},
      {"last index before", header.prev_index, replay_.last_index().value},
      {"last term before", header.prev_term, replay_.last_term().value},
      {"hard state's term", header.hard_term, hard_state.term.value},
      {"hard state's vote", header.hard_vote, hard_state.voted_for.value},
  };
  for (const Field& field : fields) {
    if (field.found != field.expected) return refuse(field.name, field.found, field.expected);
  }
  return Done{};
}

Status Recovery::read_segment(const File& file, bool newest) {
  SegmentReader reader(directory_, file.seq, file.bytes);
  TRY(const std::optional<format::SegmentHeader> header, reader.header());
  if (!header) {
    TRY(const SegmentRest rest, reader.rest(joint_.next_frame_seq));
    TRY(const SegmentEnd end, end_of(file, rest, false, false, newest));
    return settle(file, reader, rest, end);
  }
  TRY([[maybe_unused]] const Done header_fits, check_header(file, *header));
  incarnation_ = header->incarnation;
  replay_.begin_segment(file.seq, file.bytes);
  std::vector<format::Record> records;
  bool sealed = false;
  while (!sealed) {
    TRY(const std::optional<GoodFrame> frame, reader.next(joint_.next_frame_seq, records));
    if (!frame) break;
    const raft::Index before = replay_.last_index();
    const Status applied = replay_.apply(*frame, records);
    if (!applied) {
      return corrupt(strf("%s: frame %llu at offset %llu, after index %llu: %s", file.name.c_str(),
                          Number{frame->header.frame_seq}, Number{frame->offset},
                          Number{before.value}, applied.error().message.c_str()));
    }
    joint_.next_frame_seq += 1;
    sealed = frame->seals;
    if (sealed) joint_.seal_crc32c = records[0].header.crc32c;
  }
  joint_.sealed = sealed;
  TRY(const SegmentRest rest, reader.rest(joint_.next_frame_seq));
  TRY(const SegmentEnd end, end_of(file, rest, true, sealed, newest));
  return settle(file, reader, rest, end);
}

Result<SegmentEnd> Recovery::end_of(const File& file, const SegmentRest& rest, bool header_valid,
                                    bool sealed, bool newest) const {
  SegmentEnd end;
  end.header_valid = header_valid;
  end.sealed = sealed;
  end.rest_zero = rest.zero;
  end.later_frame = rest.later_frame_offset.has_value();
  const std::uint64_t header_bytes = header_valid ? 0 : limits::kBlockBytes;
  end.far_bytes =
      !rest.zero && rest.last_non_zero >= rest.offset + header_bytes + limits::kFrameBytesMax;
  end.newest = newest;
  end.previous_sealed = joint_.sealed && file.seq > listing_.segments.front().seq;
  // A next segment is only made once this one's first frame is durable: that it is there, prepared,
  // proves that the header was written.
  if (!header_valid && prepared_found_) end.newest = false;
  return end;
}

std::string Recovery::where(const SegmentReader& reader, const SegmentRest& rest) const {
  return strf("%s: frame %llu at offset %llu, after index %llu: %s", reader.name().c_str(),
              Number{rest.frame_seq}, Number{rest.offset}, Number{replay_.last_index().value},
              rest.reason.c_str());
}

Status Recovery::settle(const File& file, const SegmentReader& reader, const SegmentRest& rest,
                        const SegmentEnd& end) {
  const std::string at = where(reader, rest);
  const Verdict verdict = judge(end);
  switch (verdict) {
    case Verdict::kSealed:
      newest_ = file;
      return Done{};
    case Verdict::kEnd:
      newest_ = file;
      seal(file, rest.offset, false);
      return Done{};
    case Verdict::kTorn:
      newest_ = file;
      recovered_.notes.push_back(
          strf("%s; it was being written when the node stopped: %llu bytes cut off", at.c_str(),
               Number{rest.last_non_zero + 1 - rest.offset}));
      set_torn_aside(file, rest);
      seal(file, rest.offset, true);
      return Done{};
    case Verdict::kNeverWritten:
      recovered_.notes.push_back(
          strf("%s: %s; its first write was not finished when the node "
               "stopped: removed",
               file.name.c_str(), reader.header_reason().c_str()));
      recovered_.repairs.emplace_back(RemoveFile{file.name});
      return Done{};
    case Verdict::kBytesAfterSeal:
      return corrupt(strf("%s: offset %llu, after index %llu: bytes after the seal, expected zeros",
                          file.name.c_str(), Number{rest.offset},
                          Number{replay_.last_index().value}));
    case Verdict::kSealMissing:
      return corrupt(
          strf("%s: offset %llu, after index %llu: zeros, expected frame %llu or a seal, "
               "since %s is there and holds more than zeros",
               file.name.c_str(), Number{rest.offset}, Number{replay_.last_index().value},
               Number{rest.frame_seq}, format::segment_name(file.seq + 1).c_str()));
    case Verdict::kFrameLost:
      return corrupt(strf("%s, expected a good one, since frame %llu follows at offset %llu",
                          at.c_str(), Number{rest.later_frame_seq},
                          Number{*rest.later_frame_offset}));
    case Verdict::kFarBytes:
      return corrupt(
          strf("%s, expected a good one, since bytes at offset %llu are farther away "
               "than the largest frame",
               at.c_str(), Number{rest.last_non_zero}));
    case Verdict::kBadInside:
      return corrupt(
          strf("%s, expected a good one or a seal, since %s is there and holds more than zeros",
               at.c_str(), format::segment_name(file.seq + 1).c_str()));
    case Verdict::kHeaderBad:
      return corrupt(strf("%s: offset 0, after index %llu: %s; its first frame was durable",
                          file.name.c_str(), Number{replay_.last_index().value},
                          reader.header_reason().c_str()));
  }
  PANIC("verdict %d", static_cast<int>(verdict));
}

void Recovery::set_torn_aside(const File& file, const SegmentRest& rest) {
  const FileName name = format::torn_name(file.seq, rest.offset);
  const auto& kept = listing_.torn;
  if (std::find(kept.begin(), kept.end(), name) != kept.end()) return;  // By a start before this.
  const FileName unfinished = name + std::string(format::kUnfinishedSuffix);
  // Zeros that were never used are not worth a copy.
  const std::uint64_t used = format::round_up(rest.last_non_zero + 1, limits::kBlockBytes);
  if (used < file.bytes) recovered_.set_aside.emplace_back(TruncateFile{file.name, used});
  // Left by a start that was cut short; CopyFile makes a new file.
  recovered_.set_aside.emplace_back(RemoveFile{unfinished});
  recovered_.set_aside.emplace_back(CopyFile{file.name, rest.offset, unfinished});
  recovered_.set_aside.emplace_back(RenameFile{unfinished, name});
  recovered_.set_aside.emplace_back(SyncDirectory{});
  new_torn_ = name;
}

// Ends a segment that a process left open. It carries the segment's own incarnation. Torn bytes are
// cut off first, or they would stand behind the seal; zeros are cut off behind the seal's block,
// which is there already: a start needs no space.
void Recovery::seal(const File& file, std::uint64_t offset, bool torn) {
  Bytes bytes;
  format::FrameWriter frame(bytes, {incarnation_, file.seq, joint_.next_frame_seq});
  format::RecordHeader record{};
  record.kind = static_cast<std::uint8_t>(format::RecordKind::kSeal);
  record.term = replay_.last_term().value;
  record.index = replay_.last_index().value;
  joint_.seal_crc32c = frame.add(record, {});
  frame.finish();
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t keep = torn ? offset : std::min(file.bytes, end);
  // After a SIGKILL the last frame may be in the page cache only: it is synced before the seal is
  // written, or a power loss could keep the seal and lose the frame.
  if (keep < file.bytes) {
    recovered_.repairs.emplace_back(TruncateFile{file.name, keep});
  } else {
    recovered_.repairs.emplace_back(SyncFile{file.name});
  }
  recovered_.repairs.emplace_back(WriteFile{file.name, offset, share(std::move(bytes))});
  joint_.next_frame_seq += 1;
  joint_.sealed = true;
  replay_.end_segment(end);
}

Result<SnapshotCut> Recovery::try_snapshot(const KeptSnapshot& kept) {
  StateSink* sink = options_.sink;
  directory_.expect(kept.bytes);
  if (sink != nullptr) sink->begin();
  SnapshotFileReader reader(
      [sink](ByteView body) { return sink == nullptr ? Status(Done{}) : sink->feed(body); });
  TRY(const raft::SnapshotMeta meta, read_snapshot(directory_, kept.name, reader));
  const SnapshotCut& cut = *reader.cut();
  const auto refuse = [&](const char* what) { return corrupt(kept.name + ": " + what); };
  if (cut.cluster_id != options_.identity.cluster_id) return refuse("it is of another cluster");
  if (cut.last_index != kept.index || cut.last_term != kept.term) {
    return refuse("its header has another index or term than its name");
  }
  if (!options_.machine_name.empty() && cut.machine_name != options_.machine_name) {
    return refuse(strf("its state is of the kind %s, expected %s",
                       percent_escape(cut.machine_name).c_str(), options_.machine_name.c_str())
                      .c_str());
  }
  const Status complete = sink == nullptr ? Status(Done{}) : sink->complete();
  if (!complete) return refuse(complete.error().message.c_str());
  recovered_.durable.snapshot = meta;
  return cut;
}

// The newest one that is whole. A bad one goes, if the log makes up for it (check_reach()).
Status Recovery::find_snapshot() {
  std::optional<Error> newest_error;
  while (!listing_.snapshots.empty()) {
    const Result<SnapshotCut> cut = try_snapshot(listing_.snapshots.back());
    if (cut) {
      recovered_.snapshot_time_ms = cut->cluster_time_ms;
      break;
    }
    if (!newest_error) newest_error = cut.error();
    recovered_.notes.push_back(cut.error().message + "; the one before it is taken");
    bad_snapshots_.push_back(listing_.snapshots.back().name);
    listing_.snapshots.pop_back();
  }
  snapshot_error_ = newest_error;
  return Done{};
}

// Snapshot and log together must hold everything from the beginning.
Status Recovery::check_reach() {
  const raft::Index covered =
      listing_.snapshots.empty() ? raft::Index{} : listing_.snapshots.back().index;
  if (replay_.first_index() <= covered.next()) return Done{};
  if (snapshot_error_) {
    return corrupt(strf("%s; the log begins at index %llu and does not make up for it",
                        snapshot_error_->message.c_str(), Number{replay_.first_index().value}));
  }
  return corrupt(
      strf("%s: the log begins at index %llu, and the newest snapshot reaches to %llu: "
           "segments or a snapshot are missing",
           listing_.segments.front().name.c_str(), Number{replay_.first_index().value},
           Number{covered.value}));
}

void Recovery::finish_repairs() {
  for (const FileName& name : bad_snapshots_) {
    recovered_.repairs.emplace_back(RemoveFile{name});
  }
  for (const FileName& name : listing_.unfinished) {
    recovered_.repairs.emplace_back(RemoveFile{name});
  }
  std::vector<FileName> torn = listing_.torn;
  if (new_torn_) {
    torn.push_back(*new_torn_);
    std::sort(torn.begin(), torn.end());
  }
  for (std::size_t i = 0; i + limits::kTornFilesMax < torn.size(); ++i) {
    recovered_.repairs.emplace_back(RemoveFile{torn[i]});
  }
  if (listing_.reserve && listing_.reserve_bytes < options_.prepared_bytes_min) {
    recovered_.repairs.emplace_back(RemoveFile{FileName(format::kReserveName)});
    listing_.reserve_bytes = 0;
  }
  // After a SIGKILL a good frame, a seal or a rename may be in the page cache only, and everything
  // after is built on it.
  ASSERT(newest_);
  recovered_.repairs.emplace_back(SyncFile{newest_->name});
  recovered_.repairs.emplace_back(SyncDirectory{});
}

Result<Recovered> Recovery::run() {
  TRY(listing_, list(directory_));
  TRY([[maybe_unused]] const Done repaired, find_repair());
  TRY([[maybe_unused]] const Done in_sequence, check_sequence());
  for (const File& file : listing_.segments)
    directory_.expect(file.bytes);
  TRY([[maybe_unused]] const Done prepared, find_prepared());
  TRY([[maybe_unused]] const Done snapshot_found, find_snapshot());
  for (const File& file : listing_.segments) {
    const bool newest = file.seq == listing_.segments.back().seq;
    TRY([[maybe_unused]] const Done read, read_segment(file, newest));
  }
  if (replay_.empty()) {
    return corrupt(
        strf("%s: it holds no good frame, expected at least the first one: a lost log "
             "must not become a new node that votes again",
             format::segment_name(1).c_str()));
  }
  TRY([[maybe_unused]] const Done reaches, check_reach());
  TRY([[maybe_unused]] const Done promise, find_promise());
  finish_repairs();
  ASSERT(joint_.sealed);
  JournalPosition& position = recovered_.position;
  position.next_segment_seq = newest_->seq + 1;
  position.next_frame_seq = joint_.next_frame_seq;
  position.incarnation = options_.incarnation;
  position.prev_seal_crc32c = joint_.seal_crc32c;
  position.first_index = replay_.first_index();
  position.last_index = replay_.last_index();
  position.last_term = replay_.last_term();
  position.hard_state = replay_.hard_state();
  position.reserve_bytes = listing_.reserve_bytes;
  position.reset_segment_seq = replay_.reset_segment_seq();
  position.frames = replay_.take_frames();
  position.segments = replay_.take_segments();
  const std::optional<raft::SnapshotMeta> snapshot = recovered_.durable.snapshot;
  const std::optional<raft::LogPosition> promised = recovered_.durable.promised;
  recovered_.durable = replay_.take_durable();
  recovered_.durable.snapshot = snapshot;
  recovered_.durable.promised = promised;
  // It needs no sync: the next start would do it again.
  if (listing_.ticket && names_member(recovered_.durable, options_.identity.node_id)) {
    recovered_.repairs.emplace_back(RemoveFile{FileName(format::kTicketName)});
  }
  recovered_.snapshots = listing_.snapshots;
  position.snapshot_index = joint_.snapshot;
  if (snapshot && snapshot->id.last_index >= joint_.snapshot) {
    position.snapshot_index = snapshot->id.last_index;
    position.snapshot_term = snapshot->id.last_term;
  }
  return std::move(recovered_);
}

}  // namespace

bool names_member(const raft::Durable& durable, raft::NodeId id) {
  const auto names = [&](const raft::ConfigurationAt& at) {
    return raft::is_member(at.configuration, id);
  };
  return std::any_of(durable.configurations.begin(), durable.configurations.end(), names) ||
         (durable.snapshot && names(durable.snapshot->configuration));
}

Result<std::optional<format::RepairFile>> read_repair(DirectoryReader& directory) {
  const FileName name(format::kRepairName);
  TRY(const std::vector<FileName> names, directory.list());
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return std::optional<format::RepairFile>{};
  }
  TRY(const Bytes bytes, directory.read(name, 0, sizeof(format::RepairFile) + 1));
  auto repair = format::parse_repair(bytes);
  if (!repair) return Error{repair.error().code, "REPAIR: " + repair.error().message};
  return std::optional(*repair);
}

Result<Recovered> recover(DirectoryReader& directory, const RecoverOptions& options) {
  ASSERT(options.incarnation);
  return Recovery(directory, options).run();
}

}  // namespace raftd::storage
