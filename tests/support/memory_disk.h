// A data directory in memory that executes DiskPlans and forgets what was not synced: the durable
// image is kept apart from the written one, and a crash keeps any subset of what lies between them,
// in sectors of 512 bytes, some of them as garbage; directory operations that were not synced may
// vanish, each for itself.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "storage/disk_plan.h"
#include "storage/recovery.h"

namespace raftd::test {

class MemoryDisk final : public storage::DirectoryReader {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  // Everything, in order. A failure that would end the process is a failed assertion.
  storage::DiskResult run(const storage::DiskPlan& plan);
  void run(const std::vector<storage::DiskOp>& ops);
  // The first whole operations, then a part of the next one: the machine stops in the middle.
  // Usually followed by crash().
  void run_part(const std::vector<storage::DiskOp>& ops, std::size_t whole, Rng& rng);

  // Power is lost. garbage: one in so many torn sectors holds neither the old nor the new bytes.
  void crash(Rng& rng, std::uint64_t garbage_one_in = 8);

  // Bytes of all files together; more is no space. nullopt: no limit.
  void set_capacity(std::optional<std::uint64_t> bytes) { capacity_ = bytes; }
  std::uint64_t used_bytes() const;
  // Every read of it fails.
  void set_unreadable(const storage::FileName& name) { unreadable_.insert(name); }

  // What a test looks at or doctors; a change is durable at once.
  bool exists(const storage::FileName& name) const { return names_.contains(name); }
  const Bytes& contents(const storage::FileName& name) const;
  void set_contents(const storage::FileName& name, Bytes bytes);
  void flip_bit(const storage::FileName& name, std::uint64_t offset, unsigned bit);
  void remove(const storage::FileName& name);
  std::vector<storage::FileName> names() const;

  Result<std::vector<storage::FileName>> list() override { return names(); }
  Result<std::uint64_t> size(const storage::FileName& name) override;
  Result<Bytes> read(const storage::FileName& name, std::uint64_t offset,
                     std::uint64_t bytes) override;

 private:
  struct File {
    Bytes written;
    Bytes durable;
    std::set<std::size_t> dirty;  // Sectors in which they may differ.
  };
  using FileId = std::uint64_t;
  struct NameChange {  // One operation on the directory that was not synced.
    storage::FileName removed;
    storage::FileName added;
    FileId file = 0;
  };

  bool run_op(const storage::DiskOp& op, bool may_lack_space, storage::DiskResult& result);
  bool make(const storage::FileName& name, Bytes contents, bool may_lack_space);
  File& file(const storage::FileName& name);
  void write(File& file, std::uint64_t offset, ByteView bytes);
  void sync(File& file);
  void crash_file(File& file, Rng& rng, std::uint64_t garbage_one_in);

  std::map<FileId, File> files_;
  std::map<storage::FileName, FileId> names_;
  std::map<storage::FileName, FileId> durable_names_;
  std::vector<NameChange> unsynced_;
  std::set<storage::FileName> unreadable_;
  std::optional<std::uint64_t> capacity_;
  FileId next_id_ = 1;
};

}  // namespace raftd::test
