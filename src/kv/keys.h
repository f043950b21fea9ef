// The keys of a space in order: pointers to them in leaves of bounded size, and pointers to the
// leaves in one array. A look-up is two binary searches; a new key moves a part of one leaf, and
// one in a hundred a part of the array.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "kv/pool.h"
#include "kv/versions.h"

namespace raftd::kv {

class Keys {
 public:
  // A place, valid until a key is added or erased. Keys themselves stay where they are.
  class Iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = Key;
    using difference_type = std::ptrdiff_t;
    using pointer = Key*;
    using reference = Key&;

    Iterator() = default;
    Key& operator*() const { return *keys_->leaves_[leaf_]->keys[at_]; }
    Key* operator->() const { return &**this; }
    Iterator& operator++();
    Iterator& operator--();
    bool operator==(const Iterator& other) const = default;

   private:
    friend class Keys;
    Iterator(const Keys* keys, std::size_t leaf, std::size_t at)
        : keys_(keys), leaf_(leaf), at_(at) {}

    const Keys* keys_ = nullptr;
    std::size_t leaf_ = 0;  // Behind the last one: the end.
    std::size_t at_ = 0;
  };

  Keys() = default;
  ~Keys();
  Keys(Keys&& other) noexcept = default;
  Keys& operator=(Keys&& other) noexcept;  // Exchanges them.
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  bool empty() const { return leaves_.empty(); }
  Iterator begin() const { return {this, 0, 0}; }
  Iterator end() const { return {this, leaves_.size(), 0}; }
  Iterator lower_bound(std::string_view text) const;  // The first that is not below it.
  Iterator upper_bound(std::string_view text) const;  // The first above it.
  Iterator find(std::string_view text) const;

  // A key without versions. Precondition: text belongs in front of what is at `before`.
  Key& insert(Iterator before, Space space, std::string_view text);
  void erase(Key& key);  // With its versions.
  void erase_last();     // The same.

  // Precondition: fields.mod is above all others of the key.
  const Version& push(Key& key, const VersionFields& fields) { return key.push(pool_, fields); }
  // Takes the newest back. Precondition: !key.empty(). Without versions it can be erased.
  void pop(Key& key) { key.pop(pool_); }
  // Drops the versions that no reader at or above rev sees, given that this key was written at rev:
  // all before it, and the one of rev if it is a tombstone. Calls dropped(version) for each before
  // it goes. Without versions the key can be erased.
  template <class Fn>
  void drop_before(Key& key, Revision rev, Fn&& dropped) {
    while (key.older_count() > 0) {
      const Version& oldest = key.older(0);
      if (oldest.mod() > rev || (oldest.mod() == rev && oldest.live())) break;
      dropped(oldest);
      key.drop_oldest(pool_);
    }
    if (key.older_count() == 0 && !key.empty() && key.newest().mod() <= rev &&
        !key.newest().live()) {
      dropped(key.newest());
      key.drop_newest(pool_);
    }
  }

  void check_invariants() const;  // Slow.

 private:
  static constexpr std::size_t kLeafKeysMax = 254;
  struct Leaf {
    std::size_t count = 0;
    std::array<Key*, kLeafKeysMax> keys;

    Key** begin() { return keys.data(); }
    Key** end() { return keys.data() + count; }
    std::string_view first() const { return keys[0]->text(); }
    void insert(std::size_t at, Key* key);
    void erase(std::size_t at);
  };
  static_assert(sizeof(Leaf) <= 2048 - sizeof(void*), "a leaf is one block of 2 KiB");
  using Leaves = std::vector<std::unique_ptr<Leaf>>;

  Iterator normal(std::size_t leaf, std::size_t at) const;
  Iterator room_for(std::size_t leaf, std::size_t at);
  void erase(Iterator at);

  Leaves leaves_;  // None is empty.
  Pool pool_;
};

}  // namespace raftd::kv
