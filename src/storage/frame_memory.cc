#include "storage/frame_memory.h"

#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "base/limits.h"

namespace raftd::storage {

std::shared_ptr<Bytes> FrameMemory::take(std::size_t bytes) {
  ASSERT_CMP(bytes, >, 0U);
  const std::size_t needed = limits::kBlockBytes + bytes;
  if (!last_ || last_.use_count() > 1 || last_->capacity() < needed) {
    last_ = std::make_shared<Bytes>();
    last_->reserve(needed);
  }
  last_->clear();
  const std::size_t behind = reinterpret_cast<std::uintptr_t>(last_->data()) % limits::kBlockBytes;
  last_->resize(behind == 0 ? 0 : limits::kBlockBytes - behind);
  ASSERT_CMP(last_->capacity() - last_->size(), >=, bytes);
  return last_;
}

}  // namespace raftd::storage
