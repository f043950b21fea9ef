#include "raft/returning.h"

#include <algorithm>

#include "base/limits.h"

namespace raftd::raft {

void Returning::committed(Instant now, std::uint64_t writes, Duration took) {
  const bool in_time = last_expected_came_ - since_ <= patience_;
  if (expected_ > 0 && came_ == expected_ && in_time) {
    trust_ = std::min(trust_ + 1, kTrustMax);
  } else {
    trust_ = std::max(trust_ - kBroken, 0);
  }
  since_ = now;
  expected_ = writes;
  came_ = 0;
  patience_ = std::min<Duration>(took, limits::kReturnPatienceMax);
}

void Returning::came(Instant now) {
  if (++came_ <= expected_) last_expected_came_ = now;
}

}  // namespace raftd::raft
