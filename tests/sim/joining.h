// Machines that join while all else goes on: somebody asks for a ticket, comes with it, on two
// machines at once, and has the one that got the id taken in. The leader makes a voter of it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "kv/command.h"
#include "sim/cluster.h"

namespace raftd::sim {

class Joining {
 public:
  explicit Joining(Cluster& cluster) : cluster_(cluster) {}

  // The node is asked. dice decides the rest: with a ticket or without, voter or learner, whom it
  // replaces.
  void join(std::size_t node, std::uint64_t dice);
  // Another machine takes the place of this member, if a leader can be asked.
  void replace(std::size_t lost);
  // The node has become the owner of its id.
  bool came(std::size_t node) const { return owners_.contains(node + 1); }
  // Learners that shall vote, that run, and do not yet; as the leader knows them.
  bool promotions_wait() const;

 private:
  void ask(std::size_t node, kv::ReserveMember reserve, std::string token);
  void reserved(std::size_t node, const std::string& token, std::optional<std::size_t> wish,
                std::optional<node::ClientResult> result);
  void claim(std::size_t node, std::uint64_t id, const std::string& token, std::uint64_t instance);
  void claimed(std::size_t node, std::uint64_t id, bool with_ticket, std::uint64_t instance,
               std::optional<node::ClientResult> result);
  void take_in(std::size_t node, std::uint64_t id, int attempts);

  Cluster& cluster_;
  std::uint64_t last_instance_ = 0;
  std::set<std::uint64_t> given_;                  // Ids that tickets had.
  std::map<std::uint64_t, std::uint64_t> owners_;  // Of ids: the instance whose claim was done.
};

}  // namespace raftd::sim
