// Whose votes and disks count: what nobody but the simulator knows at any moment. A leader counts
// by the newest configuration in its log; what is committed stays with a majority of the newest
// that is committed, or of one that was in effect somewhere after it. Written without
// raft/quorum.h: it is what that is judged by.
#pragma once

#include <algorithm>
#include <vector>

#include "raft/configuration.h"

namespace raftd::sim {

class Quorums {
 public:
  // Before anything else is said: each node is a voter, but for the last ones, the spares.
  explicit Quorums(std::size_t nodes, std::size_t spares = 0);

  // In effect on this node. Whether it is new, and not below what is committed.
  bool in_effect(std::size_t node, const raft::ConfigurationAt& at);
  // The entry there, whose payload has this CRC, is committed. Ascending.
  void committed(raft::Index index, std::uint32_t crc);
  const raft::Configuration& committed() const { return committed_.configuration; }

  // Whether enough nodes are such, by the configuration in effect on this one.
  template <class Fn>
  bool has(std::size_t node, const Fn& is_such) const {
    return enough(own_[node].configuration, is_such);
  }
  // By the newest that is committed, and by each that may still follow it.
  template <class Fn>
  bool each_has(const Fn& is_such) const {
    return enough(committed_.configuration, is_such) &&
           std::ranges::all_of(later_, [&](const raft::ConfigurationAt& each) {
             return enough(each.configuration, is_such);
           });
  }
  // By one that may count somewhere.
  template <class Fn>
  bool has(const Fn& is_such) const {
    return enough(committed_.configuration, is_such) ||
           std::ranges::any_of(later_, [&](const raft::ConfigurationAt& each) {
             return enough(each.configuration, is_such);
           });
  }

 private:
  template <class Fn>
  static bool most(const std::vector<raft::NodeId>& voters, const Fn& is_such) {
    const auto such =
        std::ranges::count_if(voters, [&](raft::NodeId id) { return is_such(id.value - 1); });
    return static_cast<std::size_t>(such) > voters.size() / 2;
  }
  template <class Fn>
  static bool enough(const raft::Configuration& configuration, const Fn& is_such) {
    const auto& outgoing = configuration.voters_outgoing;
    return most(configuration.voters, is_such) && (outgoing.empty() || most(outgoing, is_such));
  }

  std::vector<raft::ConfigurationAt> own_;
  raft::ConfigurationAt committed_;           // The newest.
  std::vector<raft::ConfigurationAt> later_;  // In effect somewhere, once, after what is committed.
  raft::Index known_to_;                      // What is committed.
};

}  // namespace raftd::sim
