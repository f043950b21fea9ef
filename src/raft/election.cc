// Elections: PreVote, votes, CheckQuorum's side of both, priority (thesis 3.4, 4.2.3, 9.6).
#include <utility>

#include "raft/state.h"

namespace raftd::raft {
namespace {

constexpr int kPartTimeouts = 10;  // Election timeouts in which a message must come to its end.

bool legal(const RoleState& from, const RoleState& to) {
  const bool to_leader = std::holds_alternative<Leader>(to);
  if (std::holds_alternative<Leader>(from)) return std::holds_alternative<Follower>(to);
  return !to_leader || std::holds_alternative<Candidate>(from);
}

bool has_answered(const std::vector<Vote>& votes, NodeId voter) {
  return std::any_of(votes.begin(), votes.end(),
                     [&](const Vote& each) { return each.voter == voter; });
}

void add_vote(std::vector<Vote>& votes, Vote vote) {
  if (!has_answered(votes, vote.voter)) votes.push_back(vote);
}

}  // namespace

void Core::State::become(RoleState next) {
  ASSERT(legal(role, next));
  if (auto* leader = as<Leader>()) leave_reads(*leader);
  role = std::move(next);
}

// Also within the same term: then the vote stays as it is. A vote is never cleared in its term.
void Core::State::become_follower(Term term, NodeId leader) {
  ASSERT_CMP(term, >=, hard_state.term);
  if (term > hard_state.term) {
    hard_state = {term, NodeId{}};
    gated.clear();
    term_leader = {};
  }
  const bool led = as<Leader>() != nullptr;
  become(Follower{});
  if (led) draw_election_deadline();
  if (leader) follow(leader);
}

void Core::State::draw_election_deadline() {
  draw_election_deadline_within(config.election_timeout_min);
  election_deadline = election_deadline + config.election_timeout_min;
}

void Core::State::draw_election_deadline_within(Duration bound) {
  ASSERT_CMP(bound.count(), >, 0);
  const auto drawn = rng.below(static_cast<std::uint64_t>(bound.count()));
  election_deadline = now + Duration(static_cast<Duration::rep>(drawn));
}

// Thesis 4.2.2: a server that is not part of its own latest configuration must still start
// elections, as long as it does not know that this configuration is committed.
bool Core::State::may_campaign() const {
  if (promised) return false;  // A leader's log holds what is committed; this one lacks some.
  const ConfigurationAt& newest = log.configuration();
  if (is_voter(newest.configuration, config.self)) return true;
  const ConfigurationAt* before = log.configuration_before();
  return newest.index > log.commit() && before && is_voter(before->configuration, config.self);
}

bool Core::State::must_wait_for_priority() const {
  if (deferred) return false;
  return std::any_of(connected.begin(), connected.end(), [&](const ConnectedPeer& peer) {
    return peer.priority > config.priority && is_voter(configuration(), peer.id);
  });
}

void Core::State::on_election_timeout() {
  ASSERT(!as<Leader>());
  if (!may_campaign()) {
    become_follower(hard_state.term, NodeId{});
    draw_election_deadline();
    return;
  }
  if (must_wait_for_priority()) {
    deferred = true;
    become_follower(hard_state.term, NodeId{});
    draw_election_deadline();
    return;
  }
  stand_now();
}

void Core::State::stand_now() {
  if (config.pre_vote) {
    start_pre_vote();
  } else {
    campaign(false);
  }
}

Status Core::State::stand() {
  if (as<Leader>()) return Error{Errc::kConflict, "this node leads already"};
  if (!may_campaign()) {
    return Error{Errc::kConflict, "only a voter that has kept its log can become the leader"};
  }
  stand_now();
  return Done{};
}

void Core::State::request_votes(const VoteRequest& request, Term term, Gate gate) {
  const Configuration& voters = configuration();
  for (const NodeId id : voters.voters) {
    if (id != config.self) post(id, term, request, gate);
  }
  for (const NodeId id : voters.voters_outgoing) {
    if (id != config.self && !contains(voters.voters, id)) post(id, term, request, gate);
  }
}

// Thesis 9.6: a candidate only increments its term if it first learns from a majority that they
// would be willing to grant it their votes.
void Core::State::start_pre_vote() {
  become(PreCandidate{});
  draw_election_deadline();
  as<PreCandidate>()->votes.push_back({config.self, true});
  const VoteRequest request{log.last(), log.last_term(), true, false};
  request_votes(request, hard_state.term.next(), Gate::kNothing);
  count_votes();
}

// Raft paper, figure 2: "On conversion to candidate, start election: increment currentTerm, vote
// for self, reset election timer, send RequestVote RPCs to all other servers". The own vote counts
// when it is durable, as those of others do.
void Core::State::campaign(bool transfer) {
  ++counters.elections_started;
  gated.clear();
  hard_state = {hard_state.term.next(), config.self};
  term_leader = {};
  become(Candidate{});
  draw_election_deadline();
  request_votes({log.last(), log.last_term(), false, transfer}, hard_state.term, Gate::kVote);
}

void Core::State::count_own_vote() {
  auto* candidate = as<Candidate>();
  if (!candidate || !durable_enough(Gate::kVote)) return;
  add_vote(candidate->votes, {config.self, true});
  count_votes();
}

void Core::State::count_votes() {
  const auto* pre_candidate = as<PreCandidate>();
  const auto* candidate = as<Candidate>();
  ASSERT(pre_candidate || candidate);
  const auto& votes = pre_candidate ? pre_candidate->votes : candidate->votes;
  switch (vote_result(configuration(), votes)) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      return become_follower(hard_state.term, NodeId{});
    case VoteResult::kWon:
      return pre_candidate ? campaign(false) : become_leader();
  }
}

