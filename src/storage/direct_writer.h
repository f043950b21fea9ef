// Writes of whole blocks that are durable when they return, past the page cache: one system call
// instead of pwrite and fdatasync, and no copy for the cache to write back.
//
// Only on file systems that are known to keep what RWF_DSYNC and O_DIRECT promise (pwritev2(2),
// open(2)): ext4 and XFS. Elsewhere, for what is large and would have to be copied, and when the
// kernel refuses, the caller writes and syncs as usual; both ways may be mixed, one after the
// other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "storage/disk_plan.h"
#include "storage/file_descriptor.h"

namespace raftd::storage {

class DirectWriter {
 public:
  // 0: the bytes are durable. Else what went wrong (errno), as of pwrite or fdatasync. nullopt: not
  // this way; nothing is said about what the file has now at the offset.
  // Precondition: nothing that was written to the file before still waits for a sync.
  std::optional<int> write(int directory, const FileName& name, std::uint64_t offset,
                           ByteView bytes);
  void forget(const FileName& name);  // It gets another name, or goes.

 private:
  struct Free {
    void operator()(std::byte* bytes) const noexcept;
  };
  bool opened(int directory, const FileName& name);
  const std::byte* copied(ByteView bytes);  // Where the kernel takes them.

  bool refused_ = false;  // By the file system: it is not asked again.
  FileName name_;
  FileDescriptor fd_;                          // Of name_.
  std::unique_ptr<std::byte[], Free> blocks_;  // For copies; aligned, as the kernel wants it.
};

}  // namespace raftd::storage
