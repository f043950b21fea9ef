// Inputs, output, and the gate between them.
//
// The happy path is: step() and propose() append to the log in memory; take_output() gives one
// PersistBatch and the messages that claim nothing which is not yet durable; persisted() raises
// the durable mark and lets out what waited for it. Possible failure modes are: a term ends while
// messages wait (they are dropped: they speak for a term that is over); the tail is replaced while
// its batch is written (log.h: the mark never counts it); the disk hangs (elections wait for it,
// heartbeats do not). That a write fails is not an input: the process ends instead.
//
//   message                        waits until durable
//   VoteRequest, not PreVote       own term and vote
//   VoteReply, not PreVote         term, and the vote if granted
//   PreVote request and reply      nothing: they change nothing durable
//   AppendRequest                  nothing: a leader's term and vote were durable when it won
//   AppendReply accepted(match)    entries <= match, and the term: the ack is the promise
//   AppendReply to a heartbeat     the term; match = min(prev_index, durable mark)
//   AppendReply rejected           the term
//   SnapshotChunk                  nothing: a leader's message, as AppendRequest
//   SnapshotReply                  the term; it promises nothing: a crash begins the transfer anew
//   ReadIndexRequest and reply     nothing: the quorum round is the proof
//   TimeoutNow                     nothing
#include "raft/core.h"

#include <utility>

#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {

Core::State::State(const CoreConfig& core_config, Durable durable, std::uint64_t seed,
                   Instant start)
    : config(core_config),
      rng(seed),
      now(start),
      started(start),
      hard_state(durable.hard_state),
      durable_hard_state(hard_state),
      batched_hard_state(hard_state),
      snapshot(durable.snapshot),
      promised(durable.promised),
      log(std::move(durable)) {
  ASSERT(static_cast<bool>(config.self));
  ASSERT_CMP(config.election_timeout_min.count(), >, 1);
  ASSERT_CMP(config.heartbeat_interval.count(), >, 0);
  ASSERT_CMP(config.heartbeat_interval.count(), <, config.election_timeout_min.count());
  // A received snapshot may have become durable before its term did.
  if (hard_state.term < log.last_term()) hard_state = {log.last_term(), NodeId{}};
  settle_promise();
  shown_role = role_view();
  if (config.pre_vote) {
    // Nobody is disturbed by a PreVote, so the first one may come early.
    draw_election_deadline_within(config.election_timeout_min);
  } else {
    draw_election_deadline();
  }
  if (sole_voter()) election_deadline = now;
}

bool Core::State::sole_voter() const {
  const Configuration& members = configuration();
  return !members.joint() && members.voters.size() == 1 && members.voters.front() == config.self;
}

void Core::State::touch(Instant to) {
  ASSERT_CMP(to.since_origin.count(), >=, now.since_origin.count());
  const bool paused = to - now >= config.election_timeout_min / 2;
  now = to;
  // The process stood still: what waits in its sockets goes first, it may be from a leader.
  if (paused && !as<Leader>() && !sole_voter()) draw_election_deadline();
}

void Core::State::tick() {
  if (as<Leader>()) {
    leader_tick();
  } else if (!batch && now >= election_deadline) {
    // With a batch on its way the disk is slow, not the leader: persisted() sets a new deadline.
    on_election_timeout();
  }
  expire_reads();
}

void Core::State::step(Message&& message) {
  if (!plausible(message, config.self, hard_state.term)) {
    ++counters.bad_messages;
    return;
  }
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    if (request->pre_vote) return on_pre_vote_request(message, *request);
    // Thesis 4.2.3: a server does not change its term or grant its vote within a minimum election
    // timeout of hearing from a current leader, unless that leader wants it.
    if (message.term >= hard_state.term && !request->transfer && hears_leader()) return;
    // No lease protects a leader from the amnesia of a restarted voter (PreVote does).
    if (!config.pre_vote && now - started < config.election_timeout_min) return;
  }
  if (const auto* reply = std::get_if<VoteReply>(&message.body)) {
    // A granted PreVote echoes the term of the campaign, which has not begun.
    if (reply->pre_vote && reply->granted) return on_vote_reply(message, *reply);
  }
  if (std::get_if<TimeoutNow>(&message.body) && message.term != hard_state.term) return;
  if (message.term < hard_state.term) return answer_lower_term(message);
  if (message.term > hard_state.term) {
    // Raft paper, figure 2: "If RPC request or response contains term T > currentTerm: set
    // currentTerm = T, convert to follower".
    become_follower(message.term, NodeId{});
  }
  dispatch(message);
}

