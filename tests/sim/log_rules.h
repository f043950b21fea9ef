// What must be true of all logs together, and of what a node says while its disk holds what it
// holds: log matching, leader completeness, persist before send, and that what is committed is on
// a quorum of disks and stays there. Each check costs the same however long the run is.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "raft/message.h"
#include "sim/disk_log.h"
#include "sim/quorums.h"

namespace raftd::sim {

class LogRules {
 public:
  // At first each of them is a voter.
  // The last ones, the spares, are no members at first.
  LogRules(std::size_t nodes, std::size_t spares)
      : disks_(nodes), quorums_(nodes, spares), acked_(nodes) {}

  // The disk outlives this.
  void attach(std::size_t node, const DiskLog& disk) { disks_[node] = &disk; }
  Quorums& quorums() { return quorums_; }
  const Quorums& quorums() const { return quorums_; }

  // Of node's disk.
  void wrote(std::size_t node, const LogImage& image, raft::Index index);
  void replaced(std::size_t node, raft::Index index, const LogSlot& slot) const;
  void hard_state(std::size_t node, const raft::HardState& before,
                  const raft::HardState& now) const;

  // A node counts everything to here as committed, in its present term.
  void committed(std::size_t node, raft::Index index, raft::Term term);
  // crc: of the entry's payload; nullopt: not known.
  void applied(std::size_t node, raft::Index index, raft::Term term,
               std::optional<std::uint32_t> crc) const;
  // A message leaves its node.
  void sends(std::size_t node, const raft::Message& message);
  void leads(std::size_t node, raft::Term term);
  // It began to lead, with a log that ends here.
  void elected(std::size_t node, raft::Term term, raft::Index last) const;
  // What a node takes for durable.
  void persisted(std::size_t node, raft::Index index) const;
  // A client was told so.
  void acknowledged(raft::Index index) const;

  raft::Index last_committed() const { return {committed_.size()}; }
  const LogSlot& committed_at(raft::Index index) const {
    ASSERT_CMP(index, <=, last_committed());
    return committed_[index.value - 1].slot;
  }

 private:
  struct Known {
    raft::Term term;
    std::uint64_t chain = 0;
  };
  struct Committed {
    LogSlot slot;
    raft::Term in;  // By a leader of this term or an earlier one.
  };

  struct Acked {
    raft::Term term;
    raft::Index match;
  };

  void sends_vote(std::size_t node, const raft::Message& message, const raft::VoteReply& reply);
  void sends_ack(std::size_t node, const raft::Message& message, raft::Index match);
  void sends_entries(std::size_t node, const raft::Message& message,
                     const raft::AppendRequest& request);
  void hands_over(std::size_t node, const raft::Message& message);
  bool has(std::size_t disk, raft::Index index, std::uint64_t chain) const {
    return disks_[disk]->chain_at(index) == chain;
  }
  raft::Index committed_before(raft::Term term) const;

  std::vector<const DiskLog*> disks_;
  Quorums quorums_;
  std::vector<Acked> acked_;  // By node: what it said last that its disk holds, to whom.
  std::vector<std::vector<Known>> known_;  // By index: each entry that any disk ever held there.
  std::vector<Committed> committed_;
  std::map<raft::Term, std::size_t> leaders_;
  std::map<std::pair<std::size_t, raft::Term>, raft::NodeId> votes_;  // That left their nodes.
  // Of the newest leaders: the term of each entry that they sent; 0: not sent.
  std::map<raft::Term, std::vector<raft::Term>> sent_;
};

}  // namespace raftd::sim
