// How to put another state machine on the replica: a counter, on one node, with files in memory.
// Nothing here knows the key-value store, HTTP or libuv.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/digest.h"
#include "base/endian.h"
#include "node/backup.h"
#include "node/replay.h"
#include "node/replica.h"

namespace raftd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The machine: a command is a number to add; a query asks for the sum.
struct SumQuery final : machine::Query {};
struct Sum final : machine::Reply {
  explicit Sum(std::uint64_t sum) : value(sum) {}
  std::uint64_t value;
};

class Counter final : public machine::StateMachine {
 public:
  machine::Outcome apply(const machine::Applied& applied, bool reply_wanted) override {
    if (applied.command.size() == sizeof(std::uint64_t)) {
      sum_ += load_le<std::uint64_t>(applied.command);
    }
    return {true, reply_wanted ? std::make_unique<Sum>(sum_) : nullptr};
  }
  machine::Outcome apply_slice() override { return {}; }  // Never asked: apply always finishes.
  std::unique_ptr<machine::Reply> query(const machine::Query&,
                                        machine::ClusterTime) const override {
    return std::make_unique<Sum>(sum_);
  }
  const std::vector<machine::Promotion>& promotions() const override { return nobody_; }
  // Its snapshot is the sum.
  class Writer final : public machine::SnapshotWriter {
   public:
    explicit Writer(std::uint64_t sum) : sum_(sum) {}
    bool write_slice(Bytes& out, std::size_t) override {
      append_le(out, sum_);
      return true;
    }
    Status intact() const override { return raftd::Done{}; }

   private:
    std::uint64_t sum_;
  };
  class Reader final : public machine::RestoreReader {
   public:
    explicit Reader(std::uint64_t& sum) : sum_(sum) {}
    Status feed(ByteView bytes) override {
      read_.insert(read_.end(), bytes.begin(), bytes.end());
      return raftd::Done{};
    }
    Status complete() const override {
      if (read_.size() == sizeof sum_) return raftd::Done{};
      return Error{Errc::kCorrupt, "a sum has eight bytes"};
    }
    void commit(raft::Index, machine::ClusterTime) override {
      sum_ = load_le<std::uint64_t>(read_);
    }

   private:
    std::uint64_t& sum_;
    Bytes read_;
  };
  std::string_view name() const override { return "sum/1"; }
  std::unique_ptr<machine::SnapshotWriter> snapshot() override {
    return std::make_unique<Writer>(sum_);
  }
  std::unique_ptr<machine::RestoreReader> restore() override {
    return std::make_unique<Reader>(sum_);
  }
  std::optional<Bytes> chore(machine::ClusterTime) const override { return std::nullopt; }
  std::optional<machine::ClusterTime> next_chore() const override { return std::nullopt; }
  std::uint64_t state_hash() const override { return digest_mix(sum_); }
  bool tidy_slice() override { return false; }

 private:
  std::uint64_t sum_ = 0;
  std::vector<machine::Promotion> nobody_;
};

Bytes add(std::uint64_t number) {
  Bytes command(machine::kStampBytes);  // Room for the leader's time stamp, then the command.
  append_le(command, number);
  return command;
}

// The disk: a real one runs plans on a thread; this one when it is told to.
class Files final : public node::Disk, public storage::DirectoryReader {
 public:
  void submit(storage::DiskPlan plan) override { plans.push_back(std::move(plan)); }

  storage::DiskResult run_next() {
    const storage::DiskPlan plan = std::move(plans.front());
    plans.pop_front();
    storage::DiskResult result{plan.id, plan.lane, {}, false, took};
    for (const storage::DiskOp& op : plan.ops)
      run(op, result);
    return result;
  }
  void run(const storage::DiskOp& operation, storage::DiskResult& result) {
    if (const auto* made = std::get_if<storage::CreateFile>(&operation)) {
      files[made->name].resize(made->bytes);
    } else if (const auto* written = std::get_if<storage::WriteFile>(&operation)) {
      Bytes& file = files[written->name];
      const ByteView data = written->data.bytes;
      if (file.size() < written->offset + data.size()) file.resize(written->offset + data.size());
      std::copy(data.begin(), data.end(),
                file.begin() + static_cast<std::ptrdiff_t>(written->offset));
    } else if (const auto* renamed = std::get_if<storage::RenameFile>(&operation)) {
      auto moved = files.extract(renamed->from);
      moved.key() = renamed->to;
      files.insert(std::move(moved));
    } else if (const auto* wanted = std::get_if<storage::ReadFile>(&operation)) {
      result.reads.emplace_back(*read(wanted->name, wanted->offset, wanted->bytes));
    } else if (const auto* cut = std::get_if<storage::TruncateFile>(&operation)) {
      files[cut->name].resize(cut->bytes);
    } else if (const auto* removed = std::get_if<storage::RemoveFile>(&operation)) {
      files.erase(removed->name);
    }
  }

