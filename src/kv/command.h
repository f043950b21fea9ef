// What is in a command entry of the key-value store, and its bytes: versioned msgpack behind the
// room for the stamp (machine::kStampBytes). Decoding is bounded and never throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "kv/types.h"

namespace raftd::kv {

inline constexpr std::size_t kTokenHashBytes = 32;

// When a write of one key takes effect. Checked at apply, so that nothing can come in between.
struct Condition {
  enum class Kind : std::uint8_t {
    kNone = 0,
    kModIs = 1,  // The key's mod revision is mod (>= 1).
    kExists = 2,
    kAbsent = 3,
  };
  Kind kind = Kind::kNone;
  std::uint64_t mod = 0;
};

// What a write does with the lease of its key.
struct LeaseChoice {
  enum class Kind : std::uint8_t {
    kNone = 0,     // The key becomes permanent.
    kKeep = 1,     // As it is.
    kAttach = 2,   // number: the id of a lease that exists.
    kPrivate = 3,  // number: ms to live, of a lease of its own that ends when no key uses it.
  };
  Kind kind = Kind::kNone;
  std::uint64_t number = 0;
};

// Texts are views: encode's caller and decode's argument must outlive them.
struct Put {
  std::string_view key;
  std::string_view value;
  Condition condition{};
  bool want_prev = false;
  LeaseChoice lease{};
  bool keep_value = false;  // The key has the value that it had; value is empty then.
  bool must_exist = false;  // Absent: kNotFound. Also with keep_value.
};
struct Delete {
  std::string_view key;
  Condition condition{};
  bool want_prev = false;
};
// Adds to a decimal number; an absent key counts as 0.
struct Increment {
  std::string_view key;
  std::int64_t by = 1;
  Condition condition{};
  LeaseChoice lease{LeaseChoice::Kind::kKeep, 0};
};
// Renews the lease of a key. Changes no revision.
struct Touch {
  std::string_view key;
  std::uint64_t ttl_ms = 0;  // Its length from now on; 0: as it is. Only if no other key uses it.
};

struct DeletePrefix {
  std::string_view prefix;  // Empty: every key.
  std::uint64_t limit = 0;  // Smallest keys first; 0: all.
};
// What a member says of itself, soon after each start if it differs from what is published.
struct PublishMember {
  std::uint64_t id = 0;
  std::uint64_t instance = 0;  // Of its data directory.
  std::string_view name;
  std::string_view client;   // Client URL.
  std::string_view version;  // raftd's.
};
// History before this revision is given up: reads below it are answered "compacted". What has been
// given up before is kCompacted, what is in the future kFuture.
struct Compact {
  std::uint64_t revision = 0;
};
// A member id that nobody has had is kept for whoever comes with the token.
struct ReserveMember {
  std::string_view token_hash;  // SHA-256 of the token.
  std::string_view name;        // Empty: it has none yet.
  bool voter = true;            // Once it has caught up; else it stays a learner.
  std::uint64_t replaces = 0;   // Who leaves when it becomes a voter; 0: nobody.
  std::uint64_t ttl_ms = 0;     // Of cluster time.
};
// A node wants to become the member: with a ticket, or, without a token, under an id that nobody
// has had. Afterwards the id belongs to this instance, and the members may be changed.
struct ClaimMember {
  std::uint64_t id = 0;
  std::string_view token_hash;  // Empty: without a ticket.
  std::uint64_t instance = 0;   // Of its data directory; 0: not known.
  std::string_view name;        // Empty: the ticket's.
  std::string_view client;
  bool voter = true;           // False: a learner, whatever the ticket says.
  std::uint64_t replaces = 0;  // 0: as the ticket says.
};
// A ticket that nobody may use any more.
struct DropTickets {
  std::uint64_t id = 0;  // 0: all that have expired unused.
};

// What must be true for a transaction to take its first branch.
struct Guard {
  enum class Target : std::uint8_t {
    kMod = 0,  // An absent key has 0.
    kCreate = 1,
    kVersion = 2,
    kLease = 3,
    kValue = 4,          // Of an absent key no comparison is true.
    kExists = 5,         // number 1: some key in the span exists; 0: none does. kEqual only.
    kFence = 6,          // The lock or election of that name is held with the token. kEqual only.
    kElectionFence = 7,  // The same of an election alone.
  };
  enum class Relation : std::uint8_t {
    kEqual = 0,
    kNotEqual = 1,
    kLess = 2,
    kGreater = 3,
    kLessEqual = 4,
    kGreaterEqual = 5,
  };
  Target target{};
  Relation relation{};
  Span span;  // Of more than one key: each must satisfy it; an empty span as one absent key.
  std::uint64_t number = 0;
  std::string_view value;  // kValue.
  bool is_fence() const { return target == Target::kFence || target == Target::kElectionFence; }
};

struct Get {
  std::string_view key;
};
// What is equal is in the order of the keys, also when it descends.
struct Sort {
  enum class Target : std::uint8_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };
  Target target = Target::kKey;
  bool descending = false;
  bool operator==(const Sort&) const = default;
};
struct List {
  Span span;
  std::uint64_t limit = 0;  // 0: only the bounds of a transaction's results.
  bool keys_only = false;
  // 0: as the transaction sees it. Otherwise as the store was then, if that can be told: what was
  // compacted is kCompacted, what is after the store's revision before the transaction kFuture.
  Revision rev = 0;
  bool count_only = false;  // No rows.
  bool count_all = false;   // Rows, and the count of the whole span: it is visited to its end.
  // Of the rows, not of what is counted. 0: no bound.
  Revision min_mod = 0;
  Revision max_mod = 0;
  Revision min_create = 0;
  Revision max_create = 0;
  Sort sort{};  // The limit takes the first ones in this order.
};
struct DeleteSpan {
  Span span;
  bool want_prev = false;
};
struct TransactionOp;
// All operations of one branch, in order, with one revision: each sees what those before it wrote.
// One that cannot be done undoes all of it. A Put or Increment in it has no condition.
struct Transaction {
  std::vector<Guard> guards;
  std::vector<TransactionOp> then;
  std::vector<TransactionOp> otherwise;
  // Of the outermost one: all guards, also nested ones, see what was there before its operations.
  bool guards_first = false;
};
struct TransactionOp {
  std::variant<Put, Delete, DeleteSpan, Get, List, Increment, Touch, Transaction> op;
};

