// What a disk would give back of the log, learnt from the bytes that are written to it and synced.
// The nodes are not asked: this is what they are held against.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "raft/core.h"

namespace raftd::sim {

struct LogSlot {
  raft::Term term;
  std::uint32_t crc = 0;    // Of the entry's payload; of a command without its stamp.
  std::uint64_t chain = 0;  // Of everything up to here: equal chains are equal logs.
};

// A log with its hard state, as bytes on a disk say it.
struct LogImage {
  raft::HardState hard;
  std::vector<LogSlot> slots;  // Index 1 first.

  raft::Index last() const { return {slots.size()}; }
  const LogSlot* at(raft::Index index) const {
    return index && index <= last() ? &slots[index.value - 1] : nullptr;
  }
  std::uint64_t chain_at(raft::Index index) const {
    return at(index) == nullptr ? 0 : at(index)->chain;
  }
};

class LogObserver {
 public:
  virtual ~LogObserver() = default;
  // This entry is in the page cache now; image is the whole log there.
  virtual void wrote(const LogImage& image, raft::Index index) = 0;
  // This entry was durable, and something else is durable in its place.
  virtual void replaced(raft::Index index, const LogSlot& slot) = 0;
  // The hard state that is written now follows this one.
  virtual void hard_state(const raft::HardState& before, const raft::HardState& now) = 0;
  // What is committed at index, of which there is a snapshot: what its state stands for.
  virtual const LogSlot& committed(raft::Index index) const = 0;
};

class DiskLog {
 public:
  using FileNumber = std::uint64_t;  // Of a file, whatever its name is.

  enum class Found : std::uint8_t {
    kAll,            // All that was synced, and perhaps some of what was only written.
    kLastFrameLost,  // All but what the last frame held.
    kSomethingElse,
  };

  void observe(LogObserver* observer) { observer_ = observer; }

  // Bytes of a segment go to the page cache. Frames in them begin at block boundaries.
  void wrote(FileNumber file, std::uint64_t offset, ByteView bytes);
  void synced(FileNumber file);
  // Which files a power loss leaves under the names that they have now.
  void named(FileNumber file);
  void unnamed(FileNumber file) { named_.erase(file); }

  // The snapshots that a power loss leaves, by their index.
  void snapshots(std::set<raft::Index> indexes) { snapshots_ = std::move(indexes); }

  const LogImage& durable() const { return durable_; }
  const LogImage& written() const { return written_; }
  // As a start would find it: the newest snapshot, and the log if it leads up to that.
  raft::Index last() const { return leads_up() ? durable_.last() : *snapshots_.rbegin(); }
  // Also of what is owed: see repaired().
  const LogSlot* at(raft::Index index) const;
  std::uint64_t chain_at(raft::Index index) const {
    return at(index) == nullptr ? 0 : at(index)->chain;
  }

  // The process ended, and perhaps the power went: what happens now is for recovery to find.
  void crashed() { frozen_ = true; }
  // What recovery read. Compares only.
  Found compare(const raft::Durable& recovered) const;
  // It is durable now, and the node goes on from it. Precondition: compare() said kAll.
  void accept(const raft::Durable& recovered);

  // A repair has set the log aside. What was in it still counts as held by this disk, which votes
  // for nobody who lacks it, until the log reaches the promised position again. recovered: what the
  // next start finds, and accepts. kAll: what was durable is promised, and nothing is made up.
  Found repaired(const raft::Durable& recovered, raft::LogPosition promised);
  bool owes() const { return promised_.has_value(); }

 private:
  struct Frame {
    FileNumber file = 0;
    bool synced = false;
    std::optional<raft::HardState> hard;
    raft::Index reset;  // 0: it is none.
    raft::Index first;
    std::vector<LogSlot> entries;
  };
  // What the last durable frame replaced.
  struct Undo {
    raft::HardState hard;
    std::size_t kept = 0;
    std::vector<LogSlot> removed;
    std::optional<std::vector<LogSlot>> all = std::nullopt;  // Of a log that it reset.
  };

  std::size_t parse(FileNumber file, ByteView bytes);
  void settle();  // Frames whose turn has come are durable.
  void make_durable(const Frame& frame);
  void apply(LogImage& image, const Frame& frame) const;
  void reset(LogImage& image, raft::Index to) const;
  LogImage before_last_frame() const;
  LogImage with_owed(LogImage image) const;
  void settle_debt();
  void forgive(std::size_t kept);
  bool leads_up() const;
  bool same(const LogImage& image, const raft::Durable& recovered) const;
  std::optional<std::size_t> frames_in(const raft::Durable& recovered) const;

  LogObserver* observer_ = nullptr;
  LogImage durable_;
  LogImage written_;
  std::deque<Frame> unsynced_;  // What leads from durable_ to written_.
  std::set<FileNumber> named_;
  std::set<raft::Index> snapshots_;
  bool frozen_ = false;
  Undo undo_;
  // Index 1 first, and equal to the log as far as that goes.
  std::vector<LogSlot> owed_;
  std::optional<raft::LogPosition> promised_;
};

}  // namespace raftd::sim
