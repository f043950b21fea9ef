// What a store consists of. Included by the store's own files alone: store.cc (apply), range.cc
// (queries), span.cc (those
// of etcd), execution.cc and transaction.cc (many operations in one), leases.cc (keys that end by
// time), lease_queries.cc (what is shown of them), locks.cc (locks and elections), retries.cc
// (answers kept for those who ask again), history.cc (dropping old versions), events.cc (the
// changes one after the other), membership.cc (who is and was a member), snapshot.cc and restore.cc
// (the state as bytes and back), state_hash.cc (one number for all of it).
#pragma once

#include <array>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/spares.h"
#include "kv/keys.h"
#include "kv/lease_table.h"
#include "kv/retries.h"
#include "kv/store.h"

namespace raftd::kv {

// The revisions after the mark before, up to this one, came between these times: at most a second.
struct TimeMark {
  machine::ClusterTime first;
  machine::ClusterTime last;
  Revision revision;
};

// Of somebody who waits for a lock: his node renews it in time, or is gone.
inline constexpr std::uint64_t kWaiterTtlMs = 15'000;

std::uint64_t hash_of_text(const Key& key);
std::uint64_t hash_of(const Key& key, std::uint64_t hash_of_text, const Version& version);
inline std::uint64_t hash_of(const Key& key, const Version& version) {
  return hash_of(key, hash_of_text(key), version);
}
std::uint64_t hash_of(LeaseId id, const LeaseTimes& lease);
std::uint64_t hash_of_lease_counter(LeaseId id);
std::uint64_t hash_of(const TimeMark& mark);
std::uint64_t hash_of(const PublishedMember& member);
std::uint64_t hash_of(const Ticket& ticket);
std::uint64_t hash_of_max_id(std::uint64_t id);
// Of a whole state but for the time: sum is that of its items.
std::uint64_t content_hash(const StoreStats& stats, std::uint64_t sum);

struct Store::State {
  explicit State(const HistoryLimits& limits);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // store.cc
  machine::Outcome apply(const Request& request, bool reply_wanted);
  machine::Outcome run(const Request& request, bool reply_wanted);
  machine::Outcome fenced(const Fence& fence, std::optional<ReplyKind> kind,
                          bool reply_wanted) const;
  machine::Outcome ended(machine::Outcome outcome);  // Of a command, or of a slice of it.
  template <class T>
  machine::Outcome answer(T&& reply, bool reply_wanted);
  WriteReply put(const Put& put, bool reply_wanted);
  WriteReply remove(const Delete& del, bool reply_wanted);
  WriteReply compact(const Compact& compact);
  bool refused(const Condition& condition, const Version* present, WriteReply& reply) const;
  // True: this command wrote the key before, and a key has one version in a revision.
  bool written_twice(const Key& key, WriteReply& reply) const;
  // The key, if it is what was found; nullptr: it is not there.
  static Key* known(const Keys& keys, Keys::Iterator found, std::string_view key) {
    return found != keys.end() && found->text() == key ? &*found : nullptr;
  }
  static Key* known(const Keys& keys, std::string_view key) {
    return known(keys, keys.lower_bound(key), key);
  }
  // Its newest version; nullptr: the key is not there, or dead.
  static const Version* live(const Key* key);
  // Both write what the next revision has; raise_revision() makes it the present one.
  // at: the first key in the space that is not below key.
  void write(Space space, Keys::Iterator at, std::string_view key, std::string_view value,
             LeaseId lease);
  void write(Key& key, std::string_view value, LeaseId lease);
  void erase(Key& key, LeaseId ended_with);
  void raise_revision();
  // Of what is written now. While leases are ended, revisions are raised that nobody sees yet.
  Revision next_revision() const { return stats.revision + (ending ? ending->revisions : 0) + 1; }
  bool written() const {  // Something has the next revision.
    return !changes.empty() && changes.back().revision > stats.revision;
  }
  void add_version(Key& key, const VersionFields& fields);
  Keys& in(Space space) { return spaces[static_cast<std::size_t>(space)]; }
  const Keys& in(Space space) const { return spaces[static_cast<std::size_t>(space)]; }

