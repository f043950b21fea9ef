#include "sim/disk.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "sim/violation.h"

#include "base/overloaded.h"
#include "storage/format.h"

namespace raftd::sim {
Result<std::vector<storage::FileName>> DiskImage::list() {
  std::vector<storage::FileName> names;
  for (const auto& [name, file] : seen_)
    names.push_back(name);
  std::ranges::reverse(names);  // In any order: not in the one that would be convenient.
  return names;
}

Result<std::uint64_t> DiskImage::size(const storage::FileName& name) {
  return std::uint64_t{file(name).seen.size()};
}

Result<Bytes> DiskImage::read(const storage::FileName& name, std::uint64_t offset,
                              std::uint64_t bytes) {
  if (failing_reads_ > 0) {
    --failing_reads_;
    return Error{Errc::kIo, name + ": Input/output error"};
  }
  const Bytes& content = file(name).seen;
  const std::uint64_t begin = std::min<std::uint64_t>(offset, content.size());
  const std::uint64_t end = std::min<std::uint64_t>(begin + bytes, content.size());
  return Bytes(content.begin() + static_cast<std::ptrdiff_t>(begin),
               content.begin() + static_cast<std::ptrdiff_t>(end));
}

DiskImage::File& DiskImage::file(const storage::FileName& name) {
  const auto found = seen_.find(name);
  ASSERT(found != seen_.end());
  return *found->second;
}

void DiskImage::change(DirectoryChange change) {
  change(seen_);
  unsynced_.push_back(std::move(change));
}

void DiskImage::create(const storage::FileName& name, Bytes content, bool synced) {
  ASSERT(!seen_.contains(name));
  auto file = std::make_shared<File>();
  file->number = ++files_made_;
  file->seen = std::move(content);
  if (synced) {
    file->durable = file->seen;
    log_.synced(file->number);
  } else {
    for (std::size_t sector = 0; sector * kSector < file->seen.size(); ++sector)
      file->dirty.push_back(sector);
  }
  change([name, file](Directory& directory) { directory[name] = file; });
}

void DiskImage::write(const storage::WriteFile& op) {
  File& target = file(op.name);
  const ByteView data = op.data.bytes;
  if (target.seen.size() < op.offset + data.size()) target.seen.resize(op.offset + data.size());
  if (!data.empty()) std::memcpy(target.seen.data() + op.offset, data.data(), data.size());
  for (std::size_t at = op.offset / kSector; at * kSector < op.offset + data.size(); ++at)
    target.dirty.push_back(at);
  log_.wrote(target.number, op.offset, data);
}

void DiskImage::sync(File& file) {
  file.durable.resize(file.seen.size());
  for (const std::size_t sector : file.dirty) {
    const auto astray = file.astray.find(sector);
    if (astray == file.astray.end()) {
      put_sector(file.durable, sector, file.seen, sector);
      file.stale.erase(sector);
      continue;
    }
    file.stale.insert(sector);
    if (astray->second == 0) continue;
    const auto other =
        static_cast<std::size_t>(static_cast<std::ptrdiff_t>(sector) + astray->second);
    put_sector(file.durable, other, file.seen, sector);
    file.stale.insert(other);
  }
  file.astray.clear();
  file.dirty.clear();
  log_.synced(file.number);
}

// Sector at of to becomes this sector of from, as far as both reach.
void DiskImage::put_sector(Bytes& to, std::size_t at, const Bytes& from, std::size_t sector) {
  const std::size_t begin = sector * kSector;
  if (begin >= from.size() || at * kSector >= to.size()) return;
  const std::size_t bytes = std::min({kSector, from.size() - begin, to.size() - at * kSector});
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(begin), bytes,
              to.begin() + static_cast<std::ptrdiff_t>(at * kSector));
}

void DiskImage::drop_cache() {
  for (const auto& [name, file] : seen_) {
    for (const std::size_t sector : file->stale)
      put_sector(file->seen, sector, file->durable, sector);
    file->stale.clear();
    file->astray.clear();
  }
}

void DiskImage::fail_sync(const storage::FileName& name, Rng& rng) {
  File& failed = file(name);
  if (rng.one_in(2)) failed.durable.resize(failed.seen.size());
  for (const std::size_t sector : failed.dirty) {
    if (rng.one_in(2)) put_sector(failed.durable, sector, failed.seen, sector);
  }
  failed.dirty.clear();
  failed.seen = failed.durable;
}

