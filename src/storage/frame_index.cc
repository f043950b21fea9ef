#include "storage/frame_index.h"

#include <algorithm>

#include "base/assert.h"

namespace raftd::storage {

FrameIndex::FrameIndex(std::vector<FrameAt> frames) : frames_(std::move(frames)) {
  for (std::size_t i = 1; i < frames_.size(); ++i) {
    ASSERT_CMP(frames_[i].first, ==, frames_[i - 1].last.next());
  }
}

void FrameIndex::override_from(raft::Index first) {
  while (!frames_.empty() && frames_.back().first >= first)
    frames_.pop_back();
  if (!frames_.empty() && frames_.back().last >= first) frames_.back().last = first.prev();
}

void FrameIndex::drop_before(std::uint64_t segment_seq) {
  std::erase_if(frames_, [&](const FrameAt& frame) { return frame.segment_seq < segment_seq; });
}

void FrameIndex::add(const FrameAt& frame) {
  ASSERT(frame.first);
  ASSERT_CMP(frame.first, <=, frame.last);
  if (!frames_.empty()) ASSERT_CMP(frame.first, ==, frames_.back().last.next());
  frames_.push_back(frame);
}

const FrameAt* FrameIndex::find(raft::Index index) const {
  const auto at = std::partition_point(frames_.begin(), frames_.end(),
                                       [&](const FrameAt& frame) { return frame.last < index; });
  if (at == frames_.end() || at->first > index) return nullptr;
  return &*at;
}

std::size_t FrameIndex::position(raft::Index index) const {
  const FrameAt* frame = find(index);
  ASSERT(frame != nullptr);
  return static_cast<std::size_t>(frame - frames_.data());
}

}  // namespace raftd::storage
