// The journal against a disk in memory: what it writes, what it reads back, what it waits for. The
// log store conformance cases (empty, append, conflicting tail, overwrite) are the first ones.
#include "storage/journal.h"

#include <doctest/doctest.h>

#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("[log store] a new log holds the first configuration and nothing else") {
  LogDriver log;
  log.disk.run(log.first_start());
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->first_index == raft::Index{1});
  CHECK(durable->last_index == raft::Index{1});
  CHECK(durable->hard_state == raft::HardState{raft::Term{1}, raft::NodeId{}});
  REQUIRE(durable->configurations.size() == 1);
  CHECK(durable->configurations[0].configuration == one_voter());
  CHECK(log.journal->last_index() == raft::Index{1});
  CHECK(log.read(2, 5).empty());
  CHECK(log.read(0, 0).empty());
}

TEST_CASE("[log store] appended entries are there after a restart, and can be read before it") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two"), entry(3, 1)});
  log.append({entry(4, 2, "four")});
  CHECK(texts(log.read(2, 4)) == Texts{"2/1/two", "3/1/", "4/2/four"});
  CHECK(texts(log.read(3, 3)) == Texts{"3/1/"});
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{4});
  CHECK(durable->hard_state == raft::HardState{raft::Term{2}, raft::NodeId{1}});
  CHECK(durable->terms == std::vector<raft::TermRun>{{raft::Index{1}, raft::Term{1}},
                                                     {raft::Index{4}, raft::Term{2}}});
  REQUIRE(durable->tail.size() == 4);
  CHECK(text_of(durable->tail[1]) == "2/1/two");
  CHECK(texts(log.read(2, 4)) == Texts{"2/1/two", "3/1/", "4/2/four"});
}

TEST_CASE(
    "[RF-4] [CP-4] [F25] [log store] a shorter conflicting tail leaves no old entry behind it") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")});
  log.append({entry(5, 1, "d"), entry(6, 1, "e")});
  log.append({entry(3, 2, "X")});
  CHECK(log.journal->last_index() == raft::Index{3});
  CHECK(texts(log.read(1, 9)).size() == 3);
  CHECK(texts(log.read(2, 9)) == Texts{"2/1/a", "3/2/X"});
  CHECK(log.read(4, 9).empty());
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{3});
  CHECK(text_of(durable->tail.back()) == "3/2/X");
  CHECK(durable->tail.size() == 3);
  CHECK(texts(log.read(2, 9)) == Texts{"2/1/a", "3/2/X"});
}

TEST_CASE("[log store] overwriting the whole log but its first entry") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a"), entry(3, 1, "b")});
  log.append({entry(2, 3, "new")});
  CHECK(texts(log.read(2, 3)) == Texts{"2/3/new"});
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{2});
  CHECK(durable->terms == std::vector<raft::TermRun>{{raft::Index{1}, raft::Term{1}},
                                                     {raft::Index{2}, raft::Term{3}}});
}

TEST_CASE("an overridden configuration is not in effect after a restart") {
  LogDriver log;
  log.start_new();
  raft::Configuration other = one_voter();
  other.addresses[0].peer = "elsewhere:1";
  raft::Entry configuration = entry(2, 1);
  configuration.kind = raft::EntryKind::kConfiguration;
  configuration.payload = share(raft::encode(other));
  log.append({configuration});
  auto durable = log.start();
  REQUIRE(durable);
  REQUIRE(durable->configurations.size() == 2);
  CHECK(durable->configurations[1].configuration == other);
  log.append({entry(2, 2, "instead")});
  durable = log.start();
  REQUIRE(durable);
  CHECK(durable->configurations.size() == 1);
}

