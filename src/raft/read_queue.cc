#include "raft/read_queue.h"

#include <algorithm>
#include <utility>

namespace raftd::raft {
namespace {

// Moves the elements that have waited since then or longer from the front of queue to expired.
template <class T>
void take_expired(std::vector<T>& queue, Instant since, std::vector<T>& expired) {
  const auto end =
      std::find_if(queue.begin(), queue.end(), [&](const T& each) { return each.since > since; });
  expired.insert(expired.end(), queue.begin(), end);
  queue.erase(queue.begin(), end);
}

}  // namespace

void LeaderReads::start_round(Instant now, ReadSeq seq, Index at) {
  ASSERT(round_due());
  ASSERT_CMP(seq, >, round_);
  confirming_ = std::exchange(waiting_, {});
  begun_ = now;
  round_ = seq;
  at_ = at;
}

std::vector<ReadWaiter> LeaderReads::finish_round() {
  ASSERT(in_round());
  return std::exchange(confirming_, {});
}

std::vector<ReadWaiter> LeaderReads::expire(Instant since) {
  std::vector<ReadWaiter> expired;
  take_expired(confirming_, since, expired);
  take_expired(waiting_, since, expired);
  return expired;
}

Instant LeaderReads::oldest() const {
  if (!confirming_.empty()) return confirming_.front().since;
  return waiting_.empty() ? Instant::never() : waiting_.front().since;
}

std::vector<ReadWaiter> LeaderReads::take_all() {
  std::vector<ReadWaiter> all = std::exchange(confirming_, {});
  all.insert(all.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  return all;
}

std::uint64_t RemoteReads::ask(Instant now) {
  ASSERT(!waiting_.empty());
  ++seq_;
  for (auto each = waiting_.rbegin(); each != waiting_.rend() && each->asked == 0; ++each) {
    each->asked = seq_;
  }
  in_flight_ = true;
  asked_at_ = now;
  return seq_;
}

std::vector<RemoteReads::Token> RemoteReads::answered(std::uint64_t seq) {
  if (seq > seq_) return {};
  const auto end = std::find_if(waiting_.begin(), waiting_.end(), [&](const Token& each) {
    return each.asked == 0 || each.asked > seq;
  });
  std::vector<Token> done(waiting_.begin(), end);
  waiting_.erase(waiting_.begin(), end);
  if (seq == seq_ || waiting_.empty()) in_flight_ = false;
  return done;
}

std::vector<RemoteReads::Token> RemoteReads::expire(Instant since) {
  std::vector<Token> expired;
  take_expired(waiting_, since, expired);
  if (waiting_.empty()) in_flight_ = false;
  return expired;
}

Instant RemoteReads::oldest() const {
  return waiting_.empty() ? Instant::never() : waiting_.front().since;
}

std::vector<RemoteReads::Token> RemoteReads::take_all() {
  in_flight_ = false;
  return std::exchange(waiting_, {});
}

}  // namespace raftd::raft
