#include "node/cluster_time.h"

#include <algorithm>
#include <utility>

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

bool ClusterClock::advance(Instant now, const std::optional<Heard>& heard) {
  ASSERT(now >= last_);
  const Duration gap = now - last_;
  if (heard) count(now, *heard);
  last_ = now;
  return gap > gap_max_;
}

// The time since the last call, as far as it counts.
void ClusterClock::count(Instant now, const Heard& heard) {
  const Duration counted = std::min(now - last_, gap_max_);
  const auto length = [](Instant from, Instant to) { return std::max(Duration{}, to - from); };
  if (!heard_ || heard_->term != heard.term) {
    doubtful_ = {};  // Whoever led before counts no more.
    reading_ += counted;
  } else if (heard.at == heard_->at) {
    reading_ += counted;
    const Duration silent = length(std::max(last_, heard_->at + gap_max_), now);
    doubtful_ += std::min(silent, counted);
  } else {
    const Duration before = length(last_, std::min(heard.at, heard_->at + gap_max_));
    const Duration since = length(std::max(last_, heard.at), now);
    reading_ += std::min(before + since, gap_max_) - std::exchange(doubtful_, Duration{});
    reading_ = std::max(reading_, duration_of(applied_));
  }
  heard_ = heard;
}

machine::ClusterTime ClusterClock::apply(machine::ClusterTime stamp) {
  applied_ = std::max(applied_, machine::ClusterTime{std::min(stamp.value, kMillisecondsMax)});
  if (reading_ <= duration_of(applied_)) {
    reading_ = duration_of(applied_);  // As the leader's own.
    doubtful_ = {};
  }
  return applied_;
}

// Whoever leads may be behind this node's reading: then so is what was made by its stamps, and
// would end early if this node went on ahead when it leads.
machine::ClusterTime ClusterClock::apply(machine::ClusterTime stamp, raft::Term term,
                                         bool led_here) {
  apply(stamp);
  if (term != std::exchange(stamped_, term) && !led_here) {
    reading_ = duration_of(applied_);
    doubtful_ = {};
  }
  return applied_;
}

machine::ClusterTime ClusterClock::reading() const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(reading_);
  return {static_cast<std::uint64_t>(ms.count())};
}

machine::Applied to_apply(const raft::Entry& entry, ClusterClock& clock, bool led_here,
                          std::optional<raft::Configuration>& room) {
  machine::Applied next{entry.index, entry.term, clock.applied(), {}};
  const ByteView payload = entry.payload.bytes;
  if (entry.kind == raft::EntryKind::kCommand && payload.size() >= machine::kStampBytes) {
    next.time = clock.apply({load_le<std::uint64_t>(payload)}, entry.term, led_here);
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
