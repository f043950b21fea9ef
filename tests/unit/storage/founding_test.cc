// A directory that becomes the beginning of a new cluster: what a start finds in it, and what is
// left of it wherever the making of it ends.
#include "storage/founding.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "storage/data_dir.h"
#include "unit/storage/log_driver.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::storage {
namespace {

using Files = std::map<std::string, std::string>;  // Contents by path.

Files files_in(const std::string& path) {
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), path)] =
        std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

struct Sink final : StateSink {
  std::string state;
  void begin() override { state.clear(); }
  Status feed(ByteView body) override {
    state += as_text(body);
    return Done{};
  }
  Status complete() override { return Done{}; }
};

Founding new_cluster() {
  Founding founding;
  founding.identity = {make_cluster_id("raftd", to_bytes("a backup")), raft::NodeId{1}, 4711};
  founding.cut = {founding.identity.cluster_id, {250}, {7}, {{250}, one_voter()}, 12'345, "test/1"};
  founding.term = {9};
  founding.incarnation = {31};
  return founding;
}

void write(const std::string& path) {
  PosixFiles files(path, true);
  int slices = 0;
  write_founding(files, new_cluster(), [&](Bytes& out) {
    out = to_bytes("slice " + std::to_string(++slices) + ";");
    return slices == 3;
  });
}

OpenOptions options_for(const std::string& path, Sink* sink) {
  OpenOptions options;
  options.path = path;
  options.cluster_name = "raftd";
  options.first_configuration = one_voter();
  options.instance = 99;
  options.incarnation = raft::Incarnation{32};
  options.machine_name = "test/1";
  options.sink = sink;
  return options;
}

// What a start must find.
void check_founded(const std::string& path) {
  Sink sink;
  const auto opened = open_data_dir(options_for(path, &sink));
  REQUIRE_MESSAGE(opened, opened.error().message);
  CHECK(sink.state == "slice 1;slice 2;slice 3;");
  CHECK(opened->identity.cluster_id == new_cluster().identity.cluster_id);
  CHECK(opened->identity.instance == 4711);
  CHECK(!opened->first_start);
  const raft::Durable& durable = opened->recovered.durable;
  CHECK(durable.hard_state == raft::HardState{{9}, {}});
  CHECK(durable.last_index == raft::Index{250});
  REQUIRE(durable.snapshot);
  CHECK(durable.snapshot->id.last_term == raft::Term{7});
  CHECK(durable.snapshot->configuration.configuration == one_voter());
  CHECK(opened->recovered.snapshot_time_ms == 12'345);
  CHECK(opened->recovered.notes.empty());
}

// A node's directory, closed again, with the id of another cluster.
void make_old(const std::string& path) {
  OpenOptions options = options_for(path, nullptr);
  options.node_id = raft::NodeId{1};
  REQUIRE(open_data_dir(options));
  REQUIRE(open_data_dir(options));  // A second start leaves nothing unfinished.
}

void take(PosixFiles& files, const FoundingStep& step) {
  if (const auto* old = std::get_if<MoveAside>(&step)) {
    files.move_aside(old->subdirectory, old->names);
    return;
  }
  DiskPlan plan;
  plan.ops = std::get<std::vector<DiskOp>>(step);
  files.run(plan);
}

std::vector<FoundingStep> steps_in(const std::string& path) {
  const auto reader = PosixDirectoryReader::open(path);
  REQUIRE(reader);
  const auto steps = steps_to_finish(**reader);
  REQUIRE(steps);
  return *steps;
}

TEST_CASE("an empty directory becomes the beginning of a cluster that has a state") {
  const TemporaryDirectory directory;
  write(directory.path());
  const auto aside = finish_founding(directory.path());
  REQUIRE(aside);
  CHECK(aside->empty());
  check_founded(directory.path());
  check_founded(directory.path());
}

TEST_CASE("what was there before is kept aside, byte for byte") {
  const TemporaryDirectory directory;
  make_old(directory.path());
  const Files before = files_in(directory.path());
  write(directory.path());
  const auto aside = finish_founding(directory.path());
  REQUIRE(aside);
  CHECK(aside->starts_with("before-"));
  CHECK(files_in(directory.path() + "/" + *aside) == before);
  check_founded(directory.path());
}

TEST_CASE("wherever it ends after the turning point, no start passes by and it is finished") {
  for (std::size_t cut = 0;; ++cut) {
    CAPTURE(cut);
    const TemporaryDirectory directory;
    make_old(directory.path());
    const Files before = files_in(directory.path());
    write(directory.path());
    const std::vector<FoundingStep> steps = steps_in(directory.path());
    REQUIRE(steps.size() == 4);
    if (cut == steps.size()) break;
    PosixFiles files(directory.path(), true);
    for (std::size_t i = 0; i < cut; ++i)
      take(files, steps[i]);
    if (cut == 0) {  // Half of the old files are moved.
      MoveAside half = std::get<MoveAside>(steps[0]);
      half.names.resize(half.names.size() / 2);
      files.move_aside(half.subdirectory, half.names);
    }
    const auto refused = open_data_dir(options_for(directory.path(), nullptr));
    REQUIRE(!refused);
    CHECK(refused.error().message.find("run the same command again to finish") !=
          std::string::npos);
    const auto aside = finish_founding(directory.path());
    REQUIRE(aside);
    CHECK(files_in(directory.path() + "/" + *aside) == before);
    check_founded(directory.path());
  }
}

TEST_CASE("what is written before the turning point is removed by the old node's next start") {
  const TemporaryDirectory directory;
  make_old(directory.path());
  const Files before = files_in(directory.path());
  for (const char* name : {"founding-snapshot.tmp", "founding-log.tmp", "founding-identity.tmp"})
    std::ofstream(directory.path() + "/" + name) << "unfinished";
  REQUIRE(open_data_dir(options_for(directory.path(), nullptr)));
  CHECK(files_in(directory.path()) == before);
}

TEST_CASE("a restore that was cut short does not become an empty node by mistake") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/founding-snapshot.tmp") << "unfinished";
  const auto refused = open_data_dir(options_for(directory.path(), nullptr));
  REQUIRE(!refused);
  CHECK(refused.error().message.find("restore was not finished") != std::string::npos);
  const auto reader = PosixDirectoryReader::open(directory.path());
  const auto leftovers = clear_for_founding(**reader, directory.path());
  REQUIRE(leftovers);
  CHECK(leftovers->size() == 2);
}

TEST_CASE("nothing is founded over data, nor over anything else") {
  for (const char* name : {"IDENTITY", "log-00000000000000000001", "letter.txt", ".profile.tmp",
                           "before-0123456789abcdef"}) {
    const TemporaryDirectory directory;
    std::ofstream(directory.path() + "/" + name) << "x";
    const auto reader = PosixDirectoryReader::open(directory.path());
    const auto refused = clear_for_founding(**reader, directory.path());
    REQUIRE(!refused);
    CHECK(refused.error().message.find(name) != std::string::npos);
  }
}

TEST_CASE("the ids of clusters that begin with a state tell name and origin") {
  const ClusterId one = make_cluster_id("raftd", to_bytes("a"));
  CHECK(one == make_cluster_id("raftd", to_bytes("a")));
  CHECK(one != make_cluster_id("raftd", to_bytes("b")));
  CHECK(one != make_cluster_id("other", to_bytes("a")));
  CHECK(is_cluster_name(one, "raftd"));
  CHECK(!is_cluster_name(one, "other"));
}

TEST_CASE("a new file has its name when it is whole, and leaves nothing when it is not") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/saved";
  {
    auto file = NewFile::create(path);
    REQUIRE(file);
    REQUIRE(file->add(to_bytes("first, ")));
    const auto second = NewFile::create(path);
    REQUIRE(!second);
    CHECK(second.error().code == Errc::kConflict);
    REQUIRE(file->start_over());
    REQUIRE(file->add(to_bytes("then ")));
    REQUIRE(file->add(to_bytes("this")));
    CHECK(!std::filesystem::exists(path));
    REQUIRE(file->publish());
  }
  CHECK(files_in(directory.path()) == Files{{"saved", "then this"}});
  {
    auto file = NewFile::create(path);
    REQUIRE(file);
    REQUIRE(file->add(to_bytes("half")));
  }
  CHECK(files_in(directory.path()) == Files{{"saved", "then this"}});
  const auto nowhere = NewFile::create(directory.path() + "/no/saved");
  REQUIRE(!nowhere);
  CHECK(nowhere.error().code == Errc::kIo);
}

}  // namespace
}  // namespace raftd::storage