void DiskImage::write_astray(const storage::WriteFile& op, bool elsewhere, Rng& rng) {
  File& target = file(op.name);
  const std::size_t first = op.offset / kSector;
  const std::size_t count = op.data.bytes.size() / kSector;
  constexpr std::size_t kBlockSectors = limits::kBlockBytes / kSector;
  std::ptrdiff_t by = 0;
  const std::size_t sectors = std::max(target.seen.size() / kSector, first + count);
  if (elsewhere && sectors >= count + kBlockSectors) {
    const std::size_t places = (sectors - count) / kBlockSectors + 1;
    const std::size_t other = rng.below(places) * kBlockSectors;
    by = static_cast<std::ptrdiff_t>(other) - static_cast<std::ptrdiff_t>(first);
  }
  write(op);
  for (std::size_t i = 0; i < count; ++i)
    target.astray[first + i] = by;
}

std::string DiskImage::rot(Rng& rng, bool zero) {
  if (durable_.empty()) return "nothing";
  auto chosen = durable_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(rng.below(durable_.size())));
  File& target = *chosen->second;
  const std::size_t sectors = target.durable.size() / kSector;
  if (sectors == 0) return "nothing";
  std::size_t sector = rng.below(sectors);
  const auto used = [&](std::size_t at) {
    const auto begin = target.durable.begin() + static_cast<std::ptrdiff_t>(at * kSector);
    return std::any_of(begin, begin + kSector, [](std::byte b) { return b != std::byte{}; });
  };
  for (std::size_t tried = 0; tried < sectors && !used(sector) && !rng.one_in(500); ++tried)
    sector = (sector + 1) % sectors;
  if (zero) {
    const auto begin = target.durable.begin() + static_cast<std::ptrdiff_t>(sector * kSector);
    std::fill_n(begin, kSector, std::byte{});
  } else {
    target.durable[sector * kSector + rng.below(kSector)] ^= std::byte(1U << rng.below(8));
  }
  target.stale.insert(sector);
  return strf("%s, offset %zu", chosen->first.c_str(), sector * kSector);
}

void DiskImage::wipe() {
  seen_.clear();
  durable_.clear();
  unsynced_.clear();
}

// A file counts under the name that it has now, once a power loss leaves it there.
void DiskImage::note_names() {
  for (const auto& [name, file] : seen_) {
    const auto found = durable_.find(name);
    if (found != durable_.end() && found->second == file) log_.named(file->number);
  }
  note_snapshots();
}

void DiskImage::note_snapshots() {
  std::set<raft::Index> indexes;
  for (const auto& [name, file] : durable_) {
    const auto snapshot = storage::format::parse_snapshot_name(name);
    const bool whole = file->dirty.empty() && file->durable.size() == file->seen.size();
    if (snapshot && whole) indexes.insert({snapshot->first});
  }
  log_.snapshots(std::move(indexes));
}

std::optional<Bytes> DiskImage::execute(const storage::DiskOp& operation) {
  return std::visit(overloaded{
                        [&](const storage::CreateFile& op) -> std::optional<Bytes> {
                          create(op.name, Bytes(op.bytes), true);
                          return Bytes();
                        },
                        [&](const storage::WriteFile& op) -> std::optional<Bytes> {
                          write(op);
                          return Bytes();
                        },
                        [&](const storage::ReadFile& op) -> std::optional<Bytes> {
                          if (!seen_.contains(op.name)) return std::nullopt;
                          return *read(op.name, op.offset, op.bytes);
                        },
                        [&](const storage::SyncFile& op) -> std::optional<Bytes> {
                          sync(file(op.name));
                          return Bytes();
                        },
                        [&](const storage::TruncateFile& op) -> std::optional<Bytes> {
                          file(op.name).seen.resize(op.bytes);
                          sync(file(op.name));
                          return Bytes();
                        },
                        [&](const storage::CopyFile& op) -> std::optional<Bytes> {
                          create(op.to, *read(op.from, op.offset, file(op.from).seen.size()), true);
                          return Bytes();
                        },
                        [&](const storage::RenameFile& op) -> std::optional<Bytes> {
                          log_.unnamed(file(op.from).number);
                          change([op](Directory& directory) {
                            directory[op.to] = directory.at(op.from);
                            directory.erase(op.from);
                          });
                          return Bytes();
                        },
                        [&](const storage::RemoveFile& op) -> std::optional<Bytes> {
                          change([op](Directory& directory) { directory.erase(op.name); });
                          return Bytes();
                        },
                        [&](const storage::SyncDirectory&) -> std::optional<Bytes> {
                          durable_ = seen_;
                          unsynced_.clear();
                          note_names();
                          return Bytes();
                        },
                    },
                    operation);
}

