#include "sim/cluster.h"

#include <algorithm>

#include "sim/cluster_node.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

void Coverage::add(const Coverage& other) {
  const auto* from = reinterpret_cast<const std::uint64_t*>(&other);
  auto* to = reinterpret_cast<std::uint64_t*>(this);
  for (std::size_t i = 0; i < sizeof(Coverage) / sizeof(std::uint64_t); ++i)
    to[i] += from[i];
}

Cluster::Cluster(std::uint64_t seed, const Options& options, TraceSink trace)
    : seed_(seed),
      options_(options),
      trace_sink_(std::move(trace)),
      rng_(seed),
      logs_(options.nodes, options.spares),
      network_(schedule_, options, rng_.next(), *this) {
  ASSERT_CMP(options.spares, <, options.nodes);
  members_change_ = options.spares > 0;
  oracle_.watch(logs_);
  for (std::size_t i = 0; i < options.nodes; ++i) {
    nodes_.push_back(std::make_unique<Node>(*this, i, rng_.next()));
    Node& node = *nodes_[i];
    node.disk.image().log().observe(&node);
    logs_.attach(i, node.disk.image().log());
    node.identity.cluster_id[0] = 7;
    node.identity.node_id = id_of(i);
    node.identity.instance = node.rng.next();
    node.clock_offset = between(node.rng, seconds(1), seconds(100'000));
    const auto spread = static_cast<std::uint64_t>(options.clock_rate_spread);
    node.clock_rate +=
        static_cast<std::int64_t>(node.rng.below(2 * spread + 1)) - options.clock_rate_spread;
    format_disk(i);
    start(i);
  }
}

Cluster::~Cluster() = default;

Instant Cluster::local(const Node& node) const {
  return {node.clock_offset + schedule_.now().since_origin / 1000 * node.clock_rate};
}

// Not before local says so.
Instant Cluster::global(const Node& node, Instant local) const {
  if (local == Instant::never()) return local;
  const Duration since = local.since_origin - node.clock_offset;
  const Instant then{since / node.clock_rate * 1000 + std::chrono::microseconds(2)};
  return std::max(then, schedule_.now());
}

void Cluster::trace(std::size_t node, std::uint64_t what, std::uint64_t detail) {
  const auto now = static_cast<std::uint64_t>(schedule_.now().since_origin.count());
  for (const std::uint64_t word : {now, std::uint64_t{node}, what, detail})
    trace_hash_ = (trace_hash_ ^ word) * 0x100000001b3;
}

void Cluster::say(std::size_t node, const std::string& text) {
  if (!trace_sink_) return;
  const double ms = std::chrono::duration<double, std::milli>(schedule_.now().since_origin).count();
  trace_sink_(strf("%10.3f ms  node %zu  %s", ms, node + 1, text.c_str()));
}

void Cluster::run_for(Duration duration) {
  const Instant until = schedule_.now() + duration;
  while (schedule_.run_next(until)) {
  }
}

bool Cluster::run_until(const std::function<bool()>& reached, Duration patience) {
  const Instant until = schedule_.now() + patience;
  while (!reached()) {
    if (!schedule_.run_next(until)) return reached();
  }
  return true;
}

bool Cluster::running(std::size_t node) const {
  return nodes_[node]->replica != nullptr;
}

std::uint64_t Cluster::life(std::size_t node) const {
  return nodes_[node]->life;
}

bool Cluster::paused(std::size_t node) const {
  return nodes_[node]->paused_until > schedule_.now();
}

node::ReplicaStatus Cluster::status(std::size_t node) const {
  return nodes_[node]->replica->status(local(*nodes_[node]));
}

const kv::Store& Cluster::store(std::size_t node) const {
  return nodes_[node]->machine->store();
}

SimDisk& Cluster::disk(std::size_t node) {
  return nodes_[node]->disk;
}

std::optional<std::size_t> Cluster::leader() const {
  std::optional<std::size_t> leader;
  raft::Term term;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!running(i)) continue;
    const raft::RoleView role = nodes_[i]->replica->role();
    if (role.role != raft::Role::kLeader || role.term <= term) continue;
    leader = i;
    term = role.term;
  }
  return leader;
}

std::int32_t Cluster::priority(std::size_t node) const {
  return options_.priorities ? static_cast<std::int32_t>(node % 3) : 0;
}