TEST_CASE(
    "[SR-10] [ZF-6] [CP-3] a batch is one write and one sync, hard state first, nothing else") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two")});
  const DiskPlan plan = log.journal->begin(LogDriver::batch(
      {entry(3, 2, "three"), entry(4, 2)}, raft::HardState{raft::Term{2}, raft::NodeId{1}}));
  CHECK(plan.lane == Lane::kJournal);
  CHECK_FALSE(plan.may_lack_space);
  REQUIRE(plan.ops.size() == 2);
  REQUIRE(std::holds_alternative<WriteFile>(plan.ops[0]));
  CHECK(std::holds_alternative<SyncFile>(plan.ops[1]));
  const auto& write = std::get<WriteFile>(plan.ops[0]);
  CHECK(write.offset == 2 * kBlock);
  CHECK(write.data.bytes.size() == kBlock);
  const auto header = format::find_frame_header(write.data.bytes, 2, std::nullopt);
  REQUIRE(header);
  CHECK(header->frame_seq == 4);
  std::vector<format::Record> records;
  REQUIRE(format::parse_records(*header, write.data.bytes, records));
  REQUIRE(records.size() == 3);
  CHECK(records[0].header.kind == 2);
  CHECK(records[0].header.term == 2);
  CHECK(records[0].header.index == 1);
  CHECK(records[1].header.index == 3);
  CHECK(records[2].header.entry_kind == 1);
  CHECK_FALSE(log.journal->idle());
  CHECK_FALSE(log.journal->ready({}));
  CHECK(log.journal->last_index() == raft::Index{2});  // [SR-5] Not before the sync returned.
  CHECK(log.finish(plan));
  CHECK(log.journal->last_index() == raft::Index{4});
}

TEST_CASE("[SR-5] [F25] what is being replaced does not count as durable from begin() on") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")});
  const DiskPlan plan =
      log.journal->begin(LogDriver::batch({entry(3, 2, "X")}, raft::HardState{raft::Term{2}, {}}));
  CHECK(log.journal->last_index() == raft::Index{2});
  CHECK(texts(log.read(2, 4)) == Texts{"2/1/a"});
  CHECK(log.read(3, 4).empty());
  REQUIRE(log.finish(plan));
  CHECK(log.journal->last_index() == raft::Index{3});
}

TEST_CASE("[F37] [F40] a rotation seals and syncs the full segment before it touches the next") {
  LogDriver log(4 * kBlock);  // Header, two frames, seal.
  log.start_new();
  log.append({entry(2, 1, "two")});
  log.append({entry(3, 1, "three")});
  log.background();
  const DiskPlan plan = log.journal->begin(LogDriver::batch({entry(4, 1, "four")}));
  REQUIRE(plan.ops.size() == 4);
  CHECK(std::get<WriteFile>(plan.ops[0]).name == "log-00000000000000000002");
  CHECK(std::get<WriteFile>(plan.ops[0]).offset == 3 * kBlock);
  CHECK(std::get<SyncFile>(plan.ops[1]).name == "log-00000000000000000002");
  CHECK(std::get<WriteFile>(plan.ops[2]).name == "log-00000000000000000003");
  CHECK(std::get<WriteFile>(plan.ops[2]).data.bytes.size() == 2 * kBlock);
  CHECK(std::get<SyncFile>(plan.ops[3]).name == "log-00000000000000000003");
  REQUIRE(log.finish(plan));
  CHECK(texts(log.read(2, 4)) == Texts{"2/1/two", "3/1/three", "4/1/four"});
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{4});
}

TEST_CASE("the next segment is made when the one in use is half full, and once") {
  LogDriver log(16 * limits::kMiB);
  log.start_new();
  CHECK_FALSE(log.journal->ready(LogDriver::batch({entry(2, 1, "x")})));  // None is open yet.
  const std::string megabyte(limits::kMiB, 'x');
  for (std::uint64_t i = 2; i < 10; ++i) {
    log.append({entry(i, 1, megabyte)});
    if (i < 9) CHECK_FALSE(log.journal->prepare_next_segment());
  }
  const auto plan = log.journal->prepare_next_segment();
  REQUIRE(plan);
  CHECK(plan->lane == Lane::kBackground);
  CHECK(plan->may_lack_space);
  CHECK(std::get<CreateFile>(plan->ops[0]).bytes == 16 * limits::kMiB);
  CHECK(std::holds_alternative<SyncDirectory>(plan->ops[1]));
  CHECK_FALSE(log.journal->prepare_next_segment());
  CHECK_FALSE(log.finish(*plan));
  CHECK_FALSE(log.journal->prepare_next_segment());
}

