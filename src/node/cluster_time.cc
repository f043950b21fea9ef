#include "node/cluster_time.h"

#include <algorithm>

#include "base/assert.h"

namespace raftd::node {
namespace {

// A stamp comes from the disk or from a peer. What a Duration cannot hold is cut: 200 years.
constexpr std::uint64_t kMillisecondsMax = 200ULL * 365 * 24 * 3600 * 1000;

Duration duration_of(machine::ClusterTime time) {
  return std::chrono::milliseconds(std::min(time.value, kMillisecondsMax));
}

}  // namespace

void ClusterClock::advance(Instant now, bool leader_heard) {
  ASSERT(now >= last_);
  if (leader_heard) reading_ += std::min(now - last_, gap_max_);
  last_ = now;
}

machine::ClusterTime ClusterClock::apply(machine::ClusterTime stamp) {
  applied_ = std::max(applied_, machine::ClusterTime{std::min(stamp.value, kMillisecondsMax)});
  reading_ = std::max(reading_, duration_of(applied_));
  return applied_;
}

machine::ClusterTime ClusterClock::reading() const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(reading_);
  return {static_cast<std::uint64_t>(ms.count())};
}

}  // namespace raftd::node
