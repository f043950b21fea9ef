#include "support/memory_disk.h"

#include <algorithm>

#include "base/assert.h"

namespace raftd::test {

using storage::DiskOp;
using storage::DiskResult;
using storage::FileName;

DiskResult MemoryDisk::run(const storage::DiskPlan& plan) {
  DiskResult result;
  result.id = plan.id;
  result.lane = plan.lane;
  for (const DiskOp& op : plan.ops) {
    if (run_op(op, plan.may_lack_space, result)) continue;
    result.no_space = true;
    break;
  }
  return result;
}

void MemoryDisk::run(const std::vector<DiskOp>& ops) {
  storage::DiskPlan plan;
  plan.ops = ops;
  run(plan);
}

bool MemoryDisk::run_op(const DiskOp& op, bool may_lack_space, DiskResult& result) {
  if (const auto* created = std::get_if<storage::CreateFile>(&op)) {
    return make(created->name, Bytes(created->bytes), may_lack_space);
  }
  if (const auto* copied = std::get_if<storage::CopyFile>(&op)) {
    const Bytes& from = file(copied->from).written;
    ASSERT_CMP(copied->offset, <=, from.size());
    return make(copied->to, Bytes(from.begin() + static_cast<long>(copied->offset), from.end()),
                may_lack_space);
  }
  if (const auto* written = std::get_if<storage::WriteFile>(&op)) {
    write(file(written->name), written->offset, written->data.bytes);
  } else if (const auto* wanted = std::get_if<storage::ReadFile>(&op)) {
    if (!exists(wanted->name)) {
      result.reads.emplace_back(std::nullopt);
    } else {
      result.reads.emplace_back(*read(wanted->name, wanted->offset, wanted->bytes));
    }
  } else if (const auto* synced = std::get_if<storage::SyncFile>(&op)) {
    sync(file(synced->name));
  } else if (const auto* cut = std::get_if<storage::TruncateFile>(&op)) {
    file(cut->name).written.resize(cut->bytes);
    sync(file(cut->name));
  } else if (const auto* renamed = std::get_if<storage::RenameFile>(&op)) {
    ASSERT(exists(renamed->from));
    const FileId id = names_.at(renamed->from);
    names_.erase(renamed->from);
    names_[renamed->to] = id;
    unsynced_.push_back({renamed->from, renamed->to, id});
  } else if (const auto* removed = std::get_if<storage::RemoveFile>(&op)) {
    if (names_.erase(removed->name) > 0) unsynced_.push_back({removed->name, {}, 0});
  } else {
    ASSERT(std::holds_alternative<storage::SyncDirectory>(op));
    unsynced_.clear();
    durable_names_ = names_;
  }
  return true;
}

bool MemoryDisk::make(const FileName& name, Bytes contents, bool may_lack_space) {
  ASSERT(!exists(name));
  if (capacity_ && used_bytes() + contents.size() > *capacity_) {
    ASSERT(may_lack_space);
    return false;
  }
  const FileId id = next_id_++;
  files_[id] = {contents, contents, {}};
  names_[name] = id;
  unsynced_.push_back({{}, name, id});
  return true;
}

void MemoryDisk::run_part(const std::vector<DiskOp>& ops, std::size_t whole, Rng& rng) {
  DiskResult ignored;
  for (std::size_t i = 0; i < std::min(whole, ops.size()); ++i)
    run_op(ops[i], true, ignored);
  if (whole >= ops.size()) return;
  const DiskOp& next = ops[whole];
  if (const auto* written = std::get_if<storage::WriteFile>(&next)) {
    write(file(written->name), written->offset, written->data.bytes);
  } else if (const auto* created = std::get_if<storage::CreateFile>(&next)) {
    make(created->name, Bytes(rng.below(created->bytes + 1)), true);
  } else if (const auto* copied = std::get_if<storage::CopyFile>(&next)) {
    const Bytes& from = file(copied->from).written;
    Bytes part(from.begin() + static_cast<long>(copied->offset), from.end());
    part.resize(rng.below(part.size() + 1));
    make(copied->to, std::move(part), true);
  } else if (const auto* cut = std::get_if<storage::TruncateFile>(&next)) {
    if (rng.one_in(2)) file(cut->name).written.resize(cut->bytes);
  } else if (std::holds_alternative<storage::RenameFile>(next) ||
             std::holds_alternative<storage::RemoveFile>(next)) {
    run_op(next, true, ignored);  // Not synced: the crash decides.
  }
}

void MemoryDisk::crash(Rng& rng, std::uint64_t garbage_one_in) {
  for (const NameChange& change : unsynced_) {
    if (rng.one_in(2)) continue;
    if (!change.removed.empty()) {
      const auto at = durable_names_.find(change.removed);
      if (at != durable_names_.end()) durable_names_.erase(at);
    }
    if (!change.added.empty()) durable_names_[change.added] = change.file;
  }
  unsynced_.clear();
  names_ = durable_names_;
  for (auto at = files_.begin(); at != files_.end();) {
    const bool named = std::any_of(names_.begin(), names_.end(),
                                   [&](const auto& name) { return name.second == at->first; });
    if (named) crash_file(at->second, rng, garbage_one_in);
    at = named ? std::next(at) : files_.erase(at);
  }
}

void MemoryDisk::crash_file(File& file, Rng& rng, std::uint64_t garbage_one_in) {
  Bytes after = file.durable;
  if (file.written.size() < after.size() && rng.one_in(2)) after.resize(file.written.size());
  for (const std::size_t sector : file.dirty) {
    const std::size_t start = sector * kSectorBytes;
    const std::size_t end = std::min(start + kSectorBytes, file.written.size());
    if (start >= end || rng.one_in(2)) continue;
    if (after.size() < end) after.resize(end);
    const bool garbage = rng.one_in(garbage_one_in);
    for (std::size_t i = start; i < end; ++i) {
      after[i] = garbage ? static_cast<std::byte>(rng.next()) : file.written[i];
    }
  }
  file.written = after;
  file.durable = std::move(after);
  file.dirty.clear();
}

std::uint64_t MemoryDisk::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, id] : names_)
    bytes += files_.at(id).written.size();
  return bytes;
}

