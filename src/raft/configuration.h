// Who takes part. A configuration is the payload of a log entry; the newest one in the log is in
// effect from the moment it is appended, committed or not, and the one before it is in effect
// again if it is overwritten.
#pragma once

#include "base/result.h"
#include "raft/types.h"

namespace raftd::raft {

struct MemberAddress {
  NodeId id;
  std::string peer;  // "host:port". Opaque to the core.
  bool operator==(const MemberAddress&) const = default;
};

// Every list is sorted by id, without duplicates.
// Invariants: voters and learners are disjoint; voters is empty only on a node that has not joined
// yet; addresses names each member exactly once; sizes are within base/limits.h.
// A node in voters_outgoing and learners is being demoted: it votes until the joint phase ends.
struct Configuration {
  std::vector<NodeId> voters;           // Incoming half.
  std::vector<NodeId> voters_outgoing;  // Not empty: joint. Majorities of both halves are needed.
  std::vector<NodeId> learners;         // Receive the log; never counted, never campaign.
  std::vector<MemberAddress> addresses;

  bool joint() const { return !voters_outgoing.empty(); }
  bool operator==(const Configuration&) const = default;
};

// Of voters, outgoing voters and learners; ascending.
std::vector<NodeId> members_of(const Configuration& configuration);
// Voter, outgoing voter or learner.
bool is_member(const Configuration& configuration, NodeId id);
// The joint phase between two configurations (thesis 4.3), and what follows it.
Configuration joint_of(const Configuration& present, const Configuration& target);
Configuration after_joint(const Configuration& joint);

struct ConfigurationAt {
  Index index;
  Configuration configuration;
};

struct MembershipChange {
  Configuration target;  // Not joint.
  Index based_on;        // Of the configuration that the caller has seen.
  // Even if no majority of the new voters answers: nothing is committed until one does.
  bool forced = false;
};

// Names a snapshot's content: two files with the same id hold the same bytes.
struct SnapshotId {
  Index last_index;  // What the log had done to the state.
  Term last_term;
  std::uint64_t file_bytes = 0;
  std::uint32_t digest = 0;  // Of the body (storage/snapshot_file.h).
  auto operator<=>(const SnapshotId&) const = default;
};

struct SnapshotMeta {
  SnapshotId id;
  ConfigurationAt configuration;  // In effect at last_index; may be joint.
};

// Fixed little-endian layout (disk-format: entry payload of kind 3): the core reads configurations
// out of entries without any library. Precondition of encode: the invariants above. decode checks
// them: a peer or a disk may lie; its error names the first rule that does not hold.
Bytes encode(const Configuration& configuration);
Result<Configuration> decode_configuration(ByteView payload);
// kBadInput: the first rule that does not hold.
Status check(const Configuration& configuration);

}  // namespace raftd::raft
