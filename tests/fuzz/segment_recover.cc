// libFuzzer: a data directory that the real journal wrote and that is then damaged; or segments of
// well-formed frames with any records in them; or any bytes as files. Proves: recover() ends with a
// refusal, or with repairs after which it finds the same log again, a core can start from it and
// the journal goes on; inspect() finds fault with what it refuses and with nothing else; and of a
// damaged directory no durable frame is lost but as this says:
//
//   The log that is found is that of the first k frames, for some k. If k is not all of them, frame
//   k + 1 is damaged, or the segment header written with it; and so is the header of each frame
//   behind it. (One damaged frame that another one follows is thus never lost, only refused.)
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/text.h"
#include "fuzz/input.h"
#include "raft_support/node.h"
#include "storage/inspect.h"
#include "storage/repair.h"
#include "storage/segment_reader.h"
#include "unit/storage/log_driver.h"

namespace {

using namespace raftd;
using namespace raftd::storage;

constexpr std::uint64_t kSegmentBytes = 8 * kBlock;
constexpr std::size_t kSector = test::MemoryDisk::kSectorBytes;

struct State {
  raft::HardState hard_state;
  std::vector<std::string> entries;
  bool operator==(const State&) const = default;
};

State state_of(const raft::Durable& durable) {
  ASSERT_CMP(durable.tail.size(), ==, durable.last_index.value);
  return {durable.hard_state, texts(durable.tail)};
}

// One frame of the undamaged directory, and the log that it is the last frame of.
struct Frame {
  FileName file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // Without the padding, which nothing depends on.
  bool first_of_segment = false;
  State after;
};

void replay(const std::vector<format::Record>& records, State& state) {
  for (const format::Record& record : records) {
    const format::RecordHeader& header = record.header;
    if (header.kind == static_cast<std::uint8_t>(format::RecordKind::kHardState)) {
      state.hard_state = {raft::Term{header.term}, raft::NodeId{header.index}};
    } else if (header.kind == static_cast<std::uint8_t>(format::RecordKind::kEntry)) {
      state.entries.resize(header.index - 1);
      state.entries.push_back(std::to_string(header.index) + "/" + std::to_string(header.term) +
                              "/" + std::string(as_text(record.payload)));
    }
  }
}

std::vector<FileName> segments_of(const test::MemoryDisk& disk) {
  std::vector<FileName> segments = disk.names();
  std::erase_if(segments, [](const auto& name) { return !format::parse_segment_name(name); });
  return segments;
}

std::vector<Frame> frames_of(test::MemoryDisk& disk) {
  std::vector<Frame> frames;
  State state;
  std::vector<format::Record> records;
  for (const FileName& name : segments_of(disk)) {
    SegmentReader reader(disk, *format::parse_segment_name(name), disk.contents(name).size());
    if (!*reader.header()) continue;
    for (bool first = true;; first = false) {
      const auto frame = *reader.next(frames.size() + 1, records);
      if (!frame) break;
      replay(records, state);
      frames.push_back({name, frame->offset,
                        sizeof(format::FrameHeader) + frame->header.payload_bytes, first, state});
    }
  }
  return frames;
}

// A life of the journal. Everything is durable at the end: the process was killed, not the machine.
void live(LogDriver& log, fuzz::Input& input, bool alone) {
  log.start_new();
  std::uint64_t last = 1;
  std::uint64_t term = 1;
  if (!alone) {  // Others can tell it what it has lost.
    raft::Configuration two = one_voter();
    two.voters.push_back({2});
    two.addresses.push_back({{2}, "127.0.0.1:2381"});
    log.append({{{++last}, {term}, raft::EntryKind::kConfiguration, share(raft::encode(two))}});
  }
  for (std::uint64_t steps = input.below(12); steps > 0; --steps) {
    const std::uint64_t what = input.below(8);
    if (what == 0) {
      log.background();
      if (log.journal->ready_to_mark()) log.finish(log.journal->mark_idle());
    } else if (what == 1 || what == 2) {
      if (what == 2) log.finish(log.journal->mark_clean());
      ASSERT(log.start());
    } else if (what == 3) {
      log.background();
      log.finish(log.journal->begin(
          LogDriver::batch({}, raft::HardState{raft::Term{++term}, raft::NodeId{2}})));
    } else {
      if (what == 4) {  // Another leader's log is shorter.
        ++term;
        last -= std::min(last - 1, input.below(4));
      }
      std::vector<raft::Entry> entries;
      for (std::uint64_t count = 1 + input.below(3); count > 0; --count) {
        const std::string payload(input.below(16) * (what == 5 ? 500 : 9), 'p');
        entries.push_back(entry(++last, term, payload));
      }
      log.append(std::move(entries));
    }
  }
  if (input.flag()) log.finish(log.journal->mark_clean());
}

class Damage {
 public:
  Damage(LogDriver& log, fuzz::Input& input) : disk_(log.disk), input_(input) {}