void Cluster::start(std::size_t node) {
  Node& n = *nodes_[node];
  if (n.replica || n.lost) return;
  ++n.life;
  std::optional<storage::Recovered> found = recover_disk(node);
  if (!found) return;
  storage::Recovered recovered = *std::move(found);
  raft::CoreConfig core;
  core.self = id_of(node);
  core.incarnation = recovered.position.incarnation;
  core.heartbeat_interval = options_.heartbeat;
  core.election_timeout_min = options_.election;
  core.priority = priority(node);
  core.log_cache_bytes = options_.log_cache_bytes;
  core.max_pending_bytes = options_.max_pending_bytes;
  core.max_inflight_bytes = options_.max_inflight_bytes;
  core.pre_vote = options_.pre_vote;
  core.check_quorum = options_.check_quorum;
  say(node, strf("starts, log to %llu, term %llu", number(recovered.durable.last_index.value),
                 number(recovered.durable.hard_state.term.value)));
  n.paused_until = {};
  n.inbox.clear();
  n.doubts_seen = n.reloads_seen = 0;
  n.pump_scheduled = false;
  n.link_ends.clear();
  n.replica = std::make_unique<node::Replica>(
      core, storage::JournalOptions{n.identity, options_.segment_bytes, options_.segment_bytes, 0},
      std::move(recovered), n.rng.next(), local(n), node::Outside{n, n.disk, n, *n.machine, n.log},
      node::SnapshotOptions{.entries = options_.snapshot_entries,
                            .bytes = options_.snapshot_bytes,
                            .keep = options_.snapshots_kept,
                            .small_bytes = 4 * limits::kKiB});
  trace(node, 3, n.life);
  check(node);
  network_.started(node);
  schedule_pump(node);
}

void Cluster::kill(std::size_t node, bool power) {
  Node& n = *nodes_[node];
  if (!n.replica) return;
  ++(power ? coverage_.power_losses : coverage_.kills);
  say(node, power ? "loses power" : "is killed");
  const raft::Counters counters = status(node).counters;
  coverage_.overwritten += counters.entries_overwritten;
  coverage_.elections += counters.elections_started;
  coverage_.leader_changes += counters.leader_changes;
  coverage_.forwarded += status(node).forwarded_total;
  count_snapshots(status(node));
  check_doubt(node, status(node));
  trace(node, 4, power ? 1 : 0);
  ++n.life;
  n.replica.reset();
  n.machine.reset();
  n.inbox.clear();
  n.disk.crash(power);
  network_.ended(node, !power);
  auto clients = std::exchange(n.clients, {});
  std::vector<node::ClientToken> tokens;
  for (const auto& [token, answer] : clients)
    tokens.push_back(token);
  std::ranges::sort(tokens);  // The map's order is nobody's business.
  for (const node::ClientToken token : tokens) {
    schedule_.after({}, [answer = std::move(clients.at(token))] { answer(std::nullopt); });
  }
}

void Cluster::stop(std::size_t node, Duration patience) {
  if (!running(node)) return;
  Node& n = *nodes_[node];
  say(node, "is asked to stop");
  happen(node, [](node::Replica& replica, Instant now) { replica.stop(now); });
  poll_stop(node, n.life, schedule_.now() + patience);
}

void Cluster::poll_stop(std::size_t node, std::uint64_t life, Instant deadline) {
  Node& n = *nodes_[node];
  if (n.life != life || !n.replica) return;
  // A process that stands still cannot end, and has not seen who came meanwhile.
  if (n.replica->stopped() && !n.replica->has_more() && !paused(node)) {
    ++coverage_.clean_stops;
    if (!n.clients.empty()) throw Violation("stop: a client was left without an answer");
    say(node, "has stopped");
    return kill(node, false);
  }
  if (schedule_.now() >= deadline) return kill(node, false);
  schedule_.after(milliseconds(5),
                  [this, node, life, deadline] { poll_stop(node, life, deadline); });
}

void Cluster::jump_clock(std::size_t node, Duration by) {
  Node& n = *nodes_[node];
  ++coverage_.clock_jumps;
  say(node, "its clock leaps");
  n.clock_offset += by;
  n.alone_since = n.retiring_since = Instant::never();
  if (n.replica && !paused(node)) pump(node);
}

void Cluster::pause(std::size_t node, Duration duration) {
  Node& n = *nodes_[node];
  if (!n.replica || paused(node)) return;
  ++coverage_.pauses;
  say(node, "pauses");
  n.paused_until = schedule_.now() + duration;
  schedule_.after(duration, [this, node, life = n.life] {
    if (nodes_[node]->life == life) resume(node);
  });
}

// All that came meanwhile waits in sockets and is read before timers are looked at.
void Cluster::resume(std::size_t node) {
  Node& n = *nodes_[node];
  say(node, "goes on");
  n.paused_until = {};
  n.resumed = schedule_.now();
  n.alone_since = n.retiring_since = Instant::never();
  auto inbox = std::exchange(n.inbox, {});
  for (Event& event : inbox) {
    if (!n.replica) break;
    event(*n.replica, local(n));
    check(node);
  }
  if (n.replica) pump(node);
  network_.resumed(node);
}

