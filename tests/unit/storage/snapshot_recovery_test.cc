// Logs whose beginning is dropped, and starts from snapshots: good ones, bad ones, and crashes at
// every step between them.
#include <doctest/doctest.h>

#include "storage/inspect.h"
#include "storage/snapshot_file.h"
#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// A state that says which entry it was cut at.
std::string state_at(std::uint64_t index) {
  return "the state at " + std::to_string(index);
}

struct Compacted : LogDriver {
  Compacted() : LogDriver(8 * kBlock) {
    options.identity = {make_cluster_id("test", one_voter()), raft::NodeId{1}, 77};
    start_new();
    fill(40);
  }

  void fill(std::uint64_t last) {
    while (next <= last) {
      append({entry(next, 1, "entry " + std::to_string(next))});
      ++next;
    }
  }

  Bytes file(std::uint64_t index, std::uint64_t term = 1) const {
    SnapshotFileWriter writer(
        {options.identity.cluster_id, {index}, {term}, {{1}, one_voter()}, index * 10, "test/1"},
        16);
    Bytes bytes(writer.head_bytes());
    writer.add(to_bytes(state_at(index)), bytes);
    writer.finish(bytes);
    const Bytes head = writer.head();
    std::copy(head.begin(), head.end(), bytes.begin());
    return bytes;
  }
  void snapshot(std::uint64_t index, std::uint64_t term = 1) {
    disk.set_contents(format::snapshot_name(index, term), file(index, term));
    journal->snapshot_durable({{index}, {term}, 1, 1});
  }
  bool drop_up_to(std::uint64_t index) {
    std::size_t dropped = 0;
    while (const auto plan = journal->drop_oldest({index})) {
      finish(*plan);
      ++dropped;
    }
    return dropped > 0;
  }

  Result<Recovered> recovered() {
    RecoverOptions asked = recover_options();
    asked.machine_name = "test/1";
    asked.sink = &sink;
    asked.progress = [this](const RecoveryProgress& at) { progress.push_back(at); };
    return recover(disk, asked);
  }
  std::string refusal() {
    const auto result = recovered();
    if (result) return "started";
    CHECK(result.error().code == Errc::kCorrupt);
    return result.error().message;
  }

  RecoverOptions options;
  struct Sink final : StateSink {
    explicit Sink(std::string& text) : state(text) {}
    void begin() override { state.clear(); }
    Status feed(ByteView body) override {
      state += as_text(body);
      return Done{};
    }
    Status complete() override {
      if (state != broken) return Done{};
      return Error{Errc::kCorrupt, "this is no state"};
    }
    std::string& state;
    std::string broken = "none";
  };
  std::string state;
  Sink sink{state};
  std::vector<RecoveryProgress> progress;
  std::uint64_t next = 2;
};

}  // namespace

TEST_CASE("whole segments are dropped up to a snapshot, and a start goes on from both") {
  Compacted log;
  const std::size_t files = log.disk.names().size();
  log.snapshot(25);
  REQUIRE(log.drop_up_to(25));
  CHECK(log.disk.names().size() < files);
  const raft::Index first = log.journal->first_index();
  CHECK(first > raft::Index{10});
  CHECK(first <= raft::Index{26});
  CHECK(log.read(first.value - 1, 30).empty());
  CHECK(log.read(first.value, 40).size() == 41 - first.value);
  CHECK_FALSE(log.drop_up_to(25));
  log.fill(50);  // The next segments say that the snapshot is there.
  const auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(log.state == state_at(25));
  CHECK(recovered->durable.first_index == first);
  CHECK(recovered->durable.prev_term == raft::Term{1});
  CHECK(recovered->durable.last_index == raft::Index{50});
  CHECK(recovered->durable.snapshot->id.last_index == raft::Index{25});
  CHECK(recovered->snapshot_time_ms == 250);
  CHECK(recovered->position.first_index == first);
  CHECK(recovered->notes.empty());
  REQUIRE(log.start());
  log.fill(60);
  CHECK(log.read(first.value, 60).size() == 61 - first.value);
}

TEST_CASE("segments are removed one at a time: what a write waits for comes in between") {
  Compacted log;
  const raft::Index before = log.journal->first_index();
  const std::size_t files = log.disk.names().size();
  log.snapshot(40);
  const auto plan = log.journal->drop_oldest({40});
  REQUIRE(plan);
  log.finish(*plan);
  CHECK(log.disk.names().size() == files);  // One less, and the snapshot.
  CHECK(log.journal->first_index() > before);
  CHECK(log.journal->can_drop_up_to({40}));
}

TEST_CASE("the segment in use stays, and the one before it until the next one is durable") {
  Compacted log;
  log.drop_up_to(1000);
  REQUIRE(log.recovered().error().message.find("a snapshot are missing") != std::string::npos);
  log.snapshot(40);
  const auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(recovered->durable.last_index == raft::Index{40});
  // A start that has written nothing keeps the last sealed one: it knows the hard state.
  REQUIRE(log.start());
  log.drop_up_to(1000);
  REQUIRE(log.recovered());
  CHECK(log.recovered()->durable.hard_state.term == raft::Term{1});
}

