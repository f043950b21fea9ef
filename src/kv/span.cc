// Reads of a span at a revision, a bounded piece at a time: its rows and their number, and one
// number for all that is there.
#include <algorithm>

#include "base/digest.h"
#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

constexpr std::uint64_t kHashStep =
    0x9e3779b97f4a7c15;  // Odd, so that a hash of 0 goes on as well.

// False: it cannot be read; the reply says why.
template <class Query, class Reply>
bool readable(const StoreStats& stats, const Query& query, Reply& reply) {
  reply.revision = stats.revision;
  reply.compact_revision = stats.compact_revision;
  reply.rev = query.rev == 0 ? stats.revision : query.rev;
  if (reply.rev > stats.revision) {
    reply.result = Reply::Result::kFuture;
  } else if (reply.rev < stats.compact_revision) {
    reply.result = Reply::Result::kCompacted;
  }
  return reply.result == Reply::Result::kDone;
}

// One piece of a span. Collects rows and counts until the page is full or the slice is over.
template <class MakeItem>
class Piece {
 public:
  // item: makes one of a key and its version.
  Piece(const Keys& keys, const SpanQuery& query, SpanReply& reply, const MakeItem& item)
      : keys_(keys), query_(query), reply_(reply), item_(item) {}

  void forward() {
    const Span span{query_.from, query_.to};
    auto at = keys_.lower_bound(span.one_key() ? query_.from : std::max(query_.from, query_.start));
    for (; at != keys_.end() && span.contains(at->text()); ++at) {
      if (visit(*at)) continue;
      reply_.next = at->text();
      return;
    }
  }

  void reverse() {
    const bool endless = Span{query_.from, query_.to}.endless();
    const bool from_start = !query_.start.empty() && (endless || query_.start < query_.to);
    auto at = endless && !from_start ? keys_.end()
                                     : keys_.lower_bound(from_start ? query_.start : query_.to);
    while (at != keys_.begin()) {
      --at;
      if (at->text() < query_.from) return;
      if (visit(*at)) continue;
      reply_.next = at->text();
      reply_.next.push_back('\0');  // The smallest key above this one: it comes first.
      return;
    }
  }

 private:
  // False: stop before this key.
  bool visit(const Key& key) {
    if (visited_++ == limits::kRangeKeysPerSliceMax) {
      reply_.more = true;
      return false;
    }
    const Version* version = key.at(reply_.rev);
    if (version == nullptr) return true;
    if (!query_.count_only && !reply_.page_full && within_bounds(query_, *version)) {
      add(key.text(), *version);
      reply_.more = reply_.page_full && !query_.count_rest;
      if (reply_.more) return false;
    }
    ++reply_.count;
    return true;
  }

  void add(std::string_view key, const Version& version) {
    const bool with_value = !query_.keys_only;
    const std::size_t bytes = key.size() + (with_value ? version.value().size() : 0);
    const bool too_many = query_.limit != 0 && reply_.rows.size() >= query_.limit;
    const bool too_big =
        query_.bytes_max != 0 && !reply_.rows.empty() && bytes_ + bytes > query_.bytes_max;
    reply_.page_full = too_many || too_big;
    if (reply_.page_full) return;
    bytes_ += bytes;
    reply_.rows.push_back(item_(key, version, with_value));
  }

  const Keys& keys_;
  const SpanQuery& query_;
  SpanReply& reply_;
  const MakeItem& item_;
  std::size_t visited_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<machine::Reply> Store::State::span(const SpanQuery& query,
                                                   machine::ClusterTime at) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<SpanReply>();
  if (!readable(stats, query, *reply)) return reply;
  const auto make = [&](std::string_view key, const Version& version, bool with_value) {
    return item(key, version, with_value, at);
  };
  Piece piece(in(Space::kKeys), query, *reply, make);
  if (query.reverse && !query.to.empty()) {
    piece.reverse();
  } else {
    piece.forward();
  }
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::hash(const HashQuery& query) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<HashReply>();
  reply->hash = query.seed;
  if (!readable(stats, query, *reply)) return reply;
  const Keys& keys = in(Space::kKeys);
  std::size_t visited = 0;
  std::size_t bytes = 0;
  for (auto at = keys.lower_bound(query.start); at != keys.end(); ++at) {
    if (visited++ == limits::kRangeKeysPerSliceMax || bytes > limits::kHashBytesPerSliceMax) {
      reply->more = true;
      reply->next = at->text();
      break;
    }
    const Version* version = at->at(reply->rev);
    if (version == nullptr) continue;
    reply->hash = digest_mix(reply->hash + kHashStep) ^ hash_of(*at, *version);
    bytes += at->text().size() + version->value().size();
  }
  return reply;
}

}  // namespace raftd::kv
