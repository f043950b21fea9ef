#include "node/transfer_pace.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"

namespace raftd::node {
namespace {

// Null: it is something else.
const raft::SnapshotChunk* piece_of(const PeerMessage& message) {
  const auto* core = std::get_if<raft::Message>(&message);
  return core == nullptr ? nullptr : std::get_if<raft::SnapshotChunk>(&core->body);
}

}  // namespace

bool is_snapshot_piece(const PeerMessage& message) {
  return piece_of(message) != nullptr;
}

bool same_piece(const PeerMessage& a, const PeerMessage& b) {
  const raft::SnapshotChunk* x = piece_of(a);
  const raft::SnapshotChunk* y = piece_of(b);
  if (x == nullptr || y == nullptr) return false;
  const bool same_term = std::get<raft::Message>(a).term == std::get<raft::Message>(b).term;
  return same_term && x->meta.id == y->meta.id && x->offset == y->offset && x->bytes == y->bytes;
}

void TransferPace::sent(Instant now, std::size_t bytes) {
  ASSERT(admits(now));
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  const auto takes = static_cast<Duration::rep>(std::uint64_t{bytes} * kNsPerSecond /
                                                limits::kSnapshotSendBytesPerSecond);
  const Instant earliest{now.since_origin - limits::kSnapshotSendBurst};
  next_ = std::max(next_, earliest) + Duration(takes);
}

}  // namespace raftd::node
