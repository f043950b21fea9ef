#include "storage/file_descriptor.h"

#include <unistd.h>

#include <utility>

namespace raftd::storage {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);  // Everything that matters was synced before.
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

}  // namespace raftd::storage
