// Knows what must be true of the whole cluster, which no node can know, and is told everything.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "node/replica.h"

namespace raftd::sim {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Oracle {
 public:
  // After every event of a node. Terms never fall, also over a restart; the rest not within a life.
  void node_is(std::size_t node, std::uint64_t life, const node::ReplicaStatus& status);
  // A node applied this entry.
  void applied(std::size_t node, const machine::Applied& entry);
  // Its state, digested, after it has applied up to index.
  void state_is(std::size_t node, raft::Index index, std::uint64_t digest);

  // A client was told that its write stands at this place in the log; value identifies it.
  void acknowledged(raft::Index index, raft::Term term, std::uint64_t value);
  // A client was told that this write did not happen and never will.
  void refused(std::uint64_t value) { refused_.insert(value); }
  // The highest index that any client has heard of by now.
  raft::Index heard() const { return heard_; }
  void heard(raft::Index index);

  // At the end.
  void check_refused() const;
  raft::Index last() const { return {canonical_.size()}; }

 private:
  struct Committed {
    raft::Term term;
    machine::ClusterTime time;
    std::uint64_t hash = 0;   // Of the command.
    std::uint64_t value = 0;  // That it writes; 0: none.
  };
  struct Last {
    std::uint64_t life = 0;
    raft::HardState hard_state;
    raft::Index commit;
    raft::Index applied;
  };

  std::map<raft::Term, std::size_t> leaders_;
  std::map<std::size_t, Last> nodes_;
  std::vector<Committed> canonical_;  // Index 1 first: what was applied first, by anyone.
  std::unordered_map<raft::Index, std::uint64_t> digests_;
  std::unordered_set<std::uint64_t> refused_;
  raft::Index heard_;
};

// "v17-xxxx" is value 17; 0: not a value of a simulated client.
std::uint64_t value_number(std::string_view value);

}  // namespace raftd::sim
