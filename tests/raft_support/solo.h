// One core among peers that the test plays itself: what it is sent, what it answers.
#pragma once

#include <doctest/doctest.h>

#include "raft_support/node.h"

namespace raftd::raft::testing {

class Solo {
 public:
  explicit Solo(TestDisk disk, CoreConfig config = core_config(1), std::uint64_t seed = 1,
                std::size_t tail_entries = 1U << 20)
      : node(config, std::move(disk), at(0ms), seed, tail_entries) {}

  Core& core() { return *node.core; }
  Role role() { return core().role().role; }
  std::uint64_t term() { return core().role().term.value; }

  void wait(Duration duration) { node.run_until(now, now + duration); }

  void receive(std::uint64_t from, std::uint64_t message_term, Body body) {
    node.step(now, {{from}, node.config.self, {message_term}, std::move(body)});
  }
  void append(std::uint64_t from, std::uint64_t message_term, std::uint64_t prev_index,
              std::uint64_t prev_term, std::vector<Entry> entries = {}, std::uint64_t commit = 0,
              std::optional<std::uint64_t> read_seq = std::nullopt) {
    const ReadSeq seq{read_seq.value_or(entries.empty() ? 1 : 0)};  // A heartbeat has one.
    receive(from, message_term,
            AppendRequest{{prev_index}, {prev_term}, {commit}, seq, std::move(entries)});
  }
  void ask_vote(std::uint64_t from, std::uint64_t message_term, std::uint64_t last_index,
                std::uint64_t last_term, bool transfer = false) {
    receive(from, message_term, VoteRequest{{last_index}, {last_term}, false, transfer});
  }
  void ask_pre_vote(std::uint64_t from, std::uint64_t message_term, std::uint64_t last_index,
                    std::uint64_t last_term) {
    receive(from, message_term, VoteRequest{{last_index}, {last_term}, true, false});
  }
  void accept(std::uint64_t from, std::uint64_t match, std::uint64_t read_seq = 0) {
    receive(from, term(), AppendReply{AppendReply::Accepted{{match}}, {read_seq}});
  }
  void reject(std::uint64_t from, AppendReply::Rejected rejected) {
    receive(from, term(), AppendReply{rejected, {}});
  }

  // Of three with entries 3 to 102 on disk: leads, and 2 needs from the beginning on what is not in
  // memory. It is read when the test says so.
  void lead_with_old_entries_wanted() {
    win_election();
    accept(3, 102);
    node.auto_log_reads = false;
    reject(2, {{101}, {1}, {}, {}});
    accept(2, 1, 1);
    REQUIRE(node.log_reads.size() == 1);
  }

  // What was sent since the last look; bodies of one kind.
  template <class T>
  std::vector<T> sent(std::uint64_t to = 0) {
    std::vector<T> found;
    for (const Message& message : node.take_sent()) {
      if (to != 0 && message.to.value != to) continue;
      if (const auto* body = std::get_if<T>(&message.body)) found.push_back(*body);
    }
    return found;
  }
  // The one reply to an append; fails the test if there is not exactly one.
  AppendReply only_reply() {
    const auto replies = sent<AppendReply>();
    REQUIRE(replies.size() == 1);
    return replies.front();
  }
  bool accepted_up_to(std::uint64_t match) {
    const AppendReply reply = only_reply();
    const auto* accepted = std::get_if<AppendReply::Accepted>(&reply.result);
    return accepted && accepted->match.value == match;
  }
  bool rejected() { return std::holds_alternative<AppendReply::Rejected>(only_reply().result); }
  bool vote_granted() {
    const auto replies = sent<VoteReply>();
    REQUIRE(replies.size() == 1);
    return replies.front().granted;
  }

  // Waits for its election timeout and gets every other voter's yes.
  void win_election(std::vector<std::uint64_t> voters = {2, 3}) {
    for (int i = 0; i < 20 && role() == Role::kFollower; ++i)
      wait(20ms);
    if (role() == Role::kPreCandidate) {
      for (const auto id : voters)
        receive(id, term() + 1, VoteReply{true, true});
    }
    REQUIRE(role() == Role::kCandidate);
    for (const auto id : voters)
      receive(id, term(), VoteReply{true, false});
    REQUIRE(role() == Role::kLeader);
  }
  // Leader with everything committed.
  void lead(std::vector<std::uint64_t> voters = {2, 3}) {
    win_election(voters);
    for (const auto id : voters)
      accept(id, core().last_index().value, 1);
    REQUIRE(core().commit_index() == core().last_index());
    node.take_sent();
  }

  Status propose(std::string_view text) {
    const auto result = core().propose(now, share(to_bytes(text)));
    node.pump(now);
    if (!result) return result.error();
    return Done{};
  }
  std::vector<std::uint64_t> log_terms() const {
    std::vector<std::uint64_t> terms;
    for (const Entry& entry : node.disk.entries)
      terms.push_back(entry.term.value);
    return terms;
  }

  Instant now = at(0ms);
  TestNode node;
};

inline Configuration three() {
  return make_configuration({1, 2, 3});
}

}  // namespace raftd::raft::testing