void DiskImage::execute_partly(const storage::DiskOp& op, Rng& rng) {
  if (const auto* made = std::get_if<storage::CreateFile>(&op)) {
    // One after the other: compilers evaluate arguments in orders of their own.
    Bytes zeros(rng.below(made->bytes + 1));
    const bool synced = rng.one_in(2);
    create(made->name, std::move(zeros), synced);
  } else if (rng.one_in(2)) {
    execute(op);  // A write is then as if it had been done and not synced.
  }
}

void DiskImage::lose_power(Rng& rng) {
  const std::size_t kept = unsynced_.empty() ? 0 : rng.below(unsynced_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i)
    unsynced_[i](durable_);
  unsynced_.clear();
  const std::uint64_t survives = rng.below(101);
  for (const auto& [name, file] : durable_) {
    const std::size_t allocated = file->durable.size();
    if (file->seen.size() > file->durable.size() && rng.one_in(2)) {
      file->durable.resize(file->seen.size());
    }
    for (const std::size_t sector : file->dirty) {
      const std::size_t begin = sector * kSector;
      if (begin >= file->durable.size() || begin >= file->seen.size()) continue;
      const std::size_t end = std::min({begin + kSector, file->durable.size(), file->seen.size()});
      // A file system shows zeros, or nothing, where a new file was never written.
      const bool garbage = end <= allocated && rng.one_in(40);
      if (!garbage && !chance(rng, survives)) continue;
      ++torn_sectors_;
      for (std::size_t at = begin; at < end; ++at)
        file->durable[at] = garbage ? static_cast<std::byte>(rng.below(256)) : file->seen[at];
    }
    file->dirty.clear();
    file->seen = file->durable;
  }
  seen_ = durable_;
  note_names();
}

SimDisk::SimDisk(Schedule& schedule, const Options& options, std::uint64_t seed, Done done,
                 Failed failed)
    : schedule_(schedule),
      options_(options),
      rng_(seed),
      done_(std::move(done)),
      failed_(std::move(failed)) {}

bool SimDisk::will_go_astray() const {
  return std::ranges::any_of(faults_, [](DiskFault fault) {
    return fault == DiskFault::kLostWrite || fault == DiskFault::kMisdirectedWrite;
  });
}

void SimDisk::slow_down(Duration extra, Duration lasting) {
  slow_by_ = extra;
  slow_until_ = schedule_.now() + lasting;
}

void SimDisk::get_stuck(Duration lasting) {
  stuck_until_ = schedule_.now() + lasting;
}

void SimDisk::be_kind(Duration sync_max) {
  options_.sync_max = std::clamp(sync_max, options_.sync_min, options_.sync_max);
  options_.stall_per_mille = 0;
  faults_.clear();
  slow_until_ = {};
  stuck_until_ = {};
  image_.fail_reads(0);
}

void SimDisk::submit(storage::DiskPlan plan) {
  const auto lane = static_cast<std::size_t>(plan.lane);
  // One frame, a few files in the background, a few reads: a slow disk does not pile up more.
  constexpr std::size_t kMost[] = {1, limits::kBackgroundPlansMax, limits::kReadPlansMax};
  const std::size_t most = kMost[lane];
  if (lanes_[lane].plans.size() >= most) {
    violated("bounded queues",
             strf("plan %zu of lane %zu waits for the disk", lanes_[lane].plans.size() + 1, lane));
  }
  lanes_[lane].plans.push_back(std::move(plan));
  if (lanes_[lane].plans.size() == 1) start(lane);
}

bool SimDisk::mid_frame() const {
  const Running& journal = lanes_[static_cast<std::size_t>(storage::Lane::kJournal)];
  return !journal.plans.empty() && journal.op > 0;
}

void SimDisk::start(std::size_t lane) {
  Running& running = lanes_[lane];
  const storage::DiskPlan& plan = running.plans.front();
  running.op = 0;
  running.since = schedule_.now();
  running.result = {plan.id, plan.lane, {}, false, {}};
  Duration wait{};
  if (rng_.below(1000) < options_.stall_per_mille) {
    wait = between(rng_, {}, std::chrono::seconds(3));
  }
  schedule_.after(wait, [this, lane, life = life_] {
    if (life == life_) next_op(lane);
  });
}

