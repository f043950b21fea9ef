// One key with its versions: the newest inline, older ones only while history holds them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "kv/query.h"

namespace raftd::kv {

// Bytes in an allocation of exactly their size, their number before them, and between the two the
// lease, if there is one: one word in the version, and none for keys without a lease. The command
// that the bytes come from is part of a larger buffer (a message with many entries), which must not
// be kept alive for them.
class Value {
 public:
  Value() = default;
  // Precondition: bytes.size() < 2^31, as it came out of a command.
  explicit Value(std::string_view bytes, LeaseId lease = 0) {
    if (bytes.empty() && lease == 0) return;
    const std::size_t head = sizeof(std::uint32_t) + (lease != 0 ? sizeof lease : 0);
    auto size = static_cast<std::uint32_t>(bytes.size());
    ASSERT_CMP(bytes.size(), <, kLeased);
    if (lease != 0) size |= kLeased;
    block_ = std::make_unique_for_overwrite<char[]>(head + bytes.size());
    std::memcpy(block_.get(), &size, sizeof size);
    if (lease != 0) std::memcpy(block_.get() + sizeof size, &lease, sizeof lease);
    if (!bytes.empty()) std::memcpy(block_.get() + head, bytes.data(), bytes.size());
  }
  std::string_view view() const {
    if (block_ == nullptr) return {};
    const std::uint32_t size = head();
    const std::size_t at = sizeof size + ((size & kLeased) != 0 ? sizeof(LeaseId) : 0);
    return {block_.get() + at, size & ~kLeased};
  }
  LeaseId lease() const {
    LeaseId lease = 0;
    if (block_ != nullptr && (head() & kLeased) != 0) {
      std::memcpy(&lease, block_.get() + sizeof(std::uint32_t), sizeof lease);
    }
    return lease;
  }

 private:
  static constexpr std::uint32_t kLeased = 1U << 31;
  std::uint32_t head() const {
    std::uint32_t size = 0;
    std::memcpy(&size, block_.get(), sizeof size);
    return size;
  }
  std::unique_ptr<char[]> block_;  // Null: empty, without a lease.
};

struct Version {
  Revision mod = 0;
  Revision create = 0;        // 0: a tombstone.
  std::uint64_t version = 0;  // 0: a tombstone.
  Value value;                // Of a tombstone: empty.

  bool live() const { return create != 0; }
  // Of the key; of a tombstone: the one with which the key ended, 0 if it was deleted.
  LeaseId lease() const { return value.lease(); }
};
static_assert(sizeof(Version) == 32, "a key with its newest version is one allocation of 112 B");

class Versions {
 public:
  const Version& newest() const { return newest_; }
  bool empty() const { return newest_.mod == 0; }

  // The version that a reader at rev sees, which may be a tombstone; nullptr: none.
  const Version* latest_at(Revision rev) const {
    if (empty()) return nullptr;
    if (newest_.mod <= rev) return &newest_;
    const std::size_t after = first_above(rev);
    return after == 0 ? nullptr : &older(after - 1);
  }
  // The same; nullptr: none, or a tombstone.
  const Version* at(Revision rev) const {
    const Version* version = latest_at(rev);
    return version != nullptr && version->live() ? version : nullptr;
  }

  // Precondition: version.mod is above all others.
  void push(Version version) {
    ASSERT_CMP(version.mod, >, newest_.mod);
    if (!empty()) {
      if (older_ == nullptr) older_ = std::make_unique<Older>();
      older_->versions.push_back(std::move(newest_));
    }
    newest_ = std::move(version);
  }

  // Takes the newest back. Precondition: !empty(). empty() afterwards: the key itself can go.
  void pop() {
    if (older_count() == 0) {
      newest_ = Version();
    } else {
      newest_ = std::move(older_->versions.back());
      older_->versions.pop_back();
    }
    shrink();
  }

  // Drops the versions that no reader at or above rev sees, given that this key was written at rev:
  // all before it, and the one of rev if it is a tombstone. Calls dropped(version) for each.
  // empty() afterwards: the key itself can go.
  template <class Fn>
  void drop_before(Revision rev, Fn&& dropped) {
    while (older_count() > 0) {
      Version& oldest = older_->versions[older_->dropped];
      if (oldest.mod > rev || (oldest.mod == rev && oldest.live())) break;
      dropped(oldest);
      oldest = Version();
      ++older_->dropped;
    }
    shrink();
    if (older_ == nullptr && !empty() && newest_.mod <= rev && !newest_.live()) {
      dropped(newest_);
      newest_ = Version();
    }
  }

  std::size_t older_count() const {
    return older_ == nullptr ? 0 : older_->versions.size() - older_->dropped;
  }
  const Version& older(std::size_t i) const {  // 0: the oldest.
    ASSERT_CMP(i, <, older_count());
    return older_->versions[older_->dropped + i];
  }

 private:
  struct Older {
    std::vector<Version> versions;  // Oldest first.
    // Of versions, at the front: moving the rest down for each would be quadratic for one hot key.
    std::size_t dropped = 0;
  };

  // The number of older versions with mod <= rev.
  std::size_t first_above(Revision rev) const {
    if (older_ == nullptr) return 0;
    const auto begin = older_->versions.begin() + static_cast<std::ptrdiff_t>(older_->dropped);
    const auto above =
        std::upper_bound(begin, older_->versions.end(), rev,
                         [](Revision wanted, const Version& v) { return wanted < v.mod; });
    return static_cast<std::size_t>(above - begin);
  }

  void shrink() {
    if (older_ == nullptr) return;
    if (older_count() == 0) {
      older_.reset();
    } else if (older_->dropped > older_count()) {
      auto& versions = older_->versions;
      versions.erase(versions.begin(),
                     versions.begin() + static_cast<std::ptrdiff_t>(older_->dropped));
      versions.shrink_to_fit();
      older_->dropped = 0;
    }
  }

  Version newest_;
  std::unique_ptr<Older> older_;  // Null: none.
};

}  // namespace raftd::kv