void Cluster::happen(std::size_t node, Event event) {
  Node& n = *nodes_[node];
  if (!n.replica) return;
  if (paused(node)) {
    n.inbox.push_back(std::move(event));
    return;
  }
  event(*n.replica, local(n));
  check(node);
  schedule_pump(node);
}

void Cluster::schedule_pump(std::size_t node) {
  Node& n = *nodes_[node];
  if (n.pump_scheduled) return;
  n.pump_scheduled = true;
  schedule_.after(between(n.rng, {}, options_.loop_delay), [this, node, life = n.life] {
    Node& then = *nodes_[node];
    if (then.life != life) return;
    then.pump_scheduled = false;
    if (then.replica && !paused(node)) pump(node);
  });
}

void Cluster::pump(std::size_t node) {
  Node& n = *nodes_[node];
  const Instant now = local(n);
  n.replica->on_time(now);
  n.replica->pump(now);
  check(node);
  if (oracle_.strays()) check_doubt(node, status(node));
  if (n.replica->awaits_clients()) ++coverage_.clients_awaited;
  if (n.replica->has_more()) schedule_pump(node);
  arm_timer(node);
}

void Cluster::arm_timer(std::size_t node) {
  Node& n = *nodes_[node];
  const Instant wakeup = n.replica->next_wakeup();
  if (wakeup == Instant::never()) return;
  const std::uint64_t timer = ++n.timer;
  Duration late{};
  if (chance(n.rng, options_.late_timer_percent)) late = between(n.rng, {}, milliseconds(500));
  schedule_.at(global(n, wakeup) + late, [this, node, life = n.life, timer] {
    Node& then = *nodes_[node];
    if (then.life != life || then.timer != timer || !then.replica || paused(node)) return;
    pump(node);
  });
}

void Cluster::check(std::size_t node) {
  Node& n = *nodes_[node];
  if (members_change_) note_members(node, n.replica->configuration());
  const node::ReplicaMarks now = n.replica->marks();
  oracle_.node_is(node, n.life, now);
  check_bounds(node, now);
  n.replica->check_invariants();
}

// What waits at a leader, and whether it is one although it hears nobody.
void Cluster::check_bounds(std::size_t node, const node::ReplicaMarks& now) {
  constexpr std::size_t kNoopBytesMax = 512;
  Node& n = *nodes_[node];
  if (now.pending_bytes > options_.max_pending_bytes + kNoopBytesMax) {
    violated("bounded queues",
             strf("node %zu has %zu bytes that are not committed", node + 1, now.pending_bytes));
  }
  if (now.role.role != raft::Role::kLeader) {
    n.alone_since = n.retiring_since = Instant::never();
    return;
  }
  const Instant clock = local(n);
  if (members_change_) check_retires(node, now.commit);
  std::vector<bool> heard(nodes_.size());
  heard[node] = true;
  for (const raft::PeerProgress& peer : n.replica->progress()) {
    if (peer.last_contact && clock - *peer.last_contact < 2 * options_.election) {
      heard[peer.id.value - 1] = true;
    }
    // One request may be larger: what one read from the disk gave.
    const std::size_t bytes_max =
        std::max(options_.max_inflight_bytes, limits::kLogReadBytesMax) + limits::kEntryBytesMax;
    if (peer.inflight_messages <= limits::kAppendsInFlightMax && peer.inflight_bytes <= bytes_max) {
      continue;
    }
    violated("bounded queues",
             strf("node %zu waits for the answers of node %llu to %zu requests "
                  "of %zu bytes",
                  node + 1, number(peer.id.value), peer.inflight_messages, peer.inflight_bytes));
  }
  const auto is_heard = [&](std::size_t each) { return heard[each]; };
  if (!options_.check_quorum || logs_.quorums().has(node, is_heard)) {
    n.alone_since = Instant::never();
    return;
  }
  if (n.alone_since == Instant::never()) n.alone_since = clock;
  if (clock - n.alone_since > 4 * options_.election + seconds(1)) {
    violated("check quorum", strf("node %zu leads, and hears no majority", node + 1));
  }
}

// A leader whose removal is committed hands over, or gives up (thesis 4.2.2).
void Cluster::check_retires(std::size_t node, raft::Index commit) {
  Node& n = *nodes_[node];
  const raft::ConfigurationAt& present = n.replica->configuration();
  const bool votes = std::ranges::binary_search(present.configuration.voters, id_of(node)) ||
                     std::ranges::binary_search(present.configuration.voters_outgoing, id_of(node));
  const Instant clock = local(n);
  if (votes || present.index > commit) {
    n.retiring_since = Instant::never();
  } else if (n.retiring_since == Instant::never()) {
    n.retiring_since = clock;
  } else if (clock - n.retiring_since > 4 * options_.election + seconds(1)) {
    violated("removed leader", strf("node %zu leads, and is no voter any more", node + 1));
  }
}

