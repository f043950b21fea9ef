// The log on disk: turns PersistBatches into DiskPlans, and knows where old entries are. No system
// calls in here.
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

  DiskPlan begin(const raft::PersistBatch& batch);  // Precondition: ready(batch).
  DiskPlan mark_idle();                             // The idle mark. Precondition: idle().
  DiskPlan mark_clean();                            // Ends the segment. Precondition: idle().
  // The plan ran. True: it was begin()'s, mark_idle()'s or mark_clean()'s: what it holds is
  // durable.
  bool finish(const DiskResult& result);
  bool idle() const;                                  // No frame is being written.
  bool ready(const raft::PersistBatch& batch) const;  // Idle, and if it rotates: S+1 is prepared.
  bool ready_to_mark() const;                         // The same, for one block.

  // Plans that may run beside begin()'s: they touch other files, or only read. nullopt: nothing to
  // do, or one is outstanding.
  std::optional<DiskPlan> prepare_next_segment();  // May lack space: then the reserve is taken.
  std::optional<DiskPlan> prepare_reserve();       // While there is none.
  bool has_reserve() const;                        // False: the disk counts as full.

  std::optional<DiskPlan> read(const raft::LogRead& wanted);  // nullopt: dropped.
  // The entries of read()'s plan, in order, from wanted.first on. kCorrupt: a checksum that was
  // good is not any more; the process must end.
  Result<std::vector<raft::Entry>> decode(const raft::LogRead& wanted, const DiskResult& result);

  raft::Index first_index() const;
  raft::Index last_index() const;
  std::uint64_t bytes_on_disk() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::storage