  // retries.cc
  // What the same request was answered before, or that it was another one. Null: nothing.
  std::unique_ptr<StoreReply> answered_before(std::string_view idempotency_key,
                                              std::uint64_t request_hash, ReplyKind kind) const;
  void keep_reply(machine::Outcome& outcome);

  // range.cc
  std::unique_ptr<machine::Reply> get(const GetQuery& query, machine::ClusterTime at) const;
  std::unique_ptr<machine::Reply> range(const RangeQuery& query, machine::ClusterTime at) const;
  // span.cc
  std::unique_ptr<machine::Reply> span(const SpanQuery& query, machine::ClusterTime at) const;
  std::unique_ptr<machine::Reply> hash(const HashQuery& query) const;
  // Both in range.cc.
  Item item(std::string_view key, const Version& version, bool with_value,
            machine::ClusterTime at) const;
  // item: an empty one, perhaps with memory for its texts.
  void fill(Item& item, std::string_view key, const Version& version, bool with_value,
            machine::ClusterTime at) const;

  // transaction.cc
  WriteReply increment(const Increment& increment, bool reply_wanted);
  machine::Outcome transact(const Transaction& transaction, bool reply_wanted);
  machine::Outcome remove_prefix(const DeletePrefix& del, bool reply_wanted);
  machine::Outcome execute_slice();
  std::unique_ptr<machine::Reply> transaction(const TransactionQuery& query,
                                              machine::ClusterTime at) const;

  // leases.cc
  WriteReply touch(const Touch& touch);
  LeaseReply grant(const GrantLease& grant);
  KeepLeasesReply keep(const KeepLeases& keep);
  machine::Outcome revoke(const RevokeLease& revoke, bool reply_wanted);
  machine::Outcome expire(bool reply_wanted);
  machine::Outcome end_slice();
  std::size_t end_part(LeaseId id);
  Lease* find_lease(LeaseId id);
  const Lease* find_lease(LeaseId id) const;
  // The lease that a key of which this is the present version has after a write; its reply says why
  // not otherwise.
  std::optional<LeaseId> choose_lease(const LeaseChoice& choice, const Version* present,
                                      WriteReply& reply);
  LeaseId make_lease(std::uint64_t ttl_ms, bool owned);  // Precondition: there is room.
  // All that ever happens to a lease happens in these three.
  void add_lease(LeaseId id, Lease lease);
  void set_deadline(LeaseId id, Lease& lease, std::uint64_t ttl_ms);  // From now on.
  void drop_lease(LeaseId id);                               // Precondition: no key has it.
  void keep_for_cuts(LeaseId id, const LeaseTimes* before);  // Null: it was not there.
  void attach(LeaseId id, Key& key);
  void detach(LeaseId id, Key& key);
  void sweep_orphans();
  std::uint64_t remaining_ms(const LeaseTimes& lease, machine::ClusterTime at) const;

  // lease_queries.cc
  std::unique_ptr<machine::Reply> lease(const LeaseQuery& query, machine::ClusterTime at) const;
  std::unique_ptr<machine::Reply> list_leases(const LeasesQuery& query,
                                              machine::ClusterTime at) const;
  LeaseRow row(LeaseId id, const Lease& lease, machine::ClusterTime at) const;

