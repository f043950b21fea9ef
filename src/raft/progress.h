// One follower as its leader sees it, and what may be sent to it when. Transitions happen here
// only: probe (its log is being searched for where it agrees), replicate (a pipeline), snapshot (it
// needs entries that are gone).
#pragma once

#include <algorithm>
#include <deque>

#include "base/limits.h"
#include "raft/core.h"

namespace raftd::raft {

class Progress {
 public:
  // A new leader knows nothing of the follower's log but its own end (Raft paper, figure 2).
  Progress(NodeId id, Index last, Instant since) : id_(id), next_(last.next()), since_(since) {}

  NodeId id() const { return id_; }
  Index match() const { return match_; }
  Index next() const { return next_; }  // Invariant: next > match.
  bool replicating() const { return state_ == PeerProgress::State::kReplicate; }
  bool probing() const { return state_ == PeerProgress::State::kProbe; }
  std::optional<Instant> last_contact() const { return last_contact_; }
  Instant since() const { return since_; }  // It is a member, and this node its leader.
  ReadSeq read_acked() const { return read_acked_; }
  ReadSeq read_sent() const { return read_sent_; }
  // How long it took with its last answer, or has taken with the next if that is longer already.
  Duration answers_in(Instant now) const;
  // It is one of those whose answers the round of reads begins with.
  bool chosen() const { return chosen_; }
  void choose(bool chosen) { chosen_ = chosen; }
  PeerProgress view() const;

  // Something of this term came from it, which echoed seq.
  void heard(Instant now, ReadSeq seq);
  // It has the leader's log up to match. Gives whether that is news. While it is sent a snapshot:
  // only what reaches that far counts.
  bool accepted(Index match);
  // Its log does not agree at prev: look at next, which was clamped to (match, prev].
  void rejected(Index next);
  // Whether an answer "no" for prev says something new.
  bool believes_rejection(Index prev) const {
    return replicating() ? prev > match_ : prev == next_.prev();
  }
  // It says that it lacks what it once had said it holds: it has come back with a repaired log.
  // What is committed stays so; from now on only what it says anew counts.
  void forget_match() {
    match_ = {};
    forgot_ = true;
  }
  bool forgot() const { return forgot_; }
  // What was sent may not arrive. Waits for a heartbeat's answer, or resume().
  void lost();
  void resume() {
    probe_sent_ = false;
    steady_since_.reset();  // The connection is a new one.
    timing_.reset();
    round_trip_idle_.reset();
  }

  // At a heartbeat: whether it answers and has the log but for what is on its way.
  void observe(Instant now, bool keeps_up);
  // It did at each heartbeat since then, over one connection. nullopt: not at the last one.
  std::optional<Instant> steady_since() const { return steady_since_; }

  // Probe: the one request is not out yet.
  bool probe_due() const { return probing() && !probe_sent_; }
  // How much may be unanswered: no more than its link carries in part of an election timeout, for
  // whatever else is said, a heartbeat above all, waits behind it there.
  std::size_t window(std::size_t inflight_bytes_max) const {
    return std::min(window_, inflight_bytes_max);
  }
  // Half a window: so the next one is on its way while one is answered. The follower hears nothing
  // of its leader while a message arrives.
  std::size_t message_bytes_max(std::size_t inflight_bytes_max) const;
  // Something came from it that echoes seq: the window follows the round trip that may have ended.
  void fit_window(Instant now, ReadSeq seq, Duration election_timeout,
                  std::size_t inflight_bytes_max);
  // Room for an entry of this size among those not answered. One entry always has room.
  bool has_room(std::size_t entry_bytes, std::size_t inflight_bytes_max) const;
  std::size_t inflight_bytes() const { return inflight_bytes_; }
  // Whether waiting entries may go now: none is unanswered, the last request could not hold them
  // all, enough have gathered (appended: bytes that the leader has ever appended) or for long
  // enough.
  bool gathered(Instant now, std::uint64_t appended) const;
  Instant gather_deadline() const;
  Instant requested() const { return requested_; }  // The last one with entries.