void Core::State::dispatch(Message& message) {
  std::visit(overloaded{
                 [&](VoteRequest& request) { on_vote_request(message, request); },
                 [&](VoteReply& reply) { on_vote_reply(message, reply); },
                 [&](AppendRequest& request) { on_append_request(message, request); },
                 [&](AppendReply& reply) { on_append_reply(message, reply); },
                 [&](ReadIndexRequest& request) { on_read_index_request(message, request); },
                 [&](ReadIndexReply& reply) { on_read_index_reply(message, reply); },
                 [&](TimeoutNow&) { on_timeout_now(message); },
                 [&](SnapshotChunk& chunk) { on_snapshot_chunk(message, chunk); },
                 [&](SnapshotReply& reply) { on_snapshot_reply(message, reply); },
             },
             message.body);
}

// So that a node with a higher term is never stuck: it ignores the leader, and PreVote and
// CheckQuorum keep its term from ever reaching the leader otherwise.
void Core::State::answer_lower_term(const Message& message) {
  std::visit(overloaded{
                 [&](const VoteRequest&) {
                   post(message.from, hard_state.term, VoteReply{}, Gate::kTerm);
                 },
                 [&](const AppendRequest& request) {
                   const AppendReply::Rejected rejected{request.prev_index, log.last(), {}, {}};
                   post(message.from, hard_state.term, AppendReply{rejected, {}}, Gate::kTerm);
                 },
                 [&](const ReadIndexRequest& request) {
                   post(message.from, hard_state.term,
                        ReadIndexReply{request.incarnation, request.seq, std::nullopt},
                        Gate::kNothing);
                 },
                 [&](const SnapshotChunk& chunk) {
                   post(message.from, hard_state.term, SnapshotReply{chunk.meta.id, 0, false},
                        Gate::kTerm);
                 },
                 [](const SnapshotReply&) {},
                 [](const VoteReply&) {},
                 [](const AppendReply&) {},
                 [](const ReadIndexReply&) {},
                 [](const TimeoutNow&) {},
             },
             message.body);
}

bool Core::State::durable_enough(Gate gate) const {
  switch (gate) {
    case Gate::kNothing:
      return true;
    case Gate::kTerm:
      return durable_hard_state.term == hard_state.term;
    case Gate::kVote:
      return durable_hard_state == hard_state;
  }
  return false;
}

void Core::State::post(NodeId to, Term term, Body body, Gate gate) {
  ASSERT(to != config.self);
  Message message{config.self, to, term, std::move(body)};
  if (durable_enough(gate)) {
    pending.messages.push_back(std::move(message));
  } else {
    gated.push_back({std::move(message), gate});
  }
}

void Core::State::open_gate() {
  const auto waits = [&](const GatedMessage& each) { return !durable_enough(each.gate); };
  const auto opened = std::stable_partition(gated.begin(), gated.end(), waits);
  for (auto each = opened; each != gated.end(); ++each) {
    pending.messages.push_back(std::move(each->message));
  }
  gated.erase(opened, gated.end());
}

void Core::State::persisted(PersistSeq seq) {
  ASSERT(batch);
  ASSERT_CMP(batch->seq, ==, seq);
  durable_hard_state = batch->hard_state;
  const Instant left = batch->since;
  batch.reset();
  log.finish_batch();
  settle_promise();
  open_gate();
  if (as<Leader>()) {
    advance_commit(left);
  } else {
    if (now >= election_deadline) draw_election_deadline();
    acknowledge_durable();
    count_own_vote();
  }
  evict();
}

bool Core::State::persist_due() const {
  if (batch) return false;
  if (hard_state != batched_hard_state || log.reset_due()) return true;
  return log.durable() < log.last() && now >= own_write_at();
}

