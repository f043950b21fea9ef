#include "storage/counting_reader.h"

#include <algorithm>

namespace raftd::storage {

Result<Bytes> CountingReader::read(const FileName& name, std::uint64_t offset,
                                   std::uint64_t bytes) {
  Result<Bytes> read = inner_.read(name, offset, bytes);
  if (!read || !progress_) return read;
  if (at_.file != name) {
    at_.file = name;
    file_end_ = 0;
  }
  const std::uint64_t end = offset + read->size();
  if (end > file_end_) {
    at_.read += end - std::max(offset, file_end_);
    file_end_ = end;
  }
  at_.read = std::min(at_.read, at_.total);  // The last segment may be looked at twice.
  progress_(at_);
  return read;
}

}  // namespace raftd::storage
