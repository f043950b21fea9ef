#include "sim/run.h"

#include "base/text.h"
#include "raft/quorum.h"
#include "sim/coordination.h"
#include "sim/nemesis.h"
#include "sim/recovering.h"
#include "sim/watching.h"
#include "sim/workload.h"

namespace raftd::sim {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

// Nobody expects anything of a cluster most of whose disks are gone for good, or have promised what
// perhaps nobody has any more.
bool can_work(const Cluster& cluster) {
  return cluster.quorum([&](std::size_t i) { return !cluster.lost(i) && !cluster.owes(i); });
}

// All members that are left have applied all that is committed, trust their state, which may have
// been found to be wrong a moment ago, and no change is half done.
bool converged(const Cluster& cluster, raft::Index last) {
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (cluster.lost(i) || !cluster.is_member(i)) continue;
    if (!cluster.running(i)) return false;
    const node::ReplicaStatus status = cluster.status(i);
    if (status.applied != last || status.last != last || status.persisted != last) return false;
    if (status.doubt || status.configuration.configuration.joint()) return false;
  }
  return true;
}

std::string state_of(const Cluster& cluster) {
  std::string text;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.running(i)) {
      text += strf("\n  node %zu is down", i + 1);
      continue;
    }
    const node::ReplicaStatus s = cluster.status(i);
    text += strf(
        "\n  node %zu: role %d term %llu leader %llu last %llu commit %llu applied %llu "
        "persisted %llu disk %s",
        i + 1, static_cast<int>(s.role.role), number(s.role.term.value),
        number(s.role.leader.value), number(s.last.value), number(s.commit.value),
        number(s.applied.value), number(s.persisted.value), s.disk_full ? "full" : "ok");
  }
  return text;
}

// What the manual says for states that no quorum is there to judge: their nodes are started again.
void restart_doubtful(Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.running(i) || !cluster.status(i).doubt) continue;
    cluster.kill(i, false);
    cluster.start(i);
  }
}

bool undecided(const Cluster& cluster) {
  for (std::size_t i = 0; cluster.oracle().strays() && i < cluster.size(); ++i) {
    if (!cluster.running(i)) continue;
    const auto doubt = cluster.status(i).doubt;
    if (doubt && doubt->why == node::StateDoubt::Why::kUndecided) return true;
  }
  return false;
}

// A state that strayed was written to its node's disk, or sent to others, before anybody noticed.
// Whoever has it by a snapshot agrees with it; and two that differ do not know which is right.
bool nobody_can_tell(const Cluster& cluster) {
  return cluster.stray_spread() || undecided(cluster);
}

// The state is compared every so many entries: with these, and some heartbeats, all is in order.
bool strays_are_gone(Cluster& cluster) {
  const Instant end = cluster.schedule().now() + cluster.options().settle;
  const auto strayed = [&] {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.strayed(i)) return true;
    }
    return false;
  };
  for (int i = 0; strayed() && cluster.schedule().now() < end; ++i) {
    cluster.put(cluster.leader().value_or(0), "stray", "x" + std::to_string(i));
    cluster.run_for(std::chrono::milliseconds(20));
  }
  return !strayed();
}

void notice_strays(Cluster& cluster) {
  if (!cluster.oracle().strays() || strays_are_gone(cluster)) return;
  if (undecided(cluster)) {
    restart_doubtful(cluster);
    if (strays_are_gone(cluster)) return;
  }
  throw Violation("state hash: nobody noticed that a state strayed" + state_of(cluster));
}

// What a core waits at the most before it tries again to hand over to a node of higher priority
// (raft/transfer.cc), and then some.
constexpr std::chrono::minutes kPriorityPatience{12};
constexpr int kSteadyTimeouts = 20;

// Among the voters that can lead.
bool highest_priority_leads(const Cluster& cluster) {
  const auto leader = cluster.leader();
  if (!leader) return false;
  const raft::Configuration members = cluster.status(*leader).configuration.configuration;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.running(i) || cluster.owes(i)) continue;
    if (!raft::contains(members.voters, raft::NodeId{i + 1})) continue;
    if (cluster.priority(i) > cluster.priority(*leader)) return false;
  }
  return true;
}

// However often it was tried in vain before; and then it stays there.
void heed_priorities(Cluster& cluster) {
  if (!cluster.options().priorities) return;
  const auto reached = [&] { return highest_priority_leads(cluster); };
  if (!cluster.run_until(reached, kPriorityPatience)) {
    throw Violation("liveness: no node of the highest priority leads" + state_of(cluster));
  }
  const raft::Term term = cluster.status(*cluster.leader()).role.term;
  cluster.run_for(kSteadyTimeouts * cluster.options().election);
  if (reached() && cluster.status(*cluster.leader()).role.term == term) return;
  throw Violation("liveness: leadership does not stay with the highest priority" +
                  state_of(cluster));
}

// What the clients of a run are.
struct Clients {
  Workload workload;
  Coordination coordination;
  Watching watching;
};

void come_to_rest(Cluster& cluster, const Clients& clients) {
  const auto quiet = [&] {
    return clients.workload.idle() && clients.coordination.idle() &&
           converged(cluster, cluster.oracle().last());
  };
  if (!cluster.run_until(quiet, cluster.options().settle)) {
    throw Violation("liveness: the nodes do not come to the same state" + state_of(cluster));
  }
}

