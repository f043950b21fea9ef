#include "node/snapshot_writing.h"

#include "base/limits.h"

namespace raftd::node {

storage::DiskPlan SnapshotWriting::plan() {
  storage::DiskPlan made;
  made.id = {kOwner << 61U | ++plans_};
  made.lane = storage::Lane::kBackground;
  made.may_lack_space = true;
  running_ = made.id;
  return made;
}

void SnapshotWriting::begin(const storage::SnapshotCut& cut,
                            std::unique_ptr<machine::SnapshotWriter> writer) {
  ASSERT(!active());
  file_.emplace(cut);
  writer_ = std::move(writer);
  name_ = storage::format::snapshot_name(cut.last_index.value, cut.last_term.value);
  offset_ = file_->head_bytes();
  index_ = cut.last_index;
  hurries_ = false;
  const storage::FileName unfinished = name_ + std::string(storage::format::kUnfinishedSuffix);
  storage::DiskPlan made = plan();
  made.ops.emplace_back(storage::RemoveFile{unfinished});
  made.ops.emplace_back(storage::CreateFile{unfinished, 0});
  disk_.submit(std::move(made));
}

bool SnapshotWriting::wants_slice() const {
  return active() && writer_ && !running_;
}

Instant SnapshotWriting::next_slice() const {
  if (!wants_slice()) return Instant::never();
  return hurries_ ? slice_at_ : std::max(slice_at_, rests_until_);
}

// At most one slice in a while: clients come first, on the loop and on the disk.
void SnapshotWriting::pump(Instant now) {
  if (now < next_slice()) return;
  slice_at_ = now + limits::kSnapshotSliceInterval;
  Bytes body;
  Bytes out;
  const bool last = writer_->write_slice(
      body, hurries_ ? limits::kSnapshotHurriedSliceBytes : limits::kSnapshotSliceBytes);
  file_->add(body, out);
  if (last && !writer_->intact()) {
    damaged_ = true;
    abort();
    return;
  }
  if (last) {
    file_->finish(out);
    writer_.reset();
  }
  submit(std::move(out));
}

void SnapshotWriting::submit(Bytes out) {
  const storage::FileName unfinished = name_ + std::string(storage::format::kUnfinishedSuffix);
  storage::DiskPlan made = plan();
  const std::uint64_t bytes = out.size();
  made.ops.emplace_back(storage::WriteFile{unfinished, offset_, share(std::move(out))});
  offset_ += bytes;
  if (writer_) {
    made.ops.emplace_back(storage::SyncFile{unfinished});
  } else {
    made.ops.emplace_back(storage::WriteFile{unfinished, 0, share(file_->head())});
    made.ops.emplace_back(storage::SyncFile{unfinished});
    made.ops.emplace_back(storage::RenameFile{unfinished, name_});
    made.ops.emplace_back(storage::SyncDirectory{});
  }
  disk_.submit(std::move(made));
}

// A plan that runs ends by itself; what it leaves is removed by the next one of this name, or by
// recovery.
void SnapshotWriting::abort() {
  file_.reset();
  writer_.reset();
}

std::optional<SnapshotWriting::Made> SnapshotWriting::on_done(Instant now,
                                                              const storage::DiskResult& result) {
  ASSERT(running_ == result.id);
  running_.reset();
  if (!active()) return std::nullopt;  // It was given up.
  const Duration rest = result.took * limits::kSnapshotRestFactor;
  rests_until_ = now + std::min<Duration>(rest, limits::kSnapshotRestMax);
  if (result.no_space) {
    log_.warn("snapshot: no space for %s; tried again in %lld s", name_.c_str(),
              static_cast<long long>(
                  std::chrono::duration_cast<std::chrono::seconds>(kRetryInterval).count()));
    retry_at_ = now + kRetryInterval;
    abort();
    return std::nullopt;
  }
  if (writer_) return std::nullopt;
  const raft::SnapshotMeta meta = file_->meta();
  abort();
  return Made{{name_, meta.id.last_index, meta.id.last_term, meta.id.file_bytes}, meta};
}

}  // namespace raftd::node