  void run(const std::vector<Frame>& frames) {
    for (std::uint64_t count = input_.below(6); count > 0; --count) {
      if (segments_of(disk_).empty()) return;
      if (input_.flag() && !frames.empty()) {
        hit(frames[frames.size() - 1 - input_.below(std::min<std::size_t>(frames.size(), 8))]);
      } else {
        one();
      }
    }
  }

 private:
  FileName any_file() {
    const std::vector<FileName> segments = segments_of(disk_);
    return segments[segments.size() - 1 - input_.below(segments.size())];
  }

  // At a frame's header or first record, where a byte means most.
  void hit(const Frame& frame) {
    const std::uint64_t at = frame.offset + input_.below(std::min<std::uint64_t>(frame.bytes, 120));
    const auto bits = static_cast<std::byte>(input_.byte());
    if (!disk_.exists(frame.file)) return;
    change(frame.file, [&](Bytes& bytes) {
      if (at < bytes.size()) bytes[at] ^= bits;
    });
  }

  void one() {
    const FileName name = any_file();
    const std::uint64_t size = disk_.contents(name).size();
    const std::uint64_t at = size == 0 ? 0 : input_.below(size);
    switch (input_.below(9)) {
      case 0:
        return change(name, [&](Bytes& bytes) {
          if (at < bytes.size()) bytes[at] ^= static_cast<std::byte>(input_.byte());
        });
      case 1:
        return fill(name, at, kSector, false);
      case 2:
        return fill(name, at, kBlock, false);
      case 3:
        return fill(name, at, kSector, true);
      case 4:
        return swap(name, at / kBlock, any_file(), input_.below(8));
      case 5:
        return change(name, [&](Bytes& bytes) { bytes.resize(at); });
      case 6:
        return change(name, [&](Bytes& bytes) { bytes.resize(size + input_.below(3 * kBlock)); });
      case 7:
        return disk_.remove(name);
      default: {  // Two files change places.
        const FileName other = any_file();
        const Bytes mine = disk_.contents(name);
        disk_.set_contents(name, Bytes(disk_.contents(other)));
        disk_.set_contents(other, Bytes(mine));
      }
    }
  }

  template <class Change>
  void change(const FileName& name, Change make) {
    Bytes bytes = disk_.contents(name);
    make(bytes);
    disk_.set_contents(name, std::move(bytes));
  }

  void fill(const FileName& name, std::uint64_t at, std::size_t unit, bool garbage) {
    Rng rng(input_.byte());
    change(name, [&](Bytes& bytes) {
      const std::size_t begin = at / unit * unit;
      for (std::size_t i = begin; i < std::min(begin + unit, bytes.size()); ++i)
        bytes[i] = garbage ? static_cast<std::byte>(rng.next()) : std::byte{0};
    });
  }

  void swap(const FileName& one, std::uint64_t block, const FileName& other, std::uint64_t with) {
    Bytes mine = disk_.contents(one);
    Bytes theirs = one == other ? mine : disk_.contents(other);
    if ((block + 1) * kBlock > mine.size() || (with + 1) * kBlock > theirs.size()) return;
    Bytes& target = one == other ? mine : theirs;
    std::swap_ranges(mine.begin() + static_cast<std::ptrdiff_t>(block * kBlock),
                     mine.begin() + static_cast<std::ptrdiff_t>((block + 1) * kBlock),
                     target.begin() + static_cast<std::ptrdiff_t>(with * kBlock));
    disk_.set_contents(one, std::move(mine));
    if (one != other) disk_.set_contents(other, std::move(theirs));
  }

