// The log's contents as its records are read again, oldest first: the override rule, the terms, the
// configurations, the hard state, and the checks that hold in every log that a node wrote.
#pragma once

#include <deque>
#include <span>

#include "storage/frame_index.h"
#include "storage/segment_reader.h"

namespace raftd::storage {

class LogReplay {
 public:
  explicit LogReplay(std::size_t tail_bytes_max) : tail_bytes_max_(tail_bytes_max) {}

  // The log begins behind this, since what was before has been dropped.
  void begin_log(raft::Index prev, raft::Term prev_term, const raft::HardState& hard_state);
  void begin_segment(std::uint64_t seq, std::uint64_t bytes);
  void end_segment(std::uint64_t bytes);  // As large as it will be after the repairs.
  // The error says which record broke which rule; the caller adds file and frame.
  Status apply(const GoodFrame& frame, std::span<const format::Record> records);

  bool empty() const { return segments_.empty() || frames_seen_ == 0; }
  raft::Index first_index() const { return first_index_; }
  raft::Index last_index() const { return last_index_; }
  std::uint64_t reset_segment_seq() const { return reset_segment_seq_; }
  raft::Term last_term() const;
  const raft::HardState& hard_state() const { return hard_state_; }

  raft::Durable take_durable();
  std::vector<FrameAt> take_frames() { return index_.frames(); }
  std::vector<SegmentInfo> take_segments() { return std::move(segments_); }

 private:
  Status apply_entry(const format::Record& record, const SharedBytes& frame, const GoodFrame& at);
  Status apply_hard_state(const format::Record& record);
  Status apply_reset(const format::Record& record);
  Status check_mark(const format::Record& record, std::size_t records_count) const;
  void override_from(raft::Index first);
  raft::Term term_at(raft::Index index) const;  // 0: before the first.

  std::size_t tail_bytes_max_;
  raft::HardState hard_state_;
  raft::Index first_index_{1};
  raft::Term prev_term_;  // Of the entry before it; 0: not known, or there is none.
  raft::Index last_index_;
  std::uint64_t reset_segment_seq_ = 0;
  std::vector<raft::TermRun> terms_;
  std::vector<raft::ConfigurationAt> configurations_;
  std::deque<raft::Entry> tail_;
  std::size_t tail_bytes_ = 0;
  FrameIndex index_;
  std::vector<SegmentInfo> segments_;
  std::uint64_t frames_seen_ = 0;
};

}  // namespace raftd::storage
