// What members anybody asked for. A configuration comes from a change that somebody asked for, or
// a leader promotes a learner whose ticket says so, and takes out whom it replaces, and nobody
// else: every other one is a violation. Written without src/node/promoting.cc, which it judges.
#pragma once

#include <optional>
#include <vector>

#include "raft/configuration.h"

namespace raftd::sim {

class Wishes {
 public:
  void members(const raft::Configuration& target) { asked_.push_back(roles_of(target)); }
  // Somebody asks for a ticket whose owner shall vote. Gives its number. Until given() says the id
  // it may be any: the answer may be lost on its way.
  std::size_t ticket(raft::NodeId replaces);
  void given(std::size_t ticket, raft::NodeId id) { tickets_[ticket].learner = id; }

  // It is so on this node, and was nowhere before. Gives the member that leaves by it, if it is a
  // promotion.
  std::optional<raft::NodeId> in_effect(std::size_t node, const raft::ConfigurationAt& at);

 private:
  using Ids = std::vector<raft::NodeId>;
  struct Roles {
    Ids voters;
    Ids learners;
    bool operator==(const Roles&) const = default;
  };
  struct Ticket {
    raft::NodeId learner;  // 0: not known.
    raft::NodeId replaces;
  };
  static Roles roles_of(const raft::Configuration& configuration) {
    return {configuration.voters, configuration.learners};
  }
  static Roles promoted(Roles roles, raft::NodeId learner, raft::NodeId replaces);
  std::optional<raft::NodeId> replaced_on_the_way_to(const Roles& now) const;

  std::vector<Roles> asked_;
  std::vector<Roles> seen_;
  std::vector<Ticket> tickets_;
};

}  // namespace raftd::sim
