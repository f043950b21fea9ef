#include "uv/disk_worker.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

namespace raftd::uv {
namespace {

struct TemporaryDirectory {
  TemporaryDirectory() {
    char path[] = "/tmp/raftd-disk-XXXXXX";
    ASSERT(mkdtemp(path) != nullptr);
    name = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(name); }
  std::string name;
};

storage::DiskPlan plan(std::uint64_t id, storage::Lane lane, std::vector<storage::DiskOp> ops) {
  storage::DiskPlan made;
  made.id = {id};
  made.lane = lane;
  made.ops = std::move(ops);
  return made;
}

// Turns the loop until `count` results are there.
struct Collected {
  explicit Collected(const std::string& directory)
      : worker(loop, directory, true,
               [this](storage::DiskResult result) { results.push_back(std::move(result)); }) {}
  void wait(std::size_t count) {
    while (results.size() < count)
      uv_run(loop.get(), UV_RUN_ONCE);
  }
  Loop loop;
  std::vector<storage::DiskResult> results;
  DiskWorker worker;
};

}  // namespace

TEST_CASE("plans of one lane run in order and their results come back on the loop") {
  const TemporaryDirectory directory;
  Collected collected(directory.name);
  collected.worker.submit(
      plan(1, storage::Lane::kJournal, {storage::CreateFile{"a", 8192}, storage::SyncDirectory{}}));
  for (std::uint64_t id = 2; id < 50; ++id) {
    collected.worker.submit(
        plan(id, storage::Lane::kJournal,
             {storage::WriteFile{"a", 0, share(to_bytes(std::string(16, static_cast<char>(id))))},
              storage::SyncFile{"a"}}));
  }
  collected.worker.submit(plan(50, storage::Lane::kJournal, {storage::ReadFile{"a", 0, 16}}));
  collected.wait(50);
  for (std::uint64_t id = 1; id <= 50; ++id)
    CHECK(collected.results[id - 1].id.value == id);
  REQUIRE(collected.results.back().reads.size() == 1);
  REQUIRE(collected.results.back().reads[0].has_value());
  CHECK(as_text(*collected.results.back().reads[0]) == std::string(16, static_cast<char>(49)));
}

// The memory of a frame is used again by whoever hears that it is durable. Here letting go of it
// takes so long that a result which did not wait for that would be seen before.
TEST_CASE("a plan lets go of its bytes before its result is there") {
  const TemporaryDirectory directory;
  std::atomic<bool> let_go{false};
  SharedBytes bytes;
  bytes.owner = std::shared_ptr<const void>(nullptr, [&](const void*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    let_go = true;
  });
  bytes.bytes = as_bytes("frame");
  Collected collected(directory.name);
  collected.worker.submit(
      plan(1, storage::Lane::kJournal,
           {storage::CreateFile{"a", 0}, storage::WriteFile{"a", 0, std::move(bytes)}}));
  collected.wait(1);
  CHECK(let_go);
}

TEST_CASE("a loop that is awake takes results by itself; one that dozes off is told or woken") {
  const TemporaryDirectory directory;
  Collected collected(directory.name);
  for (std::uint64_t id = 1; id <= 200; ++id) {
    collected.worker.submit(plan(id, storage::Lane::kRead, {storage::ReadFile{"gone", 0, 16}}));
    while (collected.results.size() < id) {
      // Now and then the plan is done by now.
      const bool sleeps = collected.worker.doze();
      uv_run(collected.loop.get(), sleeps ? UV_RUN_ONCE : UV_RUN_NOWAIT);
      collected.worker.rouse();
    }
    CHECK(collected.results.back().id.value == id);
  }
}

TEST_CASE("a read of a file that is gone is an answer, not a failure") {
  const TemporaryDirectory directory;
  Collected collected(directory.name);
  collected.worker.submit(plan(1, storage::Lane::kRead, {storage::ReadFile{"gone", 0, 16}}));
  collected.wait(1);
  REQUIRE(collected.results[0].reads.size() == 1);
  CHECK_FALSE(collected.results[0].reads[0].has_value());
}

TEST_CASE("a worker that ends with plans waiting runs them first and calls nobody back") {
  const TemporaryDirectory directory;
  Loop loop;
  int called = 0;
  {
    DiskWorker worker(loop, directory.name, true, [&](storage::DiskResult) { ++called; });
    for (std::uint64_t id = 1; id <= 20; ++id) {
      worker.submit(plan(id, storage::Lane::kBackground,
                         {storage::CreateFile{"f" + std::to_string(id), 4096}}));
    }
  }
  uv_run(loop.get(), UV_RUN_DEFAULT);
  CHECK(called == 0);
  CHECK(std::filesystem::exists(directory.name + "/f20"));
}

}  // namespace raftd::uv
