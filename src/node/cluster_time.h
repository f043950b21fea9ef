// Cluster time as this node reads it (see machine::ClusterTime). What is applied comes from the
// stamps in the log alone, so it is the same everywhere. In between, every node lets its own
// reading run with monotonic time while it hears a leader: else an idle hour would be lost with the
// leader, and what should live for an hour would live for two. Without a leader it stands still.
//
// A leader that pauses does not count its pause. A follower cannot know that it pauses and has not
// died, so it counts on, and takes that back when it hears the same leader again: else it would be
// ahead, and what a client was given for a minute would end earlier when this node leads. For the
// same reason the first stamp of another leader is where a node that is ahead of it goes back to.
#pragma once

#include <optional>

#include "base/time.h"
#include "machine/state_machine.h"

namespace raftd::node {

class ClusterClock {
 public:
  // A longer gap between two calls of advance() was a pause of the process: no more than this of
  // it is counted, so what expires by cluster time expires late, never early.
  ClusterClock(Duration gap_max, Instant now) : gap_max_(gap_max), last_(now) {}

  // heard: the leader, as it was heard last; on the leader itself now; nullopt: there is none, or
  // it has been silent for long. True: a pause of this process has just ended.
  struct Heard {
    raft::Term term;
    Instant at;
  };
  bool advance(Instant now, const std::optional<Heard>& heard);
  // The stamp of an applied command; the time at that entry.
  machine::ClusterTime apply(machine::ClusterTime stamp);
  // The same, of an entry of that term. led_here: this node leads in it.
  machine::ClusterTime apply(machine::ClusterTime stamp, raft::Term term, bool led_here);

  Instant last_advance() const { return last_; }
  machine::ClusterTime applied() const { return applied_; }  // At the last entry applied.
  machine::ClusterTime reading() const;                      // Never less than applied().

 private:
  void count(Instant now, const Heard& heard);

  Duration gap_max_;
  Instant last_;
  Duration reading_{};
  raft::Term stamped_;   // By the leader of this term, last.
  Duration doubtful_{};  // Of it: counted while the leader was silent for longer than gap_max.
  std::optional<Heard> heard_;
  machine::ClusterTime applied_;
};

// A committed entry as the machine is given it; its stamp moves the clock. led_here: this node
// leads in its term. room: for a configuration, it outlives what is returned.
machine::Applied to_apply(const raft::Entry& entry, ClusterClock& clock, bool led_here,
                          std::optional<raft::Configuration>& room);

}  // namespace raftd::node
