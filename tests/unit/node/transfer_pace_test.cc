// Goal: pieces of snapshots leave a node no faster than the limit says, whatever the pauses between
// them. Method: a clock in the test's hand.
#include "node/transfer_pace.h"

#include <doctest/doctest.h>

#include "base/limits.h"

namespace raftd::node {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kBurstBytes =
    limits::kSnapshotSendBytesPerSecond *
    static_cast<std::uint64_t>(limits::kSnapshotSendBurst.count()) / 1000;

PeerMessage piece(std::uint64_t term, std::uint64_t last_index, std::uint64_t offset) {
  raft::SnapshotChunk chunk;
  chunk.meta.id = {{last_index}, {1}, 1000, 7};
  chunk.offset = offset;
  chunk.bytes = 10;
  return raft::Message{{1}, {2}, {term}, chunk};
}

// As many as may go now.
std::uint64_t send_all(TransferPace& pace, Instant now) {
  std::uint64_t sent = 0;
  while (pace.admits(now)) {
    pace.sent(now, limits::kSnapshotWireBytes);
    sent += limits::kSnapshotWireBytes;
  }
  return sent;
}

TEST_CASE("in a second no more leaves than the limit, a burst and a piece") {
  TransferPace pace;
  std::uint64_t sent = 0;
  const Instant begin{std::chrono::seconds(5)};
  for (int ms = 0; ms < 1000; ++ms)
    sent += send_all(pace, begin + milliseconds(ms));
  CHECK(sent <= limits::kSnapshotSendBytesPerSecond + kBurstBytes + limits::kSnapshotWireBytes);
  CHECK(sent >= limits::kSnapshotSendBytesPerSecond - limits::kSnapshotWireBytes -
                    limits::kSnapshotSendBytesPerSecond / 1000);
}

TEST_CASE("a pause is made up for by a burst, not by all that could have gone") {
  TransferPace pace;
  send_all(pace, Instant{std::chrono::seconds(5)});
  const std::uint64_t after = send_all(pace, Instant{std::chrono::seconds(65)});
  CHECK(after >= kBurstBytes);
  CHECK(after <= kBurstBytes + limits::kSnapshotWireBytes);
}

TEST_CASE("pieces are told from their answers, and those of one place in one file are the same") {
  CHECK(is_snapshot_piece(piece(3, 9, 0)));
  CHECK(!is_snapshot_piece(raft::Message{{1}, {2}, {3}, raft::SnapshotReply{}}));
  CHECK(!is_snapshot_piece(raft::Message{{1}, {2}, {3}, raft::AppendRequest{}}));
  CHECK(!is_snapshot_piece(Forward{}));
  CHECK(same_piece(piece(3, 9, 10), piece(3, 9, 10)));
  CHECK(!same_piece(piece(3, 9, 10), piece(3, 9, 20)));
  CHECK(!same_piece(piece(3, 9, 10), piece(3, 8, 10)));
  CHECK(!same_piece(piece(3, 9, 10), piece(4, 9, 10)));  // Of a term that is over: not taken.
  CHECK(!same_piece(Forward{}, Forward{}));
}

}  // namespace
}  // namespace raftd::node
