// A simulated disk: files as the page cache shows them, and as they would be after a power loss.
//
// It executes the plans of a replica with drawn latencies, one lane beside the other. What was not
// synced when the power went is there in any combination of its 512-byte sectors; of the directory,
// some first part of the unsynced operations has happened. Damage is on the platter: the page cache
// shows good bytes until the process ends, for a start reads past it.
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

// What goes wrong with the next operation of its kind. The first three end the process.
enum class DiskFault : std::uint8_t {
  kWriteError,
  kSyncError,  // Some of the pages were written; all count as clean, and are old when read again.
  kReadError,
  kLostWrite,  // The disk says that it was done.
  kMisdirectedWrite,
};

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
  // The process ended: what the page cache hid is seen from now on.
  void drop_cache();

  void fail_sync(const storage::FileName& name, Rng& rng);
  // As execute(), but it will not be on the platter, or in another place of the file.
  void write_astray(const storage::WriteFile& op, bool elsewhere, Rng& rng);
  // One sector of some file, preferably one that is in use. Gives the file and the offset.
  std::string rot(Rng& rng, bool zero);
  void wipe();
  // That many reads of a start fail.
  void fail_reads(std::size_t count) { failing_reads_ = count; }
  std::size_t failing_reads() const { return failing_reads_; }

  std::uint64_t torn_sectors() const { return torn_sectors_; }
  // What it holds of the log, for checks.
  DiskLog& log() { return log_; }

 private:
  static constexpr std::size_t kSector = 512;
  struct File {
    DiskLog::FileNumber number = 0;
    Bytes seen;
    Bytes durable;
    std::vector<std::size_t> dirty;  // Sectors; some perhaps twice.
    std::set<std::size_t> stale;     // They are clean, and not what is on the platter.
    // Dirty sectors that go astray when they are written: by so many sectors; 0: nowhere.
    std::map<std::size_t, std::ptrdiff_t> astray;
  };
  using Directory = std::map<storage::FileName, std::shared_ptr<File>>;
  using DirectoryChange = std::function<void(Directory&)>;

  File& file(const storage::FileName& name);
  void change(DirectoryChange change);
  void create(const storage::FileName& name, Bytes content, bool synced);
  void write(const storage::WriteFile& op);
  void sync(File& file);
  void note_names();
  void note_snapshots();
  static void put_sector(Bytes& to, std::size_t at, const Bytes& from, std::size_t sector);

  DiskLog log_;
  DiskLog::FileNumber files_made_ = 0;
  Directory seen_;
  Directory durable_;
  std::vector<DirectoryChange> unsynced_;  // What leads from durable_ to seen_.
  std::uint64_t torn_sectors_ = 0;
  std::size_t failing_reads_ = 0;
};

class SimDisk final : public node::Disk {
 public:
  using Done = std::function<void(storage::DiskResult)>;
  // An operation failed: the process ends at once. What is submitted is gone.
  using Failed = std::function<void(const char* what)>;

  SimDisk(Schedule& schedule, const Options& options, std::uint64_t seed, Done done, Failed failed);

  void submit(storage::DiskPlan plan) override;

  // The process ended: what is under way or waits is not carried on. power: so did the machine.
  void crash(bool power);
  void set_full(bool full) { full_ = full; }
  // Of the next operation that it can hit.
  void break_next(DiskFault fault) { faults_.push_back(fault); }
  // Each operation takes up to so much longer, for a while.
  void slow_down(Duration extra, Duration lasting);
  void get_stuck(Duration lasting);  // Nothing gets done meanwhile.
  void be_kind(Duration sync_max);   // No more faults; a sync takes at most so long.
  bool will_go_astray() const;       // A write, some day.

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
  void end_without_space(std::size_t lane);
  bool struck(const storage::DiskOp& op, DiskFault fault);
  bool fails(const storage::DiskOp& op);
  Duration latency(const storage::DiskOp& op);

  Schedule& schedule_;
  Options options_;
  Rng rng_;
  Done done_;
  Failed failed_;
  DiskImage image_;
  std::array<Running, 3> lanes_;
  std::uint64_t life_ = 0;
  bool full_ = false;
  std::vector<DiskFault> faults_;
  Duration slow_by_{};
  Instant slow_until_{};
  Instant stuck_until_{};
};

}  // namespace raftd::sim
