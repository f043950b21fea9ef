// Pieces of snapshot files on their way to followers: the core says which, the read lane brings the
// bytes, the network takes them.
//
// Possible failure modes are: the file is gone meanwhile, or shorter than it was (the core hears
// that the piece was lost, and begins again with the snapshot that there is); too many wait for the
// disk (forgotten: the core tries again).
#pragma once

#include "node/replica.h"

namespace raftd::node {

class SnapshotSending {
 public:
  SnapshotSending(Disk& disk, Network& network) : disk_(disk), network_(network) {}

  static bool owns(storage::PlanId id) { return id.value >> 61U == kOwner; }

  // Its body is a SnapshotChunk without data.
  void send(raft::Message message);
  // Nobody: it has left. Else to whom it did not. term: the present one.
  raft::NodeId on_done(const storage::DiskResult& result, raft::Term term);

 private:
  static constexpr std::uint64_t kOwner = 6;

  Disk& disk_;
  Network& network_;
  std::uint64_t plans_ = 0;
  std::vector<std::pair<storage::PlanId, raft::Message>> reading_;
};

}  // namespace raftd::node