bool Cluster::linked(std::size_t node, std::size_t peer) const {
  return nodes_[node]->has_link(peer) && nodes_[peer]->has_link(node);
}

void Cluster::deliver(std::size_t to, node::PeerMessage message) {
  trace(to, 5, message.index());
  const raft::NodeId from = std::visit([](const auto& body) { return body.from; }, message);
  if (!linked(to, from.value - 1)) return;
  happen(to, [m = std::move(message)](node::Replica& replica, Instant now) mutable {
    replica.on_message(now, std::move(m));
  });
}

void Cluster::part(std::size_t node, std::size_t peer) {
  happen(node,
         [peer](node::Replica& replica, Instant now) { replica.on_peer_part(now, id_of(peer)); });
}

void Cluster::connected(std::size_t node, std::size_t peer) {
  happen(node, [peer, priority = priority(peer)](node::Replica& replica, Instant now) {
    replica.on_peer_connected(now, id_of(peer), priority);
  });
}

void Cluster::disconnected(std::size_t node, std::size_t peer) {
  trace(node, 6, peer);
  happen(node, [peer](node::Replica& replica, Instant now) {
    replica.on_peer_disconnected(now, id_of(peer));
  });
}

// Said at once, from within send().
void Cluster::dropped(std::size_t node, std::size_t peer) {
  if (nodes_[node]->replica) nodes_[node]->replica->on_peer_dropped(id_of(peer));
}

// The sockets of a process that stands still fill up, and then nobody can send to it.
bool Cluster::stalled(std::size_t node) const {
  constexpr std::size_t kUnreadMax = 2000;
  return nodes_[node]->inbox.size() >= kUnreadMax;
}

// A frame, and what it may wait for in the background, take fewer: a disk that cannot keep up with
// the election timeout makes a leader hand over, as it should.
constexpr int kQuickSyncs = 16;

void Cluster::be_kind() {
  network_.be_kind();
  network_.heal();
  for (const std::unique_ptr<Node>& node : nodes_) {
    node->disk.be_kind(options_.election / kQuickSyncs);
    node->disk.set_full(false);
    if (node->machine) node->machine->stray_no_more();
  }
  options_.late_timer_percent = 0;
}

void Cluster::collect_coverage() {
  coverage_.events = schedule_.count();
  coverage_.messages = network_.messages();
  coverage_.resets = network_.resets();
  coverage_.late_messages = network_.late();
  coverage_.leases_expired = oracle_.expired();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    coverage_.torn_sectors += nodes_[i]->disk.image().torn_sectors();
    if (!running(i)) continue;
    const node::ReplicaStatus now = status(i);
    coverage_.overwritten += now.counters.entries_overwritten;
    coverage_.elections += now.counters.elections_started;
    coverage_.leader_changes += now.counters.leader_changes;
    coverage_.forwarded += now.forwarded_total;
    count_snapshots(now);
  }
}

void Cluster::stray(std::size_t node) {
  if (!running(node) || coverage_.strays > 0) return;
  ++coverage_.strays;
  say(node, "will apply a write with another value");
  nodes_[node]->machine->stray_next();
}

void Cluster::rot_memory(std::size_t node) {
  if (!running(node) || coverage_.strays > 0) return;
  ++coverage_.strays;
  say(node, "has a bit turned in memory");
  nodes_[node]->machine->rot();
}

bool Cluster::strayed(std::size_t node) const {
  return running(node) && nodes_[node]->machine->strayed();
}

// Nobody is to be suspected without a reason.
void Cluster::check_doubt(std::size_t node, const node::ReplicaStatus& status) {
  if (status.doubts > 0 && !oracle_.strays()) {
    violated("state hash", strf("node %zu takes its state for wrong, and it is not", node + 1));
  }
  Node& n = *nodes_[node];
  coverage_.strays_noticed += status.doubts - std::exchange(n.doubts_seen, status.doubts);
  coverage_.strays_reloaded += status.reloads - std::exchange(n.reloads_seen, status.reloads);
  const auto strays = std::ranges::count_if(
      nodes_, [](const auto& each) { return each->machine && each->machine->strayed(); });
  if (strays > 1) coverage_.strays_spread = 1;
}

void Cluster::count_snapshots(const node::ReplicaStatus& status) {
  coverage_.snapshots_made += status.snapshots_made;
  coverage_.snapshots_sent += status.counters.snapshots_sent;
  coverage_.snapshots_installed += status.counters.snapshots_installed;
  coverage_.log_drops += status.first > raft::Index{1} ? 1 : 0;
}

}  // namespace raftd::sim