TEST_CASE("a dropped beginning without its snapshot is refused with what is missing") {
  Compacted log;
  log.snapshot(25);
  log.drop_up_to(25);
  log.disk.remove(format::snapshot_name(25, 1));
  CHECK(has(log.refusal(), "and the newest snapshot reaches to 0: segments or a snapshot"));
  log.snapshot(10);
  CHECK(has(log.refusal(), "and the newest snapshot reaches to 10"));
}

TEST_CASE(
    "[F50] a bad newest snapshot: the one before or the whole log makes up for it, or nothing") {
  Compacted log;
  log.snapshot(20);
  log.snapshot(30);
  const FileName newest = format::snapshot_name(30, 1);
  log.disk.flip_bit(newest, log.disk.contents(newest).size() - 20, 3);
  auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(log.state == state_at(20));
  REQUIRE(recovered->notes.size() == 1);
  CHECK(has(recovered->notes[0], newest + ": chunk at offset "));
  CHECK(has(recovered->notes[0], "; the one before it is taken"));
  REQUIRE(recovered->snapshots.size() == 1);

  const FileName older = format::snapshot_name(20, 1);
  log.disk.flip_bit(older, 3, 3);
  recovered = log.recovered();  // Both are bad, and the log begins at 1.
  REQUIRE(recovered);
  CHECK_FALSE(recovered->durable.snapshot);
  REQUIRE(log.start());
  CHECK_FALSE(log.disk.exists(newest));
  CHECK_FALSE(log.disk.exists(older));

  log.snapshot(30);
  log.fill(60);
  log.drop_up_to(30);
  log.disk.flip_bit(newest, log.disk.contents(newest).size() - 20, 3);
  CHECK(has(log.refusal(), newest + ": chunk at offset "));
  CHECK(has(log.refusal(), "does not make up for it"));
}

TEST_CASE("a recovery tells how far it is, through the snapshots that it tries and the log") {
  Compacted log;
  log.snapshot(20);
  log.snapshot(30);
  const FileName newest = format::snapshot_name(30, 1);
  log.disk.flip_bit(newest, log.disk.contents(newest).size() - 20, 3);
  REQUIRE(log.recovered());
  std::uint64_t total = 0;
  for (const FileName& name : log.disk.names()) {
    if (!format::parse_segment_name(name) && !format::parse_snapshot_name(name)) continue;
    total += log.disk.contents(name).size();
    CHECK(std::any_of(log.progress.begin(), log.progress.end(),
                      [&](const RecoveryProgress& at) { return at.file == name; }));
  }
  REQUIRE(!log.progress.empty());
  for (std::size_t i = 1; i < log.progress.size(); ++i) {
    CHECK(log.progress[i].read >= log.progress[i - 1].read);
    CHECK(log.progress[i].read <= log.progress[i].total);
  }
  CHECK(log.progress.back().read == total);
  CHECK(log.progress.back().total == total);
}

TEST_CASE("a snapshot whose checksums are right and whose state is none is a bad one") {
  Compacted log;
  log.snapshot(20);
  log.snapshot(30);
  log.sink.broken = state_at(30);
  const auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(log.state == state_at(20));
  CHECK(has(recovered->notes.at(0), format::snapshot_name(30, 1) + ": this is no state; the one"));
}

TEST_CASE("a snapshot of another cluster, machine or name is none of ours") {
  Compacted log;
  log.snapshot(20);
  const FileName name = format::snapshot_name(20, 1);
  log.disk.set_contents(format::snapshot_name(21, 1), log.disk.contents(name));
  auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(has(recovered->notes.at(0), "another index or term than its name"));
  CHECK(log.state == state_at(20));
  RecoverOptions options = log.recover_options();
  options.machine_name = "test/2";
  log.disk.remove(format::snapshot_name(21, 1));
  recovered = recover(log.disk, options);
  REQUIRE(recovered);
  CHECK(has(recovered->notes.at(0), "its state is of the kind test/1, expected test/2"));
  options.machine_name = "";
  options.identity.cluster_id[0] ^= 1;
  CHECK_FALSE(recover(log.disk, options));
}

