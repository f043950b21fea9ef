// Opening a real directory: the first start, the lock, whose it is; and the first start cut short
// at every operation, on a disk in memory.
#include "storage/data_dir.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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
  options.instance = 99;
  options.incarnation = raft::Incarnation{4711};
  return options;
}

Error refusal(const OpenOptions& options) {
  auto opened = open_data_dir(options);
  REQUIRE(!opened);
  return opened.error();
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a first start makes the directory for its owner alone, whatever the umask") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  const mode_t before = ::umask(0);
  {
    auto opened = open_data_dir(options_for(path));
    REQUIRE(opened);
    CHECK(opened->first_start);
    CHECK(opened->identity.instance == 99);
    CHECK(opened->recovered.durable.last_index == raft::Index{1});
    CHECK(opened->recovered.durable.hard_state.term == raft::Term{1});
    CHECK(opened->recovered.position.next_segment_seq == 2);
  }
  ::umask(before);
  CHECK(mode_of(path) == 0700);
  for (const auto& file : std::filesystem::directory_iterator(path))
    CHECK(mode_of(file.path()) == 0600);
  auto again = open_data_dir(options_for(path));
  REQUIRE(again);
  CHECK_FALSE(again->first_start);
  CHECK(again->identity.instance == 99);
}

TEST_CASE("a locked directory is refused with the pid of the process that holds it") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  CHECK_FALSE(directory_in_use(path));
  {
    auto opened = open_data_dir(options_for(path));
    REQUIRE(opened);
    CHECK(directory_in_use(path));
    const Error error = refusal(options_for(path));
    CHECK(error.code == Errc::kConflict);
    CHECK(error.message ==
          "data directory " + path + " is locked by process " + std::to_string(::getpid()));
  }
  CHECK_FALSE(directory_in_use(path));
  CHECK(open_data_dir(options_for(path)));
}

TEST_CASE("another node's or another cluster's directory is refused, other members are not") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  REQUIRE(open_data_dir(options_for(path)));
  OpenOptions options = options_for(path);
  options.node_id = raft::NodeId{2};
  CHECK(refusal(options).code == Errc::kConflict);
  CHECK(refusal(options).message == "data directory " + path + " belongs to node 1, not to node 2");
  options = options_for(path);
  options.cluster_name = "other";
  CHECK(refusal(options).code == Errc::kConflict);
  CHECK(has(refusal(options).message, "belongs to a cluster of another name than \"other\""));
  options = options_for(path);
  options.first_configuration->addresses[0].peer = "elsewhere:1";
  options.node_id = raft::NodeId{};
  auto opened = open_data_dir(options);
  REQUIRE(opened);
  CHECK(opened->identity.node_id == raft::NodeId{1});
}

TEST_CASE("what cannot be a data directory is refused, and nothing in it is changed") {
  const TemporaryDirectory parent;
  OpenOptions options = options_for(parent.path() + "/missing/data");
  CHECK(refusal(options).code == Errc::kBadInput);
  CHECK(has(refusal(options).message, "cannot be created: No such file or directory"));
  const std::string file = parent.path() + "/file";
  std::ofstream(file) << "x";
  CHECK(refusal(options_for(file)).code == Errc::kBadInput);
  CHECK(refusal(options_for("")).code == Errc::kBadInput);

  const std::string home = parent.path() + "/home";
  std::filesystem::create_directory(home);
  std::ofstream(home + "/letter.txt") << "dear";
  std::ofstream(home + "/draft.tmp") << "dear";
  const Error error = refusal(options_for(home));
  CHECK(error.code == Errc::kBadInput);
  CHECK(has(error.message, "letter.txt: it is not raftd's, expected an empty directory"));
  CHECK(std::filesystem::exists(home + "/draft.tmp"));
  CHECK_FALSE(std::filesystem::exists(home + "/LOCK"));

  options = options_for(parent.path() + "/new");
  options.first_configuration.reset();
  CHECK(refusal(options).code == Errc::kBadInput);
  options = options_for(parent.path() + "/new");
  options.node_id = raft::NodeId{};
  options.first_configuration->voters.push_back(raft::NodeId{2});
  options.first_configuration->addresses.push_back({raft::NodeId{2}, "127.0.0.1:2381"});
  CHECK(has(refusal(options).message, "is empty, and no id is configured"));
}

