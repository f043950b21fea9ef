// Logs that are damaged inside: what a repair keeps, what it remembers, what it refuses, and that
// it may be cut short anywhere.
#include "storage/repair.h"

#include <doctest/doctest.h>

#include "base/text.h"
#include "storage/inspect.h"
#include "storage/snapshot_file.h"
#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

const FileName kSecond = "log-00000000000000000002";
const FileName kThird = "log-00000000000000000003";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

raft::Configuration three_voters() {
  raft::Configuration configuration;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    configuration.voters.push_back({id});
    configuration.addresses.push_back({{id}, "127.0.0.1:" + std::to_string(2380 + id)});
  }
  return configuration;
}

raft::Entry members(std::uint64_t index, std::uint64_t term) {
  return {{index}, {term}, raft::EntryKind::kConfiguration, share(raft::encode(three_voters()))};
}

// Segment 1: the first start. Segment 2: its frames are one block each, from offset 4096 on.
struct Damaged : LogDriver {
  Damaged() {
    start_new();
    append({members(2, 1)});
    append({entry(3, 2, "three")});
    append({entry(4, 2, "four")});
    append({entry(5, 3, "five")});
    append({entry(6, 3, "six")});
  }
  void lose_entry(std::uint64_t index) {  // One bit of its payload.
    disk.flip_bit(kSecond, (index - 1) * kBlock + 113, 1);
  }
  RepairPlan plan() {
    auto planned = plan_repair(disk, recover_options());
    REQUIRE(planned);
    REQUIRE(*planned);
    return **planned;
  }
  std::string refusal() {
    const auto planned = plan_repair(disk, recover_options());
    if (planned) return *planned ? "planned" : "nothing to do";
    CHECK(planned.error().code == Errc::kCorrupt);
    return planned.error().message;
  }
  raft::Durable started() {
    auto durable = start();
    if (!durable) FAIL(durable.error().message);
    return *durable;
  }
  void snapshot(std::uint64_t index, std::uint64_t term) {
    const Identity identity = recover_options().identity;
    SnapshotFileWriter writer(
        {identity.cluster_id, {index}, {term}, {{2}, three_voters()}, index * 10, "test/1"}, 16);
    Bytes bytes(writer.head_bytes());
    writer.add(to_bytes("the state"), bytes);
    writer.finish(bytes);
    const Bytes head = writer.head();
    std::copy(head.begin(), head.end(), bytes.begin());
    disk.set_contents(format::snapshot_name(index, term), bytes);
    journal->snapshot_durable({{index}, {term}, 1, 1});
  }
};

TEST_CASE("a log that a start accepts is not repaired") {
  Damaged log;
  CHECK(log.refusal() == "nothing to do");
}

TEST_CASE("[F45] a damaged log is set aside whole; hard state and promise are kept") {
  Damaged log;
  log.lose_entry(4);
  const Bytes damaged = log.disk.contents(kSecond);
  const RepairPlan plan = log.plan();
  CHECK(has(plan.damage, "log-00000000000000000002: frame 5 at offset 12288, after index 3"));
  CHECK(plan.hard_state == raft::HardState{{3}, {1}});
  CHECK(plan.promised == raft::LogPosition{{3}, {6}});
  CHECK(plan.left == raft::Index{0});
  log.disk.run(plan.ops);
  CHECK(log.disk.contents("damaged-" + kSecond) == damaged);
  CHECK(!log.disk.exists(kSecond));

  const raft::Durable durable = log.started();
  CHECK(durable.hard_state == raft::HardState{{3}, {1}});
  CHECK(durable.last_index == raft::Index{0});
  CHECK(durable.promised == raft::LogPosition{{3}, {6}});
  REQUIRE(log.notes.size() == 1);
  CHECK(has(log.notes[0], "until it reaches index 6 of term 3 again"));
  CHECK(log.refusal() == "nothing to do");
  const auto seen = inspect(log.disk, {});
  REQUIRE(seen);
  CHECK(seen->findings.empty());
}

TEST_CASE("the promise is forgotten at the start after it was kept, and not before") {
  Damaged log;
  log.lose_entry(4);
  log.disk.run(log.plan().ops);
  log.started();
  log.append({members(1, 1), entry(2, 2, "two"), entry(3, 2, "three")});
  CHECK(log.started().promised == raft::LogPosition{{3}, {6}});
  CHECK(log.disk.exists("REPAIR"));
  log.append({entry(4, 4)});  // Of a later leader, whose log is shorter: nothing was lost.
  CHECK(!log.started().promised);
  CHECK(!log.disk.exists("REPAIR"));
  CHECK(log.started().last_index == raft::Index{4});
}

