// Goal: of a transfer that is given up, whenever that happens, nothing stays on the disk. Method: a
// disk that only notes what it is asked, and lets the test say when a plan is done.
#include "node/snapshot_receiving.h"

#include <doctest/doctest.h>

#include <map>

#include "storage/snapshot_file.h"

namespace raftd::node {
namespace {

using Kind = SnapshotReceiving::Event::Kind;

// Its state is any bytes but "bad".
struct AnyState final : machine::StateMachine {
  struct Reader final : machine::RestoreReader {
    explicit Reader(std::size_t& bytes_fed) : fed(bytes_fed) {}
    Status feed(ByteView bytes) override {
      fed += bytes.size();
      text += as_text(bytes);
      return raftd::Done{};
    }
    Status complete() const override {
      if (text == "bad") return Error{Errc::kCorrupt, "this is no state"};
      return raftd::Done{};
    }
    void commit(raft::Index, machine::ClusterTime) override {}
    std::size_t& fed;
    std::string text;
  };
  machine::Outcome apply(const machine::Applied&, bool) override { return {}; }
  machine::Outcome apply_slice() override { return {}; }
  std::unique_ptr<machine::Reply> query(const machine::Query&,
                                        machine::ClusterTime) const override {
    return nullptr;
  }
  std::string_view name() const override { return "any/1"; }
  std::unique_ptr<machine::SnapshotWriter> snapshot() override { return nullptr; }
  std::unique_ptr<machine::RestoreReader> restore() override {
    return std::make_unique<Reader>(fed);
  }
  std::optional<Bytes> chore(machine::ClusterTime) const override { return std::nullopt; }
  std::optional<machine::ClusterTime> next_chore() const override { return std::nullopt; }
  const std::vector<machine::Promotion>& promotions() const override { return nobody; }
  std::uint64_t state_hash() const override { return 0; }
  bool tidy_slice() override { return false; }

  std::size_t fed = 0;  // To all readers.
  std::vector<machine::Promotion> nobody;
};

// Files by name, made of the plans that ran.
struct NotingDisk final : Disk {
  void submit(storage::DiskPlan plan) override { waiting.push_back(std::move(plan)); }

  storage::DiskResult run(bool no_space = false) {
    REQUIRE(!waiting.empty());
    const storage::DiskPlan plan = std::move(waiting.front());
    waiting.pop_front();
    storage::DiskResult result;
    result.id = plan.id;
    result.no_space = no_space;
    for (const storage::DiskOp& op : plan.ops) {
      if (const auto* made = std::get_if<storage::CreateFile>(&op)) files[made->name] = {};
      if (const auto* gone = std::get_if<storage::RemoveFile>(&op)) files.erase(gone->name);
      if (const auto* written = std::get_if<storage::WriteFile>(&op)) {
        Bytes& file = files[written->name];
        REQUIRE(file.size() == written->offset);
        file.insert(file.end(), written->data.bytes.begin(), written->data.bytes.end());
        if (no_space) files.erase(written->name);
      }
      if (const auto* read = std::get_if<storage::ReadFile>(&op)) {
        const Bytes& file = files.at(read->name);
        const std::size_t end = std::min<std::size_t>(read->offset + read->bytes, file.size());
        result.reads.emplace_back(Bytes(file.begin() + static_cast<std::ptrdiff_t>(read->offset),
                                        file.begin() + static_cast<std::ptrdiff_t>(end)));
      }
      if (const auto* renamed = std::get_if<storage::RenameFile>(&op)) {
        files[renamed->to] = std::move(files.at(renamed->from));
        files.erase(renamed->from);
      }
    }
    return result;
  }

  std::deque<storage::DiskPlan> waiting;
  std::map<storage::FileName, Bytes> files;
};

struct Receiver {
  Receiver() : log(LogLevel::kInfo, [](LogLevel, std::string_view) {}) {}

  void chunk(const raft::SnapshotMeta& meta, const Bytes& file, std::size_t offset,
             std::size_t bytes) {
    raft::SnapshotChunk piece;
    piece.meta = meta;
    piece.offset = offset;
    piece.bytes = static_cast<std::uint32_t>(bytes);
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(offset);
    piece.data = share(Bytes(begin, begin + static_cast<std::ptrdiff_t>(bytes)));
    receiving.on_chunk(std::move(piece));
  }
  // Until the disk has nothing to do; the last event that was one.
  Kind run_all() {
    Kind last = Kind::kNothing;
    while (!disk.waiting.empty()) {
      const Kind kind = receiving.on_done(disk.run()).kind;
      if (kind != Kind::kNothing) last = kind;
    }
    return last;
  }

