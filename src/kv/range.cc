// Reads at a revision: one key, or a bounded piece of a range in either direction.
#include <algorithm>
#include <functional>

#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

using MakeItem = std::function<Item(std::string_view, const Version&, bool with_value)>;

// One piece of a range. Collects rows until the page is full or the slice's bound is reached.
class Walk {
 public:
  // item: makes one of a key and its version.
  Walk(const Keys& keys, const RangeQuery& query, Revision rev, RangeReply& reply,
       const MakeItem& item)
      : keys_(keys), query_(query), rev_(rev), reply_(reply), item_(item) {}

  void forward() {
    const std::string& from = std::max(query_.start, query_.prefix);
    auto it = keys_.lower_bound(from);
    while (it != keys_.end() && it->text().starts_with(query_.prefix)) {
      if (!visit(*it)) {
        reply_.next = it->text();
        return;
      }
      if (collapsed_.empty()) {
        ++it;
      } else {
        const std::string end = prefix_end(std::exchange(collapsed_, {}));
        it = end == Span::kEndless ? keys_.end() : keys_.lower_bound(end);
      }
    }
  }

  void reverse() {
    std::string end = prefix_end(query_.prefix);  // Not included.
    const bool endless = end == Span::kEndless;
    const bool from_start = !query_.start.empty() && (endless || query_.start < end);
    if (from_start) end = query_.start;
    auto it = endless && !from_start ? keys_.end() : keys_.lower_bound(end);
    while (it != keys_.begin()) {
      --it;
      if (!it->text().starts_with(query_.prefix)) return;
      if (!visit(*it)) {
        reply_.next = it->text();
        reply_.next.push_back('\0');  // The smallest key above this one: it comes first.
        return;
      }
      if (!collapsed_.empty()) it = keys_.lower_bound(std::exchange(collapsed_, {}));
    }
  }

 private:
  // False: stop before this key. Sets collapsed_ when all keys under it are done.
  bool visit(const Key& entry) {
    const std::string_view key = entry.text();
    if (visited_++ == limits::kRangeKeysPerSliceMax) {
      reply_.more = true;
      return false;
    }
    const Version* version = entry.at(rev_);
    if (version == nullptr) return true;
    if (query_.count_only) {
      ++reply_.count;
      return true;
    }
    std::size_t cut = std::string::npos;
    if (!query_.delimiter.empty()) cut = key.find(query_.delimiter, query_.prefix.size());
    const bool is_prefix = cut != std::string::npos;
    if (is_prefix) cut += query_.delimiter.size();
    const bool with_value = !is_prefix && !query_.keys_only;
    const std::size_t row_bytes =
        (is_prefix ? cut : key.size()) + (with_value ? version->value().size() : 0);
    const bool too_many = query_.limit != 0 && reply_.rows.size() >= query_.limit;
    const bool too_big =
        query_.bytes_max != 0 && !reply_.rows.empty() && bytes_ + row_bytes > query_.bytes_max;
    if (too_many || too_big) {
      reply_.more = true;
      reply_.page_full = true;
      return false;
    }
    bytes_ += row_bytes;
    RangeReply::Row& row = reply_.rows.emplace_back();
    if (is_prefix) {
      row.is_prefix = true;
      row.item.key = key.substr(0, cut);
      collapsed_ = row.item.key;
    } else {
      row.item = item_(key, *version, with_value);
    }
    return true;
  }

  const Keys& keys_;
  const RangeQuery& query_;
  Revision rev_;
  RangeReply& reply_;
  const MakeItem& item_;
  std::string collapsed_;
  std::size_t visited_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::string prefix_end(std::string_view prefix) {
  while (prefix.ends_with('\xff'))
    prefix.remove_suffix(1);
  if (prefix.empty()) return std::string(Span::kEndless);
  std::string end(prefix);
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Item Store::State::item(std::string_view key, const Version& version, bool with_value,
                        machine::ClusterTime at) const {
  Item item;
  fill(item, key, version, with_value, at);
  return item;
}

void Store::State::fill(Item& item, std::string_view key, const Version& version, bool with_value,
                        machine::ClusterTime at) const {
  item.key = key;
  if (with_value) item.value = version.value();
  item.mod = version.mod();
  item.create = version.create();
  item.version = version.version();
  item.lease = version.lease();
  if (item.lease == 0) return;
  if (const Lease* lease = find_lease(item.lease)) item.ttl_ms = remaining_ms(*lease, at);
}

std::unique_ptr<machine::Reply> Store::State::get(const GetQuery& query,
                                                  machine::ClusterTime at) const {
  if (query.min_revision > stats.revision) return nullptr;
  std::unique_ptr<GetReply> reply = spare_gets.take();
  if (reply == nullptr) reply = std::make_unique<GetReply>();
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
  const Keys& keys = in(Space::kKeys);
  const auto found = keys.find(query.key);
  const Version* version =
      found == keys.end() ? nullptr : found->latest_at(query.rev == 0 ? stats.revision : query.rev);
  if (version != nullptr) reply->changed = version->mod();
  if (version == nullptr || !version->live()) {
    reply->result = GetReply::Result::kNotFound;
  } else {
    fill(reply->item, found->text(), *version, true, at);
  }
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::range(const RangeQuery& query,
                                                    machine::ClusterTime at) const {
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
  const MakeItem make = [&](std::string_view key, const Version& version, bool with_value) {
    return item(key, version, with_value, at);
  };
  Walk walk(in(Space::kKeys), query, reply->revision, *reply, make);
  if (query.reverse) {
    walk.reverse();
  } else {
    walk.forward();
  }
  return reply;
}

}  // namespace raftd::kv
