// The journal's side of the disk: which plan runs when.
//
// The happy path is: a batch becomes a plan at once, and its completion is what the core waits for;
// beside it the next segment and the reserve are made, and old entries are read.
// Possible failure modes are: no space for the next segment (the journal takes the reserve; tried
// again each second; meanwhile full()), a batch that needs a segment which is not there yet (it
// waits), a slow sync (a warning). A failed write or sync ends the process elsewhere; an old entry
// whose checksum is not good any more ends it here.
#pragma once

#include <optional>

#include "node/replica.h"

namespace raftd::node {

class DiskLanes {
 public:
  struct Finished {
    std::optional<raft::PersistSeq> persisted;
    std::optional<raft::LogReadId> read;
    std::vector<raft::Entry> entries;  // Of the read; empty: dropped.
  };

  // election_timeout: a sync that takes a quarter of it is worth a warning.
  DiskLanes(const storage::JournalOptions& options, storage::JournalPosition position,
            Duration election_timeout, Disk& disk, Log& log)
      : journal_(options, std::move(position)),
        election_timeout_(election_timeout),
        disk_(disk),
        log_(log) {}

  // Precondition: the batch before is persisted.
  void persist(Instant now, raft::PersistBatch batch);
  // False: these entries are dropped.
  bool read(const raft::LogRead& wanted);
  // Removes the oldest segment if its entries are not needed any more (Journal::drop_oldest),
  // unless something else is to be done in the background. True: the log begins elsewhere now.
  bool drop_oldest(Instant now, raft::Index limit);
  void snapshot_durable(const raft::SnapshotId& id) { journal_.snapshot_durable(id); }
  Finished on_done(Instant now, const storage::DiskResult& result);
  // Starts what waits: a batch, the next segment, the idle mark, the clean mark.
  void pump(Instant now);
  Instant next_wakeup() const;

  // No more batches; when the one that is being written is done, marks the end as clean.
  void seal() { sealing_ = true; }
  bool sealed() const { return sealed_; }
  bool running() const { return writing_ != Writing::kNothing || background_ || !reads_.empty(); }

  bool full() const { return !journal_.has_reserve(); }
  const storage::Journal& journal() const { return journal_; }
  const RecentHistogram& sync_times() const { return sync_times_; }

 private:
  enum class Writing : std::uint8_t { kNothing, kBatch, kIdleMark, kCleanMark };
  void write(Instant now, Writing what, storage::DiskPlan plan);
  void start_write(Instant now);
  void start_background(Instant now);
  void note_time(Instant now, Duration took);

  storage::Journal journal_;
  Duration election_timeout_;
  Disk& disk_;
  Log& log_;
  RecentHistogram sync_times_;

  Writing writing_ = Writing::kNothing;
  raft::PersistSeq writing_seq_;  // If it is a batch.
  std::optional<raft::PersistBatch> waiting_;
  Instant idle_mark_at_ = Instant::never();
  bool sealing_ = false;
  bool sealed_ = false;

  bool background_ = false;  // A plan runs.
  Instant retry_space_at_{};
  Instant slow_warning_at_{};  // Not before.
  std::vector<std::pair<storage::PlanId, raft::LogRead>> reads_;
};

}  // namespace raftd::node
