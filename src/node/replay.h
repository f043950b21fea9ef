// The state of a node that does not run: that of its snapshot, with every entry of its log applied,
// whether it was known to be committed or not.
#pragma once

#include "machine/state_machine.h"
#include "storage/recovery.h"

namespace raftd::node {

struct Replayed {
  raft::Index index;  // Of the last entry; both 0: there is none.
  raft::Term term;
  machine::ClusterTime time;
  std::uint64_t entries = 0;          // Applied here.
  raft::Configuration configuration;  // The newest.
};

// Precondition: the machine's state is that of recovered.durable.snapshot, or empty, and the tail
// holds every entry behind it. kCorrupt: it does not.
Result<Replayed> replay(const storage::Recovered& recovered, machine::StateMachine& machine);

}  // namespace raftd::node
