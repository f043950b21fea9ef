#include "sim/store_model.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "sim/reply_text.h"

namespace raftd::sim {
namespace {

constexpr std::uint64_t kReplyAgeMsMax = 10 * 60 * 1000;  // The contract's ten minutes.

unsigned long long number(std::uint64_t value) {
  return value;
}

template <class T>
std::shared_ptr<const kv::StoreReply> shared(T reply, std::uint64_t revision) {
  if (reply.revision == 0) reply.revision = revision;
  return std::make_shared<T>(std::move(reply));
}

// Decided by the store and worth keeping, by the contract.
bool is_kept(kv::StoreReply::Result result) {
  using Result = kv::StoreReply::Result;
  return result != Result::kBadCommand && result != Result::kTooLarge &&
         result != Result::kTooManyLeases && result != Result::kFuture;
}

}  // namespace

void StoreModel::apply(const machine::Applied& entry) {
  ASSERT_CMP(entry.index, ==, applied().next());
  ASSERT_CMP(entry.time, >=, now_);
  now_ = entry.time;
  expired_.clear();
  After next = after(applied());
  next.time = now_;
  next.answer = nullptr;
  next.replayed = false;
  const auto request = kv::decode(entry.command);
  if (request) {
    const auto* compact = std::get_if<kv::Compact>(&request->command);
    if (compact != nullptr && compact->revision <= state_.revision()) {
      next.compacted = std::max(next.compacted, compact->revision);
    }
    next.answer = answer(*request, next.replayed);
    state_.end_unused_leases();
  }
  next.revision = state_.revision();
  next.keys = state_.live(kv::Space::kKeys).size();
  next.bytes = state_.bytes();
  next.leases = state_.leases().size();
  after_.push_back(std::move(next));
}

void StoreModel::forget_replies() {
  std::erase_if(kept_, [&](const auto& each) {
    return now_.value - each.second.time.value >= kReplyAgeMsMax;
  });
}

StoreModel::Answer StoreModel::answer(const kv::Request& request, bool& replayed) {
  forget_replies();
  const kv::Terms& terms = request.terms;
  if (terms.idempotency_key.empty()) {
    const Answer refused = fenced(terms.fences);
    return refused ? refused : run(request);
  }
  if (const auto kept = kept_.find(terms.idempotency_key); kept != kept_.end()) {
    if (kept->second.hash == terms.request_hash) {
      replayed = true;
      return kept->second.answer;
    }
    kv::StoreReply mismatch;
    mismatch.result = kv::StoreReply::Result::kMismatch;
    return shared(mismatch, state_.revision());
  }
  Answer answer = fenced(terms.fences);
  if (!answer) answer = run(request);
  if (answer && is_kept(answer->result)) {
    kept_[std::string(terms.idempotency_key)] = {terms.request_hash, now_, answer};
  }
  return answer;
}

// Null: every fence is held.
StoreModel::Answer StoreModel::fenced(const std::vector<kv::Fence>& fences) const {
  for (const kv::Fence& fence : fences) {
    if (holds(fence)) continue;
    kv::StoreReply reply;
    reply.result = kv::StoreReply::Result::kFenced;
    reply.message = fence.name;
    reply.number = fence.token;
    return shared(reply, state_.revision());
  }
  return nullptr;
}

StoreModel::Answer StoreModel::run(const kv::Request& request) {
  const auto done = [&](auto reply) {
    state_.end_revision();
    return shared(std::move(reply), state_.revision());
  };
  return std::visit(overloaded{
                        [&](const kv::Put& body) { return done(put(body)); },
                        [&](const kv::Delete& body) { return done(remove(body)); },
                        [&](const kv::DeletePrefix& body) { return done(remove_prefix(body)); },
                        [&](const kv::Increment& body) { return done(increment(body)); },
                        [&](const kv::Touch& body) { return done(touch(body)); },
                        [&](const kv::Transaction& body) { return done(transact(body)); },
                        [&](const kv::GrantLease& body) { return done(grant(body)); },
                        [&](const kv::KeepLeases& body) { return done(keep(body)); },
                        [&](const kv::RevokeLease& body) { return done(revoke(body)); },
                        [&](const kv::ExpireLeases&) { return done(expire()); },
                        [&](const kv::Acquire& body) {
                          return done(acquire(body, request.terms.idempotency_key));
                        },
                        [&](const kv::KeepLock& body) { return done(keep_lock(body)); },
                        [&](const kv::Release& body) { return done(release(body)); },
                        [&](const kv::Proclaim& body) { return done(proclaim(body)); },
                        [&](const kv::LeaveQueue& body) { return done(leave_queue(body)); },
                        // Of members, and of history, which has no content.
                        [](const auto&) { return Answer(); },
                    },
                    request.command);
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
      item.lease == version.lease && (!with_value || shortened(item.value) == version.value)) {
    return {};
  }
  return strf(
      "%s is there with mod %llu, create %llu, version %llu, lease %llu; expected %llu, %llu, "
      "%llu, "
      "%llu, value %s",
      item.key.c_str(), number(item.mod), number(item.create), number(item.version),
      number(item.lease), number(version.mod), number(version.create), number(version.version),
      number(version.lease), version.value.c_str());
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
  const Keys& all = state_.history();
  const auto key = all.find(query.key);
  const Version* version = key == all.end() ? nullptr : at(key->second, revision);
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
  const Keys& all = state_.history();
  const auto begin =
      all.lower_bound(query.reverse ? query.prefix : std::max(query.start, query.prefix));
  for (auto key = begin; key != all.end() && key->first.starts_with(query.prefix); ++key) {
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

std::string StoreModel::check(raft::Index index, const kv::StoreReply& reply) const {
  if (!index || index > applied()) {
    return strf("written at %llu, which nobody has applied", number(index.value));
  }
  const After now = after(index);
  if (now.answer == nullptr) return {};
  if (reply.replayed != now.replayed) {
    return reply.replayed ? "an answer was repeated that was never given"
                          : "a request that was answered before was done again";
  }
  const std::string got = text_of(reply, false);
  const std::string expected = text_of(*now.answer, reply.truncated);
  if (got == expected) return {};
  return strf("the entry %llu was answered: %s; expected: %s", number(index.value), got.c_str(),
              expected.c_str());
}

std::string StoreModel::check(raft::Index index, const kv::Store& store, bool everything) const {
  if (index > applied()) return strf("entry %llu, which nobody applied", number(index.value));
  const After now = after(index);
  const kv::StoreStats stats = store.stats();
  if (stats.revision != now.revision || stats.compact_revision != now.compacted ||
      stats.keys != now.keys || stats.bytes != now.bytes || stats.leases != now.leases) {
    return strf(
        "after %llu there are revision %llu, compacted %llu, %llu keys, %llu bytes, %llu leases; "
        "expected %llu, %llu, %llu, %llu, %llu",
        number(index.value), number(stats.revision), number(stats.compact_revision),
        number(stats.keys), number(stats.bytes), number(stats.leases), number(now.revision),
        number(now.compacted), number(now.keys), number(now.bytes), number(now.leases));
  }
  kv::RangeQuery page;
  while (everything) {
    const auto answer = store.query(page, now.time);
    const auto* reply = dynamic_cast<const kv::RangeReply*>(answer.get());
    ASSERT(reply != nullptr);
    if (std::string why = check(index, page, *reply); !why.empty()) return why;
    if (!reply->more) break;
    page.start = reply->next;
  }
  if (!everything || index != applied()) return {};
  std::string why = check_leases(store);
  for (const kv::Space space : {kv::Space::kLocks, kv::Space::kElections})
    if (why.empty()) why = check_locks(store, space);
  return why;
}

}  // namespace raftd::sim
