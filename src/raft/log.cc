#include "raft/log.h"

#include <algorithm>

#include "base/limits.h"

namespace raftd::raft {

EntryLog::EntryLog(Durable durable)
    : first_(durable.first_index),
      prev_term_(durable.prev_term),
      last_(durable.last_index),
      runs_(std::move(durable.terms)),
      configurations_(std::move(durable.configurations)),
      cache_(std::make_move_iterator(durable.tail.begin()),
             std::make_move_iterator(durable.tail.end())),
      cache_first_{last_.value + 1 - cache_.size()},
      durable_(last_),
      writing_(last_),
      commit_(first_.prev()),
      handed_(commit_),
      applied_(commit_),
      unchecked_(cache_.size()) {
  for (const Entry& entry : cache_)
    cache_bytes_ += memory_bytes(entry);
  if (durable.snapshot) {
    const SnapshotMeta& snapshot = *durable.snapshot;
    ASSERT_CMP(first_, <=, snapshot.id.last_index.next());
    if (snapshot.id.last_index == first_.prev()) prev_term_ = snapshot.id.last_term;
    if (term_at(snapshot.id.last_index) == snapshot.id.last_term) {
      // The log may begin behind the entry of the configuration that its beginning has.
      if (configurations_.empty() || configurations_.front().index > snapshot.configuration.index) {
        configurations_.insert(configurations_.begin(), snapshot.configuration);
      }
      skip_to(snapshot.id.last_index);
    } else {
      reset_to(snapshot);
    }
  } else {
    ASSERT_CMP(first_, ==, Index{1});
  }
  check_invariants();
}

std::vector<TermRun>::const_iterator EntryLog::run_of(Index index) const {
  ASSERT_CMP(index, >=, first_);
  ASSERT_CMP(index, <=, last_);
  if (runs_.back().first <= index) return runs_.end() - 1;
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](Index wanted, const TermRun& run) { return wanted < run.first; });
  ASSERT(after != runs_.begin());
  return after - 1;
}

std::optional<Term> EntryLog::term_at(Index index) const {
  if (!index) return Term{};
  if (index == first_.prev() && prev_term_) return prev_term_;
  if (index < first_ || index > last_) return std::nullopt;
  return run_of(index)->term;
}

Index EntryLog::first_of_term_at(Index index) const {
  return run_of(index)->first;
}

Index EntryLog::last_up_to(Term term) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), term,
                       [](Term wanted, const TermRun& run) { return wanted < run.term; });
  return after == runs_.end() ? last_ : after->first.prev();
}

void EntryLog::append(Entry entry) {
  ASSERT_CMP(entry.index, ==, last_.next());
  ASSERT_CMP(entry.term, >=, last_term());
  ASSERT_CMP(entry.term.value, >, 0U);
  if (runs_.empty() || entry.term != runs_.back().term) runs_.push_back({entry.index, entry.term});
  if (entry.kind == EntryKind::kConfiguration) {
    Result<Configuration> configuration = decode_configuration(entry.payload.bytes);
    ASSERT(configuration);
    configurations_.push_back({entry.index, *std::move(configuration)});
  }
  last_ = entry.index;
  const std::size_t bytes = memory_bytes(entry);
  cache_bytes_ += bytes;
  unpersisted_bytes_ += bytes;
  cache_.push_back(std::move(entry));
  ++unchecked_;
}

std::uint64_t EntryLog::truncate(Index index) {
  ASSERT_CMP(index, >, commit_);
  ASSERT_CMP(index, >=, first_);
  if (index > last_) return 0;
  const std::uint64_t dropped = last_ - index + 1;
  unchecked_ += cache_.size();
  while (!cache_.empty() && cache_.back().index >= index) {
    const std::size_t bytes = memory_bytes(cache_.back());
    cache_bytes_ -= bytes;
    if (cache_.back().index > durable_) unpersisted_bytes_ -= bytes;
    cache_.pop_back();
  }
  cache_first_ = std::min(cache_first_, index);
  while (!runs_.empty() && runs_.back().first >= index)
    runs_.pop_back();
  while (!configurations_.empty() && configurations_.back().index >= index) {
    configurations_.pop_back();
  }
  last_ = index.prev();
  durable_ = std::min(durable_, last_);
  writing_ = std::min(writing_, last_);
  return dropped;
}

void EntryLog::drop_to(Index first) {
  ASSERT_CMP(first, <=, applied_.next());
  ASSERT_CMP(first, <=, durable_.next());
  if (first <= first_) return;
  prev_term_ = term_at(first.prev()).value_or(Term{});
  while (!cache_.empty() && cache_.front().index < first) {
    cache_bytes_ -= memory_bytes(cache_.front());
    cache_.pop_front();
  }
  cache_first_ = std::max(cache_first_, first);
  first_ = first;
  if (last_ < first_) {
    runs_.clear();
  } else {
    const auto kept = run_of(first);
    runs_.erase(runs_.begin(), kept);
    runs_.front().first = first;
  }
  // The newest of those before the log is still in effect at its beginning.
  while (configurations_.size() > 1 && configurations_[1].index < first)
    configurations_.erase(configurations_.begin());
}

void EntryLog::reset_to(const SnapshotMeta& snapshot) {
  const Index at = snapshot.id.last_index;
  ASSERT_CMP(at, >=, applied_);
  ASSERT(term_at(at) != snapshot.id.last_term);
  first_ = at.next();
  prev_term_ = snapshot.id.last_term;
  last_ = at;
  runs_.clear();
  configurations_ = {snapshot.configuration};
  cache_.clear();
  cache_first_ = first_;
  cache_bytes_ = 0;
  unpersisted_bytes_ = 0;
  durable_ = writing_ = at;  // What is being written is of a log that is no more.
  commit_ = handed_ = applied_ = at;
  reset_ = snapshot.id;
}

