#include "node/waiting.h"

#include <algorithm>

namespace raftd::node {

void WaitingWrites::add(raft::Term term, const Waiter& waiter) {
  ASSERT(waiter.token);
  auto queue = std::ranges::find(queues_, term, &Queue::term);
  if (queue == queues_.end()) queue = queues_.insert(queues_.end(), Queue{term, {}});
  Ring<Waiter>& waiters = queue->waiters;
  std::size_t place = waiters.size();
  while (place > 0 && waiters[place - 1].index > waiter.index)
    --place;
  if (place == waiters.size()) {
    waiters.push_back(waiter);
  } else {
    waiters.insert(place, waiter);
  }
  ++live_;
  watch_.add(waiter.deadline);
}

bool WaitingWrites::wanted(raft::Index index, raft::Term term) const {
  for (const Queue& queue : queues_) {
    if (queue.term != term) continue;
    // Whatever waited below has been answered, so it can only be the first.
    return !queue.waiters.empty() && queue.waiters[0].index == index;
  }
  return false;
}

void WaitingWrites::drop_empty() {
  // The newest term's queue stays: its memory is used again by the next write.
  if (queues_.size() < 2) return;
  std::erase_if(queues_, [](const Queue& queue) { return queue.waiters.empty(); });
}

void WaitingWrites::check_invariants(raft::Index applied) const {
  std::size_t live = 0;
  for (const Queue& queue : queues_) {
    raft::Index before = applied;
    for (std::size_t i = 0; i < queue.waiters.size(); ++i) {
      const Waiter& waiter = queue.waiters[i];
      ASSERT_CMP(waiter.index, >, applied);
      ASSERT_CMP(waiter.index, >=, before);
      before = waiter.index;
      ++live;
    }
  }
  ASSERT_CMP(live, ==, live_);
}

void WaitingReads::asked(Waiter waiter) {
  ASSERT(waiter.query);
  waiter.read = next_read_++;
  watch_.add(waiter.deadline);
  asked_.push_back(std::move(waiter));
  ++size_;
}

void WaitingReads::park_unasked(Waiter waiter) {
  ASSERT(waiter.query);
  watch_.add(waiter.deadline);
  unasked_.push_back(std::move(waiter));
  ++size_;
}

void WaitingReads::answered(std::uint64_t read, std::optional<raft::Index> at) {
  ASSERT_CMP(read, >=, first_read_);
  ASSERT_CMP(read, <, next_read_);
  Waiter waiter = std::exchange(asked_[read - first_read_], Waiter());
  pop_answered();
  if (!waiter.query) return;
  if (!at) {
    waiter.read = 0;
    unasked_.push_back(std::move(waiter));
    return;
  }
  // In order. To wait for a higher index that is known to be committed is as good.
  waiter.read = at->value;
  if (!confirmed_.empty()) waiter.read = std::max(waiter.read, confirmed_.back().read);
  confirmed_.push_back(std::move(waiter));
}

void WaitingReads::pop_answered() {
  while (!asked_.empty() && !asked_.front().query && asked_.front().read == 0) {
    asked_.pop_front();
    ++first_read_;
  }
}

void WaitingReads::park(Waiter waiter) {
  ASSERT(waiter.query);
  watch_.add(waiter.deadline);
  parked_.push_back(std::move(waiter));
  ++size_;
}

bool WaitingReads::next_ready(raft::Index applied, Waiter& ready) {
  if (!has_ready(applied)) return false;
  ready = confirmed_.pop_front();
  --size_;
  return true;
}

std::vector<WaitingReads::Waiter> WaitingReads::take_parked() {
  size_ -= parked_.size();
  return std::exchange(parked_, {});
}

std::vector<WaitingReads::Waiter> WaitingReads::take_unasked(Instant now) {
  if (unasked_.empty()) return {};
  if (ask_at_ == Instant::never()) ask_at_ = now + kDeadlineScanInterval;
  if (now < ask_at_) return {};
  ask_at_ = Instant::never();
  size_ -= unasked_.size();
  return std::exchange(unasked_, {});
}

Instant WaitingReads::next_wakeup() const {
  return unasked_.empty() ? watch_.next_scan() : std::min(watch_.next_scan(), ask_at_);
}

}  // namespace raftd::node
