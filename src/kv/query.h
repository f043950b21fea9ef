// Questions to the store and its answers: the types that the store and its front ends share. They
// never leave the process.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "kv/types.h"
#include "machine/state_machine.h"

namespace raftd::kv {

struct Item {
  std::string key;
  std::string value;  // Empty where only keys were asked.
  Revision mod = 0;
  Revision create = 0;
  std::uint64_t version = 0;  // Writes since creation, from 1.
  LeaseId lease = 0;          // 0: none.
  std::uint64_t ttl_ms = 0;   // With a lease: what is left of its time.
};

// Of every write that goes through the store.
struct StoreReply : machine::Reply {
  enum class Result : std::uint8_t {
    kDone,
    kModDiffers,  // The condition kModIs does not hold; also when the key is absent.
    kExists,      // kAbsent does not hold.
    kAbsent,      // kExists does not hold.
    kBadCommand,  // It did not decode: nothing was changed.
    kFenced,      // A fence is not held: message is its name, number its token.
    kMismatch,    // The idempotency key belongs to another request.
    kNotFound,    // Touch, and a Put of a key that must exist: it is absent.
    kNotANumber,
    kOverflow,
    kLeaseNotFound,
    kLeaseExists,
    kNoLease,        // Touch: the key has none.
    kSharedLease,    // Touch with a time to live: others use the lease as well.
    kTooManyLeases,  // limits::kLeasesMax.
    kTooLarge,       // The results of a transaction.
    kLocked,         // By somebody else.
    kWaiting,        // Acquire: it has a place in the queue.
    kLockLost,       // It is not held with that token.
    kCompacted,      // Compact: up to there, before. A List at such a revision.
    kFuture,         // Compact, a List: of a revision that the store has not. number of both is
                     //   the compact revision.
  };
  Result result = Result::kDone;
  Revision revision = 0;    // Of this write; the store's if nothing changed.
  bool replayed = false;    // This is what the same request was answered before;
  bool truncated = false;   //   without what was too long to be kept: see reply_codec.h.
  std::uint64_t index = 0;  // replayed: of the entry that did it.
  std::string message;      // kBadCommand: why. kFenced: the name. kTooLarge: which limit.
  // kFenced: the token. kLeaseNotFound: the id. kTooLarge: the limit. And where it says so above.
  std::uint64_t number = 0;
};

// Of Put, Delete, DeletePrefix, Increment, Touch.
struct WriteReply final : StoreReply {
  bool created = false;       // Put: the key was not there.
  std::uint64_t deleted = 0;  // Keys.
  bool more = false;          // DeletePrefix: some are left beyond the limit.
  std::optional<Item> prev;   // Before the write if asked for; the present one if refused.
  std::int64_t value = 0;     // Increment: the sum.
  LeaseId lease = 0;          // Put, Increment, Touch: of the key now.
  std::uint64_t ttl_ms = 0;   // Its whole time to live.

  std::size_t bytes() const override;
};

struct TransactionReply;
// Of one operation of a transaction, in the order of its branch. The revision is the transaction's.
struct OpReply {
  WriteReply write;                               // Put, Delete, DeleteSpan, Increment, Touch.
  std::vector<Item> items;                        // Get: one or none. List. DeleteSpan: want_prev.
  bool more = false;                              // List: some are left.
  std::uint64_t count = 0;                        // List: keys in the span, if they are counted.
  std::unique_ptr<TransactionReply> transaction;  // Of a nested one.
};
struct TransactionReply final : StoreReply {
  bool succeeded = false;        // The first branch was taken.
  std::size_t failed_guard = 0;  // The first that is false; of the outermost transaction.
  std::string failed_key;        // Of an operation that could not be done.
  std::vector<OpReply> results;
  // Of the items in them, and a little for each; counted whether wanted or not: replicas agree.
  std::size_t result_bytes = 0;

