#include "raft/progress.h"

#include <algorithm>

#include "base/limits.h"

namespace raftd::raft {

PeerProgress Progress::view() const {
  PeerProgress view{id_,           state_, match_, next_, inflight_.size(), inflight_bytes_,
                    last_contact_, {},     0};
  if (sending_) {
    view.snapshot = sending_->meta.id;
    view.snapshot_offset = sending_->acked;
  }
  return view;
}

void Progress::begin_snapshot(Instant now, const SnapshotMeta& meta) {
  ASSERT(!sending_);
  become_probe(match_.next());
  state_ = PeerProgress::State::kSnapshot;
  sending_ = Sending{meta, 0, 0, now, now, false, false};
}

void Progress::begin_beside(Instant now, const SnapshotMeta& meta) {
  ASSERT(!sending_);
  ASSERT(state_ != PeerProgress::State::kSnapshot);
  sending_ = Sending{meta, 0, 0, now, now, false, true};
}

void Progress::give_up_snapshot() {
  if (!sending_->beside) return lost();
  sending_.reset();
  snapshot_wanted_.reset();
}

void Progress::resend_snapshot(Instant now) {
  sending_->sent = sending_->acked;
  sending_->tried = now;
}

std::optional<std::uint64_t> Progress::next_chunk() const {
  if (!sending_ || sending_->sent == sending_->meta.id.file_bytes) return std::nullopt;
  const std::uint64_t in_flight = sending_->sent - sending_->acked;
  if (in_flight >= limits::kSnapshotWireBytes * limits::kSnapshotWireInFlightMax) {
    return std::nullopt;
  }
  // One piece first: its answer says how much is there from a transfer before.
  if (sending_->acked == 0 && sending_->sent > 0) return std::nullopt;
  return sending_->sent;
}

void Progress::chunk_acked(Instant now, std::uint64_t next) {
  Sending& s = *sending_;
  if (s.beside && next == s.meta.id.file_bytes) return give_up_snapshot();  // All is there.
  if (next > s.acked) {
    s.acked = next;
    s.sent = std::max(s.sent, next);
    s.moved = s.tried = now;
    s.rewound = false;
    return;
  }
  // The same again: a piece was lost, and those behind it were refused. Or its file is gone.
  if (s.rewound && next == s.acked) return;
  s.acked = s.sent = next;
  s.rewound = true;
}

void Progress::heard(Instant now, ReadSeq seq) {
  last_contact_ = now;
  read_acked_ = std::max(read_acked_, seq);
}

Duration Progress::answers_in(Instant now) const {
  const Duration owed = timing_ ? now - timing_->since : Duration{};
  return std::max(owed, round_trip_.value_or(Duration::max()));
}

// What a round trip takes longer than one with nothing before it was spent waiting for entries. The
// window changes once in each, for what is changed now shows in the next one.
void Progress::fit_window(Instant now, ReadSeq seq, Duration election_timeout,
                          std::size_t inflight_bytes_max) {
  if (!timing_ || seq < timing_->seq) return;
  const Duration took = now - timing_->since;
  round_trip_ = took;
  const bool idle = window_used_ <= limits::kAppendWindowBytesMin / 4;
  if (idle) round_trip_idle_ = std::min(round_trip_idle_.value_or(took), took);
  const Duration queued = took - round_trip_idle_.value_or(Duration{});
  const bool used = window_used_ > window_ / 2;
  timing_.reset();
  window_used_ = inflight_bytes_;
  if (queued > election_timeout / 2) {
    window_ = std::max(window_ / 2, limits::kAppendWindowBytesMin);
  } else if (used && queued < election_timeout / 4 && window_ < inflight_bytes_max) {
    window_ = std::min(2 * window_, inflight_bytes_max);
  }
}

std::size_t Progress::message_bytes_max(std::size_t inflight_bytes_max) const {
  return std::clamp(window(inflight_bytes_max) / 2, limits::kAppendWindowBytesMin,
                    limits::kAppendBytesMax);
}

void Progress::observe(Instant now, bool keeps_up) {
  if (!keeps_up || !replicating()) {
    steady_since_.reset();
  } else if (!steady_since_) {
    steady_since_ = now;
  }
}

bool Progress::accepted(Index match) {
  if (sending_ && !sending_->beside) {
    if (match < sending_->meta.id.last_index) return false;
    sending_.reset();
  }
  const bool news = match > match_;
  match_ = std::max(match_, match);
  next_ = std::max(next_, match_.next());
  while (!inflight_.empty() && inflight_.front().last <= match_) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
  if (!replicating()) {
    // It agrees at next - 1, or did: if it no longer does, the next request is rejected.
    state_ = PeerProgress::State::kReplicate;
    cut_ = false;
  }
  return news;
}

void Progress::become_probe(Index next) {
  ASSERT_CMP(next, >, match_);
  sending_.reset();
  state_ = PeerProgress::State::kProbe;
  steady_since_.reset();
  next_ = next;
  inflight_.clear();
  inflight_bytes_ = 0;
  window_ = limits::kAppendWindowBytesStart;
  window_used_ = 0;
  timing_.reset();
  round_trip_.reset();
  commit_sent_ = std::min(commit_sent_, match_);  // What told of more may be lost.
}

void Progress::rejected(Index next) {
  become_probe(next);
  probe_sent_ = false;
}

void Progress::lost() {
  become_probe(match_.next());
  probe_sent_ = true;
}

bool Progress::has_room(std::size_t entry_bytes, std::size_t inflight_bytes_max) const {
  if (inflight_.empty()) return true;
  return inflight_.size() < limits::kAppendsInFlightMax &&
         inflight_bytes_ + entry_bytes <= window(inflight_bytes_max);
}

bool Progress::gathered(Instant now, std::uint64_t appended) const {
  return inflight_.empty() || cut_ || appended - appended_then_ >= limits::kAppendGatherBytes ||
         now >= gather_deadline();
}

Instant Progress::gather_deadline() const {
  return requested_ + limits::kAppendGatherDelay;
}

void Progress::sent(Instant now, const Sent& request) {
  ASSERT_CMP(request.prev, ==, next_.prev());
  const Index end = request.prev + request.entries;
  commit_sent_ = std::max(commit_sent_, std::min(request.commit, end));
  announce_deadline_ = Instant::never();
  read_sent_ = std::max(read_sent_, request.read_seq);
  if (request.read_seq && !timing_) timing_ = Timing{request.read_seq, now};
  window_used_ = std::max(window_used_, inflight_bytes_ + request.bytes);
  if (!replicating()) {
    probe_sent_ = probing();
    return;
  }
  if (request.entries == 0) return;
  next_ = end.next();
  inflight_.push_back({end, request.bytes});
  inflight_bytes_ += request.bytes;
  cut_ = end < request.last;
  appended_then_ = request.appended;
  requested_ = now;
}

void Progress::committed(Instant now) {
  if (announce_deadline_ == Instant::never()) {
    announce_deadline_ = now + limits::kCommitAnnounceDelay;
  }
}

bool Progress::announce_due(Instant now, Index commit) const {
  const Index index = announceable(commit);
  if (!replicating() || index <= commit_sent_) return false;
  return (announce_ > commit_sent_ && announce_ <= index) || now >= announce_deadline_;
}

Instant Progress::announce_deadline(Index commit) const {
  const bool news = replicating() && announceable(commit) > commit_sent_;
  return news ? announce_deadline_ : Instant::never();
}

void Progress::check_invariants(Index last) const {
  ASSERT_CMP(match_, <=, last);
  ASSERT_CMP(next_, >, match_);
  ASSERT_CMP(next_, <=, last.next());
  ASSERT_CMP(inflight_.size(), <=, limits::kAppendsInFlightMax);
  ASSERT_CMP(window_, >=, limits::kAppendWindowBytesMin);
  if (!replicating()) ASSERT(inflight_.empty());
  if (!replicating()) ASSERT(!steady_since_);
  const bool instead = sending_ && !sending_->beside;
  ASSERT(instead == (state_ == PeerProgress::State::kSnapshot));
  if (sending_) ASSERT_CMP(sending_->acked, <=, sending_->sent);
  std::size_t bytes = 0;
  Index before = match_;
  for (const Request& request : inflight_) {
    ASSERT_CMP(request.last, >, before);
    before = request.last;
    bytes += request.bytes;
  }
  ASSERT_CMP(before, <, next_);
  ASSERT_CMP(bytes, ==, inflight_bytes_);
}

}  // namespace raftd::raft
