#include "storage/repair.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/assert.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "storage/segment_reader.h"
#include "storage/snapshot_file.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

struct Segment {
  FileName name;
  std::uint64_t seq = 0;
  bool zero = false;
};

// What can still be known of a damaged log. Every segment's header and every frame repeats the hard
// state, so that it is known wherever anything good stands behind the damage.
class Salvage {
 public:
  Salvage(DirectoryReader& directory, const Identity& identity)
      : directory_(directory), identity_(identity) {}

  Status walk(const Segment& segment);

  bool hard_state_known() const { return hard_state_known_; }
  const raft::HardState& hard_state() const { return hard_state_; }
  // At least as far as the log reached.
  raft::LogPosition end() const;
  bool end_known() const { return end_known_; }
  std::uint64_t next_frame_seq() const { return next_frame_seq_; }
  const std::optional<raft::Configuration>& configuration() const { return configuration_; }

 private:
  void take(const std::vector<format::Record>& records);
  void lose(std::uint64_t bytes);

  DirectoryReader& directory_;
  const Identity& identity_;
  raft::HardState hard_state_;
  bool hard_state_known_ = false;
  raft::LogPosition end_;
  bool end_known_ = false;
  std::uint64_t lost_bytes_ = 0;  // Since end_ was known.
  std::uint64_t next_frame_seq_ = 1;
  std::optional<raft::Configuration> configuration_;
};

raft::LogPosition Salvage::end() const {
  if (end_known_) return end_;
  const std::uint64_t entries_max = lost_bytes_ / sizeof(format::RecordHeader);
  return {hard_state_.term, end_.index + entries_max};
}

void Salvage::lose(std::uint64_t bytes) {
  hard_state_known_ = false;
  end_known_ = false;
  lost_bytes_ += bytes;
}

void Salvage::take(const std::vector<format::Record>& records) {
  for (const format::Record& record : records) {
    const auto kind = static_cast<format::RecordKind>(record.header.kind);
    if (kind == format::RecordKind::kHardState) {
      hard_state_ = {{record.header.term}, {record.header.index}};
      hard_state_known_ = true;
      continue;
    }
    end_ = {{record.header.term}, {record.header.index}};
    end_known_ = true;
    lost_bytes_ = 0;
    const auto entry_kind = static_cast<raft::EntryKind>(record.header.entry_kind);
    if (kind != format::RecordKind::kEntry || entry_kind != raft::EntryKind::kConfiguration) {
      continue;
    }
    auto configuration = raft::decode_configuration(record.payload);
    if (configuration) configuration_ = *std::move(configuration);
  }
}

// An error: the file cannot be read, or it is of another node.
Status Salvage::walk(const Segment& segment) {
  TRY(const std::uint64_t bytes, directory_.size(segment.name));
  SegmentReader reader(directory_, segment.seq, bytes);
  const auto header = reader.header();
  if (!header) {  // A read error.
    lose(bytes);
    return Done{};
  }
  if (*header && (*header)->segment_seq == segment.seq) {
    const format::SegmentHeader& found = **header;
    if (!std::equal(identity_.cluster_id.begin(), identity_.cluster_id.end(), found.cluster_id) ||
        found.node_id != identity_.node_id.value || found.version != format::kVersion) {
      return Error{Errc::kCorrupt,
                   segment.name + ": it is of another node, or of another version of raftd"};
    }
    hard_state_ = {{found.hard_term}, {found.hard_vote}};
    hard_state_known_ = true;
    end_ = {{found.prev_term}, {found.prev_index}};
    end_known_ = true;
    lost_bytes_ = 0;
    next_frame_seq_ = found.frame_seq_first;
  } else {
    lose(bytes);
  }
  const FoundFrames found = reader.find_frames();
  std::vector<format::Record> records;
  for (const FoundFrames::At& frame : found.frames) {
    if (frame.seq < next_frame_seq_) continue;  // Written to two places.
    const auto read = reader.read_frame(frame.offset, records);
    if (frame.seq > next_frame_seq_ || !read || !*read) lose(bytes);
    next_frame_seq_ = frame.seq + 1;
    if (read && *read) take(records);
  }
  // What a crash tears is one frame, which nobody was told of.
  if (found.last_unknown_end > found.end + limits::kFrameBytesMax) lose(bytes);
  return Done{};
}

