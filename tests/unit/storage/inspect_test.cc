// What people are shown of a directory: a whole one, one in use, a damaged one.
#include "storage/inspect.h"

#include <doctest/doctest.h>

#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

const FileName kSecond = "log-00000000000000000002";

Inspection look(test::MemoryDisk& disk, const InspectOptions& options = {}) {
  auto inspection = inspect(disk, options);
  REQUIRE(inspection);
  return *std::move(inspection);
}

TEST_CASE("segments, live entries, hard state and configuration of a node that was stopped") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")});
  log.append({entry(3, 2, "X")});
  REQUIRE(log.finish(log.journal->mark_clean()));
  InspectOptions options;
  options.records = true;
  const Inspection inspection = look(log.disk, options);
  CHECK(inspection.findings.empty());
  CHECK(inspection.notes.empty());
  REQUIRE(inspection.identity);
  CHECK(inspection.identity->instance == 77);
  CHECK(inspection.hard_state == raft::HardState{raft::Term{2}, raft::NodeId{1}});
  CHECK(inspection.first_index == raft::Index{1});
  CHECK(inspection.last_index == raft::Index{3});
  REQUIRE(inspection.configurations.size() == 1);
  CHECK(inspection.configurations[0].configuration == one_voter());
  REQUIRE(inspection.entries.size() == 3);
  CHECK(text_of(inspection.entries[1]) == "2/1/a");
  CHECK(text_of(inspection.entries[2]) == "3/2/X");
  REQUIRE(inspection.segments.size() == 3);
  const InspectedSegment& segment = inspection.segments[1];
  CHECK(segment.file == kSecond);
  CHECK(segment.state == SegmentState::kClean);
  CHECK(segment.frames == 3);
  CHECK(segment.first == raft::Index{2});
  CHECK(segment.last == raft::Index{4});
  REQUIRE(segment.records.size() == 7);
  CHECK(segment.records[0].kind == format::RecordKind::kHardState);
  CHECK(segment.records[1].offset == kBlock + 48 + 32);
  CHECK(segment.records[4].kind == format::RecordKind::kHardState);
  CHECK(inspection.segments[2].state == SegmentState::kPrepared);
}

TEST_CASE("a range of entries, and records without payloads") {
  LogDriver log;
  log.start_new();
  for (std::uint64_t i = 2; i < 9; ++i)
    log.append({entry(i, 1, "payload")});
  InspectOptions options;
  options.from = raft::Index{3};
  options.to = raft::Index{5};
  options.payloads = false;
  const Inspection inspection = look(log.disk, options);
  REQUIRE(inspection.entries.size() == 3);
  CHECK(text_of(inspection.entries[0]) == "3/1/");
  CHECK(inspection.last_index == raft::Index{8});
  CHECK(inspection.segments[1].records.empty());
}

TEST_CASE("[RF-19] beside a running node nothing is damage, and nothing is changed") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a")});
  Rng rng(3);
  const DiskPlan plan = log.journal->begin(LogDriver::batch({entry(3, 1, std::string(9000, 'x'))}));
  test::MemoryDisk half = log.disk;
  half.run_part(plan.ops, 0, rng);
  Bytes bytes = half.contents(kSecond);
  std::fill(bytes.begin() + 4 * kBlock, bytes.begin() + 5 * kBlock, std::byte{0});
  half.set_contents(kSecond, bytes);
  InspectOptions options;
  options.running = true;
  const Inspection inspection = look(half, options);
  CHECK(inspection.findings.empty());
  REQUIRE(inspection.notes.size() == 1);
  CHECK(inspection.notes[0].find("(a node is writing it)") != std::string::npos);
  CHECK(inspection.last_index == raft::Index{2});
  CHECK(half.contents(kSecond) == bytes);
}

TEST_CASE("damage is a finding that names file, frame and offset; what is readable is shown") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a")});
  log.append({entry(3, 1, "b")});
  log.append({entry(4, 1, "c")});
  log.disk.flip_bit(kSecond, 2 * kBlock + 112, 0);
  const Inspection inspection = look(log.disk);
  REQUIRE(inspection.findings.size() == 1);
  CHECK(inspection.findings[0].find(kSecond + ": frame 4 at offset 8192: record 2 (term 1, index "
                                              "3): crc is ") == 0);
  CHECK(inspection.segments[1].state == SegmentState::kDamaged);
  CHECK(inspection.last_index == raft::Index{2});
}

TEST_CASE(
    "what only a start finds, across segments, is a finding too; a running node is not asked") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a")});
  CHECK(look(log.disk).findings.empty());

  test::MemoryDisk lost = log.disk;  // Every segment is, but IDENTITY says that there was a log.
  for (const FileName& name : lost.names())
    if (format::parse_segment_name(name)) lost.remove(name);
  Inspection inspection = look(lost);
  REQUIRE(inspection.findings.size() == 1);
  CHECK(inspection.findings[0].find("a lost log must not become a new node") != std::string::npos);

  test::MemoryDisk foreign = log.disk;  // Each segment is well-formed, and of another node.
  Identity other = *look(log.disk).identity;
  other.node_id = raft::NodeId{2};
  foreign.set_contents("IDENTITY", encode(other));
  inspection = look(foreign);
  REQUIRE(inspection.findings.size() == 1);
  CHECK(inspection.findings[0] ==
        "log-00000000000000000001: segment header: node id is 1, expected 2");
  InspectOptions running;
  running.running = true;
  CHECK(look(foreign, running).findings.empty());
}

TEST_CASE("[RF-19] a directory without raftd's data is an error, not an empty table") {
  test::MemoryDisk disk;
  const auto nothing = inspect(disk, {});
  REQUIRE(!nothing);
  CHECK(nothing.error().code == Errc::kBadInput);
}

TEST_CASE("missing segments, strange files, a bad IDENTITY, unreadable files: all are findings") {
  LogDriver log(6 * kBlock);
  log.start_new();
  for (std::uint64_t i = 2; i < 14; ++i)
    log.append({entry(i, 1, "payload")});
  log.disk.remove(kSecond);
  log.disk.set_contents("stray", {});
  log.disk.flip_bit("IDENTITY", 20, 1);
  log.disk.set_unreadable("log-00000000000000000001");
  const Inspection inspection = look(log.disk);
  CHECK(inspection.findings.size() == 4);
  CHECK_FALSE(inspection.identity);
}

}  // namespace
}  // namespace raftd::storage
