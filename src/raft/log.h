// The log as the core sees it: the term of every entry as runs, the configurations, the newest
// entries themselves, and the marks. Entries that are not cached are on disk only.
#pragma once

#include <deque>

#include "raft/core.h"

namespace raftd::raft {

// What an entry costs in memory; the measure of every bound that is about memory.
inline std::size_t memory_bytes(const Entry& entry) {
  return entry.payload.bytes.size() + sizeof(Entry);
}

// Invariants, with first - 1 standing for "nothing":
//   applied <= handed <= commit <= last;  durable <= writing <= last;  cached from <= durable + 1.
class EntryLog {
 public:
  // Everything in it is durable; commit, handed and applied are where the snapshot is, else
  // first - 1. A log that does not lead up to the snapshot is reset to it.
  explicit EntryLog(Durable durable);

  Index first() const { return first_; }
  Index last() const { return last_; }
  Term last_term() const { return runs_.empty() ? prev_term_ : runs_.back().term; }
  // Index 0 has term 0; nullopt: outside of the log, but for the entry right before it if its term
  // is known.
  std::optional<Term> term_at(Index index) const;
  // Of the entries that have the same term as the one at index. Precondition: index is in the log.
  Index first_of_term_at(Index index) const;
  // The last entry whose term is at most this one; first - 1 if there is none.
  Index last_up_to(Term term) const;

  // Preconditions: index is last + 1; the term is not below the last one; a configuration decodes.
  void append(Entry entry);
  // Drops the entries from index on. What an outstanding batch may still prove shrinks with it:
  // the entries that come in their place are not those which it writes (the ABA case).
  // Precondition: index > commit. Gives how many were dropped.
  std::uint64_t truncate(Index index);

  // Cut to kBatchBytesMax and kBatchEntriesMax; empty if all is durable. One at a time.
  std::vector<Entry> begin_batch();
  void finish_batch();
  Index durable() const { return durable_; }
  std::size_t unpersisted_bytes() const { return unpersisted_bytes_; }

  bool cached(Index index) const { return index >= cache_first_ && index <= last_; }
  Index cache_first() const { return cache_first_; }
  std::size_t cache_bytes() const { return cache_bytes_; }
  const Entry& at(Index index) const;  // Precondition: cached.
  // Drops the oldest entries below keep_from that are durable until at most bytes_max are left.
  void evict(Index keep_from, std::size_t bytes_max);

  // Forgets what is before first. Precondition: it is applied and durable.
  void drop_to(Index first);
  // A snapshot was installed that this log does not lead up to: it is empty and starts after it.
  // Everything up to there is durable in the snapshot's file, which recovery takes as it takes the
  // record that take_reset() hands out for the next batch.
  void reset_to(const SnapshotMeta& snapshot);
  bool reset_due() const { return reset_.has_value(); }
  std::optional<SnapshotId> take_reset();
  // One was installed that this log goes beyond: what is up to it need not be applied.
  void skip_to(Index index);

  Index commit() const { return commit_; }
  void commit_to(Index index);
  Index handed() const { return handed_; }  // Given out to be applied.
  void hand_to(Index index);
  Index applied() const { return applied_; }
  void apply_to(Index index);

  const ConfigurationAt& configuration() const {
    return configurations_.empty() ? nothing_ : configurations_.back();
  }
  // The newest at or before index. Precondition: there is one, or none at all.
  const ConfigurationAt& configuration_at(Index index) const;
  // The one before the newest; nullptr if there is none.
  const ConfigurationAt* configuration_before() const {
    return configurations_.size() < 2 ? nullptr : &configurations_[configurations_.size() - 2];
  }

  // Looks at the newest entries each time, and at all of them once as many changes have been made
  // as make that cheap.
  void check_invariants();

 private:
  void check_cache(bool whole) const;
  std::vector<TermRun>::const_iterator run_of(Index index) const;

  Index first_;
  Term prev_term_;  // Of first_ - 1; 0: not known, or index 0.
  Index last_;
  std::vector<TermRun> runs_;                    // Ascending in both fields.
  std::vector<ConfigurationAt> configurations_;  // Ascending; from the one in effect at the start.
  ConfigurationAt nothing_;                      // Index 0 and no members.
  std::deque<Entry> cache_;                      // [cache_first_, last_].
  Index cache_first_;
  std::size_t cache_bytes_ = 0;
  std::size_t unpersisted_bytes_ = 0;  // Of (durable_, last_].
  Index durable_;                      // On disk as the log stands here.
  Index writing_;                      // durable_ once the outstanding batch is.
  Index commit_;
  Index handed_;
  Index applied_;
  std::optional<SnapshotId> reset_;  // Not in a batch yet.
  std::uint64_t unchecked_ = 0;      // Changes since all of the cache was looked at.
};

}  // namespace raftd::raft