TEST_CASE("a reset empties the log, on disk as in memory, and what was before it may go") {
  Compacted log;
  log.snapshot(70, 2);
  raft::PersistBatch batch = LogDriver::batch({entry(71, 2, "x")}, raft::HardState{{2}, {}});
  batch.reset = raft::SnapshotId{{70}, {2}, 1, 1};
  log.background();
  log.finish(log.journal->begin(batch));
  CHECK(log.journal->first_index() == raft::Index{71});
  CHECK(log.journal->last_index() == raft::Index{71});
  CHECK(log.read(40, 71).empty());
  CHECK(log.read(71, 71).size() == 1);
  const auto check = [&] {
    const auto recovered = log.recovered();
    REQUIRE(recovered);
    CHECK(recovered->durable.first_index == raft::Index{71});
    CHECK(recovered->durable.prev_term == raft::Term{2});
    CHECK(recovered->durable.last_index == raft::Index{71});
    CHECK(recovered->durable.hard_state.term == raft::Term{2});
    CHECK(log.state == state_at(70));
  };
  check();
  // Nothing of it is behind 5, but the reset is durable.
  REQUIRE(log.drop_up_to(5));
  CHECK_FALSE(log.disk.exists(format::segment_name(1)));
  check();
}

TEST_CASE("a reset may be the first frame of its segment, and the frame that rotates") {
  for (const bool fresh : {true, false}) {
    CAPTURE(fresh);
    Compacted log;
    log.snapshot(70, 2);
    if (fresh) REQUIRE(log.start());
    raft::PersistBatch batch = LogDriver::batch({}, raft::HardState{{2}, {}});
    batch.reset = raft::SnapshotId{{70}, {2}, 1, 1};
    // So large that it does not fit behind what is there.
    for (std::uint64_t i = 71; i < 75; ++i)
      batch.entries.push_back(entry(i, 2, std::string(kBlock, 'x')));
    log.background();
    log.finish(log.journal->begin(batch));
    const auto recovered = log.recovered();
    REQUIRE_MESSAGE(recovered, recovered.error().message);
    CHECK(recovered->durable.first_index == raft::Index{71});
    CHECK(recovered->durable.last_index == batch.entries.back().index);
  }
}

TEST_CASE("[F62] a log may begin with entries that were written over dropped ones") {
  Compacted log;
  // From 38 on again, with another term: what stood at 38 to 40 is in a segment of its own kind.
  log.append({entry(38, 2, "again")});
  log.next = 39;
  const std::uint64_t before = log.journal->first_index().value;
  log.fill(39);
  CHECK(before == 1);
  log.snapshot(40, 2);
  for (std::uint64_t i = 40; i < 60; ++i)
    log.append({entry(i, 2, "more")});
  log.drop_up_to(40);
  const auto recovered = log.recovered();
  REQUIRE(recovered);
  CHECK(recovered->durable.first_index == log.journal->first_index());
  CHECK(recovered->durable.last_index == raft::Index{59});
}

TEST_CASE("people are shown the snapshots of a directory, and which is bad") {
  Compacted log;
  log.snapshot(10);
  log.snapshot(25);
  REQUIRE(log.drop_up_to(10));
  auto view = inspect(log.disk, {});
  REQUIRE(view);
  CHECK(view->findings.empty());
  REQUIRE(view->snapshots.size() == 2);
  CHECK(view->snapshots[1].cut->last_index == raft::Index{25});
  CHECK(view->first_index == log.journal->first_index());
  CHECK(view->last_index == raft::Index{40});
  CHECK(view->hard_state.term == raft::Term{1});
  REQUIRE(view->configurations.size() == 1);
  CHECK(view->configurations[0].configuration == one_voter());
  log.disk.flip_bit(format::snapshot_name(25, 1), 70, 1);
  view = inspect(log.disk, {});
  REQUIRE(view);
  CHECK(view->findings.empty());  // The one before makes up for it.
  CHECK(has(view->snapshots[1].problem, format::snapshot_name(25, 1) + ": offset 0: the header"));
  log.disk.remove(format::snapshot_name(10, 1));
  view = inspect(log.disk, {});
  REQUIRE(view);
  REQUIRE(view->findings.size() == 1);
  CHECK(has(view->findings[0], "does not make up for it"));
}

TEST_CASE("[F41] a crash while segments are dropped never keeps a node from starting") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Compacted log;
    log.fill(40 + rng.below(30));
    const std::uint64_t last = log.next - 1;
    const std::uint64_t covered = 10 + rng.below(last - 10);
    log.snapshot(covered);
    const raft::Index limit{1 + rng.below(covered)};
    const std::uint64_t finished = rng.below(4);
    for (std::uint64_t i = 0; i < finished; ++i) {
      if (const auto whole = log.journal->drop_oldest(limit)) log.finish(*whole);
    }
    const auto plan = log.journal->drop_oldest(limit);
    if (!plan) continue;
    log.disk.run_part(plan->ops, rng.below(plan->ops.size() + 1), rng);
    if (rng.one_in(2)) log.disk.crash(rng);
    const auto recovered = log.recovered();
    REQUIRE_MESSAGE(recovered, recovered.error().message);
    CHECK(recovered->durable.last_index == raft::Index{last});
    REQUIRE(log.start());
    log.fill(last + 10);
    REQUIRE(log.recovered());
  }
}

}  // namespace raftd::storage
