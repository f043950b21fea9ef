// Who doubts, who is sent a snapshot and who hands over, for every way in which states can differ:
// some nodes by hand, whose questions and answers arrive at once.
#include "node/state_hashes.h"

#include <doctest/doctest.h>

#include <map>

namespace raftd::node {
namespace {

using std::chrono::milliseconds;
using State = HashAnswer::State;
using Why = StateDoubt::Why;

constexpr milliseconds kHeartbeat{50};
constexpr milliseconds kElection{250};
constexpr std::uint64_t kMark = limits::kStateHashEntries;

struct Group {
  explicit Group(std::size_t size, std::size_t learners = 0) {
    for (std::uint64_t id = 1; id <= size + learners; ++id) {
      nodes.emplace(id, StateHashes({id}, kHeartbeat, kElection));
      (id <= size ? members.voters : members.learners).push_back({id});
      links.push_back({id});
    }
  }
  raft::RoleView role(std::uint64_t id) const {
    return {id == leader ? raft::Role::kLeader : raft::Role::kFollower, {term}, {leader}};
  }
  // All have applied up to the next mark; those in wrong have another state there.
  void apply(const std::map<std::uint64_t, std::uint64_t>& wrong = {}) {
    applied += kMark;
    for (auto& [id, node] : nodes) {
      if (node.doubt()) continue;
      const auto other = wrong.find(id);
      node.note({applied}, other == wrong.end() ? 1000 + applied : other->second);
      stands[id] = applied;
    }
  }
  // A heartbeat: what the leader asks, and what it hears. Those not linked hear nothing.
  StateHashes::Steps beat(Duration after = kHeartbeat) {
    now = now + after;
    StateHashes::Steps steps = lead();
    for (const HashQuestion& question : steps.questions) {
      StateHashes& to = nodes.at(question.to.value);
      to.on_question(question, role(question.to.value));
      if (const auto answer =
              to.answer(now, {stands[question.to.value]}, role(question.to.value))) {
        at(leader).on_answer(*answer, role(leader));
      }
    }
    StateHashes::Steps then = lead();
    then.questions = std::move(steps.questions);
    return then;
  }
  StateHashes::Steps lead() { return at(leader).lead(now, role(leader), members, links); }
  StateHashes& at(std::uint64_t id) { return nodes.at(id); }
  void unlink(std::uint64_t id) { std::erase(links, raft::NodeId{id}); }
  void elect(std::uint64_t id) {
    leader = id;
    ++term;
  }
  std::vector<std::uint64_t> doubtful() const {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, node] : nodes) {
      if (node.doubt()) ids.push_back(id);
    }
    return ids;
  }

  std::map<std::uint64_t, StateHashes> nodes;
  std::map<std::uint64_t, std::uint64_t> stands;
  raft::Configuration members;
  std::vector<raft::NodeId> links;
  std::uint64_t leader = 1;
  std::uint64_t term = 3;
  std::uint64_t applied = 0;
  Instant now{};
};

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("equal states: one question a mark to each node, and no more") {
  Group group(3, 1);
  for (int i = 0; i < 5; ++i) {
    group.apply();
    CHECK(group.beat().questions.size() == 3);
    for (int quiet = 0; quiet < 3; ++quiet)
      CHECK(group.beat().questions.empty());
  }
  CHECK(group.doubtful().empty());
}

TEST_CASE("marks that come faster than heartbeats are not all asked for: one a heartbeat is") {
  Group group(3);
  group.apply();
  CHECK(group.beat().questions.size() == 2);
  for (int i = 0; i < 5; ++i) {
    for (int soon = 0; soon < 4; ++soon) {
      group.apply();
      CHECK(group.beat(kHeartbeat / 5).questions.empty());
    }
    const StateHashes::Steps steps = group.beat(kHeartbeat / 5);
    REQUIRE(steps.questions.size() == 2);
    CHECK(steps.questions[0].index.value == group.applied);  // The newest.
  }
}

TEST_CASE("a node without others asks nobody and trusts itself") {
  Group group(1);
  group.apply();
  const StateHashes::Steps steps = group.beat();
  CHECK(steps.questions.empty());
  CHECK(steps.reloads.empty());
  CHECK(group.doubtful().empty());
}

TEST_CASE(
    "[F56] a follower that differs doubts itself, and is sent a snapshot from where it stands") {
  Group group(3);
  group.apply();
  group.beat();
  group.apply({{2, 5}});
  const StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{2});
  CHECK(group.at(2).doubt()->why == Why::kDiffers);
  CHECK(group.at(2).doubt()->index.value == 2 * kMark);
  CHECK(group.at(2).doubt()->own == 5);
  CHECK(group.at(2).doubt()->other == 1000 + 2 * kMark);
  REQUIRE(steps.reloads.size() == 1);
  CHECK(steps.reloads[0].node.value == 2);
  CHECK(steps.reloads[0].from.value == 2 * kMark);
  // It is asked again and again, and wants the same, while the others go on.
  group.apply();
  for (int i = 0; i < 10; ++i) {
    const StateHashes::Steps again = group.beat();
    REQUIRE(again.reloads.size() == 1);
    CHECK(again.reloads[0].from.value == 2 * kMark);
    CHECK_FALSE(again.hand_over);
  }
  group.at(2).replaced();
  group.stands[2] = group.applied;
  CHECK(group.beat().reloads.empty());
  group.apply();
  group.now = group.now + 10 * kElection;
  group.beat();
  CHECK(group.doubtful().empty());
}

