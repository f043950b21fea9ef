// Reading entries back that are no longer in memory: which frames to read, and what is in them.
#pragma once

#include "storage/frame_index.h"

namespace raftd::storage {

// The frames to read for it: from wanted.first on, at least one, then as many as bytes_max allows.
// Empty: wanted.first is not in the log on disk.
std::vector<FrameAt> frames_to_read(const FrameIndex& index, const raft::LogRead& wanted);

// One ReadFile for frames that lie behind each other.
std::vector<DiskOp> read_ops(const std::vector<FrameAt>& frames);

// The entries in them from wanted.first on, without gaps, as far as they are still live by the
// index as it is now. A file that is gone ends them. kCorrupt: a checksum does not hold any more.
Result<std::vector<raft::Entry>> decode_old_entries(const FrameIndex& index,
                                                    const raft::LogRead& wanted,
                                                    const std::vector<FrameAt>& frames,
                                                    const std::vector<std::optional<Bytes>>& reads);

}  // namespace raftd::storage
