// A store that is fed one entry after the other, and a naive model of it that keeps every version.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "kv/store.h"

namespace raftd::kv {

struct Fed {
  explicit Fed(const HistoryLimits& limits = {600'000, 64 << 20}) : store(limits) {}

  machine::Outcome start(ByteView body, bool reply_wanted = true) {
    ++index;
    return store.apply({{index}, {1}, {time}, body}, reply_wanted);
  }
  machine::Outcome start(const Command& command, bool reply_wanted = true,
                         const Terms& terms = {}) {
    entry = encode(command, terms);
    return start(ByteView(entry).subspan(machine::kStampBytes), reply_wanted);
  }
  WriteReply apply(const Command& command) {
    machine::Outcome outcome = start(command);
    while (!outcome.finished)
      outcome = store.apply_slice();
    const auto* reply = dynamic_cast<const WriteReply*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    return *reply;
  }
  WriteReply put(std::string_view key, std::string_view value, Condition condition = {}) {
    return apply(Put{key, value, condition, true});
  }
  WriteReply del(std::string_view key, Condition condition = {}) {
    return apply(Delete{key, condition, true});
  }
  void tidy() {
    while (store.tidy_slice()) {
    }
  }
  GetReply get(std::string_view key, Revision rev = 0) const {
    GetQuery query;
    query.key = key;
    query.rev = rev;
    const auto reply = store.query(query, {time});
    REQUIRE(reply != nullptr);
    return dynamic_cast<const GetReply&>(*reply);
  }
  RangeReply range(const RangeQuery& query) const {
    const auto reply = store.query(query, {time});
    REQUIRE(reply != nullptr);
    return dynamic_cast<const RangeReply&>(*reply);
  }
  Revision revision() const { return store.stats().revision; }

  Store store;
  Bytes entry;  // The last one: it stays while it is applied in slices.
  std::uint64_t index = 0;
  std::uint64_t time = 0;
};

// All keys at every revision.
struct Model {
  using Keys = std::map<std::string, Item>;
  std::vector<Keys> at{Keys(), Keys()};  // By revision; 0 is not one.

  Revision revision() const { return at.size() - 1; }
  const Keys& latest() const { return at.back(); }

  void put(const std::string& key, const std::string& value) {
    Keys next = latest();
    Item& item = next[key];
    item.key = key;
    item.value = value;
    item.mod = revision() + 1;
    if (item.create == 0) item.create = item.mod;
    ++item.version;
    at.push_back(std::move(next));
  }
  std::uint64_t remove(const std::string& prefix, bool whole, std::uint64_t limit) {
    Keys next = latest();
    std::uint64_t removed = 0;
    for (auto it = next.lower_bound(prefix); it != next.end();) {
      if (whole ? it->first != prefix : !it->first.starts_with(prefix)) break;
      if (limit != 0 && removed == limit) break;
      it = next.erase(it);
      ++removed;
    }
    if (removed != 0) at.push_back(std::move(next));
    return removed;
  }

  // Rows of a whole range, without any bound.
  std::vector<RangeReply::Row> rows(const RangeQuery& query, Revision rev) const {
    std::vector<RangeReply::Row> all;
    for (const auto& [key, item] : at[rev]) {
      if (!key.starts_with(query.prefix)) continue;
      const auto cut = query.delimiter.empty() ? std::string::npos
                                               : key.find(query.delimiter, query.prefix.size());
      if (cut == std::string::npos) {
        all.push_back({false, item});
        if (query.keys_only) all.back().item.value.clear();
        continue;
      }
      const std::string collapsed = key.substr(0, cut + query.delimiter.size());
      if (!all.empty() && all.back().is_prefix && all.back().item.key == collapsed) continue;
      all.push_back({true, {collapsed, "", 0, 0, 0}});
    }
    if (query.reverse) std::reverse(all.begin(), all.end());
    return all;
  }
};

inline bool same(const Item& a, const Item& b) {
  return a.key == b.key && a.value == b.value && a.mod == b.mod && a.create == b.create &&
         a.version == b.version;
}

inline bool same(const std::vector<RangeReply::Row>& a, const std::vector<RangeReply::Row>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].is_prefix != b[i].is_prefix || !same(a[i].item, b[i].item)) return false;
  }
  return true;
}

}  // namespace raftd::kv
