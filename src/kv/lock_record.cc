#include "kv/lock_record.h"

#include "base/assert.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kFixedBytes = 3 * 8 + 2 + 1;
constexpr std::size_t kQueueBytes = 1 + 2;  // Of its key, without the name.
constexpr std::size_t kPlaceBytes = 8;

template <class T>
void append_be(std::string& out, T value) {
  for (std::size_t i = sizeof value; i-- > 0;)
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

template <class T>
T load_be(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<T>(value);
}

}  // namespace

std::string encode(const LockRecord& record) {
  ASSERT_CMP(record.owner.size(), <=, limits::kLockOwnerBytesMax);
  ASSERT_CMP(record.idempotency_key.size(), <=, limits::kIdempotencyKeyBytesMax);
  std::string bytes;
  bytes.reserve(kLockRecordHeadBytesMax + record.value.size());
  append_be(bytes, record.place);
  append_be(bytes, record.since.value);
  append_be(bytes, record.ttl_ms);
  append_be(bytes, static_cast<std::uint16_t>(record.owner.size()));
  append_be(bytes, static_cast<std::uint8_t>(record.idempotency_key.size()));
  return bytes.append(record.owner).append(record.idempotency_key).append(record.value);
}

std::optional<LockRecord> decode_lock_record(std::string_view bytes) {
  if (bytes.size() < kFixedBytes) return std::nullopt;
  LockRecord record;
  record.place = load_be<Revision>(bytes);
  record.since = {load_be<std::uint64_t>(bytes.substr(8))};
  record.ttl_ms = load_be<std::uint64_t>(bytes.substr(16));
  const std::size_t owner_bytes = load_be<std::uint16_t>(bytes.substr(24));
  const std::size_t key_bytes = load_be<std::uint8_t>(bytes.substr(26));
  bytes.remove_prefix(kFixedBytes);
  if (owner_bytes > limits::kLockOwnerBytesMax || key_bytes > limits::kIdempotencyKeyBytesMax ||
      bytes.size() < owner_bytes + key_bytes || record.ttl_ms == 0 ||
      record.ttl_ms > limits::kLeaseTtlMsMax) {
    return std::nullopt;
  }
  record.owner = bytes.substr(0, owner_bytes);
  record.idempotency_key = bytes.substr(owner_bytes, key_bytes);
  record.value = bytes.substr(owner_bytes + key_bytes);
  return record;
}

std::string queue_key(Space space, std::string_view name) {
  ASSERT(space == Space::kLocks || space == Space::kElections);
  ASSERT_CMP(name.size(), <=, limits::kLockNameBytesMax);
  std::string key;
  key.reserve(kQueueBytes + name.size() + kPlaceBytes);
  key.push_back(static_cast<char>(space));
  append_be(key, static_cast<std::uint16_t>(name.size()));
  return key.append(name);
}

std::string waiter_key(std::string_view queue, Revision place) {
  std::string key(queue);
  append_be(key, place);
  return key;
}

std::optional<WaiterKey> parse_waiter_key(std::string_view key) {
  if (key.size() < kQueueBytes + 1 + kPlaceBytes) return std::nullopt;
  WaiterKey parsed;
  parsed.space = static_cast<Space>(key[0]);
  parsed.queue = key.substr(0, key.size() - kPlaceBytes);
  parsed.name = parsed.queue.substr(kQueueBytes);
  parsed.place = load_be<Revision>(key.substr(parsed.queue.size()));
  const bool good = (parsed.space == Space::kLocks || parsed.space == Space::kElections) &&
                    load_be<std::uint16_t>(key.substr(1)) == parsed.name.size() &&
                    parsed.name.size() <= limits::kLockNameBytesMax;
  if (!good) return std::nullopt;
  return parsed;
}

bool is_possible_lock(Space space, std::string_view key, std::string_view value) {
  ASSERT(space != Space::kKeys);
  const bool named = space == Space::kWaiters ? parse_waiter_key(key).has_value()
                                              : key.size() <= limits::kLockNameBytesMax;
  return named && decode_lock_record(value).has_value();
}

}  // namespace raftd::kv