  std::size_t bytes() const override;
};

// Of GrantLease, RevokeLease.
struct LeaseReply final : StoreReply {
  LeaseId id = 0;
  std::uint64_t ttl_ms = 0;
  std::uint64_t deleted = 0;  // RevokeLease: keys.
};
// Of KeepLeases: for each id its whole time to live; 0: there is no such lease.
struct KeepLeasesReply final : StoreReply {
  std::vector<std::uint64_t> ttls_ms;
};

// Which of these replies one is, also in bytes.
enum class ReplyKind : std::uint8_t {
  kWrite = 1,
  kTransaction = 2,
  kLease = 3,
  kKeepLeases = 4,
  kLock = 5,
};

// Who holds or wants a lock.
struct LockRecord {
  std::string owner;
  std::string value;         // Of an election.
  Revision place = 0;        // In the queue: where it waited before it got the lock; 0: it did not.
  std::uint64_t ttl_ms = 0;  // Of who waits: as it will be.
  std::string idempotency_key;  // Of the request that waits.
  machine::ClusterTime since;   // When it was asked for.
};

// Of Acquire, KeepLock, Release, Proclaim, LeaveQueue.
struct LockReply final : StoreReply {
  Revision token = 0;  // Of who holds it: with kLocked somebody else. 0: nobody.
  LeaseId lease = 0;   // The same; with kWaiting that of the place.
  std::string owner;
  std::string value;
  std::uint64_t remaining_ms = 0;
  std::uint64_t waiters = 0;
  Revision place = 0;  // kWaiting.
};

// What a request was answered that has this idempotency key.
struct RetryQuery final : machine::Query {
  std::string idempotency_key;
  std::uint64_t request_hash = 0;
  ReplyKind kind{};  // As its command is answered.
};
struct RetryReply final : machine::Reply {
  std::unique_ptr<StoreReply> reply;  // Null: it was not, as far as is known.
};

struct LockView {
  struct Waiter {
    std::string owner;
    std::uint64_t waiting_ms = 0;
  };
  std::string name;
  Revision token = 0;  // 0: nobody holds it.
  Revision mod = 0;    // When it, or its value, changed.
  LeaseId lease = 0;
  std::string owner;
  std::string value;
  Revision place = 0;  // Where the holder waited before; 0: it did not.
  std::uint64_t remaining_ms = 0;
  std::uint64_t waiting = 0;  // How many wait.
  // Of a lock, in the order of the queue; at most limits::kLockWaitersShownMax.
  std::vector<Waiter> waiters;
};

// Precondition of all with a space: kLocks or kElections.
struct LockQuery final : machine::Query {
  Space space = Space::kLocks;
  std::string name;
  Revision min_revision = 0;
};
struct LockQueryReply final : machine::Reply {
  Revision revision = 0;  // The store's.
  LockView lock;

  std::size_t bytes() const override;
};

// A bounded piece of all that are held, by name: the caller goes on from next.
struct LocksQuery final : machine::Query {
  Space space = Space::kLocks;
  std::string start;
  Revision min_revision = 0;
};
struct LocksReply final : machine::Reply {
  Revision revision = 0;  // The store's.
  std::vector<LockView> locks;
  std::string next;  // Empty: that was all.

  std::size_t bytes() const override;
};

// What became of a place in a queue.
struct PlaceQuery final : machine::Query {
  Space space = Space::kLocks;
  std::string name;
  Revision place = 0;
};
struct PlaceReply final : machine::Reply {
  Revision revision = 0;  // The store's.
  bool waits = false;     // Somebody waits in it still.
  Revision token = 0;     // Of the lock that came of it, while it is held; 0: nothing came of it.
};

struct GetQuery final : machine::Query {
  std::string key;
  Revision rev = 0;           // 0: the latest.
  Revision min_revision = 0;  // Wait until the store is there.
};

struct GetReply final : machine::Reply {
  enum class Result : std::uint8_t { kFound, kNotFound, kCompacted, kFuture };
  Result result = Result::kFound;
  Revision revision = 0;  // The store's.
  Revision compact_revision = 0;
  Revision changed = 0;  // When the key was last written or deleted, as far as history knows.
  Item item;             // If found.

  std::size_t bytes() const override;
};

// One bounded piece of a range: the caller goes on from next_key at the same rev.
struct RangeQuery final : machine::Query {
  std::string prefix;
  std::string start;  // Not empty: begin at this key, included (reverse: at the last key below it).
  Revision rev = 0;
  Revision min_revision = 0;
  std::uint64_t limit = 0;    // Items plus prefixes; 0: only the slice's own bound.
  std::size_t bytes_max = 0;  // Of keys and values; at least one item is given. 0: no bound.
  bool keys_only = false;
  bool count_only = false;
  bool reverse = false;
  std::string delimiter;  // Not empty: what follows the first one after prefix is collapsed.
};

struct RangeReply final : machine::Reply {
  enum class Result : std::uint8_t { kDone, kCompacted, kFuture };
  struct Row {
    bool is_prefix = false;  // item.key is then a collapsed prefix, with its delimiter.
    Item item;
  };
  Result result = Result::kDone;
  Revision revision = 0;  // At which the rows were read: rev, or the store's.
  Revision compact_revision = 0;
  std::vector<Row> rows;    // In the order asked for.
  std::uint64_t count = 0;  // count_only: keys in this piece.
  bool more = false;        // Something may be left: continue with start = next.
  std::string next;
  // The reason to stop was limit or bytes_max, not the slice's bound (kRangeKeysPerSliceMax).
  bool page_full = false;

  std::size_t bytes() const override;
};

// One bounded piece of a span, with what etcd asks of a range: the caller goes on from next at the
// same revision. Of one key alone GetQuery says as much, and is cheaper.
struct SpanQuery final : machine::Query {
  std::string from;
  std::string to;     // As Span::to: empty: the key `from` alone.
  std::string start;  // Not empty: begin at this key, included (reverse: at the last key below it).
  Revision rev = 0;   // 0: the latest.
  Revision min_revision = 0;
  std::uint64_t limit = 0;    // Rows; 0: only the slice's own bound.
  std::size_t bytes_max = 0;  // Of keys and values; at least one row is given. 0: no bound.
  bool keys_only = false;
  bool count_only = false;
  bool count_rest = false;  // Once the page is full, the keys behind it are counted still.
  bool reverse = false;
  // Of the rows, not of what is counted. 0: no bound.
  Revision min_mod = 0;
  Revision max_mod = 0;
  Revision min_create = 0;
  Revision max_create = 0;
};

struct SpanReply final : machine::Reply {
  enum class Result : std::uint8_t { kDone, kCompacted, kFuture };
  Result result = Result::kDone;
  Revision revision = 0;  // The store's.
  Revision rev = 0;       // At which it was read.
  Revision compact_revision = 0;
  std::vector<Item> rows;  // In the order asked for.
  // Of this piece, whatever the bounds of its rows. The sum over all pieces is that of the span.
  std::uint64_t count = 0;
  bool more = false;  // Something may be left: continue with start = next.
  std::string next;
  // A row was left out for limit or bytes_max. With count_rest the pieces after this one are only
  // to be counted.
  bool page_full = false;

