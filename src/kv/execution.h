// A transaction under way. Guards choose a branch, its operations are done in order, in place, at
// the next revision, which nobody sees before the end; each sees what those before it wrote. What
// is long is done in slices. An operation that cannot be done ends it, and all is taken back.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kv/store_state.h"

namespace raftd::kv {

class Store::State::Execution {
 public:
  // The transaction and its texts outlive it.
  Execution(State& state, const Transaction& transaction, bool reply_wanted);
  // DeletePrefix is a transaction of one operation.
  Execution(State& state, const DeletePrefix& del, bool reply_wanted);
  // A question at a revision. Precondition: there is no write in it.
  Execution(const State& state, const Transaction& transaction, Revision at,
            machine::ClusterTime now);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // False: so many keys were visited before the end.
  bool run(std::size_t keys_max);
  // Once, at the end: the next revision is the present one, or all is taken back.
  void settle();
  // A question that is not at its end must not go on for ever.
  void give_up(std::string_view limit, std::uint64_t max);
  bool of_prefix() const { return !end_.empty(); }
  bool reply_wanted() const { return wanted_; }
  TransactionReply& reply() { return reply_; }

 private:
  struct Frame {
    const Transaction* transaction;
    TransactionReply* reply;                             // Null: not wanted.
    const std::vector<TransactionOp>* branch = nullptr;  // Null: the guards are not decided.
    std::size_t next = 0;                                // Guard or operation.
  };
  struct Row {
    const Key* key;
    const Version* version;
  };
  struct LeaseBefore {
    LeaseId id;
    bool made = false;  // It was not there.
    std::uint64_t ttl_ms = 0;
    machine::ClusterTime deadline{};
  };

  struct Before;

  bool advance();
  void swap_counts();
  bool choose();  // False: the slice is over; likewise of those below.
  bool step();
  std::optional<bool> holds(const Guard& guard);
  bool carry_out(const TransactionOp& op);
  void put(const Put& put);
  void increment(const Increment& increment);
  void touch(const Touch& touch);
  bool remove(const DeleteSpan& del);
  bool list(const List& list);
  bool visit(const List& list, const Key& key, const Version& version);
  void sort_in(const List& list, const Row& row);
  void add_row(const List& list, const Row& row);
  bool can_read(Revision rev);
  template <class Visit>
  bool walk(const Span& span, Revision at, Visit&& visit);
  const Version* find(std::string_view key) const;
  bool charge(std::string_view key, std::string_view value);
  void check_written(std::string_view key);
  void note_lease(const LeaseChoice& choice);
  void fail(const StoreReply& why, std::string_view key);
  void take_back();
  void take_back_change();

  const State& state_;
  State* const writer_;  // Null: a question.
  const Revision at_;    // At which it reads,
  Revision guards_at_;   //   and its guards.
  const machine::ClusterTime now_;
  const bool wanted_;
  TransactionReply reply_;
  std::vector<Frame> frames_;  // The outermost first.
  bool failed_ = false;
  std::optional<StoreReply> unreadable_;  // Of the first list at a revision that is not there.
  bool paused_ = false;
  OpReply op_;  // Of the operation under way.

  // The walk of a guard or an operation.
  std::size_t left_ = 0;    // Keys in this slice.
  std::uint64_t seen_ = 0;  // Live keys.
  bool interrupted_ = false;
  std::string next_;         // Where it goes on then.
  std::uint64_t rows_ = 0;   // Of a list that needs no sorting.
  std::vector<Row> sorted_;  // Of one that does: a heap of the first ones, the last of them on top.

  // As it was before.
  std::uint64_t hash_sum_ = 0;
  Ended ended_;
  std::uint64_t keys_ = 0;
  std::uint64_t bytes_ = 0;
  LeaseId lease_counter_ = 0;
  std::size_t orphans_ = 0;
  std::vector<LeaseBefore> leases_;  // Those that were changed since, in that order.

  // Of a DeletePrefix.
  std::string end_;
  std::uint64_t limit_ = 0;
  Transaction own_;
};

}  // namespace raftd::kv