  Result<std::vector<storage::FileName>> list() override {
    std::vector<storage::FileName> names;
    for (const auto& [name, bytes] : files)
      names.push_back(name);
    return names;
  }
  Result<std::uint64_t> size(const storage::FileName& name) override {
    return std::uint64_t{files.at(name).size()};
  }
  Result<Bytes> read(const storage::FileName& name, std::uint64_t offset,
                     std::uint64_t bytes) override {
    const Bytes& file = files.at(name);
    const std::uint64_t end = std::min<std::uint64_t>(file.size(), offset + bytes);
    if (offset >= end) return Bytes();
    return Bytes(file.begin() + static_cast<std::ptrdiff_t>(offset),
                 file.begin() + static_cast<std::ptrdiff_t>(end));
  }

  std::map<storage::FileName, Bytes> files;
  std::deque<storage::DiskPlan> plans;
  Duration took{};  // As each plan says.
};

// No peers; and the clients: their answers, by token.
struct World final : node::Network, node::Clients {
  void send(node::PeerMessage) override {}
  void members(const raft::ConfigurationAt&) override {}
  void complete(node::ClientToken token, node::ClientResult result) override {
    answers.emplace(token, std::move(result));
  }
  std::map<node::ClientToken, node::ClientResult> answers;
};

constexpr storage::JournalOptions kJournal{{{}, {1}, 1}, 64 * 1024, 64 * 1024, 0};

// The first frame of a new node says who the members are: this one, alone.
void format(Files& files) {
  storage::JournalPosition position;
  position.incarnation = {1};
  position.first_index = {1};
  storage::Journal journal(kJournal, std::move(position));
  files.submit(*journal.prepare_next_segment());
  journal.finish(files.run_next());
  const raft::Configuration alone{{{1}}, {}, {}, {{{1}, "here:1"}}};
  raft::PersistBatch batch;
  batch.hard_state = raft::HardState{{1}, {}};
  batch.entries.push_back({{1}, {1}, raft::EntryKind::kConfiguration, share(raft::encode(alone))});
  files.submit(journal.begin(batch));
  journal.finish(files.run_next());
}

// A start restores the counter's snapshot.
struct Restoring final : storage::StateSink {
  explicit Restoring(Counter& restored) : counter(restored) {}
  void begin() override { reader = counter.restore(); }
  Status feed(ByteView body) override { return reader->feed(body); }
  Status complete() override { return reader->complete(); }
  Counter& counter;
  std::unique_ptr<machine::RestoreReader> reader;
};

// One life of the process.
struct Life {
  Life(Files& disk, std::uint64_t incarnation)
      : files(disk), log(LogLevel::kError, [](LogLevel, std::string_view) {}) {
    storage::RecoverOptions options{kJournal.identity, {incarnation}};
    options.prepared_bytes_min = 3 * limits::kBlockBytes;
    options.machine_name = counter.name();
    Restoring restoring(counter);
    options.sink = &restoring;
    storage::Recovered recovered = *storage::recover(files, options);
    if (const auto& snapshot = recovered.durable.snapshot) {
      restored_at = snapshot->id.last_index;
      restoring.reader->commit(restored_at, {recovered.snapshot_time_ms});
    }
    storage::DiskResult ignored;
    for (const storage::DiskOp& op : recovered.repairs)
      files.run(op, ignored);
    raft::CoreConfig core;
    core.self = {1};
    core.incarnation = {incarnation};
    core.heartbeat_interval = milliseconds(50);
    core.election_timeout_min = milliseconds(500);
    core.log_cache_bytes = limits::kLogCacheBytesMin;
    core.max_pending_bytes = limits::kMiB;
    core.max_inflight_bytes = limits::kAppendsInFlightBytesMax;
    replica = std::make_unique<node::Replica>(
        core, kJournal, std::move(recovered), incarnation, now,
        node::Outside{world, files, world, counter, log},
        node::SnapshotOptions{.entries = 10, .bytes = limits::kMiB});
  }

