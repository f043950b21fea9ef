#include "node/cluster_time.h"

#include <algorithm>

#include "base/assert.h"
#include "base/endian.h"

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

machine::Applied to_apply(const raft::Entry& entry, ClusterClock& clock,
                          std::optional<raft::Configuration>& room) {
  machine::Applied next{entry.index, entry.term, clock.applied(), {}};
  const ByteView payload = entry.payload.bytes;
  if (entry.kind == raft::EntryKind::kCommand && payload.size() >= machine::kStampBytes) {
    next.time = clock.apply({load_le<std::uint64_t>(payload)});
    next.command = payload.subspan(machine::kStampBytes);
  } else if (entry.kind == raft::EntryKind::kConfiguration) {
    auto configuration = raft::decode_configuration(payload);
    ASSERT(configuration);  // The core has read it before it was committed.
    room = *std::move(configuration);
    next.configuration = &*room;
  }
  return next;
}

}  // namespace raftd::node
