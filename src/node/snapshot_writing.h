// Local snapshots: the state machine's state becomes a file, a slice every few milliseconds.
//
// The happy path is: begin() cuts the state; pump() takes a slice of it whenever one is due, which
// the background lane writes and syncs before the next is taken; at the end header, sync, rename
// and directory sync are one plan, and what it made is handed out by on_done(). Possible failure
// modes are: no space (the file is gone, tried again after kRetryInterval), the state is replaced
// meanwhile (abort()), a crash (recovery removes what has no final name).
#pragma once

#include "node/replica.h"
#include "storage/snapshot_file.h"

namespace raftd::node {

class SnapshotWriting {
 public:
  SnapshotWriting(Disk& disk, Log& log) : disk_(disk), log_(log) {}

  // Plans of this class; all others are somebody else's.
  static bool owns(storage::PlanId id) { return id.value >> 61U == kOwner; }

  bool active() const { return file_.has_value(); }
  // Of the newest one that was begun.
  raft::Index index() const { return index_; }
  bool may_begin(Instant now) const { return !active() && !running_ && !lacks_space(now); }
  // There was none a moment ago.
  bool lacks_space(Instant now) const { return now < retry_at_; }
  // Precondition: may_begin().
  void begin(const storage::SnapshotCut& cut, std::unique_ptr<machine::SnapshotWriter> writer);
  // Takes a slice of the state if one is due, and has it written.
  void pump(Instant now);
  // The next snapshot is wanted before this one is made: its slices have no rests from here on.
  void hurry() { hurries_ = true; }
  // When the next slice is due; never: the one before must be written first, or there is no more.
  Instant next_slice() const;
  void abort();
  // True once: the state turned out not to be what had been applied; the snapshot was given up.
  bool take_damage() { return std::exchange(damaged_, false); }

  struct Made {
    storage::KeptSnapshot kept;
    raft::SnapshotMeta meta;
  };
  // A plan of this class ran. Hands out the snapshot if it is durable now.
  std::optional<Made> on_done(Instant now, const storage::DiskResult& result);

 private:
  static constexpr std::uint64_t kOwner = 4;
  static constexpr Duration kRetryInterval = std::chrono::seconds(10);
  storage::DiskPlan plan();
  bool wants_slice() const;
  void submit(Bytes out);

  Disk& disk_;
  Log& log_;
  std::optional<storage::SnapshotFileWriter> file_;
  std::unique_ptr<machine::SnapshotWriter> writer_;  // Null: all of it has been taken.
  raft::Index index_;
  storage::FileName name_;
  std::uint64_t offset_ = 0;  // Where the next piece goes.
  std::uint64_t plans_ = 0;
  std::optional<storage::PlanId> running_;
  bool damaged_ = false;
  Instant retry_at_{};
  Instant slice_at_{};
  Instant rests_until_{};
  bool hurries_ = false;
};

}  // namespace raftd::node
