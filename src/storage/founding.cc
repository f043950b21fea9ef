#include "storage/founding.h"

#include <algorithm>

#include "base/endian.h"
#include "base/text.h"
#include "storage/data_dir.h"
#include "storage/format.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kFirstSegment = 1;

// While it is being written.
const FileName kSnapshotFile = "founding-snapshot.tmp";
const FileName kLogFile = "founding-log.tmp";
const FileName kIdentityFile = "founding-identity.tmp";

DiskPlan plan_of(std::vector<DiskOp> ops) {
  DiskPlan plan;
  plan.ops = std::move(ops);
  return plan;
}

bool contains(const std::vector<FileName>& names, const FileName& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_not_ours_to_move(const FileName& name) {
  return name == format::kLockName || name == "lost+found" || name == format::kFoundingName ||
         name == kSnapshotFile || name == kLogFile || format::is_before_name(name);
}

// A log that is empty behind the snapshot, in one segment that is finished.
Bytes log_bytes(const Founding& founding) {
  Bytes bytes;
  format::SegmentHeader header{};
  const ClusterId& cluster = founding.identity.cluster_id;
  std::copy(cluster.begin(), cluster.end(), header.cluster_id);
  header.node_id = founding.identity.node_id.value;
  header.segment_seq = kFirstSegment;
  header.incarnation = founding.incarnation.value;
  header.frame_seq_first = 1;
  header.snapshot_index = founding.cut.last_index.value;
  header.snapshot_term = founding.cut.last_term.value;
  header.created_unix_ns = static_cast<std::uint64_t>(founding.created_unix_ns);
  format::append_segment_header(bytes, header);

  format::RecordHeader end{};
  end.term = founding.cut.last_term.value;
  end.index = founding.cut.last_index.value;
  end.kind = static_cast<std::uint8_t>(format::RecordKind::kReset);
  format::FrameWriter first(bytes, {founding.incarnation.value, kFirstSegment, 1});
  first.add(end, {});
  format::RecordHeader hard_state{};
  hard_state.kind = static_cast<std::uint8_t>(format::RecordKind::kHardState);
  hard_state.term = founding.term.value;
  first.add(hard_state, {});
  first.finish();

  end.kind = static_cast<std::uint8_t>(format::RecordKind::kClean);
  format::FrameWriter clean(bytes, {founding.incarnation.value, kFirstSegment, 2});
  clean.add(end, {});
  clean.finish();
  return bytes;
}

void write_snapshot(PosixFiles& files, const SnapshotCut& cut, const BodySlices& body) {
  SnapshotFileWriter file(cut);
  files.run(plan_of({RemoveFile{kSnapshotFile}, CreateFile{kSnapshotFile, 0}}));
  std::uint64_t offset = file.head_bytes();
  for (bool last = false; !last;) {
    Bytes slice;
    Bytes out;
    last = body(slice);
    file.add(slice, out);
    if (last) file.finish(out);
    if (out.empty()) continue;
    const std::uint64_t bytes = out.size();
    files.run(plan_of({WriteFile{kSnapshotFile, offset, share(std::move(out))}}));
    offset += bytes;
  }
  files.run(plan_of({WriteFile{kSnapshotFile, 0, share(file.head())}, SyncFile{kSnapshotFile}}));
}

std::vector<DiskOp> whole_file(const FileName& name, Bytes bytes) {
  return {RemoveFile{name}, CreateFile{name, 0}, WriteFile{name, 0, share(std::move(bytes))},
          SyncFile{name}};
}

// The name that it will have.
Result<FileName> snapshot_name_of(DirectoryReader& directory) {
  TRY(const Bytes head, directory.read(kSnapshotFile, 0, sizeof(format::SnapshotHeader)));
  if (head.size() < sizeof(format::SnapshotHeader)) {
    return Error{Errc::kCorrupt, kSnapshotFile + ": it ends in its header"};
  }
  const auto header = load_le<format::SnapshotHeader>(head);
  return format::snapshot_name(header.last_index, header.last_term);
}

std::string aside_name(const Identity& identity) {
  return std::string(format::kBeforePrefix) +
         to_hex(std::as_bytes(std::span(identity.cluster_id)).first(8));
}

}  // namespace

