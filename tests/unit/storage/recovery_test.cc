// Recovery on doctored directories: one test per row of the decision table and per rule, each
// checking the sentence that the operator will read.
#include "storage/recovery.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"
#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

// Segment 1: the first start. Segment 2: what these tests write; its frames are one block each.
const FileName kFirst = "log-00000000000000000001";
const FileName kSecond = "log-00000000000000000002";
const FileName kThird = "log-00000000000000000003";

struct Doctored : LogDriver {
  Doctored() {
    start_new();
    append({entry(2, 1, "two")});
    append({entry(3, 1, "three")});
    append({entry(4, 1, "four")});
  }
  std::string refusal() {
    auto started = recover(disk, recover_options());
    if (started) return "started";
    CHECK(started.error().code == Errc::kCorrupt);
    return started.error().message;
  }
  void fill(const FileName& name, std::uint64_t from, std::uint64_t to, std::byte value) {
    Bytes bytes = disk.contents(name);
    std::fill(bytes.begin() + static_cast<long>(from), bytes.begin() + static_cast<long>(to),
              value);
    disk.set_contents(name, std::move(bytes));
  }
  raft::Index last_after_start() {
    auto durable = start();
    REQUIRE(durable);
    return durable->last_index;
  }
  // Goes on until there is a third segment with something in it.
  void rotate() {
    for (std::uint64_t i = 5; !disk.exists(kThird) || disk.contents(kThird)[0] == std::byte{0}; ++i)
      append({entry(i, 1, "more")});
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("row kEnd: a segment that was in use ends in zeros: trimmed, sealed, nothing lost") {
  Doctored log;
  CHECK(log.last_after_start() == raft::Index{4});
  CHECK(log.notes.empty());
  CHECK(log.disk.contents(kSecond).size() == 5 * kBlock);  // Header, three frames, seal.
  CHECK(log.position.next_segment_seq == 3);
  CHECK(log.last_after_start() == raft::Index{4});  // Row kSealed: and again.
  CHECK(log.position.next_segment_seq == 3);
}

TEST_CASE("[F47] row kTorn: half a frame at the end is set aside, cut off, sealed") {
  Doctored log;
  log.disk.flip_bit(kSecond, 3 * kBlock + 114, 3);
  const Bytes torn = log.disk.contents(kSecond);
  CHECK(log.last_after_start() == raft::Index{3});
  REQUIRE(log.notes.size() == 1);
  CHECK(has(log.notes[0], kSecond + ": frame 5 at offset 12288, after index 3: record 2 (term 1, "
                                    "index 4): crc is "));
  const FileName aside = "torn-00000000000000000002-00000000000000012288";
  REQUIRE(log.disk.exists(aside));
  const Bytes& copy = log.disk.contents(aside);
  CHECK(copy.size() == kBlock);
  CHECK(std::equal(copy.begin(), copy.end(), torn.begin() + 3 * kBlock));
  CHECK(log.disk.contents(kSecond).size() == 4 * kBlock);
  log.append({entry(4, 1, "again")});
  CHECK(log.last_after_start() == raft::Index{4});
}

TEST_CASE("only the newest four torn copies are kept") {
  Doctored log;
  for (std::uint64_t i = 0; i < 7; ++i) {
    log.append({entry(5 + i, 1, "next")});
    const FileName name = format::segment_name(log.position.next_segment_seq);
    log.append({entry(6 + i, 1, "torn")});
    log.disk.flip_bit(name, 2 * kBlock + (i == 0 ? 3 * kBlock : 0) + 60, 1);
    REQUIRE(log.last_after_start() == raft::Index{5 + i});
  }
  std::vector<FileName> torn;
  for (const FileName& name : log.disk.names()) {
    if (format::is_torn_name(name)) torn.push_back(name);
  }
  CHECK(torn.size() == limits::kTornFilesMax);
  CHECK(torn.front().substr(0, 25) == "torn-00000000000000000005");
}

TEST_CASE("[F45] row kFrameLost: damage before a later frame is refused, never cut off") {
  Doctored log;
  log.disk.flip_bit(kSecond, 2 * kBlock + 114, 0);
  const std::string refusal = log.refusal();
  CHECK(has(refusal, kSecond + ": frame 4 at offset 8192, after index 2: record 2 (term 1, index "
                               "3): crc is "));
  CHECK(has(refusal, "since frame 5 follows at offset 12288"));
}

TEST_CASE("[F46] a frame in another frame's place is refused although its checksums are right") {
  Doctored log;
  Bytes bytes = log.disk.contents(kSecond);
  std::copy_n(bytes.begin() + 3 * kBlock, kBlock, bytes.begin() + 2 * kBlock);
  log.disk.set_contents(kSecond, bytes);
  CHECK(has(log.refusal(), "frame 4 at offset 8192, after index 2: frame 5 is there"));
}

TEST_CASE("row kFarBytes: bytes farther than the largest frame are refused") {
  LogDriver log(2048 * kBlock);
  log.start_new();
  log.append({entry(2, 1, "two")});
  Bytes bytes = log.disk.contents(kSecond);
  bytes[3 * kBlock] = std::byte{1};
  bytes[2 * kBlock + limits::kFrameBytesMax - 1] = std::byte{1};
  log.disk.set_contents(kSecond, bytes);
  REQUIRE(recover(log.disk, log.recover_options()));
  bytes[2 * kBlock + limits::kFrameBytesMax] = std::byte{1};
  log.disk.set_contents(kSecond, bytes);
  const auto refused = recover(log.disk, log.recover_options());
  REQUIRE(!refused);
  CHECK(has(refused.error().message, "bytes at offset 4202496 are farther away than the largest"));
}

TEST_CASE("[F39] rows kSealMissing and kBadInside: only the newest segment may be open") {
  Doctored log;
  log.rotate();
  const Bytes whole = log.disk.contents(kSecond);
  log.fill(kSecond, 15 * kBlock, 16 * kBlock, std::byte{0});
  CHECK(has(log.refusal(),
            "zeros, expected frame 17 or a seal, since log-00000000000000000003 is there and holds "
            "more than zeros"));
  log.disk.set_contents(kSecond, whole);
  log.disk.flip_bit(kSecond, 15 * kBlock + 50, 0);
  CHECK(has(log.refusal(),
            "expected a good one or a seal, since log-00000000000000000003 is there and holds more "
            "than zeros"));
  log.disk.set_contents(kSecond, whole);
  CHECK(log.refusal() == "started");
}

TEST_CASE("row kBytesAfterSeal: nothing may stand behind a seal") {
  Doctored log;
  REQUIRE(log.start());
  Bytes bytes = log.disk.contents(kSecond);
  bytes.resize(7 * kBlock);
  bytes[6 * kBlock] = std::byte{1};
  log.disk.set_contents(kSecond, bytes);
  CHECK(has(log.refusal(), kSecond + ": offset 20480, after index 4: bytes after the seal"));
}

TEST_CASE("rows kNeverWritten and kHeaderBad: a first write that no later frame proves") {
  Doctored log;
  REQUIRE(log.start());
  log.append({entry(5, 1, "five")});
  const Bytes whole = log.disk.contents(kThird);
  log.disk.flip_bit(kThird, 40, 0);
  REQUIRE(log.last_after_start() == raft::Index{4});
  CHECK(!log.disk.exists(kThird));
  REQUIRE(log.notes.size() == 1);
  CHECK(has(log.notes[0], kThird + ": segment header's crc is "));

  log.append({entry(5, 1, "five")});
  log.append({entry(6, 1, "six")});
  log.disk.flip_bit(kThird, 40, 0);
  CHECK(has(log.refusal(), kThird + ": offset 0, after index 4: segment header's crc is "));
  log.disk.flip_bit(kThird, 40, 0);
  log.disk.flip_bit(kSecond, 40, 0);
  CHECK(has(log.refusal(), kSecond + ": offset 0, after index 1: segment header's crc is "));
}

TEST_CASE("a prepared segment behind it proves that a segment's first write was durable") {
  Doctored log;
  for (std::uint64_t i = 5; !log.disk.exists(kThird); ++i) {
    log.append({entry(i, 1, "more")});
    log.background();
  }
  log.fill(kSecond, 0, 16 * kBlock, std::byte{0});
  CHECK(has(log.refusal(), kSecond + ": offset 0, after index 1: segment magic is "));
}

TEST_CASE("[F48] a prepared segment is kept for the next start, an unfinished one is made again") {
  Doctored log;
  log.disk.set_contents(kThird, Bytes(16 * kBlock));
  REQUIRE(log.start());
  CHECK(log.position.prepared_bytes == 16 * kBlock);
  CHECK(log.disk.exists(kThird));
  log.disk.set_contents(kThird, Bytes(2 * kBlock));
  REQUIRE(log.start());
  CHECK(log.position.prepared_bytes == 0);
  CHECK(!log.disk.exists(kThird));
}

TEST_CASE("[F48] lengths that run past the frame, the file or the limit are no records") {
  Doctored log;
  for (const std::uint64_t offset : {3 * kBlock + 32, 3 * kBlock + 33, 3 * kBlock + 35,
                                     3 * kBlock + 36, 3 * kBlock + 52, 3 * kBlock + 55}) {
    Doctored copy;
    copy.fill(kSecond, offset, offset + 1, std::byte{0xff});
    CHECK(copy.last_after_start() == raft::Index{3});
  }
}

TEST_CASE("a read error is damage, with file and offset") {
  Doctored log;
  log.disk.set_unreadable(kSecond);
  CHECK(has(log.refusal(), kSecond + ": offset 0 cannot be read"));
}

TEST_CASE("segments must be there from the first on, and hold at least one good frame") {
  Doctored log;
  log.rotate();
  test::MemoryDisk whole = log.disk;
  log.disk.remove(kSecond);
  CHECK(has(log.refusal(), kThird + ": expected " + kSecond + " before it"));
  log.disk = whole;
  log.disk.remove(kFirst);
  CHECK(has(log.refusal(), kSecond + ": the log begins at index 2, and the newest snapshot reaches "
                                     "to 0: segments or a snapshot are missing"));
  for (const FileName& name : log.disk.names())
    log.disk.remove(name);
  CHECK(has(log.refusal(), "a lost log must not become a new node"));
  log.disk.set_contents(kFirst, Bytes(16 * kBlock));
  CHECK(has(log.refusal(), "a lost log must not become a new node"));
  log.disk.set_contents(kFirst, {});
  CHECK(has(log.refusal(), "a lost log must not become a new node"));
}

TEST_CASE("strange files are a question to the operator; unfinished ones are removed") {
  Doctored log;
  log.disk.set_contents("lost+found", {});
  log.disk.set_contents("IDENTITY.tmp", to_bytes("x"));
  REQUIRE(log.start());
  CHECK(!log.disk.exists("IDENTITY.tmp"));
  for (const char* name : {"core", "log-2", "log-00000000000000000002.bak", "torn-1", ".swp",
                           "log-99999999999999999999", "bad\nname", "snapshot"}) {
    log.disk.set_contents(name, {});
    CHECK(has(log.refusal(), percent_escape(name) + ": raftd does not know this file"));
    log.disk.remove(name);
  }
  log.disk.set_contents("incoming-00000000000000001200-00000000000000000003", to_bytes("x"));
  REQUIRE(log.start());
  CHECK(!log.disk.exists("incoming-00000000000000001200-00000000000000000003"));
}

// One more segment, written by hand, behind a sealed second one.
struct ByHand : Doctored {
  ByHand() {
    const auto started = start();
    ASSERT(started);
    header.segment_seq = 3;
    header.node_id = 1;
    const ClusterId cluster = make_cluster_id("test", one_voter());
    std::copy(cluster.begin(), cluster.end(), header.cluster_id);
    header.incarnation = 5;
    header.frame_seq_first = position.next_frame_seq;
    header.prev_index = 4;
    header.prev_term = 1;
    header.hard_term = 1;
    header.prev_seal_crc32c = position.prev_seal_crc32c;
  }
  struct Written {
    format::RecordKind kind;
    std::uint64_t term;
    std::uint64_t index;
    std::uint8_t entry_kind = 0;
    std::string payload = {};
  };
  std::string refusal_of(const std::vector<Written>& records) {
    Bytes bytes;
    format::append_segment_header(bytes, header);
    format::FrameWriter frame(bytes, {header.incarnation, 3, header.frame_seq_first});
    for (const Written& record : records) {
      format::RecordHeader raw{};
      raw.kind = static_cast<std::uint8_t>(record.kind);
      raw.entry_kind = record.entry_kind;
      raw.term = record.term;
      raw.index = record.index;
      frame.add(raw, as_bytes(record.payload));
    }
    frame.finish();
    disk.set_contents(kThird, std::move(bytes));
    return refusal();
  }
  format::SegmentHeader header{};
};

TEST_CASE("[F28] checksums may be right and the log still wrong: each rule has its sentence") {
  using Kind = format::RecordKind;
  ByHand log;
  const auto noop = [](std::uint64_t term, std::uint64_t index) {
    return ByHand::Written{Kind::kEntry, term, index, 1, ""};
  };
  CHECK(log.refusal_of({noop(1, 5)}) == "started");
  CHECK(log.refusal_of({noop(1, 2), noop(1, 3)}) == "started");
  CHECK(has(log.refusal_of({noop(1, 6)}),
            kThird + ": frame 7 at offset 4096, after index 4: record 1 at byte 48 of the frame: "
                     "entry has index 6, expected at most 5"));
  CHECK(has(log.refusal_of({noop(1, 0)}), "entry has index 0"));
  CHECK(has(log.refusal_of({noop(1, 5), noop(1, 7)}), "entry has index 7, expected 6"));
  CHECK(has(log.refusal_of({noop(1, 5), noop(1, 5)}), "entry has index 5, expected 6"));
  CHECK(has(log.refusal_of({noop(0, 5)}), "entry 5 has term 0, expected at least 1"));
  CHECK(has(log.refusal_of({{Kind::kHardState, 3, 0}, noop(3, 5), noop(2, 6)}),
            "entry 6 has term 2, expected at least 3"));
  CHECK(has(log.refusal_of({noop(2, 5)}), "hard state has term 1, expected at least the last"));
  CHECK(has(log.refusal_of({noop(1, 5), {Kind::kHardState, 3, 0}}), "hard state is not the first"));
  CHECK(has(log.refusal_of({{Kind::kHardState, 0, 0}}), "hard state has term 0, expected"));
  CHECK(has(log.refusal_of({{Kind::kEntry, 1, 5, 1, "x"}}), "entry 5 is a no-op of 1 bytes"));
  CHECK(has(log.refusal_of({{Kind::kEntry, 1, 5, 9, ""}}), "entry 5 has kind 9"));
  CHECK(has(log.refusal_of({{Kind::kEntry, 1, 5, 3, "?"}}), "entry 5 is no configuration: "));
  CHECK(has(log.refusal_of({{Kind::kSeal, 1, 5}}), "seal says that the log ends at index 5"));
  CHECK(has(log.refusal_of({noop(1, 5), {Kind::kSeal, 1, 5}}), "seal is not alone in its frame"));
  CHECK(has(log.refusal_of({{Kind::kReset, 1, 5}}), "the log begins at index 6, and the newest"));
  CHECK(has(log.refusal_of({{Kind::kReset, 1, 0}}), "reset to index 0 of term 1"));
  CHECK(has(log.refusal_of({noop(1, 5), {Kind::kReset, 1, 5}}), "reset is not the first record"));
  CHECK(has(log.refusal_of({noop(1, 5), {Kind::kHardState, 1, 0}}), "hard state is not the first"));
  CHECK(has(log.refusal_of({{static_cast<Kind>(6), 1, 5}}), "it has kind 6"));
}

TEST_CASE("[F37] a segment header that does not go on where the segment before ended is refused") {
  const auto refused = [](auto change, std::string_view expected) {
    ByHand log;
    change(log.header);
    const std::string refusal = log.refusal_of({{format::RecordKind::kEntry, 1, 5, 1, ""}});
    CAPTURE(refusal);
    return has(refusal, expected);
  };
  using Header = format::SegmentHeader;
  CHECK(refused([](Header& h) { h.node_id = 2; }, "node id is 2, expected 1"));
  CHECK(refused([](Header& h) { h.cluster_id[0] ^= 1; }, "its cluster is "));
  CHECK(refused([](Header& h) { h.frame_seq_first = 9; }, "first frame is 9, expected 7"));
  CHECK(refused([](Header& h) { h.prev_index = 3; }, "last index before is 3, expected 4"));
  CHECK(refused([](Header& h) { h.prev_term = 2; }, "last term before is 2, expected 1"));
  CHECK(refused([](Header& h) { h.hard_term = 2; }, "hard state's term is 2, expected 1"));
  CHECK(refused([](Header& h) { h.hard_vote = 2; }, "hard state's vote is 2, expected 0"));
  CHECK(refused([](Header& h) { h.prev_seal_crc32c ^= 1; }, "crc of the seal before is "));
}

TEST_CASE("the tail in memory is the newest entries that fit, never more than the bound") {
  Doctored log;
  auto all = recover(log.disk, log.recover_options());
  REQUIRE(all);
  CHECK(all->durable.tail.size() == 4);
  auto none = recover(log.disk, log.recover_options(0));
  REQUIRE(none);
  CHECK(none->durable.tail.empty());
  auto some = recover(log.disk, log.recover_options(2 * sizeof(raft::Entry) + 9));
  REQUIRE(some);
  CHECK(texts(some->durable.tail) == std::vector<std::string>{"3/1/three", "4/1/four"});
}

}  // namespace
}  // namespace raftd::storage