  void turn() {
    now = now + milliseconds(1);
    replica->on_time(now);
    while (!files.plans.empty())
      replica->on_disk_done(now, files.run_next());
    replica->pump(now);
  }
  template <class Fn>
  bool until(Fn reached) {
    for (int i = 0; i < 5000 && !reached(); ++i)
      turn();
    return reached();
  }
  std::uint64_t ask(node::ClientToken token, node::ClientOp op) {
    replica->on_client(now, token, std::move(op), now + seconds(1));
    if (!until([&] { return world.answers.contains(token); })) return ~0ULL;
    const auto* done = std::get_if<node::Done>(&world.answers.at(token));
    return done == nullptr ? ~0ULL : dynamic_cast<const Sum&>(*done->reply).value;
  }

  Files& files;
  World world;
  Counter counter;
  Log log;
  Instant now{seconds(1)};
  raft::Index restored_at;
  std::unique_ptr<node::Replica> replica;
};

}  // namespace

TEST_CASE("a counter on the replica counts, answers linearizable reads and survives a restart") {
  Files files;
  format(files);
  {
    Life life(files, 11);
    REQUIRE(life.until(
        [&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; }));
    CHECK(life.ask({1}, node::Write{node::Propose{add(40)}}) == 40);
    CHECK(life.ask({2}, node::Write{node::Propose{add(2)}}) == 42);
    CHECK(life.ask({3}, node::Read{std::make_unique<SumQuery>()}) == 42);
  }  // As a crash: nothing was said to the replica.
  {
    Life life(files, 12);
    REQUIRE(life.until(
        [&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; }));
    CHECK(life.ask({1}, node::Read{std::make_unique<SumQuery>()}) == 42);
    CHECK(life.ask({2}, node::Write{node::Propose{add(1)}}) == 43);
    life.replica->stop(life.now);
    CHECK(life.until([&] { return life.replica->stopped(); }));
  }
  {
    Life life(files, 13);
    REQUIRE(life.until(
        [&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; }));
    CHECK(life.ask({1}, node::Read{std::make_unique<SumQuery>()}) == 43);
  }
}

TEST_CASE("a counter's snapshots bound its log, and a restart goes on from the newest") {
  Files files;
  format(files);
  const auto leads = [](Life& life) {
    return life.until(
        [&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; });
  };
  std::uint64_t sum = 0;
  {
    Life life(files, 11);
    REQUIRE(leads(life));
    for (std::uint64_t i = 1; i <= 200; ++i) {
      sum += i;
      REQUIRE(life.ask({i}, node::Write{node::Propose{add(i)}}) == sum);
    }
    const node::ReplicaStatus status = life.replica->status(life.now);
    CHECK(status.snapshots_made > 10);
    CHECK(status.first > raft::Index{100});
  }
  const auto count = [&](std::string_view prefix) {
    return std::ranges::count_if(files.files,
                                 [&](const auto& file) { return file.first.starts_with(prefix); });
  };
  CHECK(count("snapshot-") <= 3);  // The third is being made, or removed.
  CHECK(count("log-") <= 4);
  {
    Life life(files, 12);
    CHECK(life.restored_at > raft::Index{150});
    REQUIRE(leads(life));
    CHECK(life.ask({1}, node::Read{std::make_unique<SumQuery>()}) == sum);
    CHECK(life.ask({2}, node::Write{node::Propose{add(1)}}) == sum + 1);
  }
}

