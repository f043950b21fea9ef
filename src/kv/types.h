// The words that commands, queries and the store have in common.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace raftd::kv {

using Revision = std::uint64_t;  // 1: an empty store; +1 per transaction that changes something.
using LeaseId = std::uint64_t;   // 1..2^63-1; 0: none.

// Locks, elections and those who wait for them have versions, leases and a history just as keys
// have, but nobody finds them among the keys.
enum class Space : std::uint8_t {
  kKeys = 0,
  kLocks = 1,      // Name -> LockRecord. The token of a lock is its create revision.
  kElections = 2,  // The same.
  kWaiters = 3,    // waiter_key() -> LockRecord of who wants the lock.
};
inline constexpr std::size_t kSpaces = 4;

// One key, or all from `from` up to `to`, not included.
struct Span {
  static constexpr std::string_view kEndless{"\0", 1};  // As `to`: all from `from` on.
  std::string_view from;
  std::string_view to;  // Empty: the key `from` alone.
  bool one_key() const { return to.empty(); }
  bool endless() const { return to == kEndless; }
  bool contains(std::string_view key) const {
    if (one_key()) return key == from;
    return key >= from && (endless() || key < to);
  }
};

// What Span::to is for all keys that begin with prefix: the smallest key above them, or kEndless.
std::string prefix_end(std::string_view prefix);

}  // namespace raftd::kv
