#include "node/replay.h"

#include <algorithm>

#include "base/text.h"
#include "node/cluster_time.h"

namespace raftd::node {
namespace {

// Whether the log goes on where the snapshot ends. One that has another entry there is what an
// installed snapshot was to replace: a crash came before that was written down.
bool follows(const raft::Durable& durable, const raft::SnapshotId& snapshot) {
  if (durable.last_index < snapshot.last_index) return false;
  if (durable.first_index > snapshot.last_index) return true;
  raft::Term at;
  for (const raft::TermRun& run : durable.terms)
    if (run.first <= snapshot.last_index) at = run.term;
  return at == snapshot.last_term;
}

void apply(const raft::Entry& entry, ClusterClock& clock, machine::StateMachine& machine) {
  std::optional<raft::Configuration> room;
  machine::Outcome outcome = machine.apply(to_apply(entry, clock, false, room), false);
  while (!outcome.finished)
    outcome = machine.apply_slice();
}

}  // namespace

Result<Replayed> replay(const storage::Recovered& recovered, machine::StateMachine& machine) {
  const raft::Durable& durable = recovered.durable;
  ClusterClock clock(Duration{}, Instant{});
  Replayed done;
  bool log_counts = true;
  if (durable.snapshot) {
    done.index = durable.snapshot->id.last_index;
    done.term = durable.snapshot->id.last_term;
    done.configuration = durable.snapshot->configuration.configuration;
    clock.apply({recovered.snapshot_time_ms});
    log_counts = follows(durable, durable.snapshot->id);
  }
  for (const raft::Entry& entry : durable.tail) {
    if (!log_counts || entry.index <= done.index) continue;
    if (entry.index != done.index.next()) break;
    apply(entry, clock, machine);
    done.index = entry.index;
    done.term = entry.term;
    ++done.entries;
  }
  if (log_counts && done.index < durable.last_index) {
    return Error{Errc::kCorrupt, strf("entry %llu is missing in the log",
                                      static_cast<unsigned long long>(done.index.next().value))};
  }
  for (const raft::ConfigurationAt& at : durable.configurations) {
    if (log_counts && at.index <= done.index) done.configuration = at.configuration;
  }
  done.time = clock.applied();
  return done;
}

}  // namespace raftd::node