struct GrantLease {
  LeaseId id = 0;  // 0: the store chooses one that nobody had.
  std::uint64_t ttl_ms = 0;
};
// Each that exists lives for its whole time again. In one entry: beats are many.
struct KeepLeases {
  std::vector<LeaseId> ids;
};
struct RevokeLease {
  LeaseId id = 0;
};
// A chore: ends leases that are due at the time of its entry, a bounded number.
struct ExpireLeases {};

// Takes a lock, or a place in its queue. Precondition of all with a space: kLocks or kElections.
struct Acquire {
  Space space = Space::kLocks;
  std::string_view name;
  std::uint64_t ttl_ms = 0;  // Of the lock, once it is held.
  std::string_view owner;    // For people.
  std::string_view value;    // Of an election.
  bool wait = false;         // In the queue, if it is held.
};
struct KeepLock {
  Space space = Space::kLocks;
  std::string_view name;
  Revision token = 0;
  std::uint64_t ttl_ms = 0;  // From now on; 0: as it was.
};
struct Release {
  Space space = Space::kLocks;
  std::string_view name;
  Revision token = 0;  // 0: whoever holds it.
};
// Another value of an election that is held.
struct Proclaim {
  std::string_view name;
  Revision token = 0;
  std::string_view value;
};
// Whoever waits in that place wants the lock no longer.
struct LeaveQueue {
  Space space = Space::kLocks;
  std::string_view name;
  Revision place = 0;
};

using Command =
    std::variant<Put, Delete, DeletePrefix, PublishMember, Compact, ReserveMember, ClaimMember,
                 DropTickets, Increment, Touch, Transaction, GrantLease, KeepLeases, RevokeLease,
                 ExpireLeases, Acquire, KeepLock, Release, Proclaim, LeaveQueue>;

// Held with exactly this token, or the write is refused. kKeys: a lock or an election of the name.
struct Fence {
  Space space = Space::kKeys;
  std::string_view name;
  Revision token = 0;
};
// On which terms a command is applied.
struct Terms {
  std::string_view idempotency_key;  // Empty: none.
  std::uint64_t request_hash = 0;    // Of all that makes it this request.
  std::vector<Fence> fences;
  bool none() const { return idempotency_key.empty() && fences.empty(); }
};
struct Request {
  Command command;
  Terms terms;
};

Bytes encode(const Command& command, const Terms& terms = {});  // kStampBytes zeros, then both.
void encode(const Command& command, const Terms& terms, Bytes& out);  // In place of what is there.
Result<Request> decode(ByteView command) noexcept;  // Without the stamp. kBadInput, kUnsupported.
// The commonest command, straight away: a put without condition, lease and terms, of a value that
// is not large. nullopt: it is something else, or nothing, and decode() can tell.
std::optional<Put> decode_put(ByteView command) noexcept;

}  // namespace raftd::kv
