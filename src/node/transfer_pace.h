// What all who carry messages between nodes hold to, the simulator too: pieces of snapshots go
// after everything else, one at a time, and no faster than this allows.
#pragma once

#include <cstddef>

#include "base/time.h"
#include "node/peer_message.h"

namespace raftd::node {

// A piece of a snapshot with its bytes: what is large, and whose delay delays nobody else. Its
// answer is not: it says where the transfer goes on.
bool is_snapshot_piece(const PeerMessage& message);

// Both are pieces, and of the same place in the same file.
bool same_piece(const PeerMessage& a, const PeerMessage& b);

// How fast pieces leave a node, to all receivers together: kSnapshotSendBytesPerSecond. What is not
// used is not saved up, but for kSnapshotSendBurst.
class TransferPace {
 public:
  bool admits(Instant now) const { return now >= next_; }
  // A piece of so many bytes goes now. Precondition: admits(now).
  void sent(Instant now, std::size_t bytes);

 private:
  Instant next_{};
};

}  // namespace raftd::node
