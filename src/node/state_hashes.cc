#include "node/state_hashes.h"

#include <algorithm>

#include "base/limits.h"
#include "raft/quorum.h"

namespace raftd::node {
namespace {

// Election timeouts: how long a leader waits for answers before it asks about a newer mark, and
// before it takes those that are missing for absent.
constexpr int kRoundTimeouts = 10;
constexpr int kAnswerTimeouts = 2;

}  // namespace

void StateHashes::note(raft::Index index, std::uint64_t hash) {
  ASSERT(is_mark(index));
  if (!marks_.empty()) ASSERT_CMP(index, >, marks_.back().index);
  marks_.push_back({index, hash});
  if (marks_.size() > limits::kStateHashMarks) marks_.pop_front();
}

void StateHashes::replaced() {
  marks_.clear();
  doubt_.reset();
  asked_.reset();
  round_.reset();
}

void StateHashes::damaged(raft::Index index) {
  doubt(StateDoubt::Why::kDamaged, {index, 0}, 0);
}

// The first reason stays, but for damage: no answer of others takes that away.
void StateHashes::doubt(StateDoubt::Why why, const Mark& own, std::uint64_t other) {
  if (doubt_ && why != StateDoubt::Why::kDamaged) return;
  doubt_ = StateDoubt{why, own.index, own.hash, other};
}

// A quorum has the hash that this node has at index.
void StateHashes::clear_doubt(raft::Index index) {
  if (!doubt_ || doubt_->why == StateDoubt::Why::kDamaged || index < doubt_->index) return;
  doubt_.reset();
}

const StateHashes::Mark* StateHashes::find(raft::Index index) const {
  const auto at = std::ranges::lower_bound(marks_, index, {}, &Mark::index);
  return at == marks_.end() || at->index != index ? nullptr : &*at;
}

// A follower's side.

// What waits to be applied is answered first: else a node that is always behind would never answer.
void StateHashes::on_question(const HashQuestion& question, const raft::RoleView& role) {
  if (question.term != role.term || question.from != role.leader) return;
  const bool waits = asked_ && asked_->term == question.term && asked_->index < question.index;
  if (!waits || doubt_) asked_ = question;
}

std::optional<HashAnswer> StateHashes::answer(Instant now, raft::Index applied,
                                              const raft::RoleView& role) {
  if (asked_ && (asked_->term != role.term || asked_->from != role.leader)) asked_.reset();
  if (asked_ && (asked_->index <= applied || doubt_)) {
    return answer_to(*std::exchange(asked_, std::nullopt), applied);
  }
  // Where nothing is written nobody asks.
  const bool follows = role.role == raft::Role::kFollower && role.leader;
  if (!doubt_ || !follows || now - told_ < heartbeat_) return std::nullopt;
  told_ = now;
  return tell(role.leader, role.term, applied, nullptr);
}

HashAnswer StateHashes::answer_to(const HashQuestion& question, raft::Index applied) {
  const Mark* mark = find(question.index);
  if (mark != nullptr && mark->hash != question.hash) {
    doubt(StateDoubt::Why::kDiffers, *mark, question.hash);
  }
  const bool agrees = mark != nullptr && mark->hash == question.hash;
  if (agrees && question.agreed) clear_doubt(question.index);
  return tell(question.from, question.term, applied, mark);
}

// mark: what was asked for; nullptr: it is not known.
HashAnswer StateHashes::tell(raft::NodeId leader, raft::Term term, raft::Index applied,
                             const Mark* mark) const {
  HashAnswer answer{self_, leader, term, {}, 0, applied, HashAnswer::State::kServes};
  if (doubt_) {
    const bool damaged = doubt_->why == StateDoubt::Why::kDamaged;
    answer.state = damaged ? HashAnswer::State::kDamaged : HashAnswer::State::kDiffers;
    if (mark == nullptr && !damaged) mark = find(doubt_->index);
  }
  if (mark != nullptr) {
    answer.index = mark->index;
    answer.hash = mark->hash;
  }
  return answer;
}

// A leader's side.

void StateHashes::on_answer(const HashAnswer& answer, const raft::RoleView& role) {
  if (role.role != raft::Role::kLeader || !round_) return;
  if (answer.term != role.term || round_->term != role.term) return;
  const bool elsewhere = answer.index != round_->mark.index;
  if (elsewhere && answer.index && answer.state == HashAnswer::State::kServes) return;  // Late.
  const auto same_node = [&](const HashAnswer& each) { return each.from == answer.from; };
  std::erase_if(round_->answers, same_node);
  if (round_->answers.size() < limits::kMembersMax) round_->answers.push_back(answer);
}

const HashAnswer* StateHashes::answer_of(raft::NodeId node) const {
  const auto found = std::ranges::find(round_->answers, node, &HashAnswer::from);
  return found == round_->answers.end() ? nullptr : &*found;
}

bool StateHashes::same(raft::NodeId node) const {
  if (node == self_) return true;
  const HashAnswer* answer = answer_of(node);
  return answer != nullptr && Mark{answer->index, answer->hash} == round_->mark;
}

void StateHashes::begin_round(Instant now, raft::Term term, const Mark& mark) {
  round_ = Round{mark, term, now, Instant::never(), false, {}};
}

bool StateHashes::round_over(Instant now, const std::vector<raft::NodeId>& peers) const {
  if (now - round_->since >= kRoundTimeouts * election_timeout_) return true;
  if (newest() == round_->mark) return false;
  if (!round_->mark.index) return true;  // There was nothing to ask.
  // Under load there is a newer mark as soon as all have answered: they have other things to send.
  if (now - round_->since < heartbeat_) return false;
  return std::ranges::all_of(peers, [&](raft::NodeId peer) {
    const HashAnswer* answer = answer_of(peer);
    return answer != nullptr && answer->state == HashAnswer::State::kServes;
  });
}

// A quorum has another hash than this leader, all of it the same: one of those.
std::optional<raft::NodeId> StateHashes::overruled_by(const raft::Configuration& members) const {
  for (const HashAnswer& other : round_->answers) {
    if (other.index != round_->mark.index || other.hash == round_->mark.hash) continue;
    if (!raft::contains(members.voters, other.from)) continue;
    const auto has_it = [&](raft::NodeId id) {
      const HashAnswer* answer = id == self_ ? nullptr : answer_of(id);
      return answer != nullptr && answer->index == other.index && answer->hash == other.hash;
    };
    const auto value = [&](raft::NodeId id) { return has_it(id) ? 1 : 0; };
    if (raft::quorum_value<int>(members, value) == 1) return other.from;
  }
  return std::nullopt;
}

// There is nobody left who could still answer.
bool StateHashes::heard_all(Instant now, const std::vector<raft::NodeId>& peers) const {
  if (now - round_->since >= kAnswerTimeouts * election_timeout_) return true;
  return std::ranges::all_of(peers, [&](raft::NodeId peer) { return answer_of(peer) != nullptr; });
}

// A node that does not serve has no newer mark: what is known there may decide.
const StateHashes::Mark* StateHashes::earlier_mark() const {
  const Mark* earliest = nullptr;
  for (const HashAnswer& answer : round_->answers) {
    const Mark* mark = find(answer.index);
    if (mark == nullptr || answer.state != HashAnswer::State::kDiffers) continue;
    if (mark->index < (earliest != nullptr ? earliest : &round_->mark)->index) earliest = mark;
  }
  return earliest;
}

// A voter differs, and no other one can tell who is right.
bool StateHashes::undecided(const raft::Configuration& members) const {
  bool differs = false;
  for (const HashAnswer& answer : round_->answers) {
    if (!raft::is_voter(members, answer.from)) continue;
    // It has no mark there: it will have one at the next index, unless nothing is applied any more.
    if (!answer.index && answer.state == HashAnswer::State::kServes) return false;
    if (answer.state == HashAnswer::State::kDiffers && !same(answer.from)) differs = true;
  }
  return differs;
}

void StateHashes::judge(Instant now, const raft::Configuration& members,
                        const std::vector<raft::NodeId>& peers, Steps& steps) {
  const auto value = [&](raft::NodeId id) { return same(id) ? 1 : 0; };
  const Mark mark = round_->mark;
  for (const HashAnswer& answer : round_->answers) {
    // It knows that by itself, and any state that is not in doubt is better.
    const bool damaged = answer.state == HashAnswer::State::kDamaged;
    if (damaged && !doubt_) steps.reloads.push_back({answer.from, answer.applied});
  }
  if (!mark.index) return;
  if (raft::quorum_value<int>(members, value) == 1) {
    round_->agreed = true;
    clear_doubt(mark.index);
    for (const HashAnswer& answer : round_->answers) {
      const bool differs = answer.state == HashAnswer::State::kDiffers && !same(answer.from);
      if (differs) steps.reloads.push_back({answer.from, answer.applied});
    }
    return;
  }
  if (const auto other = overruled_by(members)) {
    doubt(StateDoubt::Why::kDiffers, mark, answer_of(*other)->hash);
    steps.hand_over = *other;
  } else if (!heard_all(now, peers)) {
    return;
  } else if (const Mark* earlier = earlier_mark()) {
    begin_round(now, round_->term, *earlier);
  } else if (undecided(members)) {
    const HashAnswer* differing = nullptr;  // Of the same mark, if it can be.
    for (const HashAnswer& answer : round_->answers) {
      const bool differs = answer.state == HashAnswer::State::kDiffers && !same(answer.from);
      if (differs && (differing == nullptr || answer.index == mark.index)) differing = &answer;
    }
    doubt(StateDoubt::Why::kUndecided, mark, differing->hash);
  }
}

void StateHashes::ask(Instant now, const std::vector<raft::NodeId>& peers, Steps& steps) {
  if (!round_->mark.index) return;
  if (round_->asked != Instant::never() && now - round_->asked < heartbeat_) return;
  for (const raft::NodeId peer : peers) {
    const HashAnswer* answer = answer_of(peer);
    if (answer != nullptr && answer->state == HashAnswer::State::kServes) continue;
    steps.questions.push_back(
        {self_, peer, round_->term, round_->mark.index, round_->mark.hash, round_->agreed});
  }
  round_->asked = now;
}

StateHashes::Steps StateHashes::lead(Instant now, const raft::RoleView& role,
                                     const raft::Configuration& members,
                                     const std::vector<raft::NodeId>& links) {
  Steps steps;
  if (role.role != raft::Role::kLeader) {
    round_.reset();
    return steps;
  }
  if (doubt_ && doubt_->why == StateDoubt::Why::kDamaged) steps.hand_over = raft::NodeId{};
  peers_.clear();
  for (const raft::NodeId link : links) {
    if (link != self_ && (raft::is_voter(members, link) || raft::contains(members.learners, link)))
      peers_.push_back(link);
  }
  if (!round_ || round_->term != role.term || round_over(now, peers_)) {
    begin_round(now, role.term, newest());
  }
  judge(now, members, peers_, steps);
  ask(now, peers_, steps);
  return steps;
}

}  // namespace raftd::node