TEST_CASE("the next segment is made before the largest frame does not fit any more") {
  LogDriver log(8 * limits::kMiB + 2 * kBlock);
  log.start_new();
  const std::string megabyte(limits::kMiB, 'x');
  for (std::uint64_t i = 2; i < 6; ++i)
    log.append({entry(i, 1, megabyte)});
  // Not half full, but a frame of 4 MiB would find no room, and nobody preparing any.
  CHECK(log.journal->prepare_next_segment());
}

TEST_CASE("the first segment of a process may be smaller, the others are not") {
  LogDriver log;
  log.start_new();
  JournalOptions options = log.journal_options();
  options.first_segment_bytes = 4 * kBlock;
  Journal journal(options, log.position);
  const auto first = journal.prepare_next_segment();
  REQUIRE(first);
  CHECK(std::get<CreateFile>(first->ops[0]).bytes == 4 * kBlock);
  journal.finish({first->id, first->lane, {}, false, {}});
  const DiskPlan frame = journal.begin(LogDriver::batch({entry(2, 1, std::string(5000, 'x'))}));
  CHECK_FALSE(journal.prepare_next_segment());  // Its first frame is not durable yet.
  journal.finish({frame.id, frame.lane, {}, false, {}});
  const auto second = journal.prepare_next_segment();
  REQUIRE(second);
  CHECK(std::get<CreateFile>(second->ops[0]).bytes == 16 * kBlock);
}