namespace {

bool lead(Life& life) {
  return life.until(
      [&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; });
}

// The answer to an operation, once it is there.
node::ClientResult& answer(Life& life, node::ClientToken token, node::ClientOp op) {
  life.replica->on_client(life.now, token, std::move(op), life.now + seconds(1));
  REQUIRE(life.until([&] { return life.world.answers.contains(token); }));
  return life.world.answers.at(token);
}

std::unique_ptr<node::Backup> open_backup(Life& life, node::ClientToken token) {
  auto* done = std::get_if<node::Done>(&answer(life, token, node::OpenBackup{}));
  REQUIRE(done != nullptr);
  return std::move(dynamic_cast<node::BackupReply&>(*done->reply).backup);
}

}  // namespace

TEST_CASE("a snapshot rests beside a slow disk until the next one is due, and then no more") {
  Files files;
  format(files);
  files.took = limits::kSnapshotRestMax;
  Life life(files, 11);
  REQUIRE(lead(life));
  node::ClientToken token{0};
  const auto made_within_rest_after = [&](int writes) {
    for (int i = 0; i < writes; ++i) {
      token.value += 1;
      life.replica->on_client(life.now, token, node::Write{node::Propose{add(1)}},
                              life.now + seconds(1));
    }
    const Instant rest_ends = life.now + limits::kSnapshotRestMax / 2;
    while (life.now < rest_ends)
      life.turn();
    return life.replica->status(life.now).snapshots_made == 1;
  };
  CHECK_FALSE(made_within_rest_after(10));
  CHECK(std::ranges::any_of(files.files,
                            [](const auto& file) { return file.first.starts_with("snapshot-"); }));
  CHECK(made_within_rest_after(10));
}

TEST_CASE("a backup is a snapshot file of the moment when it was asked for") {
  Files files;
  format(files);
  Life life(files, 11);
  REQUIRE(lead(life));
  REQUIRE(life.ask({1}, node::Write{node::Propose{add(40)}}) == 40);
  const std::unique_ptr<node::Backup> backup = open_backup(life, {2});
  REQUIRE(life.ask({3}, node::Write{node::Propose{add(2)}}) == 42);
  Bytes file;
  node::Backup::Next next{};
  while ((next = backup->next(file)) != node::Backup::Next::kEnd)
    REQUIRE(next != node::Backup::Next::kBroken);
  Counter counter;
  const auto reader = counter.restore();
  storage::SnapshotFileReader verified([&](ByteView body) { return reader->feed(body); });
  REQUIRE(verified.feed(file));
  REQUIRE(verified.finish());
  REQUIRE(reader->complete());
  reader->commit({}, {});
  CHECK(dynamic_cast<const Sum&>(*counter.query(SumQuery(), {})).value == 40);
  CHECK(verified.cut()->last_index == backup->index());
  CHECK(verified.cut()->machine_name == "sum/1");
  CHECK(verified.cut()->configuration.configuration.voters == std::vector<raft::NodeId>{{1}});
}

TEST_CASE("as many backups as may be are open at once, and those of a node that stops are broken") {
  Files files;
  format(files);
  Life life(files, 11);
  REQUIRE(lead(life));
  REQUIRE(life.ask({1}, node::Write{node::Propose{add(1)}}) == 1);
  std::vector<std::unique_ptr<node::Backup>> open;
  for (std::uint64_t i = 0; i < limits::kBackupsMax; ++i)
    open.push_back(open_backup(life, {10 + i}));
  const auto* refused = std::get_if<node::Refused>(&answer(life, {20}, node::OpenBackup{}));
  REQUIRE(refused != nullptr);
  CHECK(refused->error.code == Errc::kBusy);
  open.pop_back();
  open.push_back(open_backup(life, {21}));
  life.replica->stop(life.now);
  Bytes nothing;
  for (const auto& backup : open)
    CHECK(backup->next(nothing) == node::Backup::Next::kBroken);
  CHECK(nothing.empty());
  const auto* stopping = std::get_if<node::Refused>(&answer(life, {22}, node::MakeSnapshot{}));
  REQUIRE(stopping != nullptr);
  CHECK(stopping->error.code == Errc::kShuttingDown);
}

