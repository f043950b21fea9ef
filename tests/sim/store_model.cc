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
  const auto command = kv::decode(entry.command);
  const auto* put = command ? std::get_if<kv::Put>(&*command) : nullptr;
  const auto* del = command ? std::get_if<kv::Delete>(&*command) : nullptr;
  bool refused = false;
  if (put != nullptr || del != nullptr) {
    Versions& versions = keys_[std::string(put != nullptr ? put->key : del->key)];
    const Version before = versions.empty() ? Version() : versions.back();
    const bool present = before.version != 0;
    refused = !holds(put != nullptr ? put->condition : del->condition, present, before.mod);
    if (!refused && put != nullptr) {
      ++revision_;
      versions.push_back({revision_, present ? before.create : revision_, before.version + 1,
                          fingerprint(put->value)});
    } else if (!refused && present) {
      ++revision_;
      versions.push_back({revision_, 0, 0, 0});
    }
  }
  revisions_.push_back(revision_);
  refused_.push_back(refused);
}

std::uint64_t StoreModel::revision_at(raft::Index index) const {
  ASSERT_CMP(index, <=, applied());
  return index ? revisions_[index.value - 1] : 1;
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
  const std::uint64_t revision = revision_at(index);
  if (reply.revision != revision) {
    return strf("revision %llu at entry %llu; expected %llu", number(reply.revision),
                number(index.value), number(revision));
  }
  if (revision < query.min_revision) return "an answer older than what was asked for";
  using Result = kv::GetReply::Result;
  if (reply.result != Result::kFound && reply.result != Result::kNotFound) {
    return "the latest revision was not to be had";
  }
  const auto key = keys_.find(query.key);
  const Version* version = key == keys_.end() ? nullptr : at(key->second, revision);
  if ((version != nullptr) != (reply.result == Result::kFound)) {
    return version != nullptr ? query.key + " was not found" : query.key + " was found";
  }
  return version == nullptr ? std::string() : compare(reply.item, *version, true);
}

std::string StoreModel::check(raft::Index index, const kv::RangeQuery& query,
                              const kv::RangeReply& reply) const {
  ASSERT(query.start.empty() && query.delimiter.empty() && !query.reverse && !query.count_only);
  if (index > applied()) return strf("read at %llu, which nobody has applied", number(index.value));
  const std::uint64_t revision = revision_at(index);
  if (reply.revision != revision || reply.result != kv::RangeReply::Result::kDone) {
    return strf("a list of revision %llu at entry %llu; expected %llu", number(reply.revision),
                number(index.value), number(revision));
  }
  if (revision < query.min_revision) return "a list older than what was asked for";
  auto row = reply.rows.begin();
  for (auto key = keys_.lower_bound(query.prefix);
       key != keys_.end() && key->first.starts_with(query.prefix); ++key) {
    const Version* version = at(key->second, revision);
    if (version == nullptr) continue;
    if (row == reply.rows.end()) {
      return reply.more && reply.next <= key->first ? std::string() : key->first + " is not listed";
    }
    if (row->item.key != key->first) {
      return row->item.key + " is listed; expected " + key->first;
    }
    if (std::string why = compare(row->item, *version, !query.keys_only); !why.empty()) return why;
    ++row;
  }
  return row == reply.rows.end() ? std::string() : row->item.key + " is listed, and not there";
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
  if (refused == refused_[index.value - 1]) return {};
  return refused ? "a write was refused whose condition held"
                 : "a write was done whose condition did not hold";
}

}  // namespace raftd::sim