  test::MemoryDisk& disk_;
  fuzz::Input& input_;
};

bool damaged(const test::MemoryDisk& before, const test::MemoryDisk& now, const FileName& name,
             std::uint64_t offset, std::uint64_t bytes) {
  if (!now.exists(name)) return true;
  const Bytes& old = before.contents(name);
  const Bytes& present = now.contents(name);
  if (present.size() < offset + bytes) return true;
  const auto begin = static_cast<std::ptrdiff_t>(offset);
  const auto end = static_cast<std::ptrdiff_t>(offset + bytes);
  return !std::equal(old.begin() + begin, old.begin() + end, present.begin() + begin);
}

// The rule at the top of this file.
void check_nothing_else_lost(const std::vector<Frame>& frames, const test::MemoryDisk& before,
                             const test::MemoryDisk& now, const State& found) {
  bool headers_gone = true;  // Of all frames behind frame i.
  for (std::size_t i = frames.size(); i > 0 && headers_gone; --i) {
    if (frames[i - 1].after == found) return;
    const Frame& lost = frames[i - 1];
    const auto gone = [&](std::uint64_t offset, std::uint64_t bytes) {
      return damaged(before, now, lost.file, offset, bytes);
    };
    const bool with_it = lost.first_of_segment && gone(0, sizeof(format::SegmentHeader));
    if (i > 1 && frames[i - 2].after == found && (with_it || gone(lost.offset, lost.bytes))) return;
    headers_gone = gone(lost.offset, sizeof(format::FrameHeader));
  }
  PANIC("a durable frame was lost without a word");
}

// Well-formed segments: every checksum is right, the records are anybody's.
void forge(LogDriver& log, fuzz::Input& input) {
  const ClusterId cluster = make_cluster_id("test", one_voter());
  format::SegmentHeader header{};
  std::copy(cluster.begin(), cluster.end(), header.cluster_id);
  header.node_id = 1;
  header.frame_seq_first = 1;
  const std::uint64_t segments = 1 + input.below(3);
  for (std::uint64_t seq = 1; seq <= segments; ++seq) {
    header.segment_seq = seq;
    header.incarnation = 7 + input.below(2);
    Bytes bytes;
    format::append_segment_header(bytes, header);
    const std::uint64_t frames = input.below(6);
    for (std::uint64_t i = 0; i <= frames; ++i) {
      const bool seals = i == frames && (seq < segments || input.flag());
      if (i == frames && !seals) break;
      format::FrameWriter frame(bytes, {header.incarnation, seq, header.frame_seq_first});
      header.frame_seq_first += input.below(32) != 1 ? 1 : 2;
      for (std::uint64_t left = seals ? 1 : 1 + input.below(3); left > 0; --left) {
        format::RecordHeader record{};
        record.kind = static_cast<std::uint8_t>(seals ? 3 + input.below(2) : 1 + input.below(7));
        record.entry_kind = static_cast<std::uint8_t>(input.below(5));
        record.index = seals ? header.prev_index : header.prev_index + 2 - input.below(5) % 3;
        record.term = seals ? header.prev_term : header.prev_term + input.below(3);
        if (record.kind == 2) {
          record.index = header.hard_vote = input.below(4);
          record.term = header.hard_term = header.hard_term + input.below(4);
        } else if (record.kind == 1) {
          header.prev_index = record.index;
          header.prev_term = record.term;
        }
        header.prev_seal_crc32c = frame.add(record, input.bytes(input.below(80)));
      }
      frame.finish();
    }
    if (seq == segments) bytes.resize(bytes.size() + input.below(4) * kBlock);
    log.disk.set_contents(format::segment_name(seq), std::move(bytes));
  }
}

void raw_files(LogDriver& log, fuzz::Input& input) {
  for (std::uint64_t count = 1 + input.below(4); count > 0; --count) {
    FileName name;
    const std::uint64_t what = input.below(12);
    if (what == 0) name = "reserve";
    if (what == 1) name = format::torn_name(input.below(9), kBlock);
    if (what == 2) name = "IDENTITY.tmp";
    if (what == 3) name = "IDENTITY";
    if (what == 4) name = "odd" + std::string(as_text(input.bytes(input.below(12))));
    if (what > 4) name = format::segment_name(1 + input.below(3));
    const ByteView bytes = input.bytes(input.below(0x10000));
    log.disk.set_contents(name, Bytes(bytes.begin(), bytes.end()));
  }
}

// Repairs what may be repaired. The log that was found, or nothing if the directory was refused.
std::optional<State> recover_twice(LogDriver& log) {
  const RecoverOptions options = log.recover_options();
  const auto recovered = recover(log.disk, options);
  const auto seen = inspect(log.disk, {});
  (void)clear_unfinished_start(log.disk);
  if (seen && seen->identity && encode(*seen->identity) == encode(options.identity)) {
    ASSERT_CMP(seen->findings.empty(), ==, static_cast<bool>(recovered));
  }
  if (!recovered) {
    ASSERT(recovered.error().code == Errc::kCorrupt);
    ASSERT(recovered.error().message.find('\n') == std::string::npos);
    ASSERT(is_utf8(recovered.error().message));
    return std::nullopt;
  }
  const raft::Core core(raft::testing::core_config(1), recovered->durable, 1,
                        raft::testing::at(Duration(0)));
  core.check_invariants();
  log.disk.run(recovered->set_aside);
  log.disk.run(recovered->repairs);
  const auto again = recover(log.disk, log.recover_options());
  if (!again) PANIC("repaired, then refused: %s", again.error().message.c_str());
  ASSERT(again->notes.empty());
  ASSERT(again->set_aside.empty());
  ASSERT(again->durable.terms == recovered->durable.terms);
  const State state = state_of(recovered->durable);
  ASSERT(state_of(again->durable) == state);
  ASSERT_CMP(again->position.next_frame_seq, ==, recovered->position.next_frame_seq);
  return state;
}

raft::LogPosition end_of(const State& state) {
  if (state.entries.empty()) return {};
  const std::string& last = state.entries.back();  // INDEX/TERM/PAYLOAD
  return {raft::Term{std::stoull(last.substr(last.find('/') + 1))},
          raft::Index{state.entries.size()}};
}

// What is refused is repaired, unless nobody can know what the node has promised. last: the frame
// that the journal ended with, if it is still there: then nothing is forgotten.
void repair(LogDriver& log, const State* last) {
  const auto planned = plan_repair(log.disk, log.recover_options());
  if (!planned) {
    ASSERT(planned.error().code == Errc::kCorrupt);
    ASSERT(planned.error().message.find('\n') == std::string::npos);
    ASSERT(is_utf8(planned.error().message));
    return;
  }
  ASSERT(planned->has_value());
  const RepairPlan& plan = **planned;
  log.disk.run(plan.ops);
  const auto durable = log.start();
  if (!durable) PANIC("repaired, then refused: %s", durable.error().message.c_str());
  ASSERT(durable->hard_state == plan.hard_state);
  ASSERT(durable->last_index == plan.left);
  const auto again = plan_repair(log.disk, log.recover_options());
  ASSERT(again && !*again);
  if (last == nullptr) return;
  ASSERT(plan.promised >= end_of(*last));
  const raft::HardState& vote = last->hard_state;
  ASSERT(plan.hard_state == vote || plan.hard_state.term > vote.term);
}

void go_on(LogDriver& log, const State& state) {
  ASSERT(log.start());
  const std::uint64_t term = state.hard_state.term.value + 1;
  const raft::Entry next = entry(state.entries.size() + 1, term, "next");
  State expected = state;
  expected.hard_state = {raft::Term{term}, raft::NodeId{1}};
  log.background();
  log.finish(log.journal->begin(LogDriver::batch({next}, expected.hard_state)));
  expected.entries.push_back(text_of(next));
  const auto durable = log.start();
  ASSERT(durable);
  ASSERT(state_of(*durable) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  LogDriver log(kSegmentBytes);
  const std::uint64_t mode = input.below(8);
  if (mode < 3) log.disk.set_contents("IDENTITY", encode(log.recover_options().identity));
  if (mode == 0) raw_files(log, input);
  if (mode == 1 || mode == 2) forge(log, input);
  if (mode > 2) live(log, input, mode < 6);
  std::vector<Frame> frames;
  if (mode > 2) frames = frames_of(log.disk);
  const test::MemoryDisk before = log.disk;
  Damage(log, input).run(frames);
  const test::MemoryDisk after = log.disk;
  const std::optional<State> found = recover_twice(log);
  if (!found) {
    const bool whole = !frames.empty() && !damaged(before, after, frames.back().file,
                                                   frames.back().offset, frames.back().bytes);
    repair(log, whole ? &frames.back().after : nullptr);
    return 0;
  }
  if (mode > 2) check_nothing_else_lost(frames, before, after, *found);
  go_on(log, *found);
  return 0;
}
