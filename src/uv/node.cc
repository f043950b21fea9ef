// The happy path is: libuv calls back with bytes, results and timers; the callbacks hand them to
// the replica, which records; right before the next poll (prepare: timers have run by then, too)
// turn() lets the replica act once for all of it, and then writes once per connection. So all
// requests of an iteration share a frame, a sync, a message to each peer and a read confirmation;
// while writes keep coming, those of the next iterations, too.
//
// Possible failure modes are: an address cannot be listened on (run() says kCannotListen); a peer
// says that this node's data directory is not the one that the cluster knows (kNotTaken), or that
// the node was removed (likewise, when what waits is answered); SIGTERM comes while no majority is
// there: what waits is given up after shutdown_timeout.
#include "uv/node.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "api/backend.h"
#include "uv/busy_poll.h"
#include "uv/directory_probe.h"
#include "uv/disk_worker.h"
#include "uv/gathering.h"
#include "uv/loop_meter.h"
#include "uv/notify.h"
#include "uv/own_member.h"
#include "uv/publisher.h"

namespace raftd::uv {
namespace {

constexpr Duration kFirstStartPatience = std::chrono::seconds(1);
constexpr Duration kChangePatience = std::chrono::seconds(5);
constexpr Duration kPublishPatience = std::chrono::seconds(5);
constexpr Duration kSlowTurn = std::chrono::milliseconds(10);
constexpr Duration kSlowTurnInterval = std::chrono::minutes(1);  // Between warnings.
constexpr Duration kStatusInterval = std::chrono::seconds(5);
constexpr int kRoundsPerTurnMax = 4;
constexpr Duration kRoundsTimeMax =
    std::chrono::milliseconds(2);  // Then what came in is looked at.

std::uint64_t ms_until(Instant now, Instant then) {
  if (then <= now) return 0;
  const auto ns = static_cast<std::uint64_t>((then - now).count());
  return (ns + 999'999) / 1'000'000;  // Up: a timer that is early turns the loop for nothing.
}

const char* role_name(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kPreCandidate:
      return "precandidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  return "unknown";
}

}  // namespace

Instant monotonic_now() {
  return {std::chrono::nanoseconds(uv_hrtime())};
}

struct Node::State final : node::Clients, node::Stopwatch, PeerEvents, PeerDirectory {
  State(const NodeOptions& node_options, storage::Recovered recovered, kv::Store& node_store,
        Log& node_log, Reload node_reload);

  bool start();
  void turn() noexcept;
  void act(Instant now);
  void keep_awake(bool wanted);
  void linger(Instant now);
  void flush(Instant now);
  void arm_timer(Instant now);
  void on_wakeup() noexcept { armed = Instant::never(); }  // turn() comes.
  bool has_more() const { return replica.has_more() || service.has_more(); }
  // With one processor they may need it to come back: the loop sleeps until they do, or the timer
  // ends the wait, which counts whole milliseconds.
  bool awaits_clients() const { return !busy_poll.one_processor() && replica.awaits_clients(); }
  void measure(Instant now);
  void housekeeping() noexcept;
  void on_signal(int number) noexcept;
  void begin_stop(Instant now);
  void note_removal(Instant now);
  void propose_own(Instant now);
  void depart(Instant now, const std::string& who_says_so);
  void reload_now();
  void close_all();
  void adjust(const Adjustable& adjustable);

  void complete(node::ClientToken token, node::ClientResult result) override;
  Instant read() override { return monotonic_now(); }
  void on_message(node::PeerMessage message) override;
  void on_part(raft::NodeId peer) override;
  void on_connected(raft::NodeId peer, std::int32_t priority) override;
  void on_disconnected(raft::NodeId peer) override;
  void on_dropped(raft::NodeId peer) override;
  std::uint64_t published_instance(raft::NodeId id) const override;
  bool removed(raft::NodeId id) const override;

  NodeOptions options;
  Log& log;
  Reload reload;
  Notifier notifier;
  Loop loop;
  api::Vitals vitals;
  kv::Store& store;
  api::Service service;
  DiskWorker disk;
  PeerNetwork peers;
  node::Replica replica;
  api::ReplicaBackend backend;
  HttpServer http;
  Publisher publisher;
  OwnMember own_member;
  DirectoryProbe probe;

  Handle<uv_prepare_t> prepare;
  Handle<uv_check_t> check;
  Handle<uv_idle_t> idle;
  Timer wakeup;
  Timer chores;
  Handle<uv_signal_t> sigterm;
  Handle<uv_signal_t> sigint;
  Handle<uv_signal_t> sighup;

