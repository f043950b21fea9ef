#include "kv/keys.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/assert.h"

namespace raftd::kv {
namespace {

// Eight bytes that compare as a number does.
std::uint64_t word_at(std::string_view text, std::size_t offset) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + offset, sizeof word);
  return __builtin_bswap64(word);
}

// Apart, so that is_below() saves no registers for its call.
[[gnu::noinline]] bool is_below_far(std::string_view a, std::string_view b) {
  return a < b;
}

// As a < b. A look-up compares some twenty times, and most keys are so short that calling memcmp
// costs more than comparing.
[[gnu::always_inline]] inline bool is_below(std::string_view a, std::string_view b) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const std::size_t bytes = std::min(a.size(), b.size());
  if (bytes < kWord || bytes > 4 * kWord) return is_below_far(a, b);
  std::uint64_t of_a = word_at(a, 0);
  std::uint64_t of_b = word_at(b, 0);
  for (std::size_t at = kWord; of_a == of_b; at += kWord) {
    if (at >= bytes) return a.size() < b.size();
    const std::size_t last = std::min(at, bytes - kWord);  // Some bytes twice, if it is the last.
    of_a = word_at(a, last);
    of_b = word_at(b, last);
  }
  return of_a < of_b;
}

// The smallest i below count for which is(i), given that it is so for all above it; or count.
template <class Is>
std::size_t first_of(std::size_t count, const Is& is) {
  std::size_t begin = 0;
  while (count > 0) {
    const std::size_t half = count / 2;
    if (is(begin + half)) {
      count = half;
    } else {
      begin += half + 1;
      count -= half + 1;
    }
  }
  return begin;
}

}  // namespace

void Keys::Leaf::insert(std::size_t at, Key* key) {
  ASSERT_CMP(count, <, kLeafKeysMax);
  ASSERT_CMP(at, <=, count);
  std::copy_backward(begin() + at, end(), end() + 1);
  keys[at] = key;
  ++count;
}

void Keys::Leaf::erase(std::size_t at) {
  ASSERT_CMP(at, <, count);
  std::copy(begin() + at + 1, end(), begin() + at);
  --count;
}

Keys::Iterator& Keys::Iterator::operator++() {
  ASSERT_CMP(leaf_, <, keys_->leaves_.size());
  *this = keys_->normal(leaf_, at_ + 1);
  return *this;
}

Keys::Iterator& Keys::Iterator::operator--() {
  if (at_ == 0) {
    ASSERT_CMP(leaf_, >, 0U);
    --leaf_;
    at_ = keys_->leaves_[leaf_]->count;
  }
  --at_;
  return *this;
}

Keys::~Keys() {
  for (const std::unique_ptr<Leaf>& leaf : leaves_) {
    for (Key* key : *leaf)
      Key::release(pool_, key);
  }
}

Keys& Keys::operator=(Keys&& other) noexcept {
  leaves_.swap(other.leaves_);
  pool_ = std::move(other.pool_);
  return *this;
}

// What is behind the last key of a leaf is the first one of the next.
Keys::Iterator Keys::normal(std::size_t leaf, std::size_t at) const {
  if (leaf < leaves_.size() && at == leaves_[leaf]->count) return {this, leaf + 1, 0};
  return {this, leaf, at};
}

Keys::Iterator Keys::lower_bound(std::string_view text) const {
  const std::size_t behind =
      first_of(leaves_.size(), [&](std::size_t i) { return is_below(text, leaves_[i]->first()); });
  if (behind == 0) return begin();
  const Leaf& leaf = *leaves_[behind - 1];
  return normal(behind - 1, first_of(leaf.count, [&](std::size_t i) {
                  return !is_below(leaf.keys[i]->text(), text);
                }));
}

Keys::Iterator Keys::upper_bound(std::string_view text) const {
  Iterator at = lower_bound(text);
  if (at != end() && at->text() == text) ++at;
  return at;
}

Keys::Iterator Keys::find(std::string_view text) const {
  const Iterator at = lower_bound(text);
  return at != end() && at->text() == text ? at : end();
}

// Where there is room for a key that belongs in front of this place. Keys often come in ascending
// order: they fill leaves that nobody else's keys are in.
Keys::Iterator Keys::room_for(std::size_t leaf, std::size_t at) {
  if (at == 0 && leaf > 0) {
    --leaf;
    at = leaves_[leaf]->count;
  }
  if (leaf < leaves_.size() && leaves_[leaf]->count < kLeafKeysMax) return {this, leaf, at};
  const auto place = leaves_.begin() + static_cast<std::ptrdiff_t>(leaf);
  if (leaf == leaves_.size() || at == 0) {
    leaves_.insert(place, std::make_unique_for_overwrite<Leaf>());
    return {this, leaf, 0};
  }
  Leaf& full = **place;
  Leaf& next = **leaves_.insert(place + 1, std::make_unique_for_overwrite<Leaf>());
  if (at == full.count) return {this, leaf + 1, 0};
  const std::size_t kept = full.count / 2;
  next.count = full.count - kept;
  std::copy(full.begin() + kept, full.end(), next.begin());
  full.count = kept;
  if (at <= kept) return {this, leaf, at};
  return {this, leaf + 1, at - kept};
}

Key& Keys::insert(Iterator before, Space space, std::string_view text) {
  ASSERT(before.keys_ == this);
  if (before != end()) ASSERT(text < before->text());
  if (before != begin()) ASSERT(std::prev(before)->text() < text);
  const Iterator at = room_for(before.leaf_, before.at_);
  Key* key = Key::make(pool_, space, text);
  leaves_[at.leaf_]->insert(at.at_, key);
  return *key;
}

void Keys::erase(Key& key) {
  const Iterator at = find(key.text());
  ASSERT(at != end());
  ASSERT(&*at == &key);
  erase(at);
}

void Keys::erase_last() {
  ASSERT(!empty());
  erase(Iterator(this, leaves_.size() - 1, leaves_.back()->count - 1));
}

// Two leaves that are half of one together become one.
void Keys::erase(Iterator at) {
  Leaf& of = *leaves_[at.leaf_];
  Key::release(pool_, of.keys[at.at_]);
  of.erase(at.at_);
  const auto place = leaves_.begin() + static_cast<std::ptrdiff_t>(at.leaf_);
  if (of.count == 0) {
    leaves_.erase(place);
    return;
  }
  if (place + 1 == leaves_.end()) return;
  Leaf& next = **(place + 1);
  if (of.count + next.count > kLeafKeysMax / 2) return;
  std::copy(next.begin(), next.end(), of.end());
  of.count += next.count;
  leaves_.erase(place + 1);
}

void Keys::check_invariants() const {
  const Key* before = nullptr;
  for (const std::unique_ptr<Leaf>& leaf : leaves_) {
    ASSERT_CMP(leaf->count, >, 0U);
    ASSERT_CMP(leaf->count, <=, kLeafKeysMax);
    for (const Key* key : *leaf) {
      if (before != nullptr) ASSERT(before->text() < key->text());
      before = key;
    }
  }
}

}  // namespace raftd::kv
