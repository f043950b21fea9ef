// Reads at a revision: one key, or a bounded piece of a range in either direction.
#include <algorithm>

#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

// The smallest string above every string that begins with prefix; empty: there is none.
std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff')
    prefix.pop_back();
  if (!prefix.empty()) {
    prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  }
  return prefix;
}

std::string successor(std::string key) {
  key.push_back('\0');
  return key;
}

Keys::const_iterator lower(const Keys& keys, const std::string& bound, bool unbounded) {
  return unbounded ? keys.end() : keys.lower_bound(bound);
}

// One piece of a range. Collects rows until the page is full or the slice's bound is reached.
class Walk {
 public:
  Walk(const Keys& keys, const RangeQuery& query, Revision rev, RangeReply& reply)
      : keys_(keys), query_(query), rev_(rev), reply_(reply) {}

  void forward() {
    const std::string& from = std::max(query_.start, query_.prefix);
    auto it = keys_.lower_bound(from);
    while (it != keys_.end() && it->first.starts_with(query_.prefix)) {
      if (!visit(it, it->first)) return;
      if (collapsed_.empty()) {
        ++it;
      } else {
        const std::string end = prefix_end(std::exchange(collapsed_, {}));
        it = lower(keys_, end, end.empty());
      }
    }
  }

  void reverse() {
    const std::string end = prefix_end(query_.prefix);
    auto it =
        query_.start.empty() ? lower(keys_, end, end.empty()) : keys_.lower_bound(query_.start);
    while (it != keys_.begin()) {
      --it;
      if (!it->first.starts_with(query_.prefix)) {
        if (it->first < query_.prefix) return;
        continue;  // start was above the prefix.
      }
      if (!visit(it, successor(it->first))) return;
      if (!collapsed_.empty()) it = keys_.lower_bound(std::exchange(collapsed_, {}));
    }
  }

 private:
  // False: stop here, and go on from next. Sets collapsed_ when all keys under it are done.
  bool visit(Keys::const_iterator it, const std::string& next) {
    if (visited_++ == limits::kRangeKeysPerSliceMax) {
      reply_.more = true;
      reply_.next = next;
      return false;
    }
    const Version* version = it->second.at(rev_);
    if (version == nullptr) return true;
    if (query_.count_only) {
      ++reply_.count;
      return true;
    }
    RangeReply::Row row;
    std::size_t cut = std::string::npos;
    if (!query_.delimiter.empty()) cut = it->first.find(query_.delimiter, query_.prefix.size());
    if (cut != std::string::npos) {
      row.is_prefix = true;
      row.item.key = it->first.substr(0, cut + query_.delimiter.size());
    } else {
      row.item = make_item(it->first, *version, !query_.keys_only);
    }
    const std::size_t row_bytes = row.item.key.size() + row.item.value.size();
    const bool too_many = query_.limit != 0 && reply_.rows.size() >= query_.limit;
    const bool too_big =
        query_.bytes_max != 0 && !reply_.rows.empty() && bytes_ + row_bytes > query_.bytes_max;
    if (too_many || too_big) {
      reply_.more = true;
      reply_.page_full = true;
      reply_.next = next;
      return false;
    }
    bytes_ += row_bytes;
    if (row.is_prefix) collapsed_ = row.item.key;
    reply_.rows.push_back(std::move(row));
    return true;
  }

  const Keys& keys_;
  const RangeQuery& query_;
  Revision rev_;
  RangeReply& reply_;
  std::string collapsed_;
  std::size_t visited_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<machine::Reply> Store::State::get(const GetQuery& query) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<GetReply>();
  reply->revision = stats.revision;
  reply->compact_revision = stats.compact_revision;
  if (query.rev > stats.revision) {
    reply->result = GetReply::Result::kFuture;
    return reply;
  }
  if (query.rev != 0 && query.rev < stats.compact_revision) {
    reply->result = GetReply::Result::kCompacted;
    return reply;
  }
  const auto found = keys.find(query.key);
  const Version* version =
      found == keys.end() ? nullptr : found->second.at(query.rev == 0 ? stats.revision : query.rev);
  if (version == nullptr) {
    reply->result = GetReply::Result::kNotFound;
  } else {
    reply->item = make_item(found->first, *version, true);
  }
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::range(const RangeQuery& query) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<RangeReply>();
  reply->compact_revision = stats.compact_revision;
  reply->revision = query.rev == 0 ? stats.revision : query.rev;
  if (query.rev > stats.revision) {
    reply->result = RangeReply::Result::kFuture;
    reply->revision = stats.revision;
    return reply;
  }
  if (query.rev != 0 && query.rev < stats.compact_revision) {
    reply->result = RangeReply::Result::kCompacted;
    reply->revision = stats.revision;
    return reply;
  }
  Walk walk(keys, query, reply->revision, *reply);
  if (query.reverse) {
    walk.reverse();
  } else {
    walk.forward();
  }
  return reply;
}

}  // namespace raftd::kv