void Core::State::become_leader() {
  ASSERT(durable_enough(Gate::kVote));
  ASSERT(hard_state.voted_for == config.self);
  ASSERT(!promised);
  Leader leader;
  leader.since = now;
  leader.first_index = log.last().next();
  leader.heartbeat_deadline = now + config.heartbeat_interval;
  leader.read_seq = ReadSeq{1};
  for (const MemberAddress& member : configuration().addresses) {
    if (member.id != config.self) leader.peers.emplace_back(member.id, log.last(), now);
  }
  for (const RemoteReads::Token& read : remote_reads.take_all()) {
    leader.reads.add({read.token, NodeId{}, {}, 0, read.since});
  }
  become(std::move(leader));
  term_leader = config.self;
  deferred = false;
  if (last_leader != config.self) ++counters.leader_changes;
  last_leader = config.self;
  // Thesis 6.4: a leader commits a blank no-op entry at the start of its term, to learn which
  // entries are committed; and entries of earlier terms commit with it (3.6.2).
  append_own(EntryKind::kNoop, {});
}

Instant Core::State::quorum_contact(const Leader& leader) const {
  const auto contact = [&](NodeId id) {
    if (id == config.self) return now;
    const Progress* peer = leader.find(id);
    ASSERT(peer != nullptr);
    return peer->last_contact().value_or(peer->since());
  };
  return quorum_value<Instant>(configuration(), contact);
}

bool Core::State::hears_leader() const {
  if (const auto* leader = as<Leader>()) {
    return config.check_quorum && now - quorum_contact(*leader) < config.election_timeout_min;
  }
  const auto* follower = as<Follower>();
  return follower && follower->heard && now - *follower->heard < config.election_timeout_min;
}

// Raft paper, section 5.4.1: the later last term, or with the same one the longer log, is more
// up-to-date.
bool Core::State::log_is_current(const VoteRequest& request) const {
  const LogPosition own{log.last_term(), log.last()};
  const LogPosition spoken_for = std::max(own, promised.value_or(LogPosition{}));
  return LogPosition{request.last_term, request.last_index} >= spoken_for;
}

// A log that ends at or behind the promised position, and agrees with some leader's, holds every
// entry that was committed with this node's word: by log matching if it ends in that term, by
// leader completeness if in a later one.
void Core::State::settle_promise() {
  if (!promised) return;
  const LogPosition durable{log.term_at(log.durable()).value_or(Term{}), log.durable()};
  if (durable >= *promised) promised.reset();
}