  AnyState machine;
  NotingDisk disk;
  Log log;
  SnapshotReceiving receiving{storage::ClusterId{}, disk, machine, log};
};

struct Made {
  raft::SnapshotMeta meta;
  Bytes file;
};

Made snapshot_at(std::uint64_t index, std::string_view state, std::size_t chunk_bytes = 16) {
  raft::Configuration alone;
  alone.voters = {{1}};
  alone.addresses = {{{1}, "a:1"}};
  storage::SnapshotFileWriter writer({{}, {index}, {1}, {{1}, alone}, 10, "any/1"}, chunk_bytes);
  Made made;
  made.file.resize(writer.head_bytes());
  writer.add(as_bytes(state), made.file);
  writer.finish(made.file);
  const Bytes head = writer.head();
  std::copy(head.begin(), head.end(), made.file.begin());
  made.meta = writer.meta();
  return made;
}

constexpr std::string_view kState = "a state that does not end in the first piece";

}  // namespace

TEST_CASE("pieces become a file that is verified, restored and named") {
  Receiver r;
  const Made made = snapshot_at(9, kState);
  r.chunk(made.meta, made.file, 0, 50);
  CHECK(r.run_all() == Kind::kStored);
  r.chunk(made.meta, made.file, 50, made.file.size() - 50);
  CHECK(r.run_all() == Kind::kReady);
  REQUIRE(r.disk.files.size() == 1);
  CHECK(r.disk.files.begin()->first == storage::format::snapshot_name(9, 1));
  CHECK(r.disk.files.begin()->second == made.file);
}

TEST_CASE("no turn of the loop restores much more than a slice, whatever the state's size") {
  Receiver r;
  const std::string state(20 * limits::kRestoreSliceBytes, 'x');
  const Made made = snapshot_at(9, state, limits::kSnapshotChunkBytes);
  r.chunk(made.meta, made.file, 0, made.file.size());
  while (!r.disk.waiting.empty()) {
    const std::size_t before = r.machine.fed;
    r.receiving.on_done(r.disk.run());
    CHECK(r.machine.fed - before <= limits::kRestoreSliceBytes + limits::kSnapshotChunkBytes);
  }
  CHECK(r.machine.fed == state.size());
}

TEST_CASE("a transfer that another one follows leaves nothing, at whatever plan that is") {
  const Made one = snapshot_at(9, kState);
  const Made two = snapshot_at(12, kState);
  for (int plans = 0; plans < 6; ++plans) {
    CAPTURE(plans);
    Receiver r;
    r.chunk(one.meta, one.file, 0, 50);
    r.chunk(one.meta, one.file, 50, one.file.size() - 50);
    bool named = false;
    for (int i = 0; i < plans && !r.disk.waiting.empty(); ++i)
      named = r.receiving.on_done(r.disk.run()).kind == Kind::kReady;
    r.chunk(two.meta, two.file, 0, two.file.size());
    CHECK(r.run_all() == Kind::kReady);
    for (const auto& [name, bytes] : r.disk.files)
      CHECK(!storage::format::is_incoming_name(name));
    // What had its name already is a snapshot like others.
    const bool kept = r.disk.files.contains(storage::format::snapshot_name(9, 1));
    if (named) CHECK(kept);
    CHECK(r.disk.files.contains(storage::format::snapshot_name(12, 1)));
  }
}

TEST_CASE("a transfer that is not needed any more is removed, also while a piece is written") {
  const Made made = snapshot_at(9, kState);
  Receiver r;
  r.chunk(made.meta, made.file, 0, 50);
  r.receiving.drop();  // Its plan runs.
  CHECK(r.receiving.meta() == nullptr);
  CHECK(r.run_all() == Kind::kNothing);
  CHECK(r.disk.files.empty());
  r.chunk(made.meta, made.file, 0, 50);
  CHECK(r.run_all() == Kind::kStored);
  r.receiving.drop();  // Nothing runs.
  CHECK(r.run_all() == Kind::kNothing);
  CHECK(r.disk.files.empty());
}

TEST_CASE("a transfer for which there is no space, or that is no state, is told and removed") {
  Receiver r;
  Made made = snapshot_at(9, kState);
  r.chunk(made.meta, made.file, 0, 50);
  CHECK(r.receiving.on_done(r.disk.run(true)).kind == Kind::kFailed);
  r.run_all();
  CHECK(r.disk.files.empty());
  made = snapshot_at(9, "bad");
  r.chunk(made.meta, made.file, 0, made.file.size());
  CHECK(r.run_all() == Kind::kFailed);
  CHECK(r.disk.files.empty());
  made = snapshot_at(9, kState);
  made.file[made.file.size() / 2] ^= std::byte{4};
  r.chunk(made.meta, made.file, 0, made.file.size());
  CHECK(r.run_all() == Kind::kFailed);
  CHECK(r.disk.files.empty());
}

}  // namespace raftd::node
