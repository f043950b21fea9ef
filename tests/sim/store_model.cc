#include "sim/store_model.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/text.h"
#include "kv/command.h"

namespace raftd::sim {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

std::uint64_t fingerprint(std::string_view value) {
  return std::uint64_t{value.size()} << 32 | crc32c(as_bytes(value));
}

bool holds(const kv::Condition& condition, bool present, std::uint64_t mod) {
  switch (condition.kind) {
    case kv::Condition::Kind::kNone:
      return true;
    case kv::Condition::Kind::kModIs:
      return present && mod == condition.mod;
    case kv::Condition::Kind::kExists:
      return present;
    case kv::Condition::Kind::kAbsent:
      return !present;
  }
  return false;
}

}  // namespace

void StoreModel::apply(const machine::Applied& entry) {
  ASSERT_CMP(entry.index, ==, applied().next());
  After now = after(applied());
  now.refused = false;
  const auto command = kv::decode(entry.command);
  const auto* put = command ? std::get_if<kv::Put>(&*command) : nullptr;
  const auto* del = command ? std::get_if<kv::Delete>(&*command) : nullptr;
  const auto* compact = command ? std::get_if<kv::Compact>(&*command) : nullptr;
  if (put != nullptr || del != nullptr) {
    Versions& versions = keys_[std::string(put != nullptr ? put->key : del->key)];
    const Version before = versions.empty() ? Version() : versions.back();
    const bool present = before.version != 0;
    now.refused = !holds(put != nullptr ? put->condition : del->condition, present, before.mod);
    if (!now.refused && put != nullptr) {
      ++now.revision;
      versions.push_back({now.revision, present ? before.create : now.revision, before.version + 1,
                          fingerprint(put->value)});
    } else if (!now.refused && present) {
      ++now.revision;
      versions.push_back({now.revision, 0, 0, 0});
    }
  } else if (compact != nullptr && compact->revision <= now.revision) {
    now.compacted = std::max(now.compacted, compact->revision);
  }
  after_.push_back(now);
}

std::uint64_t StoreModel::revision_at(raft::Index index) const {
  ASSERT_CMP(index, <=, applied());
  return after(index).revision;
}

const StoreModel::Version* StoreModel::at(const Versions& versions, std::uint64_t revision) {
  const auto after = std::ranges::upper_bound(versions, revision, {}, &Version::mod);
  if (after == versions.begin() || std::prev(after)->version == 0) return nullptr;
  return &*std::prev(after);
}

std::string StoreModel::compare(const kv::Item& item, const Version& version, bool with_value) {
  if (item.mod == version.mod && item.create == version.create && item.version == version.version &&
      (!with_value || fingerprint(item.value) == version.value)) {
    return {};
  }
  return strf("%s is there with mod %llu, create %llu, version %llu; expected %llu, %llu, %llu",
              item.key.c_str(), number(item.mod), number(item.create), number(item.version),
              number(version.mod), number(version.create), number(version.version));
}

std::string StoreModel::check(raft::Index index, const kv::GetQuery& query,
                              const kv::GetReply& reply) const {
  if (index > applied()) return strf("read at %llu, which nobody has applied", number(index.value));
  const After now = after(index);
  if (reply.revision != now.revision || reply.compact_revision != now.compacted) {
    return strf("revision %llu at entry %llu, compacted %llu; expected %llu and %llu",
                number(reply.revision), number(index.value), number(reply.compact_revision),
                number(now.revision), number(now.compacted));
  }
  if (now.revision < query.min_revision) return "an answer older than what was asked for";
  using Result = kv::GetReply::Result;
  const std::uint64_t revision = query.rev == 0 ? now.revision : query.rev;
  const auto key = keys_.find(query.key);
  const Version* version = key == keys_.end() ? nullptr : at(key->second, revision);
  Result expected = version == nullptr ? Result::kNotFound : Result::kFound;
  if (revision < now.compacted) expected = Result::kCompacted;
  if (revision > now.revision) expected = Result::kFuture;
  if (reply.result != expected) {
    return strf("%s at revision %llu: result %d; expected %d", query.key.c_str(), number(revision),
                static_cast<int>(reply.result), static_cast<int>(expected));
  }
  return expected == Result::kFound ? compare(reply.item, *version, true) : std::string();
}

std::string StoreModel::check(raft::Index index, const kv::RangeQuery& query,
                              const kv::RangeReply& reply) const {
  ASSERT(query.delimiter.empty());
  if (index > applied()) return strf("read at %llu, which nobody has applied", number(index.value));
  const After now = after(index);
  const std::uint64_t revision = query.rev == 0 ? now.revision : query.rev;
  using Result = kv::RangeReply::Result;
  Result expected = Result::kDone;
  if (revision < now.compacted) expected = Result::kCompacted;
  if (revision > now.revision) expected = Result::kFuture;
  const std::uint64_t shown = expected == Result::kDone ? revision : now.revision;
  if (reply.result != expected || reply.revision != shown) {
    return strf("a list of revision %llu at entry %llu: result %d; expected %llu and %d",
                number(reply.revision), number(index.value), static_cast<int>(reply.result),
                number(shown), static_cast<int>(expected));
  }
  if (now.revision < query.min_revision) return "a list older than what was asked for";
  if (expected != Result::kDone) return {};
  std::vector<Keys::const_iterator> keys;
  const auto begin =
      keys_.lower_bound(query.reverse ? query.prefix : std::max(query.start, query.prefix));
  for (auto key = begin; key != keys_.end() && key->first.starts_with(query.prefix); ++key) {
    if (query.reverse && !query.start.empty() && key->first >= query.start) break;
    if (at(key->second, revision) != nullptr) keys.push_back(key);
    // One more than was given says whether that was all.
    if (!query.reverse && !query.count_only && keys.size() > reply.rows.size()) break;
  }
  if (query.reverse) std::ranges::reverse(keys);
  return check_rows(query, reply, keys, revision);
}

std::string StoreModel::check_rows(const kv::RangeQuery& query, const kv::RangeReply& reply,
                                   const std::vector<Keys::const_iterator>& keys,
                                   std::uint64_t revision) {
  if (query.count_only) {
    if (reply.more || reply.count == keys.size()) return {};
    return strf("%llu keys are counted; expected %zu", number(reply.count), keys.size());
  }
  for (std::size_t i = 0; i < reply.rows.size(); ++i) {
    const kv::Item& item = reply.rows[i].item;
    if (i == keys.size()) return item.key + " is listed, and not there";
    if (item.key != keys[i]->first) return item.key + " is listed; expected " + keys[i]->first;
    std::string why = compare(item, *at(keys[i]->second, revision), !query.keys_only);
    if (!why.empty()) return why;
  }
  if (keys.size() == reply.rows.size()) return {};
  const std::string& next = keys[reply.rows.size()]->first;
  const bool goes_on = query.reverse ? reply.next > next : reply.next <= next;
  return reply.more && goes_on ? std::string() : next + " is not listed";
}

std::string StoreModel::check(raft::Index index, const kv::WriteReply& reply) const {
  if (!index || index > applied()) {
    return strf("written at %llu, which nobody has applied", number(index.value));
  }
  if (reply.revision != revision_at(index)) {
    return strf("revision %llu of the write at %llu; expected %llu", number(reply.revision),
                number(index.value), number(revision_at(index)));
  }
  const bool refused = reply.result != kv::WriteReply::Result::kDone;
  if (refused == after(index).refused) return {};
  return refused ? "a write was refused whose condition held"
                 : "a write was done whose condition did not hold";
}

}  // namespace raftd::sim