TEST_CASE("a learner that differs is sent a snapshot; it is no reason for anybody else") {
  Group group(1, 1);
  group.apply({{2, 5}});
  const StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{2});
  REQUIRE(steps.reloads.size() == 1);
  CHECK(steps.reloads[0].node.value == 2);
}

TEST_CASE("a leader that a quorum differs from hands over, and the quorum trusts itself again") {
  Group group(3);
  group.apply({{1, 5}});
  StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{1, 2, 3});
  REQUIRE(steps.hand_over);
  CHECK(steps.hand_over->value >= 2);
  CHECK(steps.reloads.empty());
  group.elect(2);
  group.beat();
  steps = group.beat();
  CHECK(group.doubtful() == Ids{1});
  REQUIRE(steps.reloads.size() == 1);
  CHECK(steps.reloads[0].node.value == 1);
}

TEST_CASE("five nodes, of which two are wrong in two ways: both are sent a snapshot") {
  Group group(5);
  group.apply({{2, 5}, {3, 6}});
  const StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{2, 3});
  CHECK(steps.reloads.size() == 2);
}

TEST_CASE("one against one: neither serves, nobody is sent anything, until a third one answers") {
  Group group(3);
  group.unlink(3);
  group.apply({{2, 5}});
  StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{1, 2});
  CHECK(group.at(1).doubt()->why == Why::kUndecided);
  for (int i = 0; i < 100; ++i) {
    steps = group.beat();
    CHECK(steps.reloads.empty());
    CHECK_FALSE(steps.hand_over);
  }
  group.links.push_back({3});
  group.beat();
  steps = group.beat();
  CHECK(group.doubtful() == Ids{2});
  CHECK(steps.reloads.size() == 1);
}

TEST_CASE("one against one, and the third one is with the follower: the leader hands over") {
  Group group(3);
  group.unlink(3);
  group.apply({{1, 5}});
  group.beat();
  CHECK(group.doubtful() == Ids{1, 2});
  group.links.push_back({3});
  group.beat();
  const StateHashes::Steps steps = group.beat();
  REQUIRE(steps.hand_over);
  group.elect(3);
  group.beat();
  group.beat();
  CHECK(group.doubtful() == Ids{1});
}

TEST_CASE("a leader waits for who may still answer before it doubts itself") {
  Group group(3);
  group.apply({{2, 5}});
  group.now = group.now + kHeartbeat;
  for (const HashQuestion& question : group.lead().questions) {
    if (question.to.value == 3) continue;  // Lost.
    group.at(2).on_question(question, group.role(2));
    group.at(1).on_answer(*group.at(2).answer({}, {kMark}, group.role(2)), group.role(1));
  }
  group.lead();
  CHECK(group.doubtful() == Ids{2});
  group.now = group.now + 2 * kElection;
  group.lead();
  CHECK(group.doubtful() == Ids{1, 2});
  group.beat();  // Node 3 answers after all.
  group.beat();
  CHECK(group.doubtful() == Ids{2});
}

TEST_CASE("a node that does not know the mark is no vote, and the next mark decides") {
  Group group(3);
  group.apply({{2, 5}});
  group.at(3).replaced();  // Started again, from a snapshot behind the mark.
  group.beat();
  CHECK(group.doubtful() == Ids{2});
  group.now = group.now + 20 * kElection;
  group.beat();
  CHECK(group.doubtful() == Ids{2});
  group.apply();
  group.now = group.now + 20 * kElection;
  const StateHashes::Steps steps = group.beat();
  CHECK(group.doubtful() == Ids{2});
  CHECK(steps.reloads.size() == 1);
}

TEST_CASE("a node that is behind answers when it has applied that far, also if asked anew") {
  StateHashes node({2}, kHeartbeat, kElection);
  const raft::RoleView role{raft::Role::kFollower, {3}, {1}};
  node.on_question({{1}, {2}, {3}, {kMark}, 7, false}, role);
  CHECK_FALSE(node.answer({}, {kMark - 1}, role));
  node.on_question({{1}, {2}, {3}, {2 * kMark}, 8, false}, role);
  node.note({kMark}, 7);
  const auto answer = node.answer({}, {kMark}, role);
  REQUIRE(answer);
  CHECK(answer->index.value == kMark);
  CHECK(answer->hash == 7);
  CHECK(answer->state == State::kServes);
  CHECK_FALSE(node.answer({}, {kMark}, role));  // Once.
  // In another term it is another leader's business.
  node.on_question({{1}, {2}, {3}, {2 * kMark}, 8, false}, role);
  node.note({2 * kMark}, 9);
  CHECK_FALSE(node.answer({}, {2 * kMark}, {raft::Role::kFollower, {4}, {3}}));
  CHECK_FALSE(node.doubt());
}

