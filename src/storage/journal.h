// The log on disk: turns PersistBatches into DiskPlans, and knows where old entries are. No system
// calls in here.
//
// The happy path is: a batch becomes one frame, written and synced by one plan; when its segment is
// full the plan first seals that segment and syncs it, then goes on in the next one, which was made
// and filled with zeros in the background. Possible failure modes are: there is no space for the
// next segment: the reserve file becomes it, and the disk counts as full until there is a reserve
// again; no next segment at all: ready() is false until there is one; a bad checksum in an old
// entry: decode() says so, and the process must end.
#pragma once

#include <memory>

#include "raft/core.h"
#include "storage/disk_plan.h"
#include "storage/recovery.h"

namespace raftd::storage {

struct JournalOptions {
  Identity identity;
  std::size_t segment_bytes = 0;
  // The first segment that a process makes may be smaller, so that a start waits for few zeros.
  std::size_t first_segment_bytes = 0;
  std::int64_t created_unix_ns = 0;  // For people, in the segment headers.
};

class Journal {
 public:
  Journal(const JournalOptions& options, JournalPosition position);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Precondition: ready(batch); the batch holds something; its entries follow each other and the
  // log.
  DiskPlan begin(const raft::PersistBatch& batch);
  // The idle mark: from then on damage to any entry is provable. Precondition: ready_to_mark().
  // The plan may be empty: nothing was written since the start.
  DiskPlan mark_idle();
  // Ends the segment for good: nothing may be begun after it. Precondition: idle(). The plan may be
  // empty, as above.
  DiskPlan mark_clean();
  // The plan ran. True: it was begin()'s, mark_idle()'s or mark_clean()'s: what it holds is
  // durable.
  bool finish(const DiskResult& result);
  bool idle() const;                                  // No frame is being written.
  bool ready(const raft::PersistBatch& batch) const;  // Idle, and if it rotates: S+1 is prepared.
  bool ready_to_mark() const;                         // The same, for one block.

  // Plans that may run beside begin()'s: they touch other files, or only read. nullopt: nothing to
  // do, or one is outstanding. After a result without space the caller waits before it asks again,
  // but for the one call that may rename the reserve.
  std::optional<DiskPlan> prepare_next_segment();  // May lack space: then the reserve is taken.
  std::optional<DiskPlan> prepare_reserve();       // While there is none.
  // False: the disk counts as full, since a file could not be made or the reserve was taken, and
  // there is no reserve again yet.
  bool has_reserve() const;

  // A snapshot is durable: later segments say so.
  void snapshot_durable(const raft::SnapshotId& id);
  // Removes the oldest segment if it holds nothing behind limit (what was overwritten included), or
  // is before a durable reset. From now on first_index() is what is left. nullopt: it stays. One at
  // a time: the next segment would wait behind many on the same lane, and writes for it.
  std::optional<DiskPlan> drop_oldest(raft::Index limit);
  bool can_drop_up_to(raft::Index limit) const;  // Cheap.

  std::optional<DiskPlan> read(const raft::LogRead& wanted);  // nullopt: dropped.
  // The entries of read()'s plan, in order, from wanted.first on. kCorrupt: a checksum that was
  // good is not any more; the process must end.
  Result<std::vector<raft::Entry>> decode(const raft::LogRead& wanted, const DiskResult& result);

  raft::Index first_index() const;
  raft::Index last_index() const;  // Durable.
  std::uint64_t bytes_on_disk() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::storage
