#include "kv/versions.h"

#include <algorithm>
#include <limits>
#include <new>
#include <span>

#include "base/limits.h"
#include "kv/pool.h"

namespace raftd::kv {
namespace {

void append(char*& at, const void* bytes, std::size_t size) {
  if (size > 0) std::memcpy(at, bytes, size);
  at += size;
}

}  // namespace

Version* Version::make(Pool& pool, const VersionFields& fields) {
  ASSERT_CMP(fields.mod, <=, kModMask);
  ASSERT_CMP(fields.value.size(), <=, std::numeric_limits<std::uint32_t>::max());
  std::uint64_t head = fields.mod;
  if (fields.lease != 0) head |= kLeased;
  if (fields.live()) {
    head |= fields.create == fields.mod && fields.version == 1 ? kFirst : kNumbered;
  }
  const auto value_bytes = static_cast<std::uint32_t>(fields.value.size());
  void* block = pool.allocate(kHeadBytes + word_bytes(head) + std::size_t{value_bytes});
  auto* version = ::new (block) Version;
  auto* at = static_cast<char*>(block);
  append(at, &head, sizeof head);
  append(at, &value_bytes, sizeof value_bytes);
  if ((head & kNumbered) != 0) {
    append(at, &fields.create, sizeof fields.create);
    append(at, &fields.version, sizeof fields.version);
  }
  if (fields.lease != 0) append(at, &fields.lease, sizeof fields.lease);
  append(at, fields.value.data(), value_bytes);
  return version;
}

void Version::release(Pool& pool, Version* version) {
  const std::size_t bytes =
      kHeadBytes + word_bytes(version->head()) + std::size_t{version->value_bytes()};
  pool.release(version, bytes);
}

// Pointers to all versions, oldest first, behind it.
struct Key::Several {
  std::uint32_t capacity;
  std::uint32_t begin;  // Those in front are gone: moving the rest down for each would be quadratic
  std::uint32_t end;    //   for one hot key.
  std::uint32_t unused;

  std::uint32_t count() const { return end - begin; }
  Version** pointers() { return reinterpret_cast<Version**>(this + 1); }
  std::span<Version*> all() { return {pointers() + begin, count()}; }

  static std::size_t bytes_for(std::uint32_t capacity) {
    return sizeof(Several) + capacity * sizeof(Version*);
  }
  static Several* make(Pool& pool, std::uint32_t capacity, std::span<Version* const> versions) {
    ASSERT_CMP(versions.size(), <=, capacity);
    auto* several = ::new (pool.allocate(bytes_for(capacity))) Several;
    several->capacity = capacity;
    several->begin = 0;
    several->end = static_cast<std::uint32_t>(versions.size());
    std::ranges::copy(versions, several->pointers());
    return several;
  }
  static void release(Pool& pool, Several* several) {
    pool.release(several, bytes_for(several->capacity));
  }
};

Key* Key::make(Pool& pool, Space space, std::string_view text) {
  static_assert(limits::kKeyBytesMax < 1U << kBytesBits);
  static_assert(kSpaces <= 1U << (16 - kBytesBits));
  ASSERT_CMP(text.size(), <, 1U << kBytesBits);
  void* block = pool.allocate(std::max(sizeof(Key), kHeadBytes + text.size()));
  auto* key = ::new (block) Key(static_cast<std::uint16_t>(
      text.size() | static_cast<std::size_t>(space) << kBytesBits));
  char* at = static_cast<char*>(block) + kHeadBytes;
  append(at, text.data(), text.size());
  return key;
}

void Key::release(Pool& pool, Key* key) {
  if (Several* several = key->several()) {
    for (Version* version : several->all())
      Version::release(pool, version);
    Several::release(pool, several);
  } else if (!key->empty()) {
    Version::release(pool, key->only());
  }
  pool.release(key, std::max(sizeof(Key), kHeadBytes + key->bytes()));
}

const Version& Key::newest() const {
  ASSERT(!empty());
  Several* several = this->several();
  return several == nullptr ? *only() : *several->all().back();
}

const Version* Key::latest_at(Revision rev) const {
  if (empty()) return nullptr;
  const Version& newest = this->newest();
  if (newest.mod() <= rev) return &newest;
  Several* several = this->several();
  if (several == nullptr) return nullptr;
  const std::span<Version*> all = several->all();
  const auto above = std::ranges::upper_bound(all, rev, {}, &Version::mod);
  return above == all.begin() ? nullptr : *std::prev(above);
}

std::size_t Key::older_count() const {
  Several* several = this->several();
  return several == nullptr ? 0 : several->count() - 1;
}

const Version& Key::older(std::size_t i) const {
  ASSERT_CMP(i, <, older_count());
  return *several()->all()[i];
}

const Version& Key::push(Pool& pool, const VersionFields& fields) {
  Version* added = Version::make(pool, fields);
  if (empty()) {
    set(added);
    return *added;
  }
  ASSERT_CMP(fields.mod, >, newest().mod());
  Several* present = several();
  if (present == nullptr) {
    Version* const first[] = {only()};
    present = Several::make(pool, 3, first);
    set(present);
  } else if (present->end == present->capacity) {
    ASSERT_CMP(present->count(), <, std::numeric_limits<std::uint32_t>::max() / 2);
    Several* larger = Several::make(pool, present->count() + present->count() / 2 + 1,
                                    present->all());
    Several::release(pool, present);
    present = larger;
    set(present);
  }
  present->pointers()[present->end++] = added;
  return *added;
}

void Key::pop(Pool& pool) {
  ASSERT(!empty());
  Several* several = this->several();
  if (several == nullptr) return drop_newest(pool);
  Version::release(pool, several->all().back());
  --several->end;
  shrink(pool);
}

void Key::drop_oldest(Pool& pool) {
  ASSERT_CMP(older_count(), >, 0U);
  Several* several = this->several();
  Version::release(pool, several->all().front());
  ++several->begin;
  shrink(pool);
}

void Key::drop_newest(Pool& pool) {
  ASSERT(several() == nullptr);
  Version::release(pool, only());
  versions_ = 0;
}

void Key::shrink(Pool& pool) {
  Several* several = this->several();
  if (several->count() == 1) {
    set(several->all().front());
    Several::release(pool, several);
  } else if (several->count() < several->capacity / 2) {
    set(Several::make(pool, several->count() + several->count() / 4 + 1, several->all()));
    Several::release(pool, several);
  }
}

}  // namespace raftd::kv