void SimDisk::next_op(std::size_t lane) {
  Running& running = lanes_[lane];
  const storage::DiskPlan& plan = running.plans.front();
  if (running.op == plan.ops.size()) return end_plan(lane);
  const storage::DiskOp& op = plan.ops[running.op];
  const bool makes_file = std::holds_alternative<storage::CreateFile>(op) ||
                          std::holds_alternative<storage::CopyFile>(op) ||
                          std::holds_alternative<storage::WriteFile>(op);
  if (full_ && makes_file && plan.may_lack_space) {
    schedule_.after(latency(op), [this, lane, life = life_] {
      if (life == life_) end_without_space(lane);
    });
    return;
  }
  schedule_.after(latency(op), [this, lane, life = life_] {
    if (life == life_) end_op(lane);
  });
}

// As much of the file as there was room for, and then it is removed.
void SimDisk::end_without_space(std::size_t lane) {
  Running& running = lanes_[lane];
  const storage::DiskOp& op = running.plans.front().ops[running.op];
  if (const auto* made = std::get_if<storage::CreateFile>(&op)) {
    image_.execute(storage::CreateFile{made->name, rng_.below(made->bytes + 1)});
    image_.execute(storage::RemoveFile{made->name});
  } else if (const auto* written = std::get_if<storage::WriteFile>(&op)) {
    image_.execute(storage::RemoveFile{written->name});
  }
  running.result.no_space = true;
  end_plan(lane);
}

// Whether this fault waits, and is for this operation. Then it is used up.
bool SimDisk::struck(const storage::DiskOp& op, DiskFault fault) {
  const auto at = std::ranges::find(faults_, fault);
  if (at == faults_.end()) return false;
  const bool writes = std::holds_alternative<storage::WriteFile>(op);
  const bool reads = std::holds_alternative<storage::ReadFile>(op);
  bool hit = writes;
  if (fault == DiskFault::kReadError) hit = reads;
  if (fault == DiskFault::kSyncError) hit = std::holds_alternative<storage::SyncFile>(op);
  if (hit) faults_.erase(at);
  return hit;
}

bool SimDisk::fails(const storage::DiskOp& op) {
  if (struck(op, DiskFault::kReadError)) return true;
  if (struck(op, DiskFault::kWriteError)) {
    image_.execute_partly(op, rng_);
    return true;
  }
  if (!struck(op, DiskFault::kSyncError)) return false;
  image_.fail_sync(std::get<storage::SyncFile>(op).name, rng_);
  return true;
}

void SimDisk::end_op(std::size_t lane) {
  Running& running = lanes_[lane];
  const storage::DiskOp& op = running.plans.front().ops[running.op];
  if (fails(op)) {
    for (Running& each : lanes_)
      each.plans.clear();
    return failed_("an operation of its disk failed");
  }
  const bool lost = struck(op, DiskFault::kLostWrite);
  if (lost || struck(op, DiskFault::kMisdirectedWrite)) {
    image_.write_astray(std::get<storage::WriteFile>(op), !lost, rng_);
  } else {
    std::optional<Bytes> read = image_.execute(op);
    if (std::holds_alternative<storage::ReadFile>(op)) {
      running.result.reads.push_back(std::move(read));
    }
  }
  ++running.op;
  next_op(lane);
}

void SimDisk::end_plan(std::size_t lane) {
  Running& running = lanes_[lane];
  storage::DiskResult result = std::move(running.result);
  result.took = schedule_.now() - running.since;
  running.plans.pop_front();
  if (!running.plans.empty()) start(lane);
  done_(std::move(result));
}

Duration SimDisk::latency(const storage::DiskOp& op) {
  using std::chrono::microseconds;
  Duration extra{};
  if (schedule_.now() < slow_until_) extra = between(rng_, {}, slow_by_);
  if (schedule_.now() < stuck_until_) extra += stuck_until_ - schedule_.now();
  if (std::holds_alternative<storage::WriteFile>(op)) {
    return extra + between(rng_, microseconds(5), microseconds(60));
  }
  if (std::holds_alternative<storage::ReadFile>(op)) {
    return extra + between(rng_, microseconds(20), microseconds(500));
  }
  return extra + between(rng_, options_.sync_min, options_.sync_max);
}

void SimDisk::crash(bool power) {
  ++life_;
  for (Running& lane : lanes_) {
    if (!lane.plans.empty() && lane.op < lane.plans.front().ops.size()) {
      image_.execute_partly(lane.plans.front().ops[lane.op], rng_);
    }
    lane.plans.clear();
  }
  image_.log().crashed();
  if (power) image_.lose_power(rng_);
  image_.drop_cache();
}

}  // namespace raftd::sim