TEST_CASE("zeros are written for small frames, not for large ones, a reserve, or most of a start") {
  const auto written = [](std::size_t frame_bytes) {
    LogDriver log(16 * limits::kMiB);
    log.start_new();
    std::optional<DiskPlan> plan = log.journal->prepare_next_segment();
    REQUIRE(plan);
    const std::uint64_t at_start = std::get<CreateFile>(plan->ops[0]).written;
    CHECK(at_start > 0);
    CHECK(at_start < 16 * limits::kMiB);
    log.finish(*plan);
    for (std::uint64_t i = 2; !(plan = log.journal->prepare_next_segment()); ++i)
      log.append({entry(i, 1, std::string(frame_bytes, 'x'))});
    return std::get<CreateFile>(plan->ops[0]).written;
  };
  CHECK(written(20'000) == 16 * limits::kMiB);
  CHECK(written(200'000) == 0);
  LogDriver log(4 * kBlock);
  log.start_new();
  const auto reserve = log.journal->prepare_reserve();
  REQUIRE(reserve);
  CHECK(std::get<CreateFile>(reserve->ops[0]).written == 0);
}

// A direct write takes them from there (direct_writer.h).
TEST_CASE("frames begin at a block in memory, that of the one before if nobody holds it any more") {
  LogDriver log(64 * kBlock);
  log.start_new();
  log.background();
  const auto data_of = [](const DiskPlan& plan) {
    return std::get<WriteFile>(plan.ops[plan.ops.size() - 2]).data;
  };
  const auto begin = [&](std::uint64_t index, std::size_t bytes) {
    return log.journal->begin(LogDriver::batch({entry(index, 1, std::string(bytes, 'x'))}));
  };
  std::vector<const std::byte*> places;
  for (std::uint64_t i = 2; i < 5; ++i) {  // The first one has the header of the segment before it.
    const DiskPlan plan = begin(i, 10'000);
    places.push_back(data_of(plan).bytes.data());
    CHECK(reinterpret_cast<std::uintptr_t>(places.back()) % kBlock == 0);
    log.finish(plan);
  }
  CHECK(places[1] == places[0]);
  CHECK(places[2] == places[0]);
  SharedBytes kept;
  {
    const DiskPlan plan = begin(5, 10'000);
    kept = data_of(plan);
    log.finish(plan);
  }
  const Bytes before(kept.bytes.begin(), kept.bytes.end());
  log.finish(begin(6, 10'000));
  CHECK(std::equal(before.begin(), before.end(), kept.bytes.begin(), kept.bytes.end()));
  CHECK(texts(log.read(2, 6)).size() == 5);
}

TEST_CASE("an idle journal keeps no memory of a large frame") {
  LogDriver log(64 * kBlock);
  log.start_new();
  log.background();
  std::weak_ptr<const void> memory;
  {
    const DiskPlan plan =
        log.journal->begin(LogDriver::batch({entry(2, 1, std::string(100'000, 'x'))}));
    memory = std::get<WriteFile>(plan.ops[0]).data.owner;
    log.finish(plan);
  }
  CHECK_FALSE(memory.expired());
  log.finish(log.journal->mark_idle());
  CHECK(memory.expired());
}

TEST_CASE("a frame that no segment can hold makes its own segment longer") {
  LogDriver log(4 * kBlock);
  log.start_new();
  log.append({entry(2, 1, std::string(50'000, 'x'))});
  log.append({entry(3, 1, "small")});
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{3});
  CHECK(log.read(2, 2).at(0).payload.bytes.size() == 50'000);
}

TEST_CASE(
    "[F42] [F44] [RF-18] without space the reserve becomes the next segment, and comes back") {
  LogDriver log(4 * kBlock);
  log.start_new();
  log.background();
  REQUIRE(log.journal->has_reserve());  // Nothing is known to be wrong.
  const auto reserve = log.journal->prepare_reserve();
  REQUIRE(reserve);
  log.finish(*reserve);
  CHECK(log.disk.contents("reserve").size() == 4 * kBlock);
  CHECK_FALSE(log.journal->prepare_reserve());
  log.disk.set_capacity(log.disk.used_bytes());
  REQUIRE(log.finish(log.journal->begin(LogDriver::batch({entry(2, 1, "a")}))));
  const auto next = log.journal->prepare_next_segment();
  REQUIRE(next);
  const DiskResult failed = log.disk.run(*next);
  CHECK(failed.no_space);
  CHECK_FALSE(log.journal->finish(failed));
  CHECK_FALSE(log.journal->has_reserve());
  const auto taken = log.journal->prepare_next_segment();
  REQUIRE(taken);
  CHECK(std::get<RenameFile>(taken->ops[0]).to == "log-00000000000000000003");
  log.finish(*taken);
  CHECK_FALSE(log.disk.exists("reserve"));
  CHECK_FALSE(log.journal->has_reserve());
  log.append({entry(3, 1, "b")});
  log.append({entry(4, 1, "c")});
  log.append({entry(5, 1, "d")});
  // Full: nothing fits any more, and nothing is lost by waiting.
  CHECK_FALSE(log.journal->ready(LogDriver::batch({entry(6, 1, "e")})));
  const auto again = log.journal->prepare_reserve();
  REQUIRE(again);
  log.finish(*again);
  CHECK_FALSE(log.journal->has_reserve());
  log.disk.set_capacity(std::nullopt);
  log.background();
  const auto back = log.journal->prepare_reserve();
  REQUIRE(back);
  log.finish(*back);
  CHECK(log.journal->has_reserve());
  log.append({entry(6, 1, "e")});
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->last_index == raft::Index{6});
  CHECK(log.position.reserve_bytes == 4 * kBlock);
}

TEST_CASE("[F43] a start needs no space: zeros are given back, the prepared segment is used") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a")});
  log.background();
  log.finish(*log.journal->prepare_reserve());
  log.disk.set_capacity(log.disk.used_bytes());
  for (std::uint64_t last = 2; last < 9; ++last) {
    auto durable = log.start();
    REQUIRE(durable);
    CHECK(durable->last_index == raft::Index{last});
    log.append({entry(last + 1, 1, "still writes")});
  }
}

TEST_CASE(
    "the idle mark is one frame with the hard state; before any frame there is nothing to do") {
  LogDriver log;
  log.start_new();
  REQUIRE(log.journal->ready_to_mark());
  DiskPlan plan = log.journal->mark_idle();
  CHECK(plan.ops.empty());
  CHECK_FALSE(log.journal->ready_to_mark());
  CHECK(log.finish(plan));
  log.append({entry(2, 2, "two")});
  plan = log.journal->mark_idle();
  CHECK(plan.ops.size() == 2);
  CHECK(log.finish(plan));
  auto durable = log.start();
  REQUIRE(durable);
  CHECK(durable->hard_state == raft::HardState{raft::Term{2}, raft::NodeId{1}});
  CHECK(durable->last_index == raft::Index{2});
}

TEST_CASE(
    "a clean stop seals the segment and gives its zeros back; the next start changes nothing") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two")});
  const DiskPlan plan = log.journal->mark_clean();
  CHECK_FALSE(log.journal->ready(LogDriver::batch({entry(3, 1)})));
  REQUIRE(log.finish(plan));
  CHECK_FALSE(log.journal->ready(LogDriver::batch({entry(3, 1)})));
  CHECK_FALSE(log.journal->prepare_next_segment());
  CHECK_FALSE(log.journal->prepare_reserve());
  CHECK(log.disk.contents("log-00000000000000000002").size() == 3 * kBlock);
  auto recovered = recover(log.disk, log.recover_options());
  REQUIRE(recovered);
  CHECK(recovered->set_aside.empty());
  CHECK(recovered->repairs.size() == 2);  // The two syncs.
  CHECK(recovered->durable.last_index == raft::Index{2});
}

TEST_CASE("old entries come in the bytes that were asked for, at least one, over many segments") {
  LogDriver log(6 * kBlock);
  log.start_new();
  for (std::uint64_t i = 2; i <= 40; ++i)
    log.append({entry(i, 1, std::string(100, 'a'))});
  CHECK(log.read(2, 40).size() == 39);
  CHECK(log.read(10, 12).size() == 3);
  CHECK(log.read(40, 99).size() == 1);
  CHECK(log.read(41, 99).empty());
  CHECK(log.read(5, 40, 1).size() == 1);
  CHECK(log.read(5, 40, 3 * kBlock).size() == 3);
  log.append({entry(41, 1, std::string(1000, 'b')), entry(42, 1, std::string(1000, 'b')),
              entry(43, 1, std::string(1000, 'b'))});
  CHECK(log.read(41, 43, 2500).size() == 2);
  CHECK(log.read(42, 43, 2500).size() == 2);
}

TEST_CASE("entries that are overridden while they are read are dropped") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")});
  log.append({entry(5, 1, "d")});
  const raft::LogRead wanted{raft::LogReadId{900}, raft::Index{2}, raft::Index{5}, 1 << 20};
  const auto plan = log.journal->read(wanted);
  REQUIRE(plan);
  const DiskResult result = log.disk.run(*plan);
  log.append({entry(4, 2, "X"), entry(5, 2, "Y")});
  auto entries = log.journal->decode(wanted, result);
  REQUIRE(entries);
  CHECK(texts(*entries) == Texts{"2/1/a", "3/1/b"});
}

TEST_CASE(
    "an old entry whose checksum is not good any more is damage; a file that is gone is none") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two")});
  const raft::LogRead wanted{raft::LogReadId{900}, raft::Index{2}, raft::Index{2}, 1 << 20};
  auto plan = log.journal->read(wanted);
  REQUIRE(plan);
  DiskResult result = log.disk.run(*plan);
  REQUIRE(result.reads.at(0));
  result.reads[0]->at(80) ^= std::byte{1};
  const auto bad = log.journal->decode(wanted, result);
  REQUIRE(!bad);
  CHECK(bad.error().code == Errc::kCorrupt);
  CHECK(bad.error().message.find(
            "log-00000000000000000002: frame at offset 4096, entries 2 to 2") == 0);
  REQUIRE(log.journal->read(wanted));
  result.reads[0] = Bytes(10);
  CHECK(!log.journal->decode(wanted, result));
  REQUIRE(log.journal->read(wanted));
  result.reads[0].reset();
  const auto gone = log.journal->decode(wanted, result);
  REQUIRE(gone);
}

}  // namespace
}  // namespace raftd::storage