TEST_CASE("the newest good snapshot stays, and the log begins behind it") {
  Damaged log;
  log.snapshot(3, 2);
  log.snapshot(5, 3);
  Bytes bad = log.disk.contents(format::snapshot_name(5, 3));
  bad[bad.size() - 20] ^= std::byte{1};
  log.disk.set_contents(format::snapshot_name(5, 3), bad);
  log.lose_entry(4);
  const RepairPlan plan = log.plan();
  CHECK(plan.left == raft::Index{3});
  CHECK(plan.promised == raft::LogPosition{{3}, {6}});
  log.disk.run(plan.ops);
  CHECK(log.disk.exists("damaged-" + format::snapshot_name(5, 3)));
  const raft::Durable durable = log.started();
  CHECK(durable.last_index == raft::Index{3});
  CHECK(durable.snapshot->id.last_index == raft::Index{3});
  log.append({entry(4, 2, "four")});
  CHECK(log.started().last_index == raft::Index{4});
}

TEST_CASE("a vote that nobody remembers could be given twice: that is not repaired") {
  Damaged log;
  // The last frame, and bytes so far behind it that no crash explains them.
  Bytes bytes = log.disk.contents(kSecond);
  bytes.resize(6 * kBlock + limits::kFrameBytesMax + 1, std::byte{1});
  bytes[5 * kBlock + 113] ^= std::byte{1};
  log.disk.set_contents(kSecond, bytes);
  CHECK(has(log.refusal(), "nobody knows this node's last vote; replace this member"));
  // The header and every frame of the newest segment.
  std::fill(bytes.begin(), bytes.end(), std::byte{7});
  log.disk.set_contents(kSecond, bytes);
  CHECK(has(log.refusal(), "replace this member"));
  log.disk.remove(kSecond);
  log.disk.remove("log-00000000000000000001");
  CHECK(has(log.refusal(), "replace this member"));  // A prepared one is left.
  log.disk.remove(kThird);
  CHECK(has(log.refusal(), "no segment of the log is left"));
}

TEST_CASE("a header that is lost with good frames behind it: the frames tell the hard state") {
  Damaged log;
  log.disk.flip_bit(kSecond, 20, 1);
  const RepairPlan plan = log.plan();
  CHECK(plan.hard_state == raft::HardState{{3}, {1}});
  CHECK(plan.promised == raft::LogPosition{{3}, {6}});
}

TEST_CASE("[F46] a frame that went to another place counts there: no vote behind it is forgotten") {
  Damaged log;
  CHECK(log.finish(log.journal->begin(LogDriver::batch({}, raft::HardState{{5}, {2}}))));
  Bytes bytes = log.disk.contents(kSecond);
  const auto block = [&](std::size_t number) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(number * kBlock);
  };
  std::size_t place = 3;  // Of entry 4; the entries 5 and 6 behind it are still there.
  SUBCASE("another frame's") {}
  SUBCASE("the header's") {
    place = 0;
  }
  std::copy(block(6), block(7), block(place));
  std::fill(block(6), block(7), std::byte{});
  log.disk.set_contents(kSecond, bytes);
  const RepairPlan plan = log.plan();
  CHECK(plan.hard_state == raft::HardState{{5}, {2}});
  CHECK(plan.promised >= raft::LogPosition{{3}, {6}});
  log.disk.run(plan.ops);
  CHECK(log.started().hard_state == raft::HardState{{5}, {2}});
}

TEST_CASE("where the old log ended is guessed high where no entry stands behind the damage") {
  Damaged log;
  log.background();
  // A vote, behind the entry that is lost.
  CHECK(log.finish(log.journal->begin(LogDriver::batch({}, raft::HardState{{4}, {2}}))));
  log.lose_entry(6);
  const RepairPlan plan = log.plan();
  // In term 4 nobody's log may ever reach there: so the next one begins.
  CHECK(plan.hard_state == raft::HardState{{5}, {}});
  const std::uint64_t entries_max = log.disk.contents(kSecond).size() / 32;
  CHECK(plan.promised == raft::LogPosition{{4}, {5 + entries_max}});
}