  struct Sent {
    Index prev;
    std::size_t entries = 0;
    std::size_t bytes = 0;  // Of the entries, in memory.
    Index last;             // Of the leader's log.
    Index commit;           // As the message says.
    ReadSeq read_seq;
    std::uint64_t appended = 0;
  };
  void sent(Instant now, const Sent& request);

  // The commit index that it could learn of by an empty request now: no more than was sent.
  Index announceable(Index commit) const { return std::min(commit, next_.prev()); }
  void announce(Index index) { announce_ = std::max(announce_, index); }
  void committed(Instant now);  // The commit index has grown.
  bool announce_due(Instant now, Index commit) const;
  Instant announce_deadline(Index commit) const;

  // The snapshot that it is being sent; nullptr: none.
  const SnapshotMeta* snapshot() const { return sending_ ? &sending_->meta : nullptr; }
  void begin_snapshot(Instant now, const SnapshotMeta& meta);
  // One that its log does not need: beside the entries, in any state.
  void begin_beside(Instant now, const SnapshotMeta& meta);
  // From which index on, if one is to be sent in any case.
  std::optional<Index> snapshot_wanted() const { return snapshot_wanted_; }
  void want_snapshot(Index index) { snapshot_wanted_ = index; }
  // It was refused, or nothing moves.
  void give_up_snapshot();
  // Where the next piece begins, while there is room for one more; nullopt: wait.
  std::optional<std::uint64_t> next_chunk() const;
  void chunk_sent(std::uint32_t bytes) { sending_->sent += bytes; }
  // Its answer: everything before next is stored.
  void chunk_acked(Instant now, std::uint64_t next);
  // Nothing was heard of it since: the transfer is stuck.
  Instant snapshot_moved() const { return sending_->moved; }
  // What is on its way is taken for lost when nothing has moved for that long.
  Instant snapshot_resend_at(Duration patience) const { return sending_->tried + patience; }
  void resend_snapshot(Instant now);

  std::optional<LogReadId> reading() const { return reading_; }
  void set_reading(std::optional<LogReadId> id) { reading_ = id; }

  void check_invariants(Index last) const;

 private:
  struct Request {
    Index last;
    std::size_t bytes = 0;
  };
  struct Sending {
    SnapshotMeta meta;
    std::uint64_t acked = 0;
    std::uint64_t sent = 0;
    Instant moved{};       // acked was raised, or it was begun.
    Instant tried{};       // The same, or what was not acked was sent again.
    bool rewound = false;  // Since then.
    bool beside = false;
  };
  // A message that is to be echoed, for the time that takes. The follower does so at once, so this
  // is the link's time, and not its disk's.
  struct Timing {
    ReadSeq seq;
    Instant since{};
  };

  void become_probe(Index next);

  NodeId id_;
  PeerProgress::State state_ = PeerProgress::State::kProbe;
  Index match_;
  Index next_;
  Instant since_;
  bool probe_sent_ = false;
  bool forgot_ = false;           // match once fell.
  std::deque<Request> inflight_;  // Ascending; none at or below match_.
  std::size_t inflight_bytes_ = 0;
  std::size_t window_ = limits::kAppendWindowBytesStart;
  std::size_t window_used_ = 0;  // The most that was in flight since it was last fitted.
  std::optional<Timing> timing_;
  std::optional<Duration> round_trip_;       // The last one.
  std::optional<Duration> round_trip_idle_;  // The shortest on this connection, with little else.
  bool chosen_ = false;
  bool cut_ = false;                 // The last request did not hold all there was.
  std::uint64_t appended_then_ = 0;  // appended, at the last request with entries.
  Instant requested_{};              // When that was.
  Index commit_sent_;
  Index announce_;  // Somebody waits there for this index.
  Instant announce_deadline_ = Instant::never();
  std::optional<Instant> last_contact_;
  std::optional<Instant> steady_since_;
  ReadSeq read_sent_;
  ReadSeq read_acked_;
  std::optional<LogReadId> reading_;
  std::optional<Sending> sending_;  // In state kSnapshot, and beside the entries.
  std::optional<Index> snapshot_wanted_;
};

}  // namespace raftd::raft