// With a leader that stays, what is due ends soon. Without one the time stands still: then nothing
// is said, and the next leader is watched.
void wait_for_leases(Cluster& cluster) {
  constexpr Duration kWatched = std::chrono::seconds(5);
  constexpr std::uint64_t kLateMsMax = 2000;
  constexpr int kLeadersMax = 6;
  const auto led = [&] {
    const std::optional<std::size_t> leader = cluster.leader();
    return leader ? cluster.status(*leader).role.term : raft::Term{};
  };
  machine::ClusterTime before;
  raft::Term term;
  for (int i = 0; i < kLeadersMax && (!term || led() != term); ++i) {
    before = cluster.oracle().model().now();
    term = led();
    cluster.run_for(kWatched);
  }
  if (!term || led() != term) return;
  const auto passed = static_cast<std::uint64_t>(kWatched / std::chrono::milliseconds(1));
  for (const auto& [id, lease] : cluster.oracle().model().state().leases()) {
    if (lease.deadline + kLateMsMax > before + passed) continue;
    throw Violation(strf("leases: %llu was due at %llu and is there at %llu", number(id),
                         number(lease.deadline.value), number(before.value + passed)));
  }
}

void chaos_and_peace(Cluster& cluster, Clients& clients, Nemesis& nemesis) {
  Workload& workload = clients.workload;
  workload.start();
  clients.coordination.start();
  clients.watching.start();
  nemesis.start();
  cluster.run_for(cluster.options().chaos);
  nemesis.stop();
  cluster.be_kind();
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.start(i);
  // A node that was on its way to stop has stopped by then.
  cluster.run_for(std::chrono::seconds(5));
  for (std::size_t i = 0; i < cluster.size(); ++i)
    cluster.start(i);
  if (!can_work(cluster) || cluster.stray_spread()) return;
  clients.coordination.stop();
  clients.watching.stop();
  workload.calm_down();
  workload.forget_successes();
  const auto all_succeeded = [&] { return workload.all_succeeded(); };
  if (!cluster.run_until(all_succeeded, cluster.options().settle)) restart_doubtful(cluster);
  if (!cluster.run_until(all_succeeded, cluster.options().settle)) {
    if (nobody_can_tell(cluster)) return;
    throw Violation("liveness: a client has not had a write done" + state_of(cluster));
  }
  workload.stop();
  notice_strays(cluster);
  const auto promoted = [&] { return !nemesis.joining().promotions_wait(); };
  if (!cluster.run_until(promoted, cluster.options().settle)) {
    throw Violation("liveness: a learner does not become a voter" + state_of(cluster));
  }
  come_to_rest(cluster, clients);
  heed_priorities(cluster);
  if (clients.coordination.took_part()) wait_for_leases(cluster);
  come_to_rest(cluster, clients);
}

void check_end(Cluster& cluster, Clients& clients) {
  std::optional<std::uint64_t> digest;
  if (nobody_can_tell(cluster)) return;
  for (std::size_t i = 0; can_work(cluster) && i < cluster.size(); ++i) {
    if (cluster.lost(i) || !cluster.is_member(i)) continue;
    cluster.store(i).check_invariants();
    clients.watching.check_end(i);
    const raft::Index applied = cluster.status(i).applied;
    if (!cluster.strayed(i)) cluster.oracle().store_is(i, applied, cluster.store(i), true);
    const std::uint64_t own = cluster.store(i).digest();
    if (own != digest.value_or(own)) {
      throw Violation(strf("state machine safety: node %zu ends with another state", i + 1));
    }
    digest = own;
    if (cluster.status(i).doubt || (cluster.status(i).doubts > 0 && !cluster.oracle().strays())) {
      throw Violation(strf("state hash: node %zu takes its state for wrong at the end", i + 1));
    }
    if (!cluster.status(i).recovered) {
      throw Violation(strf("liveness: node %zu never called itself recovered", i + 1));
    }
  }
  cluster.oracle().check_refused();
  clients.workload.check_histories();
  if (can_work(cluster)) clients.coordination.check();
}

}  // namespace

std::string RunResult::invariant() const {
  return violation ? violation->substr(0, violation->find(':')) : "";
}

RunResult run(const Script& script, Cluster::TraceSink trace, std::uint64_t until) {
  RunResult result;
  Cluster cluster(stream(script.seed, Stream::kCluster), script.options, trace);
  Clients clients{{cluster, script.seed}, {cluster, script.seed}, {cluster, script.seed}};
  Nemesis nemesis(cluster, script.plan, std::move(trace));
  cluster.schedule().end_after(until);
  try {
    chaos_and_peace(cluster, clients, nemesis);
    check_end(cluster, clients);
    if (cluster.members_change() && can_work(cluster)) {
      check_recover(cluster, Rng(stream(script.seed, Stream::kRecover)));
    }
  } catch (const Violation& violation) {
    result.violation = violation.what();
  } catch (const Schedule::Ended&) {
    if (until == kEventsMax) {
      result.violation = strf("budget: more than %llu events", number(kEventsMax));
    }
  }
  cluster.collect_coverage();
  result.coverage = cluster.coverage();
  result.trace_hash = cluster.trace_hash();
  result.simulated = cluster.schedule().now().since_origin;
  return result;
}

RunResult run(std::uint64_t seed, const Options& options, Cluster::TraceSink trace) {
  return run({seed, options, draw_plan(seed, options)}, std::move(trace));
}

}  // namespace raftd::sim
