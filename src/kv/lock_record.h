// Locks and their queues as keys and values of their spaces.
//
//   lock, election  name -> record
//   waiter          u8 space of the lock, u16 name bytes, name, u64 place, all big-endian, so that
//                   the queue of a lock is a range of keys, first come first -> record
//   record          u64 place, since, time to live; u16 owner bytes; u8 key bytes; owner;
//                   idempotency key; value
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "kv/query.h"

namespace raftd::kv {

// Of a record besides its value.
inline constexpr std::size_t kLockRecordHeadBytesMax =
    3 * 8 + 2 + 1 + limits::kLockOwnerBytesMax + limits::kIdempotencyKeyBytesMax;

// Precondition: owner and idempotency key are within their limits.
std::string encode(const LockRecord& record);
// nullopt: encode() did not make it.
std::optional<LockRecord> decode_lock_record(std::string_view bytes);

// Space, name: with what the keys of all who wait for a lock begin, and of nobody else.
std::string queue_key(Space space, std::string_view name);
std::string waiter_key(std::string_view queue, Revision place);

struct WaiterKey {
  Space space = Space::kLocks;
  std::string_view name;
  std::string_view queue;
  Revision place = 0;
};
// nullopt: it is none. The views are of key.
std::optional<WaiterKey> parse_waiter_key(std::string_view key);

// Whether a lock, an election or a place in a queue can have this key and this value. Precondition:
// space is not kKeys.
bool is_possible_lock(Space space, std::string_view key, std::string_view value);

}  // namespace raftd::kv
