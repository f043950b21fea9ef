#include "kv/versions.h"

#include <algorithm>
#include <limits>
#include <new>

#include "base/limits.h"
#include "kv/pool.h"

namespace raftd::kv {
namespace {

void append(char*& at, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  at += bytes.size();
}

template <class Number>
void append(char*& at, Number number) {
  std::memcpy(at, &number, sizeof number);
  at += sizeof number;
}

}  // namespace

Version* Version::make(Pool& pool, const VersionFields& fields) {
  constexpr std::uint64_t kNarrowMax = std::numeric_limits<std::uint32_t>::max();
  ASSERT_CMP(fields.mod, <=, kModMask);
  ASSERT_CMP(fields.create, <=, fields.mod);
  ASSERT_CMP(fields.value.size(), <, kWide);
  const bool first = fields.create == fields.mod && fields.version == 1;
  const bool numbered = fields.live() && !first;
  const bool wide =
      numbered && (fields.mod - fields.create > kNarrowMax || fields.version > kNarrowMax);
  const std::size_t number_bytes = numbered ? (wide ? 16 : 8) : 0;
  const std::size_t lease_bytes = fields.lease != 0 ? sizeof fields.lease : 0;
  void* block = pool.allocate(kHeadBytes + number_bytes + lease_bytes + fields.value.size());
  auto* version = ::new (block) Version;
  auto* at = static_cast<char*>(block);
  append(at, fields.mod | (fields.lease != 0 ? kLeased : 0) | (numbered ? kNumbered : 0) |
                 (first ? kFirst : 0));
  append(at, static_cast<std::uint32_t>(fields.value.size()) | (wide ? kWide : 0));
  if (wide) {
    append(at, fields.create);
    append(at, fields.version);
  } else if (numbered) {
    append(at, static_cast<std::uint32_t>(fields.mod - fields.create));
    append(at, static_cast<std::uint32_t>(fields.version));
  }
  if (fields.lease != 0) append(at, fields.lease);
  append(at, fields.value);
  return version;
}

void Version::release(Pool& pool, Version* version) {
  pool.release(version, version->value_at() + version->value_bytes());
}

Key::Several* Key::Several::make(Pool& pool, std::uint32_t capacity,
                                 std::span<Version* const> versions) {
  ASSERT_CMP(versions.size(), <=, capacity);
  auto* several = ::new (pool.allocate(bytes_for(capacity))) Several;
  several->capacity = capacity;
  several->begin = 0;
  several->end = static_cast<std::uint32_t>(versions.size());
  std::ranges::copy(versions, several->pointers());
  return several;
}

void Key::Several::release(Pool& pool, Several* several) {
  pool.release(several, bytes_for(several->capacity));
}

Key* Key::make(Pool& pool, Space space, std::string_view text) {
  static_assert(limits::kKeyBytesMax < 1U << kBytesBits);
  static_assert(kSpaces <= 1U << (16 - kBytesBits));
  ASSERT_CMP(text.size(), <, 1U << kBytesBits);
  void* block = pool.allocate(std::max(sizeof(Key), kHeadBytes + text.size()));
  auto* key = ::new (block)
      Key(static_cast<std::uint16_t>(text.size() | static_cast<std::size_t>(space) << kBytesBits));
  char* at = static_cast<char*>(block) + kHeadBytes;
  append(at, text);
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
    Several* larger = Several::make(pool, Several::roomy(present->count()), present->all());
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
    set(Several::make(pool, Several::roomy(several->count()), several->all()));
    Several::release(pool, several);
  }
}

}  // namespace raftd::kv
