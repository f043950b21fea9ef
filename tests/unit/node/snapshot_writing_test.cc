// How a snapshot is made beside everything else: a slice at a time, with rests.
#include "node/snapshot_writing.h"

#include <doctest/doctest.h>

#include "base/limits.h"

namespace raftd::node {
namespace {

using std::chrono::milliseconds;

struct Plans final : Disk {
  void submit(storage::DiskPlan plan) override { waiting.push_back(std::move(plan)); }
  std::vector<storage::DiskPlan> waiting;
};

// So many slices, each as large as it may be.
struct Slices final : machine::SnapshotWriter {
  Slices(int slices, int& taken_so_far, std::size_t& bytes_so_far)
      : left(slices), taken(taken_so_far), bytes(bytes_so_far) {}
  bool write_slice(Bytes& out, std::size_t bytes_max) override {
    out.resize(out.size() + bytes_max);
    ++taken;
    bytes += bytes_max;
    return --left == 0;
  }
  Status intact() const override { return raftd::Done{}; }
  int left;
  int& taken;
  std::size_t& bytes;
};

struct Fixture {
  Plans disk;
  Log log{LogLevel::kError, [](LogLevel, std::string_view) {}};
  SnapshotWriting writing{disk, log};
  int taken = 0;
  std::size_t bytes = 0;  // Of what was taken.

  void begin(int slices) {
    storage::SnapshotCut cut;
    cut.last_index = {7};
    cut.last_term = {2};
    cut.configuration.configuration.voters = {{1}};
    cut.configuration.configuration.addresses = {{{1}, "127.0.0.1:1"}};
    cut.machine_name = "slices/1";
    writing.begin(cut, std::make_unique<Slices>(slices, taken, bytes));
  }
  // The file is there, and the first slice is to be written.
  void begin_with_slice(Instant now) {
    begin(20);
    disk_done(now);
    writing.pump(now);
    REQUIRE(taken == 1);
  }
  std::optional<SnapshotWriting::Made> disk_done(Instant now, Duration took = {}) {
    REQUIRE(disk.waiting.size() == 1);
    storage::DiskResult result;
    result.took = took;
    result.id = disk.waiting[0].id;
    disk.waiting.clear();
    return writing.on_done(now, result);
  }
};

}  // namespace

TEST_CASE("a slice of the state is taken every so often, however often the loop turns") {
  Fixture f;
  const Instant now{milliseconds(100)};
  f.begin_with_slice(now);
  f.disk_done(now);
  for (int turn = 0; turn < 10; ++turn)
    f.writing.pump(now + limits::kSnapshotSliceInterval / 2);
  CHECK(f.taken == 1);
  CHECK(f.writing.next_slice() == now + limits::kSnapshotSliceInterval);
  f.writing.pump(f.writing.next_slice());
  CHECK(f.taken == 2);
}

TEST_CASE("no slice is taken while the one before is being written, and each is synced") {
  Fixture f;
  Instant now{milliseconds(100)};
  f.begin_with_slice(now);
  for (int i = 0; i < 100; ++i, now = now + limits::kSnapshotSliceInterval)
    f.writing.pump(now);
  CHECK(f.taken == 1);
  CHECK(f.writing.next_slice() == Instant::never());
  REQUIRE(f.disk.waiting.size() == 1);
  CHECK(std::holds_alternative<storage::SyncFile>(f.disk.waiting[0].ops.back()));
  CHECK_FALSE(f.disk_done(now));
  f.writing.pump(now);
  CHECK(f.taken == 2);
}

TEST_CASE("a slow disk has rests between two slices, and they have a bound") {
  Fixture f;
  Instant now{milliseconds(100)};
  f.begin_with_slice(now);
  now = now + milliseconds(3);
  f.disk_done(now, milliseconds(3));
  CHECK(f.writing.next_slice() == now + limits::kSnapshotRestFactor * milliseconds(3));
  now = f.writing.next_slice();
  f.writing.pump(now);
  CHECK(f.taken == 2);
  now = now + milliseconds(900);
  f.disk_done(now, milliseconds(900));
  CHECK(f.writing.next_slice() == now + limits::kSnapshotRestMax);
}

TEST_CASE("a snapshot that hurries has larger slices and no rests; the next one is as others are") {
  Fixture f;
  Instant now{milliseconds(100)};
  f.begin_with_slice(now);
  f.disk_done(now, milliseconds(5));
  f.writing.hurry();
  CHECK(f.writing.next_slice() == now + limits::kSnapshotSliceInterval);
  now = f.writing.next_slice();
  f.writing.pump(now);
  CHECK(f.taken == 2);
  CHECK(f.bytes == limits::kSnapshotSliceBytes + limits::kSnapshotHurriedSliceBytes);
  f.writing.abort();
  f.disk_done(now);
  now = now + milliseconds(100);
  f.taken = 0;
  f.bytes = 0;
  f.begin_with_slice(now);
  CHECK(f.bytes == limits::kSnapshotSliceBytes);
  f.disk_done(now, milliseconds(5));
  CHECK(f.writing.next_slice() == now + limits::kSnapshotRestFactor * milliseconds(5));
}

TEST_CASE("the last slice makes the file, and then there is nothing to wake up for") {
  Fixture f;
  CHECK(f.writing.next_slice() == Instant::never());
  f.begin(6);
  Instant now{milliseconds(100)};
  std::optional<SnapshotWriting::Made> made;
  for (int i = 0; i < 100 && !made; ++i, now = now + limits::kSnapshotSliceInterval) {
    f.writing.pump(now);
    if (!f.disk.waiting.empty()) made = f.disk_done(now);
  }
  REQUIRE(made);
  CHECK(made->kept.index == raft::Index{7});
  CHECK(made->kept.bytes > 6 * limits::kSnapshotSliceBytes);
  CHECK_FALSE(f.writing.active());
  CHECK(f.writing.next_slice() == Instant::never());
}

}  // namespace raftd::node
