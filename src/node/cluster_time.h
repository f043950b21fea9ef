// Cluster time as this node reads it (see machine::ClusterTime). What is applied comes from the
// stamps in the log alone, so it is the same everywhere. In between, every node lets its own
// reading run with monotonic time while it hears a leader: else an idle hour would be lost with the
// leader, and what should live for an hour would live for two. Without a leader it stands still.
#pragma once

#include "base/time.h"
#include "machine/state_machine.h"

namespace raftd::node {

class ClusterClock {
 public:
  // A longer gap between two calls of advance() was a pause of the process: no more than this of
  // it is counted, so what expires by cluster time expires late, never early.
  ClusterClock(Duration gap_max, Instant now) : gap_max_(gap_max), last_(now) {}

  void advance(Instant now, bool leader_heard);
  // The stamp of an applied command; the time at that entry.
  machine::ClusterTime apply(machine::ClusterTime stamp);

  Instant last_advance() const { return last_; }
  machine::ClusterTime applied() const { return applied_; }  // At the last entry applied.
  machine::ClusterTime reading() const;                      // Never less than applied().

 private:
  Duration gap_max_;
  Instant last_;
  Duration reading_{};
  machine::ClusterTime applied_;
};

// A committed entry as the machine is given it; its stamp moves the clock. room: for a
// configuration, it outlives what is returned.
machine::Applied to_apply(const raft::Entry& entry, ClusterClock& clock,
                          std::optional<raft::Configuration>& room);

}  // namespace raftd::node