TEST_CASE("a damaged IDENTITY or log is refused as damage, with directory, file and offset") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  REQUIRE(open_data_dir(options_for(path)));
  const std::string log = path + "/log-00000000000000000001";
  std::fstream(log, std::ios::in | std::ios::out | std::ios::binary).seekp(4096 + 60).put('?');
  Error error = refusal(options_for(path));
  CHECK(error.code == Errc::kCorrupt);
  CHECK(
      has(error.message, "start: recover " + path +
                             ": log-00000000000000000001: frame 1 at offset 4096, after index 0"));
  std::filesystem::remove(log);
  CHECK(has(refusal(options_for(path)).message, "a lost log must not become a new node"));
  std::ofstream(path + "/IDENTITY") << "short";
  error = refusal(options_for(path));
  CHECK(error.code == Errc::kCorrupt);
  CHECK(has(error.message, "IDENTITY: it has 5 bytes, expected 48"));
}

TEST_CASE("what a first start left that was killed is cleared away and the node starts") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  for (const std::uintmax_t bytes : {0U, 4096U, 12288U}) {
    std::filesystem::remove_all(path);
    REQUIRE(open_data_dir(options_for(path)));
    std::filesystem::remove(path + "/IDENTITY");
    std::filesystem::resize_file(path + "/log-00000000000000000001", bytes);
    auto opened = open_data_dir(options_for(path));
    CHECK_MESSAGE(opened, bytes);
    if (opened) CHECK(opened->first_start);
  }
}

TEST_CASE("a symbolic link under a file's name is not followed") {
  const TemporaryDirectory parent;
  const std::string path = parent.path() + "/data";
  std::filesystem::create_directory(path);
  std::ofstream(parent.path() + "/precious") << "keep";
  std::filesystem::create_symlink(parent.path() + "/precious", path + "/LOCK");
  CHECK(refusal(options_for(path)).code == Errc::kBadInput);
  CHECK(std::filesystem::file_size(parent.path() + "/precious") == 4);
}

TEST_CASE("a log without IDENTITY is never started afresh") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two")});
  log.disk.remove("IDENTITY");
  const auto cleared = clear_unfinished_start(log.disk);
  REQUIRE(!cleared);
  CHECK(cleared.error().code == Errc::kCorrupt);
  // Everything in segment 1, as an older node would have it.
  test::MemoryDisk one;
  Bytes bytes = log.disk.contents("log-00000000000000000001");
  format::FrameWriter frame(bytes, {1001, 1, 3});
  frame.add({}, {});
  frame.finish();
  one.set_contents("log-00000000000000000001", bytes);
  CHECK(!clear_unfinished_start(one));
}

TEST_CASE("[F35] a first start cut short anywhere is begun again; after IDENTITY it is a node") {
  Rng rng(5);
  int begun_again = 0;
  for (int i = 0; i < 2000; ++i) {
    LogDriver log;
    log.disk.set_contents("LOCK", {});
    const std::vector<DiskOp> ops = log.first_start();
    log.disk.run_part(ops, rng.below(ops.size() + 1), rng);
    if (!rng.one_in(3)) log.disk.crash(rng);
    auto identity = read_identity(log.disk);
    REQUIRE(identity);
    if (!*identity) {
      auto cleared = clear_unfinished_start(log.disk);
      REQUIRE(cleared);
      log.disk.run(*cleared);
      CHECK(log.disk.names() == std::vector<FileName>{"LOCK"});
      log.disk.run(log.first_start());
      begun_again += 1;
    }
    auto durable = log.start();
    REQUIRE(durable);
    CHECK(durable->last_index == raft::Index{1});
    log.append({entry(2, 1, "x")});
  }
  CHECK(begun_again > 500);
  CHECK(begun_again < 2000);
}

TEST_CASE("cluster ids tell names and first members apart") {
  raft::Configuration other = one_voter();
  other.addresses[0].peer = "x:1";
  const ClusterId id = make_cluster_id("a", one_voter());
  CHECK(id == make_cluster_id("a", one_voter()));
  CHECK(id != make_cluster_id("b", one_voter()));
  CHECK(id != make_cluster_id("a", other));
  CHECK(is_cluster_name(make_cluster_id("a", other), "a"));
  CHECK_FALSE(is_cluster_name(id, "b"));
  CHECK_FALSE(is_cluster_name(id, ""));
}

}  // namespace
}  // namespace raftd::storage
