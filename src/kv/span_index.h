// Who is concerned by a key, among spans without number. A look-up costs one step per byte of the
// key and one probe per length that a prefix has, however many spans there are that do not hold it;
// ranges that are neither a key nor a prefix, which hardly anybody asks for, are tried one by one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "kv/events.h"

namespace raftd::kv {

// Entries are pointers to T, which has a member `std::size_t span_at` that belongs to the index.
template <class T>
class SpanIndex {
 public:
  // seed: what a client must not know, else it could choose prefixes that meet in one place.
  explicit SpanIndex(std::uint64_t seed) : factor_(seed | 1) {}

  void add(const KeySpan& span, T* entry) {
    std::vector<T*>& bucket = bucket_of(span);
    entry->span_at = bucket.size();
    bucket.push_back(entry);
  }

  // Precondition: it was added with this span.
  void remove(const KeySpan& span, T* entry) {
    std::vector<T*>& bucket = bucket_of(span);
    ASSERT(bucket[entry->span_at] == entry);
    bucket[entry->span_at] = bucket.back();
    bucket[entry->span_at]->span_at = entry->span_at;
    bucket.pop_back();
    if (bucket.empty()) forget(span);
  }

  // fn must not add or remove.
  template <class Fn>
  void for_each(std::string_view key, const Fn& fn) const {
    if (const auto found = keys_.find(key); found != keys_.end()) call(found->second, fn);
    auto length = prefixes_.begin();
    std::uint64_t hash = 0;
    for (std::size_t at = 0; length != prefixes_.end() && length->first <= key.size(); ++length) {
      for (; at < length->first; ++at)
        hash = step(hash, key[at]);
      const auto [begin, end] = length->second.equal_range(hash);
      for (auto it = begin; it != end; ++it) {
        if (key.starts_with(it->second.prefix)) call(it->second.entries, fn);
      }
    }
    for (T* entry : ranges_) {
      if (entry->span.contains(key)) fn(*entry);
    }
  }

 private:
  struct Prefix {
    std::string prefix;
    std::vector<T*> entries;
  };
  using Prefixes = std::unordered_multimap<std::uint64_t, Prefix>;  // By hash, of one length.
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  template <class Fn>
  static void call(const std::vector<T*>& entries, const Fn& fn) {
    for (T* entry : entries)
      fn(*entry);
  }

  std::uint64_t step(std::uint64_t hash, char c) const {
    return (hash + static_cast<unsigned char>(c) + 1) * factor_;
  }
  std::uint64_t hash_of(std::string_view text) const {
    std::uint64_t hash = 0;
    for (const char c : text)
      hash = step(hash, c);
    return hash;
  }

  static typename Prefixes::iterator find(Prefixes& prefixes, std::uint64_t hash,
                                          std::string_view prefix) {
    const auto [begin, end] = prefixes.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (it->second.prefix == prefix) return it;
    }
    return prefixes.end();
  }

  std::vector<T*>& bucket_of(const KeySpan& span) {
    switch (span.kind) {
      case KeySpan::Kind::kKey:
        return keys_[span.begin];
      case KeySpan::Kind::kPrefix: {
        Prefixes& prefixes = prefixes_[span.begin.size()];
        const std::uint64_t hash = hash_of(span.begin);
        auto found = find(prefixes, hash, span.begin);
        if (found == prefixes.end()) found = prefixes.emplace(hash, Prefix{span.begin, {}});
        return found->second.entries;
      }
      case KeySpan::Kind::kRange:
        break;
    }
    return ranges_;
  }

  void forget(const KeySpan& span) {
    if (span.kind == KeySpan::Kind::kKey) keys_.erase(span.begin);
    if (span.kind != KeySpan::Kind::kPrefix) return;
    const auto prefixes = prefixes_.find(span.begin.size());
    prefixes->second.erase(find(prefixes->second, hash_of(span.begin), span.begin));
    if (prefixes->second.empty()) prefixes_.erase(prefixes);
  }

  const std::uint64_t factor_;
  std::unordered_map<std::string, std::vector<T*>, TextHash, std::equal_to<>> keys_;
  std::map<std::size_t, Prefixes> prefixes_;  // By length.
  std::vector<T*> ranges_;
};

}  // namespace raftd::kv
