// The cluster's disks: how a node finds its own at a start, and what happens to them.
#include <algorithm>

#include "sim/cluster_node.h"

namespace raftd::sim {

// The first start: the first frame holds the configuration, the same on every node; a node that is
// to join has none.
void Cluster::format_disk(std::size_t node) {
  Node& n = *nodes_[node];
  raft::Configuration members;
  const std::size_t first = options_.nodes - options_.spares;
  for (std::size_t i = 0; i < first; ++i) {
    members.voters.push_back(id_of(i));
    members.addresses.push_back({id_of(i), strf("node%zu:2380", i + 1)});
  }
  storage::JournalPosition position;
  position.incarnation = {n.rng.next() | 1};
  position.first_index = {1};
  storage::Journal journal({n.identity, options_.segment_bytes, options_.segment_bytes, 0},
                           std::move(position));
  const auto run = [&](const storage::DiskPlan& plan) {
    for (const storage::DiskOp& op : plan.ops)
      n.disk.image().execute(op);
    journal.finish({plan.id, plan.lane, {}, false, {}});
  };
  run(journal.prepare_next_segment().value());
  raft::PersistBatch batch;
  if (node < first) {
    batch.hard_state = raft::HardState{{1}, {}};
    batch.entries.push_back(
        {{1}, {1}, raft::EntryKind::kConfiguration, share(raft::encode(members))});
  } else {
    batch.hard_state = raft::HardState{};
  }
  run(journal.begin(batch));
}

std::optional<storage::Recovered> Cluster::recover_disk(std::size_t node) {
  Node& n = *nodes_[node];
  storage::RecoverOptions options;
  options.identity = n.identity;
  options.tail_bytes_max = limits::kLogCacheIdleBytes;
  options.prepared_bytes_min = 3 * limits::kBlockBytes;
  n.machine = std::make_unique<Machine>(node, oracle_);
  options.machine_name = n.machine->name();
  options.sink = n.machine.get();
  for (;;) {
    options.incarnation = {n.rng.next() | 1};
    n.disk.image().drop_cache();
    auto recovered = storage::recover(n.disk.image(), options);
    if (!recovered) {
      refused(node, recovered.error());
      if (n.lost && repair(node, options)) continue;
      return std::nullopt;
    }
    n.disk.image().fail_reads(0);
    if (!recovered->notes.empty()) ++coverage_.recoveries_with_notes;
    for (const std::string& note : recovered->notes)
      say(node, "recovery: " + note);
    if (!accept(node, *recovered)) return std::nullopt;
    bool interrupted = false;
    for (const auto* ops : {&recovered->set_aside, &recovered->repairs}) {
      for (const storage::DiskOp& op : *ops) {
        if (chance(n.rng, 2)) interrupted = true;
        if (interrupted) break;
        n.disk.image().execute(op);
      }
    }
    if (!interrupted) {
      n.disk.image().log().accept(recovered->durable);
      n.machine->restored(*recovered);
      if (recovered->durable.snapshot) ++coverage_.starts_from_snapshots;
      return *std::move(recovered);
    }
    ++coverage_.interrupted_repairs;
    n.disk.image().lose_power(n.rng);
  }
}

// A start may be refused only for damage, which may have lain for long in a file that nobody looked
// into, and then it says where.
void Cluster::refused(std::size_t node, const Error& error) {
  Node& n = *nodes_[node];
  say(node, "does not start: " + error.message);
  const bool unreadable = error.message.find("Input/output error") != std::string::npos;
  const bool says_where = error.message.find("log-") != std::string::npos ||
                          error.message.find("snapshot-") != std::string::npos ||
                          error.message.find("reserve") != std::string::npos ||
                          error.message.find("torn-") != std::string::npos ||
                          error.message.find("REPAIR") != std::string::npos;
  const bool right_code = error.code == Errc::kCorrupt || (unreadable && error.code == Errc::kIo);
  if ((!n.victim && !unreadable) || !says_where || !right_code) {
    violated("recovery", strf("node %zu does not start: %s", node + 1, error.message.c_str()));
  }
  n.disk.image().fail_reads(0);
  if (unreadable) {
    ++coverage_.starts_without_reads;
    return;
  }
  ++coverage_.damage_refused;
  n.lost = true;
}

// What an operator does who reads why the start was refused. False: it cannot be, or must not.
bool Cluster::repair(std::size_t node, storage::RecoverOptions options) {
  Node& n = *nodes_[node];
  if (!options_.repair) return false;
  options.sink = nullptr;
  options.machine_name = {};
  std::optional<storage::RepairPlan> cut_short;
  for (;;) {
    options.incarnation = {n.rng.next() | 1};
    auto plan = storage::plan_repair(n.disk.image(), options);
    if (!plan) {
      say(node, "cannot be repaired: " + plan.error().message);
      ++coverage_.log_repairs_refused;
      return false;
    }
    if (!*plan) {
      if (!cut_short) violated("repair", "there is nothing to repair, and the start is refused");
      return finished_by_itself(node, options, *cut_short);
    }
    const auto dies_at = std::ranges::find_if((*plan)->ops, [&](const storage::DiskOp& op) {
      if (chance(n.rng, 2)) return true;
      n.disk.image().execute(op);
      return false;
    });
    if (dies_at == (*plan)->ops.end()) return repaired(node, options, **plan);
    ++coverage_.log_repairs_cut_short;
    n.disk.image().lose_power(n.rng);
    cut_short = *std::move(plan);
  }
}

// A start accepts what a power loss in the midst of a repair has left: all of it is there, or what
// was wrong had not reached the disk. False: what showed that a frame is lost had not reached it.
bool Cluster::finished_by_itself(std::size_t node, const storage::RecoverOptions& options,
                                 const storage::RepairPlan& plan) {
  Node& n = *nodes_[node];
  const auto recovered = storage::recover(n.disk.image(), options);
  const bool untouched = recovered && !recovered->durable.promised;
  if (!untouched) return repaired(node, options, plan);
  if (n.disk.image().log().compare(recovered->durable) == DiskLog::Found::kLastFrameLost) {
    return accept(node, *recovered);
  }
  n.lost = false;
  return true;
}

// False: its last frame was damaged, too, so that it does not know all that it has promised; nobody
// can tell that from a write that a crash has torn.
bool Cluster::repaired(std::size_t node, const storage::RecoverOptions& options,
                       const storage::RepairPlan& plan) {
  Node& n = *nodes_[node];
  DiskLog& log = n.disk.image().log();
  for (const storage::FileName& name : plan.aside)
    n.disk.image().execute(
        storage::RemoveFile{std::string(storage::format::kDamagedPrefix) + name});
  const auto recovered = storage::recover(n.disk.image(), options);
  if (!recovered) {
    violated("repair", strf("node %zu does not start after it: %s", node + 1,
                            recovered.error().message.c_str()));
  }
  switch (log.repaired(recovered->durable, plan.promised)) {
    case DiskLog::Found::kAll:
      break;
    case DiskLog::Found::kLastFrameLost:
      ++coverage_.damage_unnoticed;
      return false;
    case DiskLog::Found::kSomethingElse:
      violated("repair",
               strf("node %zu promises to hold %llu of term %llu, in term %llu; its disk "
                    "was synced to %llu, term %llu",
                    node + 1, number(plan.promised.index.value), number(plan.promised.term.value),
                    number(recovered->durable.hard_state.term.value),
                    number(log.durable().last().value), number(log.durable().hard.term.value)));
  }
  say(node, "is repaired: " + plan.damage);
  ++coverage_.log_repairs;
  n.lost = false;
  n.damaged = n.disk.will_go_astray();
  return true;
}

// Recovery neither loses what was synced nor makes anything up. False: the very last frame is gone,
// which after damage it cannot know.
bool Cluster::accept(std::size_t node, const storage::Recovered& recovered) {
  Node& n = *nodes_[node];
  DiskLog& log = n.disk.image().log();
  switch (log.compare(recovered.durable)) {
    case DiskLog::Found::kAll:
      if (!n.damaged || n.disk.will_go_astray()) return true;
      n.damaged = false;
      ++coverage_.damage_harmless;
      return true;
    case DiskLog::Found::kLastFrameLost:
      if (!n.damaged) break;
      ++coverage_.damage_unnoticed;
      n.lost = true;
      say(node, "has lost its last frame, unnoticed: it is taken away");
      return false;
    case DiskLog::Found::kSomethingElse:
      break;
  }
  violated("recovery",
           strf("node %zu finds a log to %llu, term %llu; its disk was synced to %llu, "
                "term %llu",
                node + 1, number(recovered.durable.last_index.value),
                number(recovered.durable.hard_state.term.value), number(log.durable().last().value),
                number(log.durable().hard.term.value)));
}

void Cluster::disk_failed(std::size_t node, const char* what) {
  ++coverage_.disk_errors;
  say(node, what);
  kill(node, false);
}

void Cluster::break_disk(std::size_t node, DiskFault fault) {
  Node& n = *nodes_[node];
  if (fault == DiskFault::kReadError && !n.replica) return n.disk.image().fail_reads(1);
  n.disk.break_next(fault);
}

void Cluster::slow_disk(std::size_t node, Duration extra, Duration lasting) {
  ++coverage_.slow_disks;
  nodes_[node]->disk.slow_down(extra, lasting);
}

void Cluster::stick_disk(std::size_t node, Duration lasting) {
  ++coverage_.slow_disks;
  nodes_[node]->disk.get_stuck(lasting);
}

bool Cluster::lost(std::size_t node) const {
  return nodes_[node]->lost;
}

bool Cluster::owes(std::size_t node) const {
  return nodes_[node]->disk.image().log().owes();
}

// What it held still counts where disks are counted, as if it were only down for ever: nobody hears
// of it any more, and all that the others do must be right for that case, too.
bool Cluster::lose_disk(std::size_t node) {
  Node& n = *nodes_[node];
  const auto left = [&](std::size_t each) { return each != node && !nodes_[each]->lost; };
  if (n.lost || !is_member(node) || !quorum(left)) return false;
  kill(node, true);
  n.disk.image().wipe();
  n.lost = n.victim = true;
  ++coverage_.disks_lost;
  say(node, "is lost, with its disk");
  return true;
}

bool Cluster::damage(std::size_t node, Damage kind) {
  Node& n = *nodes_[node];
  const auto victims = std::ranges::count_if(nodes_, [](const auto& each) { return each->victim; });
  const auto most = static_cast<std::ptrdiff_t>(nodes_.size() - 1) / 2;
  if (n.lost || n.damaged) return false;
  if (!n.victim && victims >= most && !options_.damage_beyond) return false;
  n.victim = true;
  n.damaged = true;
  ++coverage_.damage;
  std::string what;
  switch (kind) {
    case Damage::kBitFlip:
    case Damage::kZeroSector:
      what = "rots: " + n.disk.image().rot(n.rng, kind == Damage::kZeroSector);
      break;
    case Damage::kLostWrite:
      n.disk.break_next(DiskFault::kLostWrite);
      what = "will lose a write";
      break;
    case Damage::kMisdirected:
      n.disk.break_next(DiskFault::kMisdirectedWrite);
      what = "will write to another place";
      break;
    case Damage::kWipe:
      kill(node, true);
      n.disk.image().wipe();
      what = "is wiped";
      break;
  }
  say(node, "its disk " + what);
  return true;
}

}  // namespace raftd::sim
