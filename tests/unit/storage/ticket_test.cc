// The data directory of a node that joins: TICKET before anything else, then a log without a
// configuration, cut short at every operation; and when TICKET goes.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "storage/inspect.h"
#include "unit/storage/log_driver.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::storage {
namespace {

constexpr std::string_view kText = "{\"id\":4}";
const raft::NodeId kJoiner{4};

Identity joiner() {
  constexpr std::array<std::uint8_t, 8> half{1, 2, 3, 4, 5, 6, 7, 8};
  return {joined_cluster_id("raftd", half), kJoiner, 99};
}

std::vector<DiskOp> start_ops() {
  return first_start_ops({joiner(), raft::Incarnation{7}, std::nullopt, 0});
}

RecoverOptions recover_options() {
  RecoverOptions options;
  options.identity = joiner();
  options.incarnation = raft::Incarnation{8};
  options.prepared_bytes_min = 3 * kBlock;
  return options;
}

OpenOptions open_options(const std::string& path) {
  OpenOptions options;
  options.path = path;
  options.cluster_name = "raftd";
  options.first_configuration = one_voter();
  options.instance = 5;
  options.incarnation = raft::Incarnation{4711};
  return options;
}

DiskPlan plan_of(std::vector<DiskOp> ops) {
  DiskPlan plan;
  plan.ops = std::move(ops);
  return plan;
}

// A log whose entry 1 has these members, as a leader would have sent it, and TICKET beside it.
void write_log_of(test::MemoryDisk& disk, const raft::Configuration& members) {
  disk.run(ticket_ops(to_bytes(kText)));
  disk.run(start_ops());
  auto recovered = recover(disk, recover_options());
  REQUIRE(recovered);
  disk.run(recovered->repairs);
  Journal journal({joiner(), 16 * kBlock, 0, 0}, recovered->position);
  while (auto plan = journal.prepare_next_segment())
    journal.finish(disk.run(*plan));
  const raft::Entry entry{raft::Index{1}, raft::Term{1}, raft::EntryKind::kConfiguration,
                          share(raft::encode(members))};
  const auto plan =
      journal.begin(LogDriver::batch({entry}, raft::HardState{raft::Term{1}, raft::NodeId{}}));
  REQUIRE(journal.finish(disk.run(plan)));
}

}  // namespace

TEST_CASE("the log of a node that joins has term 0, no entry and no members") {
  test::MemoryDisk disk;
  disk.run(ticket_ops(to_bytes(kText)));
  disk.run(start_ops());
  auto recovered = recover(disk, recover_options());
  REQUIRE_MESSAGE(recovered, recovered.error().message);
  CHECK(recovered->durable.hard_state.term == raft::Term{0});
  CHECK_FALSE(recovered->durable.hard_state.voted_for);
  CHECK(recovered->durable.last_index == raft::Index{0});
  CHECK(recovered->durable.configurations.empty());
  CHECK(recovered->notes.empty());
  CHECK_FALSE(names_member(recovered->durable, kJoiner));
  disk.run(recovered->repairs);
  CHECK(disk.exists("TICKET"));
  const auto identity = read_identity(disk);
  REQUIRE(identity);
  REQUIRE(*identity);
  CHECK((*identity)->node_id == kJoiner);
  CHECK((*identity)->instance == 99);
  const auto inspection = inspect(disk, {});
  REQUIRE(inspection);
  CHECK(inspection->findings.empty());
}

TEST_CASE("[RF-8] a join cut short anywhere keeps its ticket, and is begun again or is a node") {
  Rng rng(6);
  int begun_again = 0;
  for (int i = 0; i < 2000; ++i) {
    test::MemoryDisk disk;
    disk.run(ticket_ops(to_bytes(kText)));
    const std::vector<DiskOp> ops = start_ops();
    disk.run_part(ops, rng.below(ops.size() + 1), rng);
    if (!rng.one_in(3)) disk.crash(rng);
    const auto ticket = read_ticket(disk);
    REQUIRE(ticket);
    REQUIRE(*ticket);
    CHECK(as_text(**ticket) == kText);
    const auto identity = read_identity(disk);
    REQUIRE(identity);
    if (!*identity) {
      const auto cleared = clear_unfinished_start(disk);
      REQUIRE(cleared);
      disk.run(*cleared);
      CHECK(disk.names() == std::vector<FileName>{"TICKET"});
      disk.run(start_ops());
      begun_again += 1;
    }
    const auto recovered = recover(disk, recover_options());
    REQUIRE(recovered);
    CHECK(recovered->durable.last_index == raft::Index{0});
  }
  CHECK(begun_again > 500);
  CHECK(begun_again < 2000);
}

