// The key-value store once more, as simply as it can be said: what every answer is held against.
// Written from the contract, not from the store: store_model.cc (entries, reads), model_keys.cc
// (writes, transactions), model_leases.cc (leases, locks), model_state.cc (maps of maps),
// reply_text.cc (answers as text, to be compared and shown).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kv/command.h"
#include "kv/store.h"
#include "sim/model_state.h"

namespace raftd::sim {

class StoreModel {
 public:
  // The next entry of the log.
  void apply(const machine::Applied& entry);

  raft::Index applied() const { return {after_.size()}; }
  // After this entry. Precondition: it is applied.
  std::uint64_t revision_at(raft::Index index) const;

  // Why an answer that was read at this index is wrong; empty: it is right.
  std::string check(raft::Index at, const kv::GetQuery& query, const kv::GetReply& reply) const;
  std::string check(raft::Index at, const kv::RangeQuery& query, const kv::RangeReply& reply) const;
  // Of the write at this index.
  std::string check(raft::Index at, const kv::StoreReply& reply) const;
  // Of a store that has applied exactly this much; everything: each key, too, and at the last entry
  // each lease and each lock.
  std::string check(raft::Index at, const kv::Store& store, bool everything) const;

  // As it is after the last entry.
  const ModelState& state() const { return state_; }
  machine::ClusterTime now() const { return now_; }
  std::uint64_t compacted() const { return after_.empty() ? 0 : after_.back().compacted; }
  // Leases that the last entry ended because their time was over, and how long they should live.
  const std::vector<std::pair<kv::LeaseId, std::uint64_t>>& expired() const { return expired_; }

 private:
  using Version = ModelVersion;
  using Versions = std::vector<Version>;
  using Keys = ModelState::History;
  using Answer = std::shared_ptr<const kv::StoreReply>;
  struct After {  // One entry.
    std::uint64_t revision = 1;
    std::uint64_t compacted = 0;
    std::uint64_t keys = 0;
    std::uint64_t bytes = 0;
    std::uint64_t leases = 0;
    machine::ClusterTime time;
    Answer answer;  // Null: not foretold.
    bool replayed = false;
  };
  // What was answered to an idempotency key.
  struct Kept {
    std::uint64_t hash = 0;
    machine::ClusterTime time;
    Answer answer;
  };

  After after(raft::Index index) const { return index ? after_[index.value - 1] : After(); }
  static const Version* at(const Versions& versions, std::uint64_t revision);
  static std::string compare(const kv::Item& item, const Version& version, bool with_value);
  static std::string check_rows(const kv::RangeQuery& query, const kv::RangeReply& reply,
                                const std::vector<Keys::const_iterator>& keys,
                                std::uint64_t revision);

  Answer answer(const kv::Request& request, bool& replayed);
  Answer fenced(const std::vector<kv::Fence>& fences) const;
  Answer run(const kv::Request& request);
  void forget_replies();
  std::string check_leases(const kv::Store& store) const;
  std::string check_locks(const kv::Store& store, kv::Space space) const;

  // model_keys.cc
  kv::WriteReply put(const kv::Put& put);
  kv::WriteReply remove(const kv::Delete& del);
  kv::WriteReply remove_prefix(const kv::DeletePrefix& del);
  kv::WriteReply increment(const kv::Increment& increment);
  kv::WriteReply touch(const kv::Touch& touch);
  kv::TransactionReply transact(const kv::Transaction& transaction);
  // False: an operation could not be done; whole says why.
  bool run_branch(const kv::Transaction& transaction, kv::TransactionReply& reply,
                  kv::TransactionReply& whole);
  bool run_op(const kv::TransactionOp& op, kv::OpReply& reply, kv::TransactionReply& whole);
  // Precondition: at no other revision. Guards that are first are not known either.
  void list(const kv::List& list, kv::OpReply& reply) const;
  bool is_true(const kv::Guard& guard) const;
  std::optional<kv::LeaseId> choose_lease(const kv::LeaseChoice& choice, const ModelKey* present,
                                          kv::WriteReply& reply);
  kv::Item item(const std::string& name, const ModelKey& key) const;

  // model_leases.cc
  kv::LeaseReply grant(const kv::GrantLease& grant);
  kv::KeepLeasesReply keep(const kv::KeepLeases& keep);
  kv::LeaseReply revoke(const kv::RevokeLease& revoke);
  kv::WriteReply expire();
  std::uint64_t end_lease(kv::LeaseId id);  // How many of the keys people know.
  std::uint64_t remaining_ms(kv::LeaseId id) const;
  kv::LockReply acquire(const kv::Acquire& acquire, std::string_view idempotency_key);
  kv::LockReply keep_lock(const kv::KeepLock& keep);
  kv::LockReply release(const kv::Release& release);
  kv::LockReply proclaim(const kv::Proclaim& proclaim);
  kv::LockReply leave_queue(const kv::LeaveQueue& leave);
  void forget_waiter(const std::string& waiter);
  bool holds(const kv::Fence& fence) const;
  void grant_next(kv::Space space, const std::string& name);
  std::vector<std::string> queue(kv::Space space, std::string_view name) const;
  kv::LockReply lock_reply(kv::Space space, const std::string& name) const;
  kv::LockView view(kv::Space space, const std::string& name, const ModelKey& key) const;

  ModelState state_;
  machine::ClusterTime now_;
  std::map<std::string, Kept, std::less<>> kept_;
  std::vector<std::pair<kv::LeaseId, std::uint64_t>> expired_;
  std::vector<After> after_;  // Index 1 first.
};

}  // namespace raftd::sim