  std::size_t bytes() const override;
};

// One bounded piece of a number that all keys with all they have make at a revision, on every node
// the same: the caller goes on with start = next and seed = hash, at the same revision.
struct HashQuery final : machine::Query {
  Revision rev = 0;  // 0: the latest.
  Revision min_revision = 0;
  std::string start;
  std::uint64_t seed = 0;
};

struct HashReply final : machine::Reply {
  enum class Result : std::uint8_t { kDone, kCompacted, kFuture };
  Result result = Result::kDone;
  Revision revision = 0;  // The store's.
  Revision rev = 0;       // At which it was read.
  Revision compact_revision = 0;
  std::uint64_t hash = 0;
  bool more = false;
  std::string next;
};

struct LeaseRow {
  LeaseId id = 0;
  std::uint64_t ttl_ms = 0;
  std::uint64_t remaining_ms = 0;
  std::uint64_t keys = 0;
};

// One lease, and a bounded piece of its keys: the caller goes on from next.
struct LeaseQuery final : machine::Query {
  LeaseId id = 0;
  bool with_keys = false;
  std::string start;          // Not empty: begin at this key, included.
  std::size_t bytes_max = 0;  // Of keys; at least one is given. 0: only the slice's own bound.
};
struct LeaseQueryReply final : machine::Reply {
  bool found = false;
  Revision revision = 0;  // The store's.
  LeaseRow lease;
  std::vector<std::string> keys;
  bool more = false;
  std::string next;

  std::size_t bytes() const override;
};

// A bounded piece of all leases, by id: the caller goes on from next.
struct LeasesQuery final : machine::Query {
  LeaseId start = 0;
};
struct LeasesReply final : machine::Reply {
  Revision revision = 0;  // The store's.
  std::vector<LeaseRow> rows;
  LeaseId next = 0;  // 0: that was all.
};

// A transaction that writes nothing, answered without an entry of the log, at one revision.
struct TransactionQuery final : machine::Query {
  Bytes transaction;  // As encode() gives it.
  Revision rev = 0;
  Revision min_revision = 0;
};

struct TransactionQueryReply final : machine::Reply {
  enum class Result : std::uint8_t { kDone, kCompacted, kFuture };
  Result result = Result::kDone;
  Revision revision = 0;  // At which it was read; the store's if it was not.
  Revision compact_revision = 0;
  TransactionReply transaction;

  std::size_t bytes() const override;
};

// Of ReserveMember, ClaimMember, DropTickets.
struct MemberReply final : machine::Reply {
  enum class Result : std::uint8_t {
    kDone,
    kBadTicket,  // Unknown, of another token, used by somebody else, or expired.
    kIdUsed,     // Somebody has or had it, or it is reserved.
    kNameTaken,  // By a member, or a ticket.
    kTooMany,    // Tickets, or members, or no id is left.
  };
  Result result = Result::kDone;
  std::uint64_t id = 0;
  bool voter = true;  // As it will be.
  machine::ClusterTime expires;
  std::uint64_t dropped = 0;  // Tickets.
};

struct PublishedMember {
  std::uint64_t id = 0;
  std::uint64_t instance = 0;
  std::string name;
  std::string client;
  std::string version;
};

// A member on its way in.
struct Ticket {
  enum class Stage : std::uint8_t {
    kOpen = 0,        // Nobody has used it.
    kClaimed = 1,     // By instance; the change of members is to come.
    kCatchingUp = 2,  // A learner that shall vote.
  };
  std::uint64_t id = 0;
  Stage stage = Stage::kOpen;
  std::string token_hash;  // Empty: it was claimed without a ticket.
  std::string name;
  bool voter = true;
  std::uint64_t replaces = 0;
  std::uint64_t instance = 0;    // Who has claimed it.
  machine::ClusterTime expires;  // Of an open one.
  bool operator==(const Ticket&) const = default;
};

struct StoreStats {
  Revision revision = 1;
  Revision compact_revision = 0;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;          // Of live keys and values.
  std::uint64_t lock_bytes = 0;     // Of locks, elections and places in their queues.
  std::uint64_t history_bytes = 0;  // Of versions that only old revisions see.
  std::uint64_t leases = 0;
  std::uint64_t replies = 0;      // Kept for retries,
  std::uint64_t reply_bytes = 0;  //   and the memory that they take.
};

}  // namespace raftd::kv
