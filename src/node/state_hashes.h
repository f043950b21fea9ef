// Whether all nodes have the same state: the hash of it at agreed indices, asked and answered.
//
// The happy path is: every node remembers the hash of its state at each multiple of
// kStateHashEntries; with its heartbeats the leader asks the others for the one at its newest mark,
// and they answer once they have applied that far. Possible failure modes are:
//   - A node that differs serves nobody from then on, and applies nothing; it goes on to vote and
//     to store entries.
//   - A quorum has the leader's hash: the leader says so, and sends those that differ a snapshot,
//     which replaces their state.
//   - A quorum has another hash, all of it the same: the leader hands over to one of them and is
//     sent a snapshot as anybody else. Those that differed from it hear from the new leader that
//     they are a quorum, and serve again.
//   - Neither: nobody can tell who is right. Those that differ, the leader among them, do not serve
//     until another node has answered, or until they are started again.
//   - A mark is forgotten or was skipped by a snapshot: "not known" is an answer too, and the next
//     question is about a newer one. Questions and answers may be lost: they are repeated.
//   - A node notices by itself that its memory has changed: as if it differed, for certain.
#pragma once

#include <deque>

#include "base/limits.h"
#include "node/replica.h"

namespace raftd::node {

class StateHashes {
 public:
  StateHashes(raft::NodeId self, Duration heartbeat, Duration election_timeout)
      : self_(self), heartbeat_(heartbeat), election_timeout_(election_timeout) {}

  static bool is_mark(raft::Index index) { return index.value % limits::kStateHashEntries == 0; }
  // The state after this entry. Precondition: is_mark(index), above all others.
  void note(raft::Index index, std::uint64_t hash);
  // The state was replaced, and is trusted again.
  void replaced();
  // What has been applied up to here is not what the memory holds.
  void damaged(raft::Index index);

  // Set: this node does not serve, and why.
  const std::optional<StateDoubt>& doubt() const { return doubt_; }

  void on_question(const HashQuestion& question, const raft::RoleView& role);
  // On a follower: what is to be said now. That it does not serve, also unasked.
  std::optional<HashAnswer> answer(Instant now, raft::Index applied, const raft::RoleView& role);

  void on_answer(const HashAnswer& answer, const raft::RoleView& role);
  struct Reload {
    raft::NodeId node;
    raft::Index from;  // It needs a snapshot at or after this.
  };
  struct Steps {
    std::vector<HashQuestion> questions;
    std::vector<Reload> reloads;
    std::optional<raft::NodeId> hand_over;  // 0: to whomever.
  };
  // On a leader: what is to be done now. links: who is connected.
  Steps lead(Instant now, const raft::RoleView& role, const raft::Configuration& members,
             const std::vector<raft::NodeId>& links);

 private:
  struct Mark {
    raft::Index index;
    std::uint64_t hash = 0;
    bool operator==(const Mark&) const = default;
  };
  struct Round {
    Mark mark;
    raft::Term term;
    Instant since{};
    Instant asked = Instant::never();  // When the question last left.
    bool agreed = false;               // By a quorum.
    std::vector<HashAnswer> answers;   // At most one of a node.
  };

  const Mark* find(raft::Index index) const;
  Mark newest() const { return marks_.empty() ? Mark{} : marks_.back(); }  // Index 0: none.
  void doubt(StateDoubt::Why why, const Mark& own, std::uint64_t other);
  void clear_doubt(raft::Index index);
  HashAnswer answer_to(const HashQuestion& question, raft::Index applied);
  HashAnswer tell(raft::NodeId leader, raft::Term term, raft::Index applied,
                  const Mark* mark) const;
  const HashAnswer* answer_of(raft::NodeId node) const;
  bool same(raft::NodeId node) const;
  bool round_over(Instant now, const std::vector<raft::NodeId>& peers) const;
  void begin_round(Instant now, raft::Term term, const Mark& mark);
  void judge(Instant now, const raft::Configuration& members,
             const std::vector<raft::NodeId>& peers, Steps& steps);
  std::optional<raft::NodeId> overruled_by(const raft::Configuration& members) const;
  bool heard_all(Instant now, const std::vector<raft::NodeId>& peers) const;
  const Mark* earlier_mark() const;
  bool undecided(const raft::Configuration& members) const;
  void ask(Instant now, const std::vector<raft::NodeId>& peers, Steps& steps);

  raft::NodeId self_;
  Duration heartbeat_;
  Duration election_timeout_;
  std::deque<Mark> marks_;  // Ascending; at most kStateHashMarks.
  std::optional<StateDoubt> doubt_;
  std::optional<HashQuestion> asked_;  // And not answered.
  Instant told_{};                     // When this node last said unasked that it does not serve.
  std::optional<Round> round_;         // While this node leads.
  std::vector<raft::NodeId> peers_;    // Whom it asks; made anew for each look.
};

}  // namespace raftd::node
