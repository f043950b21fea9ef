// A key with its versions: the newest always, older ones only while history holds them. What a key
// costs beside its bytes is said in tests/bench/README.md, so each byte here has its reason.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/assert.h"
#include "kv/query.h"

namespace raftd::kv {

class Pool;

// What a version says.
struct VersionFields {
  Revision mod = 0;
  Revision create = 0;        // 0: a tombstone.
  std::uint64_t version = 0;  // 0: a tombstone.
  LeaseId lease = 0;          // Of a tombstone: the one with which the key ended.
  std::string_view value;     // Of a tombstone: empty.

  bool live() const { return create != 0; }
};

// The same, packed into one block: a head, then what not every version has, then the value.
//
//   u64  mod, and in its highest bits the form;  u32 bytes of the value
//   u32  mod - create, u32 version: unless it is a tombstone, or the first version of its key
//        (where one of them needs more: u64 create, u64 version)
//   u64  lease: if there is one
//
// The command that the bytes come from is part of a larger buffer (a message with many entries),
// which must not be kept alive for them.
class Version {
 public:
  Revision mod() const { return head() & kModMask; }
  Revision create() const {
    if (!numbered()) return first() ? mod() : 0;
    return wide() ? load<std::uint64_t>(kHeadBytes) : mod() - load<std::uint32_t>(kHeadBytes);
  }
  std::uint64_t version() const {
    if (!numbered()) return first() ? 1 : 0;
    return wide() ? load<std::uint64_t>(kHeadBytes + 8) : load<std::uint32_t>(kHeadBytes + 4);
  }
  bool live() const { return first() || numbered(); }
  LeaseId lease() const { return leased() ? load<std::uint64_t>(lease_at()) : 0; }
  std::string_view value() const { return {at(value_at()), value_bytes()}; }

  static Version* make(Pool& pool, const VersionFields& fields);
  static void release(Pool& pool, Version* version);

  Version(const Version&) = delete;
  Version& operator=(const Version&) = delete;

 private:
  Version() = default;

  static constexpr std::uint64_t kLeased = 1ULL << 63;
  static constexpr std::uint64_t kNumbered = 1ULL << 62;
  static constexpr std::uint64_t kFirst = 1ULL << 61;
  static constexpr std::uint64_t kModMask = kFirst - 1;
  static constexpr std::uint32_t kWide = 1U << 31;  // Beside the bytes of the value.
  static constexpr std::size_t kHeadBytes = 12;

  const char* at(std::size_t offset) const { return reinterpret_cast<const char*>(this) + offset; }
  template <class Number>
  Number load(std::size_t offset) const {
    Number number = 0;
    std::memcpy(&number, at(offset), sizeof number);
    return number;
  }
  std::uint64_t head() const { return load<std::uint64_t>(0); }
  std::uint32_t value_bytes() const { return load<std::uint32_t>(8) & ~kWide; }
  bool wide() const { return (load<std::uint32_t>(8) & kWide) != 0; }
  bool first() const { return (head() & kFirst) != 0; }
  bool numbered() const { return (head() & kNumbered) != 0; }
  bool leased() const { return (head() & kLeased) != 0; }
  std::size_t lease_at() const { return kHeadBytes + (numbered() ? (wide() ? 16U : 8U) : 0U); }
  std::size_t value_at() const { return lease_at() + (leased() ? sizeof(LeaseId) : 0U); }
};

// One allocation with the key's bytes behind it. It stays where it is as long as the key is there.
// Those who change it are the functions of Keys, kv/keys.h.
class Key {
 public:
  std::string_view text() const {
    return {reinterpret_cast<const char*>(this) + kHeadBytes, static_cast<std::size_t>(bytes())};
  }
  Space space() const { return static_cast<Space>(bytes_and_space_ >> kBytesBits); }

  bool empty() const { return versions_ == 0; }  // Of versions; then the key itself can go.
  const Version& newest() const;                 // Precondition: !empty().
  // Begins to fetch what is read of the newest version when it is overwritten. The same.
  void expect_newest() const {
    const char* version = reinterpret_cast<const char*>(&newest());
    __builtin_prefetch(version);
    __builtin_prefetch(version + kLineBytes);
  }
  // The version that a reader at rev sees, which may be a tombstone; nullptr: none.
  const Version* latest_at(Revision rev) const;
  // The same; nullptr: none, or a tombstone.
  const Version* at(Revision rev) const {
    const Version* version = latest_at(rev);
    return version != nullptr && version->live() ? version : nullptr;
  }
  std::size_t older_count() const;
  const Version& older(std::size_t i) const;  // 0: the oldest.

  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

 private:
  friend class Keys;
  // More than one version: pointers to all, oldest first, behind it.
  struct Several {
    std::uint32_t capacity;
    std::uint32_t begin;  // Those in front are gone: moving the rest down for each would be
    std::uint32_t end;    //   quadratic for one hot key.
    std::uint32_t unused;

    std::uint32_t count() const { return end - begin; }
    Version** pointers() { return reinterpret_cast<Version**>(this + 1); }
    std::span<Version*> all() { return {pointers() + begin, count()}; }

    static std::uint32_t roomy(std::uint32_t count) { return count + count / 4 + 1; }
    static std::size_t bytes_for(std::uint32_t capacity) {
      return sizeof(Several) + capacity * sizeof(Version*);
    }
    static Several* make(Pool& pool, std::uint32_t capacity, std::span<Version* const> versions);
    static void release(Pool& pool, Several* several);
  };
  static constexpr unsigned kBytesBits = 14;
  static constexpr std::size_t kHeadBytes = 10;
  static constexpr std::size_t kLineBytes = 64;  // Of the processor's caches.
  static constexpr std::uintptr_t kSeveral = 1;  // In versions_: it points to Several.

  explicit Key(std::uint16_t bytes_and_space) : bytes_and_space_(bytes_and_space) {}
  static Key* make(Pool& pool, Space space, std::string_view text);
  static void release(Pool& pool, Key* key);  // With all its versions.
  const Version& push(Pool& pool, const VersionFields& fields);
  void pop(Pool& pool);
  // The oldest one goes. Precondition: older_count() > 0.
  void drop_oldest(Pool& pool);
  void drop_newest(Pool& pool);  // Precondition: it is the only one.

  std::uint16_t bytes() const {
    return static_cast<std::uint16_t>(bytes_and_space_ & ((1U << kBytesBits) - 1));
  }
  Version* only() const { return reinterpret_cast<Version*>(versions_); }
  Several* several() const {
    return (versions_ & kSeveral) == 0 ? nullptr
                                       : reinterpret_cast<Several*>(versions_ & ~kSeveral);
  }
  void set(Several* several) { versions_ = reinterpret_cast<std::uintptr_t>(several) | kSeveral; }
  void set(Version* only) { versions_ = reinterpret_cast<std::uintptr_t>(only); }
  void shrink(Pool& pool);

  std::uintptr_t versions_ = 0;  // 0: none.
  std::uint16_t bytes_and_space_;
};

}  // namespace raftd::kv