bool Core::State::apply_due() const {
  if (log.applied() != log.handed() || log.handed() == log.commit()) return false;
  return !apply_buffer.empty() || log.cached(log.handed().next());
}

bool Core::State::apply_read_due() const {
  if (apply_reading || !apply_buffer.empty() || log.handed() == log.commit()) return false;
  return !log.cached(log.handed().next()) && log_reads.size() < limits::kLogReadsInFlightMax;
}

bool Core::State::has_output() const {
  if (!pending.messages.empty() || !pending.reads.empty() || !pending.log_reads.empty() ||
      !pending.chunks.empty()) {
    return true;
  }
  if (pending.hand_over || pending.transfer_failed) return true;
  if (persist_due() || apply_due() || apply_read_due()) return true;
  const auto* leader = as<Leader>();
  if (leader && (joint_ends(*leader) || must_retire(*leader))) return true;
  if (leader ? round_due(*leader) || replication_due(*leader) : ask_due()) return true;
  return shown_role != role_view() || shown_configuration != newest_configuration();
}

Output Core::State::take_output() {
  if (auto* leader = as<Leader>()) {
    drive_change(*leader);
    if (round_due(*leader)) start_round(*leader);
    replicate(*leader);
  } else if (ask_due()) {
    ask_leader();
  }
  if (apply_read_due()) {
    const Index first = log.handed().next();
    request_read(NodeId{}, first, std::min(log.commit(), log.cache_first().prev()),
                 limits::kLogReadBytesMax);
    apply_reading = true;
  }
  Output out = std::exchange(pending, {});
  output_persist(out);
  output_apply(out);
  output_views(out);
  evict();
  return out;
}

void Core::State::output_persist(Output& out) {
  if (!persist_due()) return;
  PersistBatch next;
  next.seq = last_batch = last_batch.next();
  if (hard_state != batched_hard_state) next.hard_state = hard_state;
  next.reset = log.take_reset();
  next.entries = log.begin_batch();
  batched_hard_state = hard_state;
  batch = OutstandingBatch{next.seq, hard_state, now};
  out.persist = std::move(next);
}

void Core::State::output_apply(Output& out) {
  if (!apply_due()) return;
  std::size_t bytes = 0;
  Index index = log.handed().next();
  const std::size_t count_max =
      std::min<std::size_t>(log.commit() - log.handed(), limits::kApplyEntriesPerPumpMax);
  out.committed.reserve(count_max);
  while (out.committed.size() < count_max) {
    const bool read = !apply_buffer.empty();
    if (!read && !log.cached(index)) break;
    const Entry& entry = read ? apply_buffer.front() : log.at(index);
    ASSERT_CMP(entry.index, ==, index);
    bytes += entry.payload.bytes.size();
    if (bytes > limits::kApplyBytesPerPumpMax && !out.committed.empty()) break;
    out.committed.push_back(entry);
    if (read) apply_buffer.pop_front();
    index = index.next();
  }
  log.hand_to(index.prev());
}

// What tells it from another one that was at its place.
std::pair<Index, Term> Core::State::newest_configuration() const {
  const Index index = log.configuration().index;
  return {index, log.term_at(index).value_or(Term{})};
}

void Core::State::output_views(Output& out) {
  const std::pair<Index, Term> newest = newest_configuration();
  if (shown_configuration != newest) {
    shown_configuration = newest;
    out.configuration = log.configuration();
  }
  const RoleView view = role_view();
  if (shown_role != view) {
    shown_role = view;
    out.role = view;
  }
}

LogReadId Core::State::request_read(NodeId peer, Index first, Index last, std::size_t bytes_max) {
  ASSERT_CMP(first, <=, last);
  ASSERT_CMP(log_reads.size(), <, limits::kLogReadsInFlightMax);
  last_log_read = last_log_read.next();
  const LogRead read{last_log_read, first, last, bytes_max};
  log_reads.push_back({last_log_read, peer, hard_state.term, read});
  pending.log_reads.push_back(read);
  return last_log_read;
}

