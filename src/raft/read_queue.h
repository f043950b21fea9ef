// Linearizable reads on their way (thesis 6.4): those that a leader confirms by a round of its
// followers, and those for which another node asks the leader. Every read that goes in comes out.
#pragma once

#include "raft/core.h"

namespace raftd::raft {

// One local read (peer 0), or one request of a peer that may stand for many.
struct ReadWaiter {
  std::uint64_t token = 0;  // Local.
  NodeId peer;
  Incarnation incarnation;  // Of a peer's request, as is seq.
  std::uint64_t seq = 0;
  Instant since{};
};

// On the leader. One round is in flight; what arrives meanwhile shares the next.
class LeaderReads {
 public:
  std::size_t size() const { return waiting_.size() + confirming_.size(); }
  void add(const ReadWaiter& waiter) { waiting_.push_back(waiter); }

  bool round_due() const { return !waiting_.empty() && confirming_.empty(); }
  bool in_round() const { return !confirming_.empty(); }
  ReadSeq round() const { return round_; }
  Instant begun() const { return begun_; }  // The round.
  Index at() const { return at_; }
  // seq: never used before in this term. at: the commit index now.
  void start_round(Instant now, ReadSeq seq, Index at);
  // A quorum has echoed at least the round's seq: those who waited for it.
  std::vector<ReadWaiter> finish_round();

  // Those who have waited since then or longer.
  std::vector<ReadWaiter> expire(Instant since);
  Instant oldest() const;  // never(): nobody waits.
  std::vector<ReadWaiter> take_all();

 private:
  std::vector<ReadWaiter> waiting_;     // Oldest first.
  std::vector<ReadWaiter> confirming_;  // Oldest first; older than any in waiting_.
  Instant begun_{};
  ReadSeq round_;
  Index at_;
};

// On any other node. One question is in flight.
class RemoteReads {
 public:
  struct Token {
    std::uint64_t token = 0;
    Instant since{};
    std::uint64_t asked = 0;  // The first question that covers it; 0: none yet.
  };

  std::size_t size() const { return waiting_.size(); }
  void add(Token token) { waiting_.push_back(token); }
  // Before asking: nothing is in flight and somebody waits.
  bool ask_due() const { return !waiting_.empty() && !in_flight_; }
  // The new question covers all that wait now. Gives its seq, never used before in this process.
  std::uint64_t ask(Instant now);
  std::optional<Instant> asked_at() const { return in_flight_ ? asked_at_ : std::nullopt; }
  void forget_question() { in_flight_ = false; }
  // Those whom the answer to seq covers. An answer to an earlier question than the one in flight is
  // as good for those who were there already: else a slow link would never bring a fitting one.
  std::vector<Token> answered(std::uint64_t seq);

  std::vector<Token> expire(Instant since);
  Instant oldest() const;
  std::vector<Token> take_all();

 private:
  std::vector<Token> waiting_;  // Oldest first; those not asked for are at the end.
  bool in_flight_ = false;
  std::uint64_t seq_ = 0;
  std::optional<Instant> asked_at_;
};

}  // namespace raftd::raft
