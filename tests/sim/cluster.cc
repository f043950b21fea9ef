#include "sim/cluster.h"

#include <algorithm>
#include <unordered_map>

#include "base/text.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kDigestEvery = 64;  // Entries: a digest reads the whole store.

unsigned long long number(std::uint64_t value) {
  return value;
}

raft::NodeId id_of(std::size_t node) {
  return {node + 1};
}

}  // namespace

// The store, with the oracle looking on.
class Cluster::Machine final : public machine::StateMachine {
 public:
  Machine(std::size_t node, Oracle& oracle)
      : node_(node), oracle_(oracle), store_({.age_ms = 5000, .bytes = 64 * limits::kKiB}) {}

  machine::Outcome apply(const machine::Applied& applied, bool reply_wanted) override {
    oracle_.applied(node_, applied);
    index_ = applied.index;
    return finished(store_.apply(applied, reply_wanted));
  }
  machine::Outcome apply_slice() override { return finished(store_.apply_slice()); }
  std::unique_ptr<machine::Reply> query(const machine::Query& query) const override {
    return store_.query(query);
  }
  std::optional<Bytes> chore(machine::ClusterTime now) const override { return store_.chore(now); }
  std::optional<machine::ClusterTime> next_chore() const override { return store_.next_chore(); }
  bool tidy_slice() override { return store_.tidy_slice(); }

  const kv::Store& store() const { return store_; }

 private:
  machine::Outcome finished(machine::Outcome outcome) {
    if (outcome.finished) oracle_.revision_is(node_, index_, store_.stats().revision);
    if (outcome.finished && index_.value % kDigestEvery == 0) {
      oracle_.state_is(node_, index_, store_.digest());
      store_.check_invariants();
    }
    return outcome;
  }

  std::size_t node_;
  Oracle& oracle_;
  kv::Store store_;
  raft::Index index_;
};

struct Cluster::Node final : node::Network, node::Clients, LogObserver {
  Node(Cluster& owner, std::size_t number, std::uint64_t seed)
      : cluster(owner),
        index(number),
        rng(seed),
        disk(owner.schedule_, owner.options_, rng.next(),
             [this](storage::DiskResult result) {
               cluster.trace(index, 2, result.id.value);
               cluster.happen(index, [r = std::move(result)](node::Replica& to, Instant now) {
                 to.on_disk_done(now, r);
               });
             }),
        log(LogLevel::kInfo,
            [this](LogLevel, std::string_view line) { cluster.say(index, std::string(line)); }) {}

  void send(node::PeerMessage message) override {
    const raft::NodeId to = std::visit([](const auto& body) { return body.to; }, message);
    ASSERT_CMP(to.value, >, 0U);
    ASSERT_CMP(to.value, <=, cluster.size());
    cluster.trace(index, 1, to.value * 16 + message.index());
    if (const auto* raft = std::get_if<raft::Message>(&message)) cluster.logs_.sends(index, *raft);
    cluster.network_.send(index, to.value - 1, std::move(message));
  }
  void members(const raft::ConfigurationAt&) override {}
  void complete(node::ClientToken token, node::ClientResult result) override {
    cluster.complete(index, token, std::move(result));
  }
  void wrote(const LogImage& image, raft::Index at) override {
    cluster.logs_.wrote(index, image, at);
  }
  void replaced(raft::Index at, const LogSlot& slot) override {
    cluster.logs_.replaced(index, at, slot);
  }
  void hard_state(const raft::HardState& before, const raft::HardState& now) override {
    cluster.logs_.hard_state(index, before, now);
  }

  Cluster& cluster;
  std::size_t index;
  Rng rng;
  SimDisk disk;
  Log log;
  storage::Identity identity;
  std::int64_t clock_rate = 1000;  // Per mille of virtual time.
  Duration clock_offset{};

  std::unique_ptr<Machine> machine;
  std::unique_ptr<node::Replica> replica;
  std::uint64_t life = 0;
  bool pump_scheduled = false;
  std::uint64_t timer = 0;
  Instant paused_until{};
  Instant resumed{};
  std::deque<Event> inbox;  // While it is paused.
  std::unordered_map<node::ClientToken, Answer> clients;
};

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
      logs_(options.nodes),
      network_(schedule_, options, rng_.next(), *this) {
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
    const raft::RoleView role = status(i).role;
    if (role.role != raft::Role::kLeader || role.term <= term) continue;
    leader = i;
    term = role.term;
  }
  return leader;
}

