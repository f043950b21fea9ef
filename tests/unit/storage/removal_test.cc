// Goal: a directory of a removed member says so for good, and no other command takes the file for
// somebody else's. Method: a real directory.
#include "storage/removal.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "storage/data_dir.h"
#include "storage/format.h"
#include "storage/inspect.h"
#include "unit/storage/log_driver.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::storage {
namespace {

OpenOptions options_for(const std::string& path) {
  OpenOptions options;
  options.path = path;
  options.node_id = raft::NodeId{1};
  options.cluster_name = "raftd";
  options.first_configuration = one_voter();
  options.incarnation = raft::Incarnation{4711};
  return options;
}

TEST_CASE("what was written is read; before, and without a directory, there is nothing") {
  const TemporaryDirectory directory;
  const auto nothing = read_removal(directory.path());
  REQUIRE(nothing);
  CHECK_FALSE(*nothing);
  const auto nowhere = read_removal(directory.path() + "/nowhere");
  REQUIRE(nowhere);
  CHECK_FALSE(*nowhere);
  REQUIRE(write_removal(directory.path(), "node 2 says so"));
  const auto read = read_removal(directory.path());
  REQUIRE(read);
  CHECK(*read == std::optional<std::string>("node 2 says so"));
  REQUIRE(write_removal(directory.path(), "node 3 says so"));  // It was told once more.
  CHECK(**read_removal(directory.path()) == "node 3 says so");
  CHECK_FALSE(write_removal(directory.path() + "/nowhere", "x"));
  CHECK(!std::filesystem::exists(directory.path() + "/REMOVED.tmp"));
}

TEST_CASE("a file that was doctored cannot write lines of its own into the log") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/REMOVED") << "one\x1b[2J" << std::string(9000, 'x') << "\ntwo";
  const auto read = read_removal(directory.path());
  REQUIRE(read);
  CHECK((*read)->starts_with("one%1B"));
  CHECK((*read)->find('\n') == std::string::npos);
}

TEST_CASE("recovery and inspection know the file; without IDENTITY it is the rest of a node") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  REQUIRE(open_data_dir(options_for(path)));
  REQUIRE(write_removal(path, "node 2 says so"));
  CHECK(open_data_dir(options_for(path)));
  const auto reader = PosixDirectoryReader::open(path);
  REQUIRE(reader);
  const auto inspection = inspect(**reader, {});
  REQUIRE(inspection);
  CHECK(inspection->findings.empty());
  std::filesystem::remove(path + "/IDENTITY");
  const auto refused = open_data_dir(options_for(path));
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kCorrupt);
}

}  // namespace
}  // namespace raftd::storage
