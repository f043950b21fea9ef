#include "storage/direct_writer.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/assert.h"
#include "base/limits.h"

namespace raftd::storage {
namespace {

// Of bytes that do not begin where a block may: copying more costs what is to be won.
constexpr std::size_t kCopiedBytesMax = 256 * limits::kKiB;

bool keeps_promises(int fd) {
  struct statfs found {};
  if (::fstatfs(fd, &found) != 0) return false;
  return found.f_type == EXT4_SUPER_MAGIC || found.f_type == XFS_SUPER_MAGIC;
}

}  // namespace

void DirectWriter::Free::operator()(std::byte* bytes) const noexcept {
  std::free(bytes);
}

bool DirectWriter::opened(int directory, const FileName& name) {
  if (fd_ && name_ == name) return true;
  fd_ = FileDescriptor(
      ::openat(directory, name.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW));
  name_ = name;
  return fd_ && keeps_promises(fd_.get());
}

const std::byte* DirectWriter::copied(ByteView bytes) {
  if (!blocks_) {
    blocks_.reset(
        static_cast<std::byte*>(std::aligned_alloc(limits::kBlockBytes, kCopiedBytesMax)));
    ASSERT(blocks_);
  }
  ASSERT_CMP(bytes.size(), <=, kCopiedBytesMax);
  std::copy(bytes.begin(), bytes.end(), blocks_.get());
  return blocks_.get();
}

std::optional<int> DirectWriter::write(int directory, const FileName& name, std::uint64_t offset,
                                       ByteView bytes) {
  const bool blocks = offset % limits::kBlockBytes == 0 && bytes.size() % limits::kBlockBytes == 0;
  // A frame of the journal does (frame_memory.h), of any size.
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % limits::kBlockBytes == 0;
  if (refused_ || !blocks || (!aligned && bytes.size() > kCopiedBytesMax)) return std::nullopt;
  if (!opened(directory, name)) {
    refused_ = true;
    fd_ = FileDescriptor();
    return std::nullopt;
  }
  const std::byte* from = aligned ? bytes.data() : copied(bytes);
  std::size_t done = 0;
  while (done < bytes.size()) {
    // The kernel only reads from there; an iovec serves readv, too.
    const iovec rest{const_cast<std::byte*>(from + done), bytes.size() - done};
    const ssize_t n = ::pwritev2(fd_.get(), &rest, 1, static_cast<off_t>(offset + done), RWF_DSYNC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EINVAL || errno == EOPNOTSUPP)) refused_ = true;
    // Also for a part of a block: the rest could not go this way.
    if (refused_ || (n >= 0 && n % static_cast<ssize_t>(limits::kBlockBytes) != 0)) {
      return std::nullopt;
    }
    if (n < 0) return errno;
    if (n == 0) return EIO;
    done += static_cast<std::size_t>(n);
  }
  return 0;
}

void DirectWriter::forget(const FileName& name) {
  if (name_ == name) fd_ = FileDescriptor();
}

}  // namespace raftd::storage
