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

}  // namespace
}  // namespace raftd::storage