void write_founding(PosixFiles& files, const Founding& founding, const BodySlices& body) {
  ASSERT(founding.cut.cluster_id == founding.identity.cluster_id);
  ASSERT_CMP(founding.term, >=, founding.cut.last_term);
  write_snapshot(files, founding.cut, body);
  files.run(plan_of(whole_file(kLogFile, log_bytes(founding))));
  files.run(plan_of(whole_file(kIdentityFile, encode(founding.identity))));
  files.run(plan_of({SyncDirectory{}}));
  // From here on there is no way back.
  files.run(plan_of({RenameFile{kIdentityFile, FileName(format::kFoundingName)}, SyncDirectory{}}));
}

bool founding_begun(const std::vector<FileName>& names) {
  return contains(names, FileName(format::kFoundingName));
}

Result<Identity> founding_identity(DirectoryReader& directory) {
  const FileName name(format::kFoundingName);
  TRY(const Bytes bytes, directory.read(name, 0, sizeof(format::IdentityFile) + 1));
  auto identity = decode_identity(bytes);
  if (!identity) return Error{identity.error().code, name + ": " + identity.error().message};
  return *identity;
}

Result<std::vector<FoundingStep>> steps_to_finish(DirectoryReader& directory) {
  TRY(const std::vector<FileName> names, directory.list());
  ASSERT(founding_begun(names));
  TRY(const Identity identity, founding_identity(directory));
  std::vector<FoundingStep> steps;
  const bool log_waits = contains(names, kLogFile);
  const bool snapshot_waits = contains(names, kSnapshotFile);
  // As long as neither has its name, every other file is an old one; and no new one gets its name
  // before the old ones are away for good.
  if (log_waits && snapshot_waits) {
    MoveAside old{aside_name(identity), {}};
    std::copy_if(names.begin(), names.end(), std::back_inserter(old.names),
                 [](const FileName& name) { return !is_not_ours_to_move(name); });
    std::sort(old.names.begin(), old.names.end());
    if (!old.names.empty()) steps.emplace_back(std::move(old));
  }
  if (snapshot_waits) {
    TRY(const FileName snapshot, snapshot_name_of(directory));
    steps.emplace_back(std::vector<DiskOp>{RenameFile{kSnapshotFile, snapshot}, SyncDirectory{}});
  }
  if (log_waits) {
    steps.emplace_back(std::vector<DiskOp>{
        RenameFile{kLogFile, format::segment_name(kFirstSegment)}, SyncDirectory{}});
  }
  steps.emplace_back(std::vector<DiskOp>{
      RenameFile{FileName(format::kFoundingName), FileName(format::kIdentityName)},
      SyncDirectory{}});
  return steps;
}

Result<std::string> finish_founding(const std::string& path) {
  TRY(const auto reader, PosixDirectoryReader::open(path));
  TRY(const Identity identity, founding_identity(*reader));
  TRY(const std::vector<FoundingStep> steps, steps_to_finish(*reader));
  PosixFiles files(path, true);
  for (const FoundingStep& step : steps) {
    if (const auto* old = std::get_if<MoveAside>(&step)) {
      files.move_aside(old->subdirectory, old->names);
    } else {
      files.run(plan_of(std::get<std::vector<DiskOp>>(step)));
    }
  }
  TRY(const std::vector<FileName> names, reader->list());
  const std::string aside = aside_name(identity);
  return contains(names, aside) ? aside : std::string();
}

Result<std::vector<DiskOp>> clear_for_founding(DirectoryReader& directory,
                                               const std::string& path) {
  TRY(const std::vector<FileName> names, directory.list());
  std::vector<DiskOp> ops;
  for (const FileName& name : names) {
    if (name == format::kLockName || name == "lost+found") continue;
    if (!format::is_unfinished_name(name) || name.front() == '.') {
      return Error{Errc::kConflict,
                   strf("data directory %s is not empty: %s is there; nothing is restored over it",
                        path.c_str(), percent_escape(name).c_str())};
    }
    ops.emplace_back(RemoveFile{name});
  }
  if (!ops.empty()) ops.emplace_back(SyncDirectory{});
  return ops;
}

}  // namespace raftd::storage