void Core::State::on_pre_vote_request(const Message& message, const VoteRequest& request) {
  // The message's term is the one after its sender's own.
  const bool behind = message.term <= hard_state.term;
  if (!behind && hears_leader()) return;
  const bool granted = !behind && log_is_current(request);
  post(message.from, granted ? message.term : hard_state.term, VoteReply{granted, true},
       Gate::kNothing);
}

void Core::State::on_vote_request(const Message& message, const VoteRequest& request) {
  ASSERT_CMP(message.term, ==, hard_state.term);
  const bool free = !hard_state.voted_for || hard_state.voted_for == message.from;
  const bool granted = free && log_is_current(request);
  if (granted) {
    ASSERT(!as<Leader>());
    hard_state.voted_for = message.from;
    if (!as<Follower>()) become_follower(hard_state.term, NodeId{});
    draw_election_deadline();
  }
  post(message.from, hard_state.term, VoteReply{granted, false},
       granted ? Gate::kVote : Gate::kTerm);
}

void Core::State::on_vote_reply(const Message& message, const VoteReply& reply) {
  std::vector<Vote>* votes = nullptr;
  if (reply.pre_vote) {
    const Term expected = reply.granted ? hard_state.term.next() : hard_state.term;
    auto* pre_candidate = as<PreCandidate>();
    if (pre_candidate && message.term == expected) votes = &pre_candidate->votes;
  } else if (auto* candidate = as<Candidate>()) {
    votes = &candidate->votes;
  }
  if (!votes || !is_voter(configuration(), message.from)) return;
  add_vote(*votes, {message.from, reply.granted});
  count_votes();
}

// A large message on a slow link is no silence. But only the whole of it proves who leads: parts
// put off nothing but this node's own candidacy, and that not for long, so that a leader which is
// gone is missed although what it sent last still comes. Whom others ask meanwhile is as before.
void Core::State::on_part(NodeId peer) {
  const auto* follower = as<Follower>();
  if (!follower || follower->leader != peer || !follower->heard) return;
  if (now - *follower->heard < kPartTimeouts * config.election_timeout_min) {
    draw_election_deadline();
  }
}

void Core::State::on_connected(NodeId peer, std::int32_t priority) {
  const auto place =
      std::lower_bound(connected.begin(), connected.end(), peer,
                       [](const ConnectedPeer& each, NodeId wanted) { return each.id < wanted; });
  if (place != connected.end() && place->id == peer) {
    place->priority = priority;
  } else {
    connected.insert(place, {peer, priority});
  }
  if (auto* leader = as<Leader>()) {
    if (Progress* progress = leader->find(peer)) progress->resume();
  }
  ask_again(peer);
}

// What was asked while there was no link to it has not reached it: when all nodes start at once,
// that may be the first question of each.
void Core::State::ask_again(NodeId peer) {
  if (!is_voter(configuration(), peer)) return;
  if (const auto* candidate = as<Candidate>()) {
    if (has_answered(candidate->votes, peer)) return;
    post(peer, hard_state.term, VoteRequest{log.last(), log.last_term(), false, false},
         Gate::kVote);
  } else if (as<PreCandidate>()) {
    // Two that ask each other in the same moment would both be candidates, and neither win.
    const Instant before = election_deadline;
    draw_election_deadline_within(std::max(config.election_timeout_min / 4, Duration(1)));
    election_deadline = std::min(election_deadline, before);
  }
}

// When a leader's process ends nobody waits for an election timeout: PreVote asks first, and those
// who still hear the leader refuse.
void Core::State::on_disconnected(NodeId peer) {
  std::erase_if(connected, [&](const ConnectedPeer& each) { return each.id == peer; });
  if (auto* leader = as<Leader>()) {
    if (Progress* progress = leader->find(peer)) progress->lost();
  }
  const auto* follower = as<Follower>();
  if (!follower || follower->leader != peer || !config.pre_vote) return;
  become_follower(hard_state.term, NodeId{});
  draw_election_deadline_within(std::max(config.election_timeout_min / 2, Duration(1)));
}

}  // namespace raftd::raft
