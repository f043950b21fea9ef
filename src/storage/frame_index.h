// Where the live entries are, one FrameAt per frame: ascending, disjoint, without gaps. Recovery
// fills it, the journal goes on with it.
#pragma once

#include <vector>

#include "storage/recovery.h"

namespace raftd::storage {

class FrameIndex {
 public:
  FrameIndex() = default;
  explicit FrameIndex(std::vector<FrameAt> frames);

  // What is at or after first is dead: something else is being written in its place.
  void override_from(raft::Index first);
  // The frames in segments before this one.
  void drop_before(std::uint64_t segment_seq);
  // Precondition: it follows what is there.
  void add(const FrameAt& frame);
  // The frame that holds this index; null: none does.
  const FrameAt* find(raft::Index index) const;
  // Its position in frames(). Precondition: find(index).
  std::size_t position(raft::Index index) const;

  const std::vector<FrameAt>& frames() const { return frames_; }

 private:
  std::vector<FrameAt> frames_;
};

}  // namespace raftd::storage
