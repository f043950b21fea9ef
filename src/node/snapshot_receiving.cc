#include "node/snapshot_receiving.h"

#include "base/limits.h"

namespace raftd::node {

storage::DiskPlan SnapshotReceiving::plan() {
  storage::DiskPlan made;
  made.id = {kOwner << 61U | ++plans_};
  made.lane = storage::Lane::kBackground;
  return made;
}

void SnapshotReceiving::submit(storage::DiskPlan made) {
  ASSERT(!running_);
  running_ = made.id;
  orphaned_ = false;
  disk_.submit(std::move(made));
}

void SnapshotReceiving::remove_garbage() {
  if (running_ || garbage_.empty()) return;
  storage::DiskPlan made = plan();
  for (const storage::FileName& name : std::exchange(garbage_, {}))
    made.ops.emplace_back(storage::RemoveFile{name});
  submit(std::move(made));
  orphaned_ = true;
}

void SnapshotReceiving::on_chunk(raft::SnapshotChunk chunk) {
  const raft::SnapshotId& id = chunk.meta.id;
  if (!current_ || current_->meta.id != id || chunk.offset == 0) {
    ASSERT_CMP(chunk.offset, ==, 0U);
    drop();
    current_.emplace(chunk.meta);
    current_->incoming = storage::format::incoming_name(id.last_index.value, id.last_term.value);
    log_.info("snapshot: receives the one at index %llu, %llu bytes",
              static_cast<unsigned long long>(id.last_index.value),
              static_cast<unsigned long long>(id.file_bytes));
  }
  ASSERT_CMP(chunk.offset, ==, current_->received);
  ASSERT(current_->stage == Stage::kStoring);
  current_->received += chunk.bytes;
  current_->waiting.push_back(std::move(chunk));
  store_next();
}

void SnapshotReceiving::store_next() {
  Current& c = *current_;
  if (running_ || c.waiting.empty()) return;
  raft::SnapshotChunk chunk = std::move(c.waiting.front());
  c.waiting.pop_front();
  storage::DiskPlan made = plan();
  made.may_lack_space = true;
  c.begun = true;
  if (chunk.offset == 0) {
    made.ops.emplace_back(storage::RemoveFile{c.incoming});
    made.ops.emplace_back(storage::CreateFile{c.incoming, 0});
  }
  c.stored = chunk.offset + chunk.bytes;
  c.unsynced += chunk.bytes;
  made.ops.emplace_back(storage::WriteFile{c.incoming, chunk.offset, std::move(chunk.data)});
  if (c.stored == c.meta.id.file_bytes || c.unsynced >= limits::kSnapshotSyncBytes) {
    made.ops.emplace_back(storage::SyncFile{c.incoming});
    c.unsynced = 0;
  }
  submit(std::move(made));
}

void SnapshotReceiving::drop() {
  if (!current_) return;
  const bool unnamed = current_->stage == Stage::kStoring || current_->stage == Stage::kReading;
  if (unnamed && current_->begun) garbage_.push_back(current_->incoming);
  current_.reset();
  orphaned_ = running_.has_value();
  remove_garbage();
}

SnapshotReceiving::Event SnapshotReceiving::fail(const Error& error) {
  const raft::SnapshotId id = current_->meta.id;
  log_.error("snapshot: the one received at index %llu is not used: %s",
             static_cast<unsigned long long>(id.last_index.value), error.message.c_str());
  drop();
  return {Event::Kind::kFailed, id, 0};
}

SnapshotReceiving::Event SnapshotReceiving::on_done(const storage::DiskResult& result) {
  ASSERT(running_ == result.id);
  running_.reset();
  if (orphaned_) {
    remove_garbage();
    if (current_ && !running_) store_next();
    return {};
  }
  ASSERT(current_);
  Current& c = *current_;
  const raft::SnapshotId id = c.meta.id;
  switch (c.stage) {
    case Stage::kStoring:
      if (result.no_space) return fail({Errc::kDiskFull, "no space left on this disk"});
      if (c.stored == id.file_bytes) {
        begin_restore();
      } else {
        store_next();
      }
      return {Event::Kind::kStored, id, c.stored};
    case Stage::kReading:
      return on_read(result);
    case Stage::kNaming:
      c.stage = Stage::kReady;
      return {Event::Kind::kReady, id, 0};
    case Stage::kReady:
      break;
  }
  PANIC("no plan runs for a snapshot that is ready");
}

void SnapshotReceiving::begin_restore() {
  Current& c = *current_;
  c.stage = Stage::kReading;
  c.restore = machine_.restore();
  c.reader = std::make_unique<storage::SnapshotFileReader>(
      [restore = c.restore.get()](ByteView body) { return restore->feed(body); });
  read_next();
}

// On the lane that wrote it: there it is the file of this name and no other.
void SnapshotReceiving::read_next() {
  storage::DiskPlan made = plan();
  made.ops.emplace_back(
      storage::ReadFile{current_->incoming, current_->read, limits::kRestoreSliceBytes});
  submit(std::move(made));
}

// What its header says, before anything of it is trusted.
Status SnapshotReceiving::check_cut() const {
  const auto& cut = current_->reader->cut();
  if (!cut) return raftd::Done{};
  const raft::SnapshotMeta& meta = current_->meta;
  if (cut->cluster_id != cluster_id_) return Error{Errc::kCorrupt, "it is of another cluster"};
  if (cut->machine_name != machine_.name()) {
    return Error{Errc::kUnsupported, "its state is of the kind " + cut->machine_name};
  }
  const bool same = cut->last_index == meta.id.last_index && cut->last_term == meta.id.last_term &&
                    cut->configuration.index == meta.configuration.index &&
                    cut->configuration.configuration == meta.configuration.configuration;
  if (!same) return Error{Errc::kCorrupt, "it is not the one that was announced"};
  return raftd::Done{};
}

SnapshotReceiving::Event SnapshotReceiving::on_read(const storage::DiskResult& result) {
  ASSERT_CMP(result.reads.size(), ==, 1U);
  if (!result.reads[0] || result.reads[0]->empty()) {
    return fail({Errc::kCorrupt, "its file is shorter than what was stored"});
  }
  const Bytes& bytes = *result.reads[0];
  current_->read += bytes.size();
  const Status fed = current_->reader->feed(bytes);
  if (!fed) return fail(fed.error());
  const Status cut = check_cut();
  if (!cut) return fail(cut.error());
  if (current_->read < current_->meta.id.file_bytes) {
    read_next();
    return {};
  }
  const Status whole = current_->reader->finish();
  if (!whole) return fail(whole.error());
  if (current_->reader->meta().id != current_->meta.id) {
    return fail({Errc::kCorrupt, "it is not the one that was announced"});
  }
  const Status complete = current_->restore->complete();
  if (!complete) return fail(complete.error());
  current_->stage = Stage::kNaming;
  const raft::SnapshotId& id = current_->meta.id;
  storage::DiskPlan made = plan();
  made.ops.emplace_back(storage::RenameFile{
      current_->incoming, storage::format::snapshot_name(id.last_index.value, id.last_term.value)});
  made.ops.emplace_back(storage::SyncDirectory{});
  submit(std::move(made));
  return {};
}

SnapshotReceiving::Installed SnapshotReceiving::commit() {
  ASSERT(ready());
  Current done = *std::exchange(current_, std::nullopt);
  const raft::SnapshotId& id = done.meta.id;
  const machine::ClusterTime time{done.reader->cut()->cluster_time_ms};
  done.restore->commit(id.last_index, time);
  return {{storage::format::snapshot_name(id.last_index.value, id.last_term.value), id.last_index,
           id.last_term, id.file_bytes},
          done.meta,
          time};
}

}  // namespace raftd::node
