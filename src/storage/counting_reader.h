// Says how far recovery has read, to whoever has a clock.
#pragma once

#include "storage/recovery.h"

namespace raftd::storage {

class CountingReader final : public DirectoryReader {
 public:
  // progress may be empty.
  CountingReader(DirectoryReader& inner, RecoveryProgressSink progress)
      : inner_(inner), progress_(std::move(progress)) {}

  // So many bytes are to be read, besides those of before.
  void expect(std::uint64_t bytes) { at_.total += bytes; }

  Result<std::vector<FileName>> list() override { return inner_.list(); }
  Result<std::uint64_t> size(const FileName& name) override { return inner_.size(name); }
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) override;

 private:
  DirectoryReader& inner_;
  RecoveryProgressSink progress_;
  RecoveryProgress at_;
  std::uint64_t file_end_ = 0;  // Of what was read of this file: none of it counts twice.
};

}  // namespace raftd::storage
