#include "node/command_blocks.h"

#include <algorithm>

namespace raftd::node {

SharedBytes CommandBlocks::share(Bytes& command) {
  if (command.size() > kCopiedBytesMax) return raftd::share(std::move(command));
  if (command.size() > kBlockBytes - used_) {
    block_ = std::make_shared_for_overwrite<std::byte[]>(kBlockBytes);
    used_ = 0;
  }
  std::byte* const begin = block_.get() + used_;
  std::copy(command.begin(), command.end(), begin);
  used_ += command.size();
  return {block_, {begin, command.size()}};
}

}  // namespace raftd::node
