// Clients that wait for what is applied here.
//
// A write waits at an index for an entry of one term. It is decided when an entry is applied at
// that index: with this term it was done, with another one it will never be. Nothing else decides
// it: neither losing leadership nor losing the tail of the log. The table is the same on the leader
// and on a node that forwarded the write.
//
// A read waits for the core to confirm a read index, then until that index is applied, then, if it
// asks for a state that is not there yet, for whatever is applied next.
#pragma once

#include <unordered_set>

#include "node/replica.h"
#include "node/ring.h"

namespace raftd::node {

// Deadlines are looked at no more often than this.
inline constexpr Duration kDeadlineScanInterval = std::chrono::milliseconds(10);

// A lower bound of the deadlines in a table, so that tables are scanned only when one may be due.
class DeadlineWatch {
 public:
  void add(Instant deadline) {
    if (deadline < earliest_) earliest_ = deadline;
  }
  bool due(Instant now) const { return now >= next_scan(); }
  Instant next_scan() const {
    return earliest_ == Instant::never() ? earliest_ : std::max(earliest_, not_before_);
  }
  void restart(Instant now) {  // Before a scan, which add()s what it keeps.
    earliest_ = Instant::never();
    not_before_ = now + kDeadlineScanInterval;
  }

 private:
  Instant earliest_ = Instant::never();
  Instant not_before_{};
};

using GoneClients = std::unordered_set<ClientToken>;

class WaitingWrites {
 public:
  struct Waiter {
    raft::Index index;
    ClientToken token;  // 0: gone, or answered at its deadline.
    Instant deadline;
    Instant since;
    bool forwarded = false;
  };

  std::size_t size() const { return live_; }

  // Precondition: index is not applied yet.
  void add(raft::Term term, const Waiter& waiter);
  // Whether somebody waits for this entry.
  bool wanted(raft::Index index, raft::Term term) const;
  // An entry of this term is applied at this index. Calls done(waiter, superseded) for each that
  // waited there, and forgets them.
  template <class Fn>
  void applied(raft::Index index, raft::Term term, Fn&& done) {
    if (queues_.empty()) return;
    for (Queue& queue : queues_) {
      while (!queue.waiters.empty() && queue.waiters.front().index <= index) {
        const Waiter waiter = queue.waiters.pop_front();
        if (!waiter.token) continue;
        --live_;
        done(waiter, queue.term != term || waiter.index != index);
      }
    }
    drop_empty();
  }
  // Everything up to index is applied at once, and nobody knows what stood where. Calls
  // skipped(waiter, term) for each that waited there, and forgets them.
  template <class Fn>
  void skip_to(raft::Index index, Fn&& skipped) {
    for (Queue& queue : queues_) {
      while (!queue.waiters.empty() && queue.waiters.front().index <= index) {
        const Waiter waiter = queue.waiters.pop_front();
        if (!waiter.token) continue;
        --live_;
        skipped(waiter, queue.term);
      }
    }
    drop_empty();
  }
  bool scan_due(Instant now) const { return watch_.due(now); }
  Instant next_scan() const { return watch_.next_scan(); }
  // Forgets those whose deadline has passed, after expired(waiter, term), and those in gone.
  template <class Fn>
  void scan(Instant now, const GoneClients& gone, Fn&& expired) {
    watch_.restart(now);
    for (Queue& queue : queues_) {
      queue.waiters.erase_if([&](const Waiter& waiter) {
        if (gone.contains(waiter.token)) {
          --live_;
          return true;
        }
        if (waiter.deadline > now) {
          watch_.add(waiter.deadline);
          return false;
        }
        --live_;
        expired(waiter, queue.term);
        return true;
      });
    }
    drop_empty();
  }

  void check_invariants(raft::Index applied) const;

 private:
  // In one term an index is given once and in order, so that in the normal case a waiter is put at
  // the back and taken from the front. After a change of leader there are two of these.
  struct Queue {
    raft::Term term;
    Ring<Waiter> waiters;  // By index.
  };
  void drop_empty();

  std::vector<Queue> queues_;
  std::size_t live_ = 0;
  DeadlineWatch watch_;
};

class WaitingReads {
 public:
  struct Waiter {
    std::uint64_t read = 0;  // The core's token; the index that it waits for once it is confirmed.
    ClientToken token;
    Instant deadline;
    std::unique_ptr<machine::Query> query;  // Null: not waiting here any more.
  };

  std::size_t size() const { return size_; }

  // The token with which to ask the core for a read index.
  std::uint64_t next_read() const { return next_read_; }
  void asked(Waiter waiter);         // Under next_read().
  void park_unasked(Waiter waiter);  // Asks the core again later.
  // The core has answered. nullopt: it has to be asked again.
  void answered(std::uint64_t read, std::optional<raft::Index> at);
  void park(Waiter waiter);  // Its query gave nothing yet.

  // Hands out, in order, what is confirmed at or below applied; has_ready: there is such a one.
  bool next_ready(raft::Index applied, Waiter& ready);
  bool has_ready(raft::Index applied) const {
    return !confirmed_.empty() && confirmed_[0].read <= applied.value;
  }
  // Takes those whose query gave nothing, or that must be asked again, to be tried once more.
  std::vector<Waiter> take_parked();
  std::vector<Waiter> take_unasked(Instant now);
  bool has_parked() const { return !parked_.empty(); }

  bool scan_due(Instant now) const { return watch_.due(now); }
  Instant next_wakeup() const;
  // The same as for writes; expired(token).
  template <class Fn>
  void scan(Instant now, const GoneClients& gone, Fn&& expired) {
    watch_.restart(now);
    const auto leaves = [&](Waiter& waiter) {
      if (!waiter.query) return false;
      const bool left = gone.contains(waiter.token);
      if (!left && waiter.deadline > now) {
        watch_.add(waiter.deadline);
        return false;
      }
      if (!left) expired(waiter.token);
      --size_;
      waiter.query.reset();
      return true;
    };
    for (std::size_t i = 0; i < asked_.size(); ++i)
      leaves(asked_[i]);  // Stays, empty: asked_ is indexed by the core's token.
    confirmed_.erase_if(leaves);
    std::erase_if(parked_, leaves);
    std::erase_if(unasked_, leaves);
  }

 private:
  void pop_answered();

  std::uint64_t next_read_ = 1;
  std::uint64_t first_read_ = 1;  // Of asked_.front().
  Ring<Waiter> asked_;
  Ring<Waiter> confirmed_;  // By index.
  std::vector<Waiter> parked_;
  std::vector<Waiter> unasked_;
  Instant ask_at_ = Instant::never();
  std::size_t size_ = 0;
  DeadlineWatch watch_;
};

}  // namespace raftd::node