TEST_CASE("a missing segment, and one that cannot be read, are repaired if a later one is good") {
  Damaged log;
  for (std::uint64_t i = 7; !log.disk.exists(kThird) || log.disk.contents(kThird)[0] == std::byte{};
       ++i) {
    log.append({members(i, 3)});
  }
  const Bytes second = log.disk.contents(kSecond);
  SUBCASE("missing") {
    log.disk.remove(kSecond);
  }
  SUBCASE("zeros") {
    log.disk.set_contents(kSecond, Bytes(second.size()));
  }
  SUBCASE("unreadable") {
    log.disk.set_unreadable(kSecond);
  }
  const RepairPlan plan = log.plan();
  CHECK(plan.hard_state == raft::HardState{{3}, {1}});
  CHECK(plan.promised.index >= raft::Index{7});
  log.disk.run(plan.ops);
  CHECK(log.started().promised == plan.promised);
}

TEST_CASE("a start that would still be refused is no reason to touch the log") {
  Damaged log;
  SUBCASE("only a stranger's file is wrong") {}
  SUBCASE("the log is, too") {
    log.lose_entry(4);
  }
  log.disk.set_contents("notes.txt", to_bytes("mine"));
  CHECK(has(log.refusal(), "nothing was changed: a start would still be refused: notes.txt: "));
  log.disk.remove("notes.txt");
  log.disk.set_contents("REPAIR", to_bytes("not one"));
  CHECK(has(log.refusal(), "REPAIR: "));
}

TEST_CASE("the only voter is not repaired: nobody could tell it what it lacks") {
  LogDriver log;
  log.start_new();
  for (std::uint64_t i = 2; i < 6; ++i)
    log.append({entry(i, 1, "alone")});
  log.disk.flip_bit(kSecond, 2 * kBlock + 113, 1);
  const auto planned = plan_repair(log.disk, log.recover_options());
  REQUIRE(!planned);
  CHECK(has(planned.error().message, "this node is the only voter"));
}

TEST_CASE("a log of another node is not repaired") {
  Damaged log;
  log.lose_entry(4);
  RecoverOptions options = log.recover_options();
  options.identity.node_id = {2};
  const auto planned = plan_repair(log.disk, options);
  REQUIRE(!planned);
  CHECK(has(planned.error().message, "it is of another node"));
}

TEST_CASE("a repair that is cut short anywhere is refused by a start, and the next one ends it") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Rng rng(seed);
    Damaged log;
    if (rng.one_in(2)) log.snapshot(3, 2);
    log.lose_entry(4);
    const raft::LogPosition promised{{3}, {6}};
    bool repaired = false;
    while (!repaired) {
      const auto planned = plan_repair(log.disk, log.recover_options());
      REQUIRE(planned);
      if (!*planned) break;  // It was done, and only the answer did not come.
      CHECK((*planned)->promised == promised);
      const std::vector<DiskOp>& ops = (*planned)->ops;
      repaired = rng.one_in(4);
      if (repaired) {
        log.disk.run(ops);
      } else {
        log.disk.run_part(ops, rng.below(ops.size()), rng);
      }
      if (rng.one_in(2)) log.disk.crash(rng);
      const auto durable = log.start();
      if (!durable) CHECK(durable.error().code == Errc::kCorrupt);
      if (durable) CHECK(durable->promised == promised);
    }
    const raft::Durable durable = log.started();
    CHECK(durable.promised == promised);
    CHECK(durable.hard_state == raft::HardState{{3}, {1}});
    CHECK(!log.disk.exists(kSecond));
  }
}

TEST_CASE("a log that is damaged again before it was whole keeps the greater promise") {
  Damaged log;
  log.lose_entry(4);
  log.disk.run(log.plan().ops);
  log.started();
  const FileName now = format::segment_name(log.position.next_segment_seq);
  log.append({members(1, 1)});
  log.append({entry(2, 2, "two")});
  log.append({entry(3, 2, "three")});
  log.disk.flip_bit(now, 2 * kBlock + 113, 1);
  const RepairPlan plan = log.plan();
  CHECK(plan.promised == raft::LogPosition{{3}, {6}});
  log.disk.run(plan.ops);
  CHECK(log.started().promised == raft::LogPosition{{3}, {6}});
}

TEST_CASE("a damaged REPAIR is refused: what it remembered is needed") {
  Damaged log;
  log.lose_entry(4);
  log.disk.run(log.plan().ops);
  for (std::uint64_t offset = 0; offset < sizeof(format::RepairFile); offset += 7) {
    log.disk.flip_bit("REPAIR", offset, 3);
    const auto refused = recover(log.disk, log.recover_options());
    REQUIRE(!refused);
    CHECK(has(refused.error().message, "REPAIR: "));
    CHECK(has(log.refusal(), "REPAIR: "));
    log.disk.flip_bit("REPAIR", offset, 3);
  }
  log.started();
}

}  // namespace
}  // namespace raftd::storage
