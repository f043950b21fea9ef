// The bytes of small commands on their way into the log: one after the other in blocks that they
// share, so that a command costs no allocation. The log drops entries in their order: blocks become
// free in that order, too.
#pragma once

#include "base/bytes.h"
#include "base/limits.h"

namespace raftd::node {

class CommandBlocks {
 public:
  // A copy, or command itself if that is long: it is empty then.
  SharedBytes share(Bytes& command);

 private:
  static constexpr std::size_t kBlockBytes = 4 * limits::kKiB;
  static constexpr std::size_t kCopiedBytesMax = kBlockBytes / 8;  // More wasted a block's end.

  std::shared_ptr<std::byte[]> block_;
  std::size_t used_ = kBlockBytes;  // Of block_.
};

}  // namespace raftd::node