TEST_CASE("a ticket is there whole or not at all, the old one until the new one is") {
  Rng rng(7);
  int replaced = 0;
  for (int i = 0; i < 500; ++i) {
    test::MemoryDisk disk;
    const bool before = rng.one_in(2);
    if (before) disk.run(ticket_ops(to_bytes("old")));
    const std::vector<DiskOp> ops = ticket_ops(to_bytes(kText));
    disk.run_part(ops, rng.below(ops.size() + 1), rng);
    disk.crash(rng);
    const auto ticket = read_ticket(disk);
    REQUIRE(ticket);
    const std::string_view found = *ticket ? as_text(**ticket) : "";
    const bool whole = found == kText || found == (before ? "old" : "");
    CHECK(whole);
    if (found == kText) replaced += 1;
    disk.run(ticket_ops(to_bytes(kText)));  // What was left does not stand in the way.
    CHECK(disk.names() == std::vector<FileName>{"TICKET"});
  }
  CHECK(replaced > 50);
  test::MemoryDisk disk;
  CHECK_FALSE(*read_ticket(disk));
  disk.set_contents("TICKET", {});
  CHECK(read_ticket(disk).error().code == Errc::kCorrupt);
  disk.set_contents("TICKET", Bytes(kTicketBytesMax + 1));
  CHECK(read_ticket(disk).error().code == Errc::kCorrupt);
}

TEST_CASE("TICKET goes at the start whose log names this node, and stays while it names others") {
  test::MemoryDisk others;
  write_log_of(others, one_voter());
  auto recovered = recover(others, recover_options());
  REQUIRE_MESSAGE(recovered, recovered.error().message);
  CHECK(recovered->durable.last_index == raft::Index{1});
  others.run(recovered->repairs);
  CHECK(others.exists("TICKET"));

  test::MemoryDisk named;
  raft::Configuration members = one_voter();
  members.learners = {kJoiner};
  members.addresses.push_back({kJoiner, "127.0.0.1:2383"});
  write_log_of(named, members);
  recovered = recover(named, recover_options());
  REQUIRE(recovered);
  CHECK(names_member(recovered->durable, kJoiner));
  named.run(recovered->repairs);
  CHECK_FALSE(named.exists("TICKET"));
}

TEST_CASE("a plain start refuses a directory whose node is not a member yet, and changes nothing") {
  const TemporaryDirectory parent;
  const std::string& path = parent.path();
  PosixFiles(path, false).run(plan_of(ticket_ops(to_bytes(kText))));
  const auto refused = open_data_dir(open_options(path));
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kConflict);
  CHECK(refused.error().message.ends_with(
      "TICKET: this node was joining a cluster and is not a member yet; run raftd join again to "
      "finish, or empty the directory"));
  CHECK_FALSE(std::filesystem::exists(path + "/IDENTITY"));
  CHECK(std::filesystem::exists(path + "/TICKET"));

  PosixFiles(path, false).run(plan_of(start_ops()));
  const auto opened = open_data_dir(open_options(path));
  REQUIRE_MESSAGE(opened, opened.error().message);
  CHECK_FALSE(opened->first_start);
  CHECK(opened->identity.node_id == kJoiner);
  CHECK(opened->recovered.durable.configurations.empty());
  CHECK(std::filesystem::exists(path + "/TICKET"));
}

TEST_CASE("the id of a joined cluster is what it said of itself, and its name") {
  const ClusterId whole = make_cluster_id("raftd", one_voter());
  const auto half = std::span(whole).first<8>();
  CHECK(joined_cluster_id("raftd", half) == whole);
  CHECK(is_cluster_name(joined_cluster_id("other", half), "other"));
}

}  // namespace raftd::storage