MemoryDisk::File& MemoryDisk::file(const FileName& name) {
  ASSERT(exists(name));
  return files_.at(names_.at(name));
}

void MemoryDisk::write(File& file, std::uint64_t offset, ByteView bytes) {
  if (file.written.size() < offset + bytes.size()) file.written.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), file.written.begin() + static_cast<long>(offset));
  for (std::uint64_t at = offset / kSectorBytes; at * kSectorBytes < offset + bytes.size(); ++at) {
    file.dirty.insert(at);
  }
}

void MemoryDisk::sync(File& file) {
  file.durable.resize(file.written.size());
  for (const std::size_t sector : file.dirty) {
    const std::size_t start = std::min(sector * kSectorBytes, file.written.size());
    const std::size_t end = std::min(start + kSectorBytes, file.written.size());
    std::copy(file.written.begin() + static_cast<long>(start),
              file.written.begin() + static_cast<long>(end),
              file.durable.begin() + static_cast<long>(start));
  }
  file.dirty.clear();
}

const Bytes& MemoryDisk::contents(const FileName& name) const {
  ASSERT(exists(name));
  return files_.at(names_.at(name)).written;
}

void MemoryDisk::set_contents(const FileName& name, Bytes bytes) {
  const FileId id = exists(name) ? names_.at(name) : next_id_++;
  files_[id] = {bytes, bytes, {}};
  names_[name] = id;
  durable_names_[name] = id;
}

void MemoryDisk::flip_bit(const FileName& name, std::uint64_t offset, unsigned bit) {
  File& flipped = file(name);
  ASSERT_CMP(offset, <, flipped.written.size());
  ASSERT_CMP(bit, <, 8U);
  flipped.written[offset] ^= static_cast<std::byte>(1U << bit);
  flipped.durable = flipped.written;
}

void MemoryDisk::remove(const FileName& name) {
  names_.erase(name);
  durable_names_.erase(name);
}

std::vector<FileName> MemoryDisk::names() const {
  std::vector<FileName> names;
  for (const auto& [name, id] : names_)
    names.push_back(name);
  return names;
}

Result<std::uint64_t> MemoryDisk::size(const FileName& name) {
  if (!exists(name)) return Error{Errc::kIo, name + ": No such file or directory"};
  return static_cast<std::uint64_t>(contents(name).size());
}

Result<Bytes> MemoryDisk::read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) {
  if (!exists(name)) return Error{Errc::kIo, name + ": No such file or directory"};
  if (unreadable_.contains(name)) return Error{Errc::kIo, name + ": Input/output error"};
  const Bytes& all = contents(name);
  const std::size_t start = std::min<std::uint64_t>(offset, all.size());
  const std::size_t end = std::min<std::uint64_t>(start + bytes, all.size());
  return Bytes(all.begin() + static_cast<long>(start), all.begin() + static_cast<long>(end));
}

}  // namespace raftd::test