// The first start: the first frame holds the configuration, the same on every node.
void Cluster::format_disk(std::size_t node) {
  Node& n = *nodes_[node];
  raft::Configuration members;
  for (std::size_t i = 0; i < options_.nodes; ++i) {
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
  batch.hard_state = raft::HardState{{1}, {}};
  batch.entries.push_back(
      {{1}, {1}, raft::EntryKind::kConfiguration, share(raft::encode(members))});
  run(journal.begin(batch));
}

storage::Recovered Cluster::recover_disk(std::size_t node) {
  Node& n = *nodes_[node];
  storage::RecoverOptions options;
  options.identity = n.identity;
  options.tail_bytes_max = limits::kLogCacheIdleBytes;
  options.prepared_bytes_min = 3 * limits::kBlockBytes;
  for (;;) {
    options.incarnation = {n.rng.next() | 1};
    auto recovered = storage::recover(n.disk.image(), options);
    if (!recovered) {
      throw Violation(strf("recovery: node %zu does not start: %s", node + 1,
                           recovered.error().message.c_str()));
    }
    if (!recovered->notes.empty()) ++coverage_.recoveries_with_notes;
    for (const std::string& note : recovered->notes)
      say(node, "recovery: " + note);
    bool interrupted = false;
    for (const auto* ops : {&recovered->set_aside, &recovered->repairs}) {
      for (const storage::DiskOp& op : *ops) {
        if (chance(n.rng, 2)) interrupted = true;
        if (interrupted) break;
        n.disk.image().execute(op);
      }
    }
    if (!interrupted) {
      accept(node, *recovered);
      return *std::move(recovered);
    }
    ++coverage_.interrupted_repairs;
    n.disk.image().lose_power(n.rng);
  }
}

// Recovery neither loses what was synced nor makes anything up.
void Cluster::accept(std::size_t node, const storage::Recovered& recovered) {
  DiskLog& log = nodes_[node]->disk.image().log();
  if (log.compare(recovered.durable) != DiskLog::Found::kAll) {
    violated("recovery",
             strf("node %zu finds a log to %llu, term %llu; its disk was synced to "
                  "%llu, term %llu",
                  node + 1, number(recovered.durable.last_index.value),
                  number(recovered.durable.hard_state.term.value),
                  number(log.durable().last().value), number(log.durable().hard.term.value)));
  }
  log.accept(recovered.durable);
}

void Cluster::start(std::size_t node) {
  Node& n = *nodes_[node];
  if (n.replica) return;
  ++n.life;
  storage::Recovered recovered = recover_disk(node);
  raft::CoreConfig core;
  core.self = id_of(node);
  core.incarnation = recovered.position.incarnation;
  core.heartbeat_interval = options_.heartbeat;
  core.election_timeout_min = options_.election;
  core.priority = options_.priorities ? static_cast<std::int32_t>(node % 3) : 0;
  core.log_cache_bytes = options_.log_cache_bytes;
  core.max_pending_bytes = options_.max_pending_bytes;
  core.max_inflight_bytes = options_.max_inflight_bytes;
  core.pre_vote = options_.pre_vote;
  core.check_quorum = options_.check_quorum;
  say(node, strf("starts, log to %llu, term %llu", number(recovered.durable.last_index.value),
                 number(recovered.durable.hard_state.term.value)));
  n.machine = std::make_unique<Machine>(node, oracle_);
  n.paused_until = {};
  n.inbox.clear();
  n.pump_scheduled = false;
  n.replica = std::make_unique<node::Replica>(
      core, storage::JournalOptions{n.identity, options_.segment_bytes, options_.segment_bytes, 0},
      std::move(recovered), n.rng.next(), local(n), node::Outside{n, n.disk, n, *n.machine, n.log});
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
  if (n.replica->stopped() && !n.replica->has_more()) {
    ++coverage_.clean_stops;
    if (!n.clients.empty()) throw Violation("stop: a client was left without an answer");
    say(node, "has stopped");
    return kill(node, false);
  }
  if (schedule_.now() >= deadline) return kill(node, false);
  schedule_.after(milliseconds(5),
                  [this, node, life, deadline] { poll_stop(node, life, deadline); });
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
  auto inbox = std::exchange(n.inbox, {});
  for (Event& event : inbox) {
    if (n.replica) event(*n.replica, local(n));
  }
  if (n.replica) pump(node);
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
  if (n.replica->has_more()) schedule_pump(node);
  arm_timer(node);
}

void Cluster::arm_timer(std::size_t node) {
  Node& n = *nodes_[node];
  const Instant wakeup = n.replica->next_wakeup();
  if (wakeup == Instant::never()) return;
  const std::uint64_t timer = ++n.timer;
  schedule_.at(global(n, wakeup), [this, node, life = n.life, timer] {
    Node& then = *nodes_[node];
    if (then.life != life || then.timer != timer || !then.replica || paused(node)) return;
    pump(node);
  });
}

void Cluster::check(std::size_t node) {
  Node& n = *nodes_[node];
  const node::ReplicaStatus now = status(node);
  oracle_.node_is(node, n.life, now);
  n.replica->check_invariants();
}

void Cluster::deliver(std::size_t to, node::PeerMessage message) {
  trace(to, 5, message.index());
  happen(to, [m = std::move(message)](node::Replica& replica, Instant now) mutable {
    replica.on_message(now, std::move(m));
  });
}

void Cluster::connected(std::size_t node, std::size_t peer) {
  const std::int32_t priority = options_.priorities ? static_cast<std::int32_t>(peer % 3) : 0;
  happen(node, [peer, priority](node::Replica& replica, Instant now) {
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

void Cluster::be_kind() {
  network_.be_kind();
  network_.heal();
  for (const std::unique_ptr<Node>& node : nodes_) {
    node->disk.be_kind();
    node->disk.set_full(false);
  }
}

std::optional<node::ClientToken> Cluster::submit(std::size_t node, node::ClientOp op,
                                                 Duration timeout, Answer answer) {
  Node& n = *nodes_[node];
  if (!n.replica) return std::nullopt;
  const node::ClientToken token{next_token_++};
  n.clients.emplace(token, std::move(answer));
  const auto shared = std::make_shared<node::ClientOp>(std::move(op));
  happen(node, [token, shared, timeout](node::Replica& replica, Instant now) {
    replica.on_client(now, token, std::move(*shared), now + timeout);
  });
  watch_answer(node, token, timeout + timeout / 4 + milliseconds(200));
  return token;
}

// Every request is answered by its deadline: none hangs. What is read after a pause has all of its
// time from then on.
void Cluster::watch_answer(std::size_t node, node::ClientToken token, Duration patience) {
  schedule_.after(
      patience, [this, node, token, patience, since = schedule_.now(), life = nodes_[node]->life] {
        const Node& n = *nodes_[node];
        if (n.life != life || !n.clients.contains(token)) return;
        if (paused(node) || n.resumed >= since) return watch_answer(node, token, patience);
        throw Violation(
            strf("answers: node %zu has not answered client %llu", node + 1, number(token.value)));
      });
}

void Cluster::gone(std::size_t node, node::ClientToken token) {
  if (nodes_[node]->clients.erase(token) == 0) return;
  ++coverage_.abandoned;
  happen(node, [token](node::Replica& replica, Instant) { replica.on_client_gone(token); });
}

void Cluster::complete(std::size_t node, node::ClientToken token, node::ClientResult result) {
  Node& n = *nodes_[node];
  trace(node, 7, token.value * 4 + result.index());
  const auto client = n.clients.find(token);
  if (client == n.clients.end()) {
    // It was answered twice, or its client is gone and the replica has been told so, unless that
    // news waits for the end of a pause.
    throw Violation(strf("answers: node %zu answered client %llu, who does not wait", node + 1,
                         number(token.value)));
  }
  Answer answer = std::move(client->second);
  n.clients.erase(client);
  const auto shared = std::make_shared<node::ClientResult>(std::move(result));
  schedule_.after({}, [answer = std::move(answer), shared] { answer(std::move(*shared)); });
}

std::shared_ptr<Cluster::Asked> Cluster::put(std::size_t node, const std::string& key,
                                             const std::string& value, Duration timeout) {
  auto asked = std::make_shared<Asked>();
  node::Write write{
      node::Propose{kv::encode(kv::Put{.key = key, .value = value, .condition = {}})}};
  const auto token = submit(node, std::move(write), timeout, [asked](auto result) {
    asked->answered = true;
    asked->result = std::move(result);
  });
  asked->answered = !token;
  return asked;
}

std::shared_ptr<Cluster::Asked> Cluster::get(std::size_t node, const std::string& key,
                                             Duration timeout) {
  auto asked = std::make_shared<Asked>();
  auto query = std::make_unique<kv::GetQuery>();
  query->key = key;
  const auto token = submit(node, node::Read{std::move(query)}, timeout, [asked](auto result) {
    asked->answered = true;
    asked->result = std::move(result);
  });
  asked->answered = !token;
  return asked;
}

void Cluster::collect_coverage() {
  coverage_.events = schedule_.count();
  coverage_.messages = network_.messages();
  coverage_.resets = network_.resets();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    coverage_.torn_sectors += nodes_[i]->disk.image().torn_sectors();
    if (!running(i)) continue;
    const node::ReplicaStatus now = status(i);
    coverage_.overwritten += now.counters.entries_overwritten;
    coverage_.elections += now.counters.elections_started;
    coverage_.leader_changes += now.counters.leader_changes;
    coverage_.forwarded += now.forwarded_total;
  }
}

}  // namespace raftd::sim