  // locks.cc
  LockReply acquire(const Acquire& acquire, std::string_view idempotency_key);
  LockReply keep_lock(const KeepLock& keep);
  LockReply release(const Release& release);
  LockReply proclaim(const Proclaim& proclaim);
  LockReply leave_queue(const LeaveQueue& leave);
  bool holds(const Fence& fence, Revision at) const;
  const Version* held_lock(Space space, std::string_view name) const;
  const Version* held_with(Space space, std::string_view name, Revision token,
                           LockReply& reply) const;
  std::uint64_t waiters(Space space, std::string_view name) const;
  void describe_lock(Space space, std::string_view name, LockReply& reply) const;
  void note_waiter(const Key& waiter, bool waits);
  void note_end(Key& key);
  void grant_ended_locks();
  bool leave_overslept(const std::string& queue);
  bool waiters_have_locks() const;
  void check_locks() const;
  void grant_lock(Key& lock, const std::string& waiter);

  // lock_queries.cc
  std::unique_ptr<machine::Reply> lock(const LockQuery& query, machine::ClusterTime at) const;
  std::unique_ptr<machine::Reply> list_locks(const LocksQuery& query,
                                             machine::ClusterTime at) const;
  std::unique_ptr<machine::Reply> place(const PlaceQuery& query) const;
  LockView view_lock(Space space, std::string_view name, const Version* version,
                     machine::ClusterTime at, std::size_t& visited) const;

  // membership.cc
  WriteReply publish(const PublishMember& member);
  MemberReply reserve(const ReserveMember& reserve);
  MemberReply claim(const ClaimMember& claim);
  MemberReply drop(const DropTickets& drop);
  void configure(const raft::Configuration& configuration);
  bool name_taken(std::string_view name, std::uint64_t id, std::uint64_t replaces) const;
  Ticket* find_ticket(std::uint64_t id);
  void change_ticket(Ticket& ticket, const Ticket& after);
  void add_ticket(Ticket ticket);
  template <class Predicate>
  std::uint64_t erase_tickets(const Predicate& unwanted);
  void put_member(PublishedMember member);
  void raise_max_id(std::uint64_t id);
  std::optional<machine::ClusterTime> next_expiry() const;
  void note_promotions();

  // history.cc
  void note_revision();  // stats.revision was raised.
  Revision compaction_target(machine::ClusterTime at) const;
  bool tidy_slice();
  Revision tidy_up_to() const;

  struct Change;
  struct Ended;
  // Of history: bytes that a compaction could free, whoever holds back what an earlier one has.
  std::uint64_t window_bytes() const { return (ended_so_far - forgotten).bytes; }
  // Of the first change above compact_revision.
  std::size_t window_begin() const;

  // state_hash.cc
  std::uint64_t computed_sum() const;  // What hash_sum must be. Slow.
  void forget_up_to_compacted();       // stats.compact_revision was raised.
  Ended ended_by(const Change& change) const;
  Ended ended_with(std::size_t at) const;  // As ended_so_far was with the change at this place.
  bool marked(std::size_t at) const { return (changes_dropped + at) % kChangesPerMark == 0; }
  std::uint64_t content_hash() const {
    return raftd::kv::content_hash(stats, hash_sum + retries.hash_sum());
  }

  // events.cc
  std::optional<std::size_t> seek(const EventCursor& cursor) const;
  bool advance(EventCursor& cursor, std::size_t& at) const;
  const Version& version_of(const Change& change) const;
  Event event_of(const Change& change, bool with_prev) const;

  // One write of one key, oldest first: who may have versions to drop once history passes it.
  struct Change {
    Revision revision;
    Key* key;
  };
  // What changes have put an end to, a tombstone to itself: the hashes of it, and what it and they
  // weigh as history.
  struct Ended {
    std::uint64_t hash = 0;
    std::uint64_t bytes = 0;