TEST_CASE("questions of another term, or of who does not lead, are not heard") {
  StateHashes node({2}, kHeartbeat, kElection);
  node.note({kMark}, 7);
  const raft::RoleView role{raft::Role::kFollower, {3}, {1}};
  node.on_question({{3}, {2}, {3}, {kMark}, 8, false}, role);
  CHECK_FALSE(node.answer({}, {kMark}, role));
  node.on_question({{1}, {2}, {2}, {kMark}, 8, false}, role);
  CHECK_FALSE(node.answer({}, {kMark}, role));
  CHECK_FALSE(node.doubt());
}

TEST_CASE("answers of another term, or to another question, change nothing") {
  Group group(3);
  group.apply();
  group.now = group.now + kHeartbeat;
  group.lead();
  const auto answer = [&](std::uint64_t from, std::uint64_t term, std::uint64_t index) {
    group.at(1).on_answer({{from}, {1}, {term}, {index}, 5, {index}, State::kServes},
                          group.role(1));
  };
  answer(2, 2, kMark);
  answer(2, 3, 2 * kMark);
  answer(3, 3, 2 * kMark);
  answer(3, 4, kMark);
  CHECK_FALSE(group.lead().hand_over);
  CHECK(group.doubtful().empty());
}

TEST_CASE("that states agree before the place where they differed is no reason to trust one") {
  Group group(3);
  group.apply();
  group.apply({{2, 5}});
  group.beat();
  REQUIRE(group.doubtful() == Ids{2});
  const raft::RoleView role = group.role(2);
  group.at(2).on_question({{1}, {2}, {3}, {kMark}, 1000 + kMark, true}, role);
  group.at(2).answer({}, {2 * kMark}, role);
  CHECK(group.doubtful() == Ids{2});
  group.at(2).on_question({{1}, {2}, {3}, {2 * kMark}, 5, false}, role);  // No quorum said so.
  group.at(2).answer({}, {2 * kMark}, role);
  CHECK(group.doubtful() == Ids{2});
  group.at(2).on_question({{1}, {2}, {3}, {2 * kMark}, 5, true}, role);
  group.at(2).answer({}, {2 * kMark}, role);
  CHECK(group.doubtful().empty());
}

TEST_CASE("a damaged memory is not trusted again although its hash agrees; a leader hands over") {
  Group group(3);
  group.apply();
  group.at(2).damaged({kMark});
  StateHashes::Steps steps = group.beat();
  CHECK(group.at(2).doubt()->why == Why::kDamaged);
  REQUIRE(steps.reloads.size() == 1);
  CHECK(steps.reloads[0].from.value == kMark);
  for (int i = 0; i < 5; ++i)
    group.beat();
  CHECK(group.doubtful() == Ids{2});
  group.at(2).replaced();
  group.at(1).damaged({kMark});
  steps = group.beat();
  CHECK(steps.hand_over);
  CHECK(group.doubtful() == Ids{1});
}

TEST_CASE("who does not serve says so unasked, once a heartbeat, and the leader asks it then") {
  Group group(3);
  group.apply();
  group.beat();
  group.at(2).damaged({kMark});
  CHECK(group.beat().questions.empty());
  const auto told = group.at(2).answer(group.now, {kMark}, group.role(2));
  REQUIRE(told);
  CHECK(told->to.value == 1);
  CHECK(told->state == State::kDamaged);
  CHECK_FALSE(group.at(2).answer(group.now, {kMark}, group.role(2)));
  CHECK_FALSE(group.at(3).answer(group.now, {kMark}, group.role(3)));
  group.at(1).on_answer(*told, group.role(1));
  const StateHashes::Steps steps = group.beat();
  CHECK(steps.questions.size() == 1);
  REQUIRE(steps.reloads.size() == 1);
  CHECK(steps.reloads[0].from.value == kMark);
}

TEST_CASE("in a joint configuration both halves have to agree") {
  Group group(4);
  group.members.voters = {{1}, {2}, {3}};
  group.members.voters_outgoing = {{1}, {4}};
  group.apply({{4, 5}});
  const StateHashes::Steps steps = group.beat();
  CHECK(steps.reloads.empty());
  CHECK(group.doubtful() == Ids{1, 4});  // Of the outgoing half there is no majority.
}

TEST_CASE("as many marks are kept as the limit says, and what is older is not known") {
  StateHashes node({2}, kHeartbeat, kElection);
  const raft::RoleView role{raft::Role::kFollower, {3}, {1}};
  const std::uint64_t last = kMark * (limits::kStateHashMarks + 1);
  for (std::uint64_t index = kMark; index <= last; index += kMark)
    node.note({index}, index);
  node.on_question({{1}, {2}, {3}, {kMark}, 0, false}, role);
  CHECK_FALSE(node.answer({}, {last}, role)->index);
  node.on_question({{1}, {2}, {3}, {2 * kMark}, 2 * kMark, false}, role);
  CHECK(node.answer({}, {last}, role)->index.value == 2 * kMark);
  CHECK_FALSE(node.doubt());
}

}  // namespace raftd::node
