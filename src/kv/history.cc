// Old versions: kept for reads at a revision and for watches, within the window that the log
// decides (Compact), and freed a slice at a time.
#include <algorithm>

#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

constexpr std::uint64_t kTimeMarkIntervalMs = 1000;

// Later by an eighth than the limit says, then all that is past the limit: else a busy store would
// propose a compaction with every time mark.
machine::ClusterTime due(machine::ClusterTime mark, std::uint64_t age_ms) {
  return mark + age_ms + age_ms / 8;
}

}  // namespace

void Store::State::note_revision() {
  if (times.empty() || now.value - times.back().first.value >= kTimeMarkIntervalMs) {
    times.push_back({now, now, stats.revision});
  } else {
    hash_sum -= hash_of(times.back());
    times.back().last = now;
    times.back().revision = stats.revision;
  }
  hash_sum += hash_of(times.back());
}

// The revision up to which history should go; compact_revision: nothing is to be dropped.
Revision Store::State::compaction_target(machine::ClusterTime at) const {
  Revision target = stats.compact_revision;
  if (!times.empty() && due(times.front().last, history.age_ms) <= at) {
    for (const TimeMark& mark : times) {
      if (mark.last + history.age_ms > at) break;
      target = std::max(target, mark.revision);
    }
  }
  // What is dropped already may stay in memory while a snapshot is made of it; it does not count.
  if (window_bytes() > history.bytes) {
    const std::size_t window = changes.size() - window_begin();
    ASSERT_CMP(window, >, 0U);
    // Down to three quarters, so that this is not needed again at once.
    const double keep =
        0.75 * static_cast<double>(history.bytes) / static_cast<double>(window_bytes());
    const auto kept = static_cast<std::size_t>(keep * static_cast<double>(window));
    target = std::max(target, changes[changes.size() - 1 - std::min(kept, window - 1)].revision);
  }
  return std::min(target, stats.revision);
}

std::size_t Store::State::window_begin() const {
  const auto begin =
      std::ranges::upper_bound(changes, stats.compact_revision, {}, &Change::revision);
  return static_cast<std::size_t>(begin - changes.begin());
}

Revision Store::State::tidy_up_to() const {
  Revision up_to = std::min(stats.compact_revision, watched_after);
  for (const Revision from : held)
    up_to = std::min(up_to, from);
  return up_to;
}

bool Store::State::tidy_slice() {
  std::size_t freed = 0;
  while (!discarded_leases.empty()) {
    if (freed >= limits::kTidyVersionsPerSliceMax) return true;
    freed += 1 + discarded_leases.begin()->second.keys.size();
    discarded_leases.erase(discarded_leases.begin());
  }
  while (!discarded_retries.empty()) {
    if (freed++ >= limits::kTidyVersionsPerSliceMax) return true;
    discarded_retries.drop_oldest();
  }
  for (Keys& keys : discarded) {
    while (!keys.empty()) {
      if (freed >= limits::kTidyVersionsPerSliceMax) return true;
      freed += 1 + std::prev(keys.end())->older_count();
      keys.erase_last();
    }
  }
  const Revision up_to = tidy_up_to();
  while (!changes.empty() && changes.front().revision <= up_to) {
    if (freed >= limits::kTidyVersionsPerSliceMax) return true;
    const Change change = changes.front();
    if (marked(0)) ended_marks.pop_front();
    changes.pop_front();
    ++changes_dropped;
    trimmed = change.revision;
    ++freed;
    stats.history_bytes -= kChangeWeight;
    Keys& keys = in(change.key->space());
    const Revision newest_mod = change.key->newest().mod();
    keys.drop_before(*change.key, change.revision, [&](const Version& version) {
      ++freed;
      // The newest version is no history; it is dropped only as a tombstone.
      if (version.mod() != newest_mod) stats.history_bytes -= history_weight(version);
    });
    if (change.key->empty()) keys.erase(*change.key);
  }
  return false;
}

std::optional<Bytes> Store::chore(machine::ClusterTime now) const {
  const auto expiry = state_->next_expiry();
  if (expiry && *expiry <= now) return encode(DropTickets{});
  const auto& deadlines = state_->deadlines;
  if (!deadlines.empty() && deadlines.begin()->first <= now) return encode(ExpireLeases{});
  const Revision target = state_->compaction_target(now);
  if (target <= state_->stats.compact_revision) return std::nullopt;
  return encode(Compact{target});
}

std::optional<machine::ClusterTime> Store::next_chore() const {
  const State& s = *state_;
  if (s.compaction_target({0}) > s.stats.compact_revision) return machine::ClusterTime{0};
  std::optional<machine::ClusterTime> next = s.next_expiry();
  const auto consider = [&](machine::ClusterTime time) {
    next = next ? std::min(*next, time) : time;
  };
  if (!s.deadlines.empty()) consider(s.deadlines.begin()->first);
  if (!s.times.empty()) consider(due(s.times.front().last, s.history.age_ms));
  return next;
}

bool Store::tidy_slice() {
  return state_->tidy_slice();
}

}  // namespace raftd::kv