  Instant armed = Instant::never();
  bool idle_running = false;
  Gathering gathering;
  BusyPoll busy_poll{uv_available_parallelism()};
  std::size_t reads_answered = 0;  // In this iteration.
  bool holding = false;            // First start: the peers have not all been asked yet.
  Instant begun{};
  LoopMeter meter;
  Instant slow_said{};  // Never yet.
  Instant watchdog_sent{};
  Instant status_sent{};
  bool stopping = false;
  Instant stop_deadline = Instant::never();
  Ended ended = Ended::kStopped;
  std::optional<std::string> removal;  // Set once.
};

Node::State::State(const NodeOptions& node_options, storage::Recovered recovered,
                   kv::Store& node_store, Log& node_log, Reload node_reload)
    : options(node_options),
      log(node_log),
      reload(std::move(node_reload)),
      store(node_store),
      service(options.service, options.adjustable.limits, store, vitals, log),
      disk(loop, options.data_dir, options.sync,
           [this](storage::DiskResult result) {
             replica.on_disk_done(monotonic_now(), std::move(result));
           }),
      peers(loop, options.peer, *this, log, options.seed + 1),
      replica(options.core, options.journal, std::move(recovered), options.seed, monotonic_now(),
              {peers, disk, *this, store, log, this}, options.snapshots),
      backend(replica),
      http(loop, options.adjustable.http, service, vitals, log),
      publisher({options.core.self.value, options.peer.identity.instance, options.service.name,
                 options.service.client_url, options.service.version}),
      own_member(options.core.self, options.peer.advertised),
      probe(loop, options.data_dir),
      prepare(this, [this](uv_prepare_t* h) { return uv_prepare_init(loop.get(), h); }),
      check(this, [this](uv_check_t* h) { return uv_check_init(loop.get(), h); }),
      idle(this, [this](uv_idle_t* h) { return uv_idle_init(loop.get(), h); }),
      wakeup(loop, this),
      chores(loop, this),
      sigterm(this, [this](uv_signal_t* h) { return uv_signal_init(loop.get(), h); }),
      sigint(this, [this](uv_signal_t* h) { return uv_signal_init(loop.get(), h); }),
      sighup(this, [this](uv_signal_t* h) { return uv_signal_init(loop.get(), h); }) {
  service.bind(backend, http);
  peers.bind(*this);
}

bool Node::State::start() {
  const auto on_signal_event = [](uv_signal_t* h, int number) noexcept {
    if (auto* self = owner_of<State>(h)) self->on_signal(number);
  };
  uv_signal_start(sigterm.get(), on_signal_event, SIGTERM);
  uv_signal_start(sigint.get(), on_signal_event, SIGINT);
  uv_signal_start(sighup.get(), on_signal_event, SIGHUP);
  const auto listened = [&](const Result<std::string>& result, const char* what) {
    if (!result) {
      log.error("%s", result.error().message.c_str());
      return false;
    }
    log.info("listening for %s on %s", what, result->c_str());
    return true;
  };
  if (!listened(peers.listen(options.peer_listen), "peers")) return false;
  for (const std::string& address : options.client_listen) {
    if (!listened(http.listen(address), "clients")) return false;
  }
  begun = monotonic_now();
  holding = options.first_start;
  // The replica tells the network at its first pump, which comes after the peers have been asked.
  if (holding) peers.members(replica.status(begun).configuration);
  uv_prepare_start(prepare.get(), [](uv_prepare_t* h) noexcept {
    if (auto* self = owner_of<State>(h)) self->turn();
  });
  uv_check_start(check.get(), [](uv_check_t* h) noexcept { Loop::of(h).note_awake(); });
  loop.note_awake();
  chores.start_repeating<State, &State::housekeeping>(100);
  notifier.send("READY=1\nSTATUS=recovered and listening");
  return true;
}

// What is done once per loop iteration, or for several that gather writes.
void Node::State::turn() noexcept {
  const Instant now = monotonic_now();
  meter.begins(now);
  disk.rouse();
  if (gathering.goes_on(replica.waiting_writes(), now)) return keep_awake(true);
  service.on_turn(now);
  if (holding && (peers.every_peer_answered() || now - begun > kFirstStartPatience)) {
    holding = false;
  }
  if (holding) {
    flush(now);
  } else {
    act(now);
  }
  keep_awake(!disk.doze() || (!holding && (has_more() || awaits_clients())));
  arm_timer(now);
  gathering.acted(replica.waiting_writes());
  const Instant end = monotonic_now();
  measure(end);
  linger(end);
}

void Node::State::act(Instant now) {
  replica.on_time(now);
  int rounds = 0;
  do {
    replica.pump(now);
    service.pump(now);
    meter.ended(LoopMeter::Phase::kReplica, monotonic_now());
    flush(now);
  } while (has_more() && ++rounds < kRoundsPerTurnMax && monotonic_now() - now < kRoundsTimeMax);
}

void Node::State::keep_awake(bool wanted) {
  if (wanted == idle_running) return;
  idle_running = wanted;
  if (wanted) {
    uv_idle_start(idle.get(), [](uv_idle_t*) noexcept {});  // Poll must not sleep.
  } else {
    uv_idle_stop(idle.get());
  }
}

// Sleep comes next, unless what is waited for comes before.
void Node::State::linger(Instant now) {
  const Instant until = busy_poll.until({.writes = replica.waiting_writes(),
                                         .reads = replica.waiting_reads(),
                                         .answered = std::exchange(reads_answered, 0)},
                                        now);
  if (!idle_running && until > now) poll_until(uv_backend_fd(loop.get()), until);
}

void Node::State::arm_timer(Instant now) {
  const Instant next = holding ? begun + kFirstStartPatience
                               : std::min(replica.next_wakeup(), service.next_wakeup());
  if (next == armed && next > now) return;
  armed = next;
  if (next == Instant::never()) {
    wakeup.stop();
    return;
  }
  uv_update_time(loop.get());
  wakeup.start_once<State, &State::on_wakeup>(ms_until(now, next));
}

void Node::State::flush(Instant now) {
  peers.flush(now);
  meter.ended(LoopMeter::Phase::kPeers, monotonic_now());
  http.flush(now);
  meter.ended(LoopMeter::Phase::kClients, monotonic_now());
}

// A stall is the time that an iteration was busy: all of it but the sleep in the kernel.
void Node::State::measure(Instant now) {
  const LoopMeter::Iteration iteration = meter.end_iteration(loop.end_awake(), now);
  vitals.loop_stalls.add(now, iteration.busy);
  if (iteration.busy <= kSlowTurn) return;
  const bool warn = iteration.busy > options.core.heartbeat_interval &&
                    (slow_said == Instant{} || now - slow_said >= kSlowTurnInterval);
  if (warn) {
    slow_said = now;
    log.warn(
        "the loop was %s: nobody was answered meanwhile. Is the machine short of processor time?",
        describe(iteration).c_str());
  } else {
    log.debug("the loop was %s", describe(iteration).c_str());
  }
}

// Ten times a second: what needs no precision.
void Node::State::housekeeping() noexcept {
  const Instant now = monotonic_now();
  vitals.connected_peers = peers.connected();
  vitals.bad_peer_messages = peers.bad_messages();
  vitals.data_dir_writable = probe.writable();
  const std::optional<PeerVerdict>& verdict = peers.fatal();
  if (verdict && verdict->reason == wire::Reason::kInstance && ended != Ended::kNotTaken) {
    log.error("%s", verdict->message.c_str());
    ended = Ended::kNotTaken;
    close_all();
    return;
  }
  note_removal(now);
  if (stopping) {
    const bool done = replica.stopped() && http.stopped();
    if (!done && now < stop_deadline) return;
    if (!done) log.warn("stopping without waiting any longer: shutdown_timeout has passed");
    close_all();
    return;
  }
  if (holding) return;
  propose_own(now);
  if (notifier.watchdog_interval() > Duration{} &&
      now - watchdog_sent >= notifier.watchdog_interval()) {
    watchdog_sent = now;
    notifier.send("WATCHDOG=1");
  }
  if (now - status_sent >= kStatusInterval) {
    status_sent = now;
    probe.begin();
    const node::ReplicaStatus status = replica.status(now);
    notifier.send(strf("STATUS=%s of term %llu, applied %llu", role_name(status.role.role),
                       static_cast<unsigned long long>(status.role.term.value),
                       static_cast<unsigned long long>(status.applied.value)));
  }
}

// What this node itself wants of the log.
void Node::State::propose_own(Instant now) {
  if (auto due = publisher.due(now, store.members())) {
    replica.on_client(now, due->token, node::Write{node::Propose{std::move(due->command)}},
                      now + kPublishPatience);
  }
  if (service.wishes().leave && !own_member.leaving()) {
    log.info("leaving the cluster: this node asks for its removal and ends when that is committed");
    own_member.leave();
  }
  if (auto due = own_member.due(now, replica.configuration(), replica.marks().applied)) {
    replica.on_client(now, due->token, node::Write{std::move(due->change)}, now + kChangePatience);
  }
  if (const auto why = own_member.complaint(now)) {
    log.warn("this node has not left the cluster yet and tries on: %s", why->c_str());
  }
}

void Node::State::on_signal(int number) noexcept {
  if (number == SIGHUP) {
    reload_now();
    return;
  }
  if (stopping) {  // The second one: the operator does not want to wait.
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  const Instant now = monotonic_now();
  log.info("stopping: %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
  replica.stop(now);
  begin_stop(now);
}

void Node::State::begin_stop(Instant now) {
  ASSERT(!stopping);
  notifier.send("STOPPING=1\nSTATUS=stopping");
  stopping = true;
  vitals.stopping = true;
  stop_deadline = now + options.shutdown_timeout;
  http.stop();
}

// A member is told by another one; a leader has committed its removal itself and hands over first.
void Node::State::note_removal(Instant now) {
  if (removal) return;
  const std::optional<PeerVerdict>& verdict = peers.fatal();
  if (verdict && verdict->reason == wire::Reason::kRemoved) return depart(now, verdict->message);
  const raft::NodeId self = options.core.self;
  if (replica.role().role == raft::Role::kLeader || !removed(self)) return;
  depart(now, strf("node %llu was removed from the cluster: its own log says so",
                   static_cast<unsigned long long>(self.value)));
}

void Node::State::depart(Instant now, const std::string& who_says_so) {
  ASSERT(!removal);
  removal = who_says_so;
  if (own_member.leaving()) {
    log.info("this node has left the cluster: %s", who_says_so.c_str());
  } else {
    ended = Ended::kNotTaken;
    log.error("%s", who_says_so.c_str());
  }
  if (holding) return close_all();  // Nobody has asked it for anything.
  replica.on_removed(now);
  if (!stopping) begin_stop(now);
}

void Node::State::reload_now() {
  notifier.send(strf("RELOADING=1\nMONOTONIC_USEC=%llu",
                     static_cast<unsigned long long>(uv_hrtime() / 1000)));
  if (const auto adjusted = reload()) adjust(*adjusted);
  notifier.send("READY=1");
}

void Node::State::adjust(const Adjustable& adjustable) {
  service.set_limits(adjustable.limits);
  http.set_options(adjustable.http);
  store.set_history_limits(adjustable.history);
  replica.set_max_pending_bytes(adjustable.max_pending_bytes);
}

void Node::State::close_all() {
  peers.stop();
  uv_stop(loop.get());
}

void Node::State::complete(node::ClientToken token, node::ClientResult result) {
  if (OwnMember::owns(token)) return own_member.done(result);
  if (Publisher::owns(token)) {
    publisher.done();
    return;
  }
  const auto* done = std::get_if<node::Done>(&result);
  if (done && done->query) ++reads_answered;
  service.complete(token, std::move(result));
}

void Node::State::on_message(node::PeerMessage message) {
  if (holding) return;  // No vote, no answer before the peers have been asked; they send again.
  replica.on_message(monotonic_now(), std::move(message));
}

void Node::State::on_part(raft::NodeId peer) {
  replica.on_peer_part(monotonic_now(), peer);
}

void Node::State::on_connected(raft::NodeId peer, std::int32_t priority) {
  replica.on_peer_connected(monotonic_now(), peer, priority);
}

void Node::State::on_disconnected(raft::NodeId peer) {
  const Instant now = monotonic_now();
  note_removal(now);  // First, so that who waits for the removal is answered by it.
  replica.on_peer_disconnected(now, peer);
}

void Node::State::on_dropped(raft::NodeId peer) {
  replica.on_peer_dropped(peer);
}

std::uint64_t Node::State::published_instance(raft::NodeId id) const {
  for (const kv::PublishedMember& member : store.members()) {
    if (member.id == id.value) return member.instance;
  }
  return 0;
}

bool Node::State::removed(raft::NodeId id) const {
  const raft::ConfigurationAt& known = replica.configuration();
  if (known.configuration.addresses.empty() || raft::is_member(known.configuration, id)) {
    return false;
  }
  const node::ReplicaMarks marks = replica.marks();
  // What is not committed may be taken back; and a leader that goes hands over first.
  if (known.index > marks.applied || marks.role.leader == id) return false;
  const auto& tickets = store.tickets();  // Whoever has one is still to come.
  return id.value <= store.max_id() &&
         std::ranges::find(tickets, id.value, &kv::Ticket::id) == tickets.end();
}

Node::Node(const NodeOptions& options, storage::Recovered recovered, kv::Store& store, Log& log,
           Reload reload)
    : state_(
          std::make_unique<State>(options, std::move(recovered), store, log, std::move(reload))) {}

Node::~Node() = default;

Ended Node::run() {
  if (!state_->start()) return Ended::kCannotListen;
  state_->loop.run();
  return state_->ended;
}

const std::optional<std::string>& Node::removal() const {
  return state_->removal;
}

}  // namespace raftd::uv
