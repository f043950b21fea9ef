// Snapshots that come from a leader: stored as they come, then verified and restored beside the
// present state, a piece per turn, then made one of this node's own.
//
// The happy path is: pieces are appended to incoming-INDEX-TERM; when all are there the file is
// synced, read back through its checksums into a second state, renamed, the directory synced; then
// ready() hands out the whole, and commit() swaps the states.
// Possible failure modes are: it does not verify, or there is no space (failed; the leader begins
// anew); another one comes (this one goes); the applied state passes it (drop()); a crash (recovery
// removes incoming files; one that has its final name is an ordinary snapshot).
#pragma once

#include <deque>

#include "node/replica.h"
#include "storage/snapshot_file.h"

namespace raftd::node {

class SnapshotReceiving {
 public:
  SnapshotReceiving(const storage::ClusterId& cluster_id, Disk& disk,
                    machine::StateMachine& machine, Log& log)
      : cluster_id_(cluster_id), disk_(disk), machine_(machine), log_(log) {}

  static bool owns(storage::PlanId id) { return id.value >> 61U == kOwner; }

  // The next piece of its file.
  void on_chunk(raft::SnapshotChunk chunk);

  struct Event {
    enum class Kind : std::uint8_t { kNothing, kStored, kFailed, kReady };
    Kind kind = Kind::kNothing;
    raft::SnapshotId id;
    std::uint64_t next_offset = 0;  // kStored.
  };
  // A plan of this class ran.
  Event on_done(const storage::DiskResult& result);

  // What is being received or restored; nullptr: nothing.
  const raft::SnapshotMeta* meta() const { return current_ ? &current_->meta : nullptr; }
  bool ready() const { return current_ && current_->stage == Stage::kReady; }
  bool restoring() const { return current_ && current_->stage != Stage::kStoring; }
  // It is not needed any more. What is ready stays on disk, as a snapshot like others.
  void drop();

  struct Installed {
    storage::KeptSnapshot kept;
    raft::SnapshotMeta meta;
    machine::ClusterTime time;
  };
  // Swaps the states. Precondition: ready(); no entry is applied in part.
  Installed commit();

 private:
  static constexpr std::uint64_t kOwner = 5;
  enum class Stage : std::uint8_t { kStoring, kReading, kNaming, kReady };
  struct Current {
    explicit Current(raft::SnapshotMeta announced) : meta(std::move(announced)) {}
    raft::SnapshotMeta meta;
    storage::FileName incoming;
    Stage stage = Stage::kStoring;
    std::uint64_t received = 0;
    std::deque<raft::SnapshotChunk> waiting;  // To be stored; bounded by the core.
    bool begun = false;                       // There may be a file.
    std::uint64_t stored = 0;                 // Once what runs is done.
    std::uint64_t unsynced = 0;
    std::unique_ptr<machine::RestoreReader> restore;
    std::unique_ptr<storage::SnapshotFileReader> reader;
    std::uint64_t read = 0;
  };

  storage::DiskPlan plan();
  void submit(storage::DiskPlan made);
  void remove_garbage();
  void store_next();
  void begin_restore();
  void read_next();
  Event on_read(const storage::DiskResult& result);
  Status check_cut() const;
  Event fail(const Error& error);

  storage::ClusterId cluster_id_;
  Disk& disk_;
  machine::StateMachine& machine_;
  Log& log_;
  std::optional<Current> current_;
  // One plan at a time, whoever it was for: what follows a failed one must not run.
  std::optional<storage::PlanId> running_;
  bool orphaned_ = false;                   // It was for one that was dropped.
  std::vector<storage::FileName> garbage_;  // Files of those.
  std::uint64_t plans_ = 0;
};

}  // namespace raftd::node
