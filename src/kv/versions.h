// One key with its versions: the newest inline, older ones only while history holds them.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "kv/query.h"

namespace raftd::kv {

// Bytes in an allocation of exactly their size. The command that they come from is part of a larger
// buffer (a message with many entries), which must not be kept alive for them.
class Value {
 public:
  Value() = default;
  explicit Value(std::string_view bytes)
      : bytes_(bytes.empty() ? nullptr : std::make_unique_for_overwrite<char[]>(bytes.size())),
        size_(static_cast<std::uint32_t>(bytes.size())) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::uint32_t size_ = 0;
};

struct Version {
  Revision mod = 0;
  Revision create = 0;  // 0: a tombstone.
  std::uint64_t version = 0;
  Value value;

  bool live() const { return create != 0; }
};

class Versions {
 public:
  const Version& newest() const { return newest_; }
  bool empty() const { return newest_.mod == 0; }

  // The version that a reader at rev sees; nullptr: none, or a tombstone.
  const Version* at(Revision rev) const {
    if (newest_.mod <= rev) return newest_.live() ? &newest_ : nullptr;
    if (older_ == nullptr) return nullptr;
    for (auto it = older_->rbegin(); it != older_->rend(); ++it) {
      if (it->mod <= rev) return it->live() ? &*it : nullptr;
    }
    return nullptr;
  }

  // Precondition: version.mod is above all others.
  void push(Version version) {
    ASSERT_CMP(version.mod, >, newest_.mod);
    if (!empty()) {
      if (older_ == nullptr) older_ = std::make_unique<std::vector<Version>>();
      older_->push_back(std::move(newest_));
    }
    newest_ = std::move(version);
  }

  // Drops what no reader at or above rev sees any more, given that the version with mod == rev
  // exists or did. Calls dropped(version) for each.
  template <class Fn>
  void drop_before(Revision rev, Fn&& dropped) {
    if (older_ != nullptr) {
      auto keep = older_->begin();
      while (keep != older_->end() && (keep->mod < rev || (keep->mod == rev && !keep->live()))) {
        dropped(*keep++);
      }
      older_->erase(older_->begin(), keep);
      if (older_->empty()) older_.reset();
    }
    if (older_ == nullptr && newest_.mod <= rev && !newest_.live() && !empty()) {
      dropped(newest_);
      newest_ = Version();
    }
  }

  std::size_t older_count() const { return older_ == nullptr ? 0 : older_->size(); }
  const Version& older(std::size_t i) const { return (*older_)[i]; }

 private:
  Version newest_;
  std::unique_ptr<std::vector<Version>> older_;  // Oldest first. Null: none.
};

}  // namespace raftd::kv