    Ended& operator+=(const Ended& more) {
      hash += more.hash;
      bytes += more.bytes;
      return *this;
    }
    Ended operator-(const Ended& part) const { return {hash - part.hash, bytes - part.bytes}; }
  };
  // The changes are numbered from changes_dropped on. What has ended is kept with each whose number
  // is a multiple of this; for those between it is computed.
  static constexpr std::size_t kChangesPerMark = 16;
  // Leases that are being ended, each with its keys, in this order. No reader sees any of its
  // revisions before the last one is there.
  struct Ending {
    std::vector<LeaseId> ids;
    std::size_t done = 0;  // Of ids.
    std::uint64_t revisions = 0;
    std::uint64_t deleted = 0;  // Of Space::kKeys, as stats counts them.
    std::uint64_t deleted_bytes = 0;
    LeaseId id = 0;        // Of RevokeLease,
    bool revoked = false;  //   and whether there was such a lease.
    bool reply_wanted = false;
  };
  class Execution;  // kv/execution.h

  bool in_slices() const { return execution != nullptr || ending; }

  // Whose reply is kept once the command is finished.
  struct Asker {
    std::string idempotency_key;
    std::uint64_t request_hash = 0;
    bool reply_wanted = false;
  };

  HistoryLimits history;
  std::array<Keys, kSpaces> spaces;
  Leases leases;
  std::set<std::pair<machine::ClusterTime, LeaseId>> deadlines;  // Of every lease.
  LeaseId lease_counter = 0;                                     // The last one that was chosen.
  std::vector<LeaseId> orphans;  // Owned, and perhaps without a key by now.
  // By queue_key: the places in which somebody waits.
  std::map<std::string, std::set<Revision>, std::less<>> queues;
  std::vector<Key*> ended_locks;  // By this command, and not given to anybody yet.
  raft::Index applied;
  machine::ClusterTime now;  // Of the entry applied last.
  std::deque<Change> changes;
  std::deque<Ended> ended_marks;      // Of each change that is marked().
  std::uint64_t changes_dropped = 0;  // From the front of changes, ever; restores go on from there.
  Revision trimmed = 0;               // Changes up to this revision may be gone from changes.
  // Changes above this revision are not dropped: the watch hub has not looked at them.
  Revision watched_after = std::numeric_limits<Revision>::max();
  std::vector<Revision> held;            // What living snapshot writers see from: not dropped.
  std::vector<LeaseCut*> cuts;           // Of those that are not past the leases.
  std::deque<TimeMark> times;            // Of revisions above compact_revision.
  std::optional<Request> current;        // Its texts are the entry's.
  std::unique_ptr<Execution> execution;  // Of a transaction under way; null: there is none.
  std::optional<Ending> ending;
  Retries retries;
  std::optional<Asker> asker;  // Of the command that is being applied.
  std::vector<PublishedMember> members;
  std::vector<Ticket> tickets;                 // By id.
  std::uint64_t max_id = 0;                    // Of all that were ever used or reserved.
  std::vector<machine::Promotion> promotions;  // What the tickets say.
  StoreStats stats;
  std::uint64_t hash_sum = 0;           // Of the hashes of all that a snapshot would hold.
  Ended ended_so_far;                   // By any change so far.
  Ended forgotten;                      // Of that, at or before compact_revision.
  std::array<Keys, kSpaces> discarded;  // Of the state before a restore, to be freed.
  Leases discarded_leases;
  Retries discarded_retries;
  // Empty replies: no part of the state.
  Spares<std::unique_ptr<WriteReply>> spare_writes;
  mutable Spares<std::unique_ptr<GetReply>> spare_gets;
};

// Whether a version is one of the rows that a question with bounds wants.
template <class Asked>
bool within_bounds(const Asked& asked, const Version& version) {
  const auto within = [](Revision revision, Revision min, Revision max) {
    return revision >= min && (max == 0 || revision <= max);
  };
  return within(version.mod(), asked.min_mod, asked.max_mod) &&
         within(version.create(), asked.min_create, asked.max_create);
}

// Memory that a change takes, roughly, and that a version takes which only history sees.
inline constexpr std::uint64_t kChangeWeight = 24;
inline std::uint64_t history_weight(const Version& version) {
  return 48 + version.value().size();
}

}  // namespace raftd::kv
