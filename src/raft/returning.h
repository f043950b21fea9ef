// Whether a leader's entries wait for clients that were just answered.
//
// A commit answers as many clients as it has writes. Those who ask one thing after the other are
// back soon. If what waits by then left without them, they would wait for it, and it for them the
// next time: two groups that take turns, and each write takes the time of two. So the leader waits
// until as many writes came in as were committed, but no longer than that commit took.
//
// It does so only where this has paid: where exactly so many came, in time, after most of the
// commits before. Those who ask whenever they like come in other numbers, and are not waited for.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace raftd::raft {

class Returning {
 public:
  // So many writes are committed. took: since they left for a follower, or for the disk.
  void committed(Instant now, std::uint64_t writes, Duration took);
  // A write came in.
  void came(Instant now);
  // More are to come before what waits had better leave. That is over at until() at the latest.
  bool awaited(Instant now) const {
    return trust_ >= kTrusted && came_ < expected_ && now < until();
  }
  Instant until() const { return since_ + patience_; }

 private:
  static constexpr int kTrusted = 3;
  static constexpr int kTrustMax = 7;
  static constexpr int kBroken = 2;  // What it costs that they did not come as expected.

  Instant since_{};               // The last commit.
  std::uint64_t expected_ = 0;    // Its writes.
  std::uint64_t came_ = 0;        // Since then.
  Instant last_expected_came_{};  // When expected_ was reached, or the last before that.
  Duration patience_{};
  int trust_ = 0;
};

}  // namespace raftd::raft
