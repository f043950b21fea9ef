// A simulated disk: files as the page cache shows them, and as they would be after a power loss.
//
// It executes the plans of a replica with drawn latencies, one lane beside the other. What was not
// synced when the power went is there in any combination of its 512-byte sectors; of the directory,
// some first part of the unsynced operations has happened.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "node/replica.h"
#include "sim/disk_log.h"
#include "sim/options.h"
#include "sim/schedule.h"

namespace raftd::sim {

// The bytes, without time.
class DiskImage final : public storage::DirectoryReader {
 public:
  Result<std::vector<storage::FileName>> list() override;
  Result<std::uint64_t> size(const storage::FileName& name) override;
  Result<Bytes> read(const storage::FileName& name, std::uint64_t offset,
                     std::uint64_t bytes) override;

  // nullopt: of a ReadFile whose file is not there; else what was read, or nothing.
  std::optional<Bytes> execute(const storage::DiskOp& op);
  // The operation was under way when the machine lost its power.
  void execute_partly(const storage::DiskOp& op, Rng& rng);
  void lose_power(Rng& rng);

  std::uint64_t torn_sectors() const { return torn_sectors_; }
  // What it holds of the log, for checks.
  DiskLog& log() { return log_; }

 private:
  static constexpr std::size_t kSector = 512;
  struct File {
    DiskLog::FileNumber number = 0;
    Bytes seen;
    Bytes durable;
    std::set<std::size_t> dirty;  // Sectors.
  };
  using Directory = std::map<storage::FileName, std::shared_ptr<File>>;
  using DirectoryChange = std::function<void(Directory&)>;

  File& file(const storage::FileName& name);
  void change(DirectoryChange change);
  void create(const storage::FileName& name, Bytes content, bool synced);
  void write(const storage::WriteFile& op);
  void sync(File& file);
  void note_names();

  DiskLog log_;
  DiskLog::FileNumber files_made_ = 0;
  Directory seen_;
  Directory durable_;
  std::vector<DirectoryChange> unsynced_;  // What leads from durable_ to seen_.
  std::uint64_t torn_sectors_ = 0;
};

class SimDisk final : public node::Disk {
 public:
  using Done = std::function<void(storage::DiskResult)>;

  SimDisk(Schedule& schedule, const Options& options, std::uint64_t seed, Done done);

  void submit(storage::DiskPlan plan) override;

  // The process ended: what is under way or waits is not carried on. power: so did the machine.
  void crash(bool power);
  void set_full(bool full) { full_ = full; }
  void be_kind() { options_.stall_per_mille = 0; }

  DiskImage& image() { return image_; }
  Rng& rng() { return rng_; }
  // A frame is written and not yet synced: the moment at which a power loss hurts.
  bool mid_frame() const;

 private:
  struct Running {
    std::deque<storage::DiskPlan> plans;
    std::size_t op = 0;
    Instant since{};
    storage::DiskResult result;
  };
  void start(std::size_t lane);
  void next_op(std::size_t lane);
  void end_op(std::size_t lane);
  void end_plan(std::size_t lane);
  Duration latency(const storage::DiskOp& op);

  Schedule& schedule_;
  Options options_;
  Rng rng_;
  Done done_;
  DiskImage image_;
  std::array<Running, 3> lanes_;
  std::uint64_t life_ = 0;
  bool full_ = false;
};

}  // namespace raftd::sim