// The directory as it will be when a repair has run.
class PlannedDirectory final : public DirectoryReader {
 public:
  PlannedDirectory(DirectoryReader& present, const std::vector<DiskOp>& ops) : present_(present) {
    for (const DiskOp& op : ops) {
      std::visit(overloaded{[&](const CreateFile& create) { made_[create.name].clear(); },
                            [&](const WriteFile& write) {
                              ASSERT_CMP(write.offset, ==, 0U);
                              made_[write.name].assign(write.data.bytes.begin(),
                                                       write.data.bytes.end());
                            },
                            [&](const RenameFile& rename) {
                              gone_.insert(rename.from);
                              auto made = made_.extract(rename.from);
                              if (made.empty()) return;  // To a name that nobody reads.
                              made.key() = rename.to;
                              made_.insert(std::move(made));
                            },
                            [&](const RemoveFile& remove) { gone_.insert(remove.name); },
                            [](const SyncFile&) {}, [](const SyncDirectory&) {},
                            [](const auto&) { PANIC("a repair does nothing of this kind"); }},
                 op);
    }
  }
  Result<std::vector<FileName>> list() override {
    TRY(std::vector<FileName> names, present_.list());
    std::erase_if(
        names, [&](const FileName& name) { return gone_.contains(name) || made_.contains(name); });
    for (const auto& [name, bytes] : made_)
      names.push_back(name);
    return names;
  }
  Result<std::uint64_t> size(const FileName& name) override {
    const auto made = made_.find(name);
    return made == made_.end() ? present_.size(name) : made->second.size();
  }
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) override {
    const auto made = made_.find(name);
    if (made == made_.end()) return present_.read(name, offset, bytes);
    const ByteView all(made->second);
    const ByteView part = all.subspan(std::min<std::uint64_t>(offset, all.size()));
    const ByteView wanted = part.first(std::min<std::uint64_t>(bytes, part.size()));
    return Bytes(wanted.begin(), wanted.end());
  }

 private:
  DirectoryReader& present_;
  std::map<FileName, Bytes> made_;
  std::set<FileName> gone_;
};

class Repair {
 public:
  Repair(DirectoryReader& directory, const RecoverOptions& options)
      : directory_(directory), options_(options) {}

  Result<std::optional<RepairPlan>> run();

 private:
  Status list();
  void find_snapshot();
  Status decide();
  Status check_others(const std::optional<raft::Configuration>& found) const;
  void plan_file(const FileName& name, Bytes bytes);
  Bytes first_segment() const;
  void plan();

  DirectoryReader& directory_;
  const RecoverOptions& options_;
  std::vector<Segment> segments_;    // Ascending.
  std::vector<FileName> snapshots_;  // Likewise.
  std::vector<FileName> bad_snapshots_;
  std::optional<SnapshotCut> cut_;  // Of the newest good one.
  std::optional<format::RepairFile> before_;
  format::RepairFile repair_{};
  bool goes_on_ = false;  // Finishes what was cut short.
  RepairPlan plan_;
};

Status Repair::list() {
  TRY(const std::vector<FileName> names, directory_.list());
  for (const FileName& name : names) {
    if (const auto seq = format::parse_segment_name(name)) {
      TRY(const std::uint64_t bytes, directory_.size(name));
      const auto zero = all_zero(directory_, name, bytes);
      segments_.push_back({name, *seq, zero && *zero});
    } else if (format::parse_snapshot_name(name)) {
      snapshots_.push_back(name);
    }
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.seq < b.seq; });
  std::sort(snapshots_.begin(), snapshots_.end());
  return Done{};
}

void Repair::find_snapshot() {
  for (const FileName& name : snapshots_) {
    SnapshotFileReader reader([](ByteView) { return Status(Done{}); });
    const auto meta = read_snapshot(directory_, name, reader);
    const bool ours = meta && reader.cut()->cluster_id == options_.identity.cluster_id &&
                      format::snapshot_name(reader.cut()->last_index.value,
                                            reader.cut()->last_term.value) == name;
    if (ours) {
      cut_ = *reader.cut();
    } else {
      bad_snapshots_.push_back(name);
    }
  }
}

// A repaired node has to be told by others what it lacks.
Status Repair::check_others(const std::optional<raft::Configuration>& found) const {
  if (!found || found->joint() || found->voters.size() > 1) return Done{};
  return Error{Errc::kCorrupt,
               "this node is the only voter: there is nobody from whom it could fetch what is "
               "missing; restore a backup"};
}

Status Repair::decide() {
  if (before_ && (segments_.empty() || segments_.front().seq < before_->segment_seq)) {
    repair_ = *before_;
    goes_on_ = true;
    return Done{};
  }
  Salvage salvage(directory_, options_.identity);
  if (segments_.empty()) {
    return Error{Errc::kCorrupt,
                 "no segment of the log is left, so nobody knows what this node voted and "
                 "acknowledged; replace this member"};
  }
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i].zero && i + 1 == segments_.size()) break;  // Prepared.
    TRY([[maybe_unused]] const Done walked, salvage.walk(segments_[i]));
  }
  if (!salvage.hard_state_known()) {
    return Error{Errc::kCorrupt,
                 "nothing good stands behind the damage, so nobody knows this node's last vote; "
                 "replace this member"};
  }
  std::optional<raft::Configuration> found = salvage.configuration();
  if (!found && cut_) found = cut_->configuration.configuration;
  TRY([[maybe_unused]] const Done others, check_others(found));
  const ClusterId& cluster = options_.identity.cluster_id;
  std::copy(cluster.begin(), cluster.end(), repair_.cluster_id);
  repair_.node_id = options_.identity.node_id.value;
  repair_.incarnation = options_.incarnation.value;
  repair_.segment_seq = segments_.back().seq + 1;
  repair_.frame_seq = salvage.next_frame_seq();
  repair_.hard_term = salvage.hard_state().term.value;
  repair_.hard_vote = salvage.hard_state().voted_for.value;
  if (!salvage.end_known()) {
    // The log may never reach so far in the terms until now. In a later one it is enough to hold
    // what its leader has begun with, so the present leader, if there is one, is to stand again.
    repair_.hard_term += 1;
    repair_.hard_vote = 0;
  }
  raft::LogPosition promised = salvage.end();
  if (before_) {  // It has not fetched everything since.
    promised = std::max(promised, {{before_->promised_term}, {before_->promised_index}});
  }
  repair_.promised_term = promised.term.value;
  repair_.promised_index = promised.index.value;
  if (cut_) {
    repair_.snapshot_index = cut_->last_index.value;
    repair_.snapshot_term = cut_->last_term.value;
  }
  return Done{};
}