std::optional<SnapshotId> EntryLog::take_reset() {
  return std::exchange(reset_, std::nullopt);
}

void EntryLog::skip_to(Index index) {
  ASSERT_CMP(index, <=, last_);
  commit_ = std::max(commit_, index);
  handed_ = std::max(handed_, index);
  applied_ = std::max(applied_, index);
}

std::vector<Entry> EntryLog::begin_batch() {
  ASSERT_CMP(writing_, ==, durable_);
  std::vector<Entry> batch;
  if (durable_ == last_) return batch;
  const std::size_t count_max = std::min<std::size_t>(last_ - durable_, limits::kBatchEntriesMax);
  batch.reserve(count_max);
  std::size_t bytes = 0;
  while (batch.size() < count_max) {
    const Entry& entry = at(writing_.next());
    bytes += entry.payload.bytes.size();
    if (bytes > limits::kBatchBytesMax && !batch.empty()) break;
    batch.push_back(entry);
    writing_ = entry.index;
  }
  return batch;
}

void EntryLog::finish_batch() {
  while (durable_ < writing_) {
    durable_ = durable_.next();
    unpersisted_bytes_ -= memory_bytes(at(durable_));
  }
}

const Entry& EntryLog::at(Index index) const {
  ASSERT(cached(index));
  return cache_[index - cache_first_];
}

void EntryLog::evict(Index keep_from, std::size_t bytes_max) {
  const Index end = std::min(keep_from, durable_.next());
  while (cache_bytes_ > bytes_max && !cache_.empty() && cache_first_ < end) {
    cache_bytes_ -= memory_bytes(cache_.front());
    cache_.pop_front();
    cache_first_ = cache_first_.next();
    ++unchecked_;
  }
}

void EntryLog::commit_to(Index index) {
  ASSERT_CMP(index, >=, commit_);
  ASSERT_CMP(index, <=, last_);
  commit_ = index;
}

void EntryLog::hand_to(Index index) {
  ASSERT_CMP(index, >=, handed_);
  ASSERT_CMP(index, <=, commit_);
  handed_ = index;
}

void EntryLog::apply_to(Index index) {
  ASSERT_CMP(index, >=, applied_);
  ASSERT_CMP(index, <=, handed_);
  applied_ = index;
}

const ConfigurationAt& EntryLog::configuration_at(Index index) const {
  if (configurations_.empty()) return nothing_;
  const auto after = std::upper_bound(
      configurations_.begin(), configurations_.end(), index,
      [](Index wanted, const ConfigurationAt& each) { return wanted < each.index; });
  ASSERT(after != configurations_.begin());
  return *(after - 1);
}

void EntryLog::check_invariants() {
  ASSERT_CMP(first_.value, >=, 1U);
  ASSERT_CMP(first_.prev(), <=, applied_);
  ASSERT_CMP(applied_, <=, handed_);
  ASSERT_CMP(handed_, <=, commit_);
  ASSERT_CMP(commit_, <=, last_);
  ASSERT_CMP(durable_, <=, writing_);
  ASSERT_CMP(writing_, <=, last_);
  ASSERT_CMP(cache_first_, <=, durable_.next());
  ASSERT_CMP(cache_first_, >=, first_);
  ASSERT_CMP(cache_first_.value + cache_.size(), ==, last_.value + 1);
  ASSERT_CMP(runs_.empty(), ==, last_ < first_);
  if (!runs_.empty()) {
    ASSERT_CMP(runs_.front().first, ==, first_);
    ASSERT_CMP(runs_.back().first, <=, last_);
  }
  for (std::size_t i = 1; i < runs_.size(); ++i) {
    ASSERT_CMP(runs_[i - 1].first, <, runs_[i].first);
    ASSERT_CMP(runs_[i - 1].term, <, runs_[i].term);
  }
  for (std::size_t i = 1; i < configurations_.size(); ++i) {
    ASSERT_CMP(configurations_[i - 1].index, <, configurations_[i].index);
  }
  if (!configurations_.empty()) ASSERT_CMP(configurations_.back().index, <=, last_);
  const bool whole = unchecked_ > cache_.size() / 4;
  check_cache(whole);
  if (whole) unchecked_ = 0;
}

void EntryLog::check_cache(bool whole) const {
  constexpr std::size_t kNewest = 16;
  const std::size_t newest = std::max<std::size_t>(kNewest, last_ - durable_);
  std::size_t cache_bytes = 0;
  std::size_t unpersisted_bytes = 0;
  std::size_t i = whole || cache_.size() < newest ? 0 : cache_.size() - newest;
  if (cache_.empty()) {
    ASSERT_CMP(cache_bytes_ + unpersisted_bytes_, ==, 0U);
    return;
  }
  auto run = run_of(Index{cache_first_.value + i});
  for (auto at = cache_.begin() + static_cast<std::ptrdiff_t>(i); at != cache_.end(); ++at, ++i) {
    const Entry& entry = *at;
    while (run + 1 != runs_.end() && (run + 1)->first <= entry.index)
      ++run;
    ASSERT_CMP(entry.index.value, ==, cache_first_.value + i);
    ASSERT_CMP(entry.term, ==, run->term);
    cache_bytes += memory_bytes(entry);
    if (entry.index > durable_) unpersisted_bytes += memory_bytes(entry);
  }
  ASSERT_CMP(unpersisted_bytes, ==, unpersisted_bytes_);
  if (whole) ASSERT_CMP(cache_bytes, ==, cache_bytes_);
}

}  // namespace raftd::raft