TEST_CASE("a snapshot that is asked for is durable when the answer comes, and is not made twice") {
  Files files;
  format(files);
  Life life(files, 11);
  REQUIRE(lead(life));
  REQUIRE(life.ask({1}, node::Write{node::Propose{add(5)}}) == 5);
  const raft::Index applied = life.replica->status(life.now).applied;
  auto* made = std::get_if<node::Done>(&answer(life, {2}, node::MakeSnapshot{}));
  REQUIRE(made != nullptr);
  const storage::KeptSnapshot kept =
      dynamic_cast<const node::MakeSnapshotReply&>(*made->reply).kept;
  CHECK(kept.index == applied);
  REQUIRE(files.files.contains(kept.name));
  CHECK(files.files.at(kept.name).size() == kept.bytes);
  auto* again = std::get_if<node::Done>(&answer(life, {3}, node::MakeSnapshot{}));
  REQUIRE(again != nullptr);
  CHECK(dynamic_cast<const node::MakeSnapshotReply&>(*again->reply).kept.name == kept.name);
  CHECK(life.replica->status(life.now).snapshots_made == 1);
}

TEST_CASE("who waits for a snapshot that does not come is told in the end, who leaves is not") {
  Files files;
  format(files);
  Life life(files, 11);
  REQUIRE(lead(life));
  REQUIRE(life.ask({1}, node::Write{node::Propose{add(5)}}) == 5);
  life.replica->on_client(life.now, {2}, node::MakeSnapshot{}, life.now + seconds(1));
  life.replica->on_client(life.now, {3}, node::MakeSnapshot{}, life.now + seconds(1));
  life.replica->on_client(life.now, {4}, node::OpenBackup{}, life.now + seconds(1));
  life.replica->on_client_gone({3});
  life.replica->on_client_gone({4});
  life.now = life.now + seconds(2);  // And the disk does nothing.
  life.replica->pump(life.now);
  life.replica->pump(life.now);
  REQUIRE(life.world.answers.contains({2}));
  CHECK(std::holds_alternative<node::Unknown>(life.world.answers.at({2})));
  CHECK(!life.world.answers.contains({3}));
  CHECK(!life.world.answers.contains({4}));
}

TEST_CASE("a stopped node's state is its snapshot with all of its log") {
  Files files;
  format(files);
  std::uint64_t sum = 0;
  {
    Life life(files, 11);
    REQUIRE(lead(life));
    for (std::uint64_t i = 1; i <= 37; ++i) {
      sum += i;
      REQUIRE(life.ask({i}, node::Write{node::Propose{add(i)}}) == sum);
    }
  }
  for (const std::size_t tail : {SIZE_MAX, std::size_t{64}}) {
    Counter counter;
    Restoring restoring(counter);
    storage::RecoverOptions options{kJournal.identity, {12}};
    options.prepared_bytes_min = 3 * limits::kBlockBytes;
    options.tail_bytes_max = tail;
    options.sink = &restoring;
    const auto recovered = storage::recover(files, options);
    REQUIRE(recovered);
    REQUIRE(recovered->durable.snapshot);
    restoring.reader->commit(recovered->durable.snapshot->id.last_index, {});
    const auto replayed = node::replay(*recovered, counter);
    if (tail != SIZE_MAX) {
      REQUIRE(!replayed);  // Entries between the two are not there.
      CHECK(replayed.error().code == Errc::kCorrupt);
      continue;
    }
    REQUIRE(replayed);
    CHECK(dynamic_cast<const Sum&>(*counter.query(SumQuery(), {})).value == sum);
    CHECK(replayed->index == recovered->durable.last_index);
    CHECK(replayed->entries > 0);
    CHECK(replayed->configuration.voters == std::vector<raft::NodeId>{{1}});
  }
}

TEST_CASE("a command without room for its stamp is refused, and does nothing") {
  Files files;
  format(files);
  Life life(files, 11);
  REQUIRE(
      life.until([&] { return life.replica->status(life.now).role.role == raft::Role::kLeader; }));
  CHECK(life.ask({1}, node::Write{node::Propose{Bytes(machine::kStampBytes - 1)}}) == ~0ULL);
  const auto& refused = std::get<node::Refused>(life.world.answers.at({1}));
  CHECK(refused.error.code == Errc::kBadInput);
  CHECK(life.ask({2}, node::Read{std::make_unique<SumQuery>()}) == 0);
}

}  // namespace raftd