// The log may have changed since the question: then the answer is about other entries.
bool Core::State::agrees_with_log(const LogRead& read, const std::vector<Entry>& entries) const {
  Index expected = read.first;
  for (const Entry& entry : entries) {
    if (entry.index != expected || log.term_at(entry.index) != entry.term) return false;
    expected = expected.next();
  }
  return !entries.empty();
}

void Core::State::log_read_done(LogReadId id, std::vector<Entry> entries) {
  const auto found = std::find_if(log_reads.begin(), log_reads.end(),
                                  [&](const OutstandingRead& each) { return each.id == id; });
  ASSERT(found != log_reads.end());
  const OutstandingRead done = *found;
  log_reads.erase(found);
  if (done.unwanted) return;
  while (!entries.empty() && entries.back().index > done.read.last)
    entries.pop_back();
  const bool agrees = agrees_with_log(done.read, entries);
  if (!done.peer) {
    // Committed entries never change, and are evicted from memory only once they are on disk.
    ASSERT(agrees);
    apply_reading = false;
    apply_buffer.assign(std::make_move_iterator(entries.begin()),
                        std::make_move_iterator(entries.end()));
    return;
  }
  auto* leader = as<Leader>();
  if (!leader || done.term != hard_state.term) return;
  Progress* peer = leader->find(done.peer);
  if (peer == nullptr || peer->reading() != id) return;  // Removed meanwhile.
  peer->set_reading(std::nullopt);
  if (!agrees) {
    // They are gone, and only a snapshot could bring the follower on. Ask again with a heartbeat.
    ++counters.entries_unavailable;
    peer->lost();
  } else if (peer->replicating() && peer->next() == done.read.first) {
    send_append(*leader, *peer, std::move(entries), ReadSeq{});
  }
}

void Core::State::evict() {
  if (log.cache_bytes() <= limits::kLogCacheIdleBytes) return;
  const auto* leader = as<Leader>();
  // A leader's own entries stay until they are committed: max_pending_bytes bounds them.
  const Index own = leader ? std::max(log.commit(), leader->first_index.prev()) : log.last();
  if (log.cache_bytes() > config.log_cache_bytes) {
    log.evict(std::min(log.durable(), own).next(), config.log_cache_bytes);
  }
  Index wanted = log.applied().next();
  if (leader) {
    for (const Progress& peer : leader->peers) {
      if (peer.replicating()) wanted = std::min(wanted, peer.match().next());
    }
  }
  log.evict(std::min(wanted, own.next()), limits::kLogCacheIdleBytes);
}

Instant Core::State::next_deadline() const {
  if (const auto* leader = as<Leader>()) {
    return std::min(leader_deadline(*leader), reads_deadline());
  }
  if (batch) return reads_deadline();
  // Often enough that a pause of half an election timeout shows as one (touch()).
  const Instant awake = now + config.election_timeout_min * 3 / 8;
  return std::min({election_deadline, awake, reads_deadline()});
}

RoleView Core::State::role_view() const {
  return std::visit(overloaded{
                        [&](const Follower& follower) {
                          return RoleView{Role::kFollower, hard_state.term, follower.leader};
                        },
                        [&](const PreCandidate&) {
                          return RoleView{Role::kPreCandidate, hard_state.term, NodeId{}};
                        },
                        [&](const Candidate&) {
                          return RoleView{Role::kCandidate, hard_state.term, NodeId{}};
                        },
                        [&](const Leader&) {
                          return RoleView{Role::kLeader, hard_state.term, config.self};
                        },
                    },
                    role);
}

Core::Core(const CoreConfig& config, Durable durable, std::uint64_t seed, Instant now)
    : state_(std::make_unique<State>(config, std::move(durable), seed, now)) {}
Core::~Core() = default;