// Under its name it is whole.
void Repair::plan_file(const FileName& name, Bytes bytes) {
  const FileName unfinished = name + std::string(format::kUnfinishedSuffix);
  plan_.ops.emplace_back(RemoveFile{unfinished});
  plan_.ops.emplace_back(CreateFile{unfinished, 0});
  plan_.ops.emplace_back(WriteFile{unfinished, 0, share(std::move(bytes))});
  plan_.ops.emplace_back(SyncFile{unfinished});
  plan_.ops.emplace_back(RenameFile{unfinished, name});
  plan_.ops.emplace_back(SyncDirectory{});
}

// The hard state and nothing else, finished: a log that begins behind the snapshot.
Bytes Repair::first_segment() const {
  Bytes bytes;
  format::SegmentHeader header{};
  std::copy(std::begin(repair_.cluster_id), std::end(repair_.cluster_id), header.cluster_id);
  header.node_id = repair_.node_id;
  header.segment_seq = repair_.segment_seq;
  header.incarnation = repair_.incarnation;
  header.frame_seq_first = repair_.frame_seq;
  header.prev_index = header.snapshot_index = repair_.snapshot_index;
  header.prev_term = header.snapshot_term = repair_.snapshot_term;
  header.hard_term = repair_.hard_term;
  header.hard_vote = repair_.hard_vote;
  format::append_segment_header(bytes, header);
  format::RecordHeader record{};
  record.kind = static_cast<std::uint8_t>(format::RecordKind::kHardState);
  record.term = repair_.hard_term;
  record.index = repair_.hard_vote;
  format::FrameWriter first(bytes, {repair_.incarnation, repair_.segment_seq, repair_.frame_seq});
  first.add(record, {});
  first.finish();
  record.kind = static_cast<std::uint8_t>(format::RecordKind::kClean);
  record.term = repair_.snapshot_term;
  record.index = repair_.snapshot_index;
  format::FrameWriter end(bytes, {repair_.incarnation, repair_.segment_seq, repair_.frame_seq + 1});
  end.add(record, {});
  end.finish();
  return bytes;
}

void Repair::plan() {
  if (goes_on_) {
    plan_.ops.emplace_back(
        SyncDirectory{});  // That REPAIR is seen does not say that it is durable.
  } else {
    plan_file(FileName(format::kRepairName), format::encode_repair(repair_));
  }
  const bool begun = !segments_.empty() && segments_.back().seq >= repair_.segment_seq;
  if (!begun) plan_file(format::segment_name(repair_.segment_seq), first_segment());
  plan_.aside = bad_snapshots_;
  for (const Segment& segment : segments_) {
    if (segment.seq >= repair_.segment_seq) continue;
    if (segment.zero) {
      plan_.ops.emplace_back(RemoveFile{segment.name});
    } else {
      plan_.aside.push_back(segment.name);
    }
  }
  for (const FileName& name : plan_.aside) {
    plan_.ops.emplace_back(RenameFile{name, std::string(format::kDamagedPrefix) + name});
  }
  plan_.ops.emplace_back(SyncDirectory{});
  plan_.hard_state = {{repair_.hard_term}, {repair_.hard_vote}};
  plan_.promised = {{repair_.promised_term}, {repair_.promised_index}};
  plan_.left = {repair_.snapshot_index};
}

Result<std::optional<RepairPlan>> Repair::run() {
  ASSERT(options_.sink == nullptr);
  const auto recovered = recover(directory_, options_);
  if (recovered) return std::optional<RepairPlan>{};
  if (recovered.error().code != Errc::kCorrupt) return recovered.error();
  plan_.damage = recovered.error().message;
  TRY(before_, read_repair(directory_));
  TRY([[maybe_unused]] const Done listed, list());
  find_snapshot();
  TRY([[maybe_unused]] const Done decided, decide());
  plan();
  PlannedDirectory planned(directory_, plan_.ops);
  const auto starts = recover(planned, options_);
  if (!starts) {
    return Error{starts.error().code,
                 "nothing was changed: a start would still be refused: " + starts.error().message};
  }
  return std::optional(std::move(plan_));
}

}  // namespace

Result<std::optional<RepairPlan>> plan_repair(DirectoryReader& directory,
                                              const RecoverOptions& options) {
  return Repair(directory, options).run();
}

}  // namespace raftd::storage