void Core::tick(Instant now) {
  state_->touch(now);
  state_->tick();
}
void Core::step(Instant now, Message message) {
  state_->touch(now);
  state_->step(std::move(message));
}
Result<Index> Core::propose(Instant now, SharedBytes command) {
  state_->touch(now);
  return state_->propose(std::move(command));
}
Result<Index> Core::change_members(Instant now, const MembershipChange& change) {
  state_->touch(now);
  return state_->change_members(change);
}
Status Core::transfer(Instant now, NodeId target) {
  state_->touch(now);
  return state_->start_transfer(target);
}
Status Core::stand(Instant now) {
  state_->touch(now);
  return state_->stand();
}
Status Core::read(Instant now, std::uint64_t token) {
  state_->touch(now);
  return state_->read(token);
}
void Core::persisted(Instant now, PersistSeq seq) {
  state_->touch(now);
  state_->persisted(seq);
}
void Core::applied(Index index) {
  state_->log.apply_to(index);
  state_->evict();
}
void Core::log_read_done(Instant now, LogReadId id, std::vector<Entry> entries) {
  state_->touch(now);
  state_->log_read_done(id, std::move(entries));
}
void Core::receiving(Instant now, NodeId peer) {
  state_->touch(now);
  state_->on_part(peer);
}
void Core::connected(NodeId peer, std::int32_t priority) {
  state_->on_connected(peer, priority);
}
void Core::disconnected(Instant now, NodeId peer) {
  state_->touch(now);
  state_->on_disconnected(peer);
}
void Core::unreachable(NodeId peer) {
  auto* leader = state_->as<Leader>();
  Progress* progress = leader ? leader->find(peer) : nullptr;
  if (progress) progress->lost();
}
void Core::announce(NodeId peer, Index index) {
  auto* leader = state_->as<Leader>();
  Progress* progress = leader ? leader->find(peer) : nullptr;
  if (progress) progress->announce(index);
}
void Core::compacted(const SnapshotMeta& snapshot) {
  state_->compacted(snapshot);
}
void Core::dropped(Index first_index) {
  state_->log.drop_to(first_index);
}
void Core::chunk_stored(Instant now, const SnapshotId& id, std::uint64_t next_offset) {
  state_->touch(now);
  state_->chunk_stored(id, next_offset);
}
void Core::installed(Instant now, const SnapshotMeta& snapshot) {
  state_->touch(now);
  state_->installed(snapshot);
}
void Core::install_failed(Instant now, const SnapshotId& id, bool rejected) {
  state_->touch(now);
  state_->install_failed(id, rejected);
}
void Core::send_snapshot(NodeId peer, Index index) {
  state_->send_snapshot(peer, index);
}
void Core::want_snapshot(bool wanted) {
  state_->snapshot_wanted = wanted;
}
std::optional<Index> Core::sending_from() const {
  return state_->sending_from();
}
void Core::disk_full(bool full) {
  state_->disk_full = full;
}

void Core::set_max_pending_bytes(std::size_t bytes) {
  state_->config.max_pending_bytes = bytes;
}

bool Core::awaits_clients() const {
  return state_->awaits_clients();
}

bool Core::has_output() const {
  return state_->has_output();
}
Output Core::take_output() {
  return state_->take_output();
}
Instant Core::next_deadline() const {
  return state_->next_deadline();
}

RoleView Core::role() const {
  return state_->role_view();
}
HardState Core::hard_state() const {
  return state_->hard_state;
}
Index Core::commit_index() const {
  return state_->log.commit();
}
Index Core::persisted_index() const {
  return state_->log.durable();
}
Index Core::first_index() const {
  return state_->log.first();
}
Index Core::last_index() const {
  return state_->log.last();
}
const ConfigurationAt& Core::configuration() const {
  return state_->log.configuration();
}
const ConfigurationAt& Core::configuration_at(Index index) const {
  return state_->log.configuration_at(index);
}
std::vector<PeerProgress> Core::progress() const {
  std::vector<PeerProgress> views;
  if (const auto* leader = state_->as<Leader>()) {
    views.reserve(leader->peers.size());
    for (const Progress& peer : leader->peers)
      views.push_back(peer.view());
  }
  return views;
}
std::optional<Instant> Core::leader_contact() const {
  if (state_->as<Leader>()) return state_->now;
  const auto* follower = state_->as<Follower>();
  return follower ? follower->heard : std::nullopt;
}
std::size_t Core::pending_bytes() const {
  const auto* leader = state_->as<Leader>();
  return leader ? leader->pending_bytes : 0;
}
const Counters& Core::counters() const {
  return state_->counters;
}
void Core::check_invariants() const {
  state_->check_invariants();
}

}  // namespace raftd::raft
