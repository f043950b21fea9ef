// Power losses and kills at random places against the real recover(): a log is driven through
// appends, overrides, rotations, restarts and repairs; each round ends in a crash at any operation,
// also inside a recovery. What was acknowledged must be there; a crash alone must never be refused.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kTrials = 20'000;

// What the log must hold: the acknowledged state, or that with the batch in flight on top.
struct Model {
  std::vector<raft::Entry> entries;  // entries[i] has index i + 1; the first is the configuration.
  raft::HardState hard_state{raft::Term{1}, {}};

  raft::Index last() const { return raft::Index{entries.size()}; }
  void apply(const raft::PersistBatch& batch) {
    if (batch.hard_state) hard_state = *batch.hard_state;
    if (batch.entries.empty()) return;
    entries.resize(batch.entries.front().index.value - 1);
    entries.insert(entries.end(), batch.entries.begin(), batch.entries.end());
  }
};

bool matches(const Model& model, const raft::Durable& durable) {
  if (!(durable.hard_state == model.hard_state)) return false;
  if (durable.last_index != model.last()) return false;
  return texts(durable.tail) == texts(model.entries);
}

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : rng_(seed), log_(8 * kBlock) {
    log_.disk.run(log_.first_start());
    model_.entries.push_back({raft::Index{1}, raft::Term{1}, raft::EntryKind::kConfiguration,
                              share(raft::encode(one_voter()))});
  }

  void run() {
    for (std::uint64_t lives = 1 + rng_.below(4); lives > 0; --lives) {
      if (!start()) continue;
      for (std::uint64_t steps = rng_.below(12); steps > 0 && alive_; --steps)
        step();
      if (alive_) stop();
    }
    while (!start()) {
    }
  }

 private:
  // False: it was cut short by a crash.
  bool start() {
    alive_ = true;
    log_.journal.reset();
    auto recovered = recover(log_.disk, log_.recover_options());
    if (!recovered) FAIL(recovered.error().message);
    const Model found = check(recovered->durable);
    if (rng_.one_in(3)) {
      std::vector<DiskOp> ops = recovered->set_aside;
      ops.insert(ops.end(), recovered->repairs.begin(), recovered->repairs.end());
      interrupt(ops);
      return false;
    }
    log_.disk.run(recovered->set_aside);
    log_.disk.run(recovered->repairs);
    model_ = found;  // Now it is synced and stays.
    in_flight_.reset();
    log_.journal = std::make_unique<Journal>(log_.journal_options(), recovered->position);
    return true;
  }

  // The batch in flight is there as a whole or not at all.
  Model check(const raft::Durable& durable) {
    Model with = model_;
    if (in_flight_) with.apply(*in_flight_);
    if (matches(with, durable)) return with;
    REQUIRE(matches(model_, durable));
    return model_;
  }

  void step() {
    if (const auto plan = log_.journal->prepare_next_segment()) return run_plan(*plan, nullptr);
    const raft::PersistBatch batch = rng_.one_in(10) ? raft::PersistBatch{} : random_batch();
    if (!batch.hard_state && batch.entries.empty()) {
      if (log_.journal->ready_to_mark()) run_plan(log_.journal->mark_idle(), nullptr);
      return;
    }
    REQUIRE(log_.journal->ready(batch));
    run_plan(log_.journal->begin(batch), &batch);
  }

  raft::PersistBatch random_batch() {
    raft::PersistBatch batch;
    raft::Term term = model_.hard_state.term;
    std::uint64_t first = model_.last().value + 1;
    if (rng_.one_in(4)) {
      term = term.next();
      batch.hard_state = raft::HardState{term, raft::NodeId{rng_.below(3)}};
      first -= rng_.below(std::min<std::uint64_t>(first - 1, 4));
      first = std::max<std::uint64_t>(first, 2);
      if (rng_.one_in(3)) return batch;
    }
    const std::uint64_t count = 1 + rng_.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string payload(rng_.below(rng_.one_in(8) ? 6000 : 90),
                                static_cast<char>('a' + rng_.below(26)));
      batch.entries.push_back(entry(first + i, term.value, payload));
    }
    return batch;
  }

  void run_plan(const DiskPlan& plan, const raft::PersistBatch* batch) {
    if (batch != nullptr) in_flight_ = *batch;
    if (rng_.one_in(9)) return interrupt(plan.ops);
    log_.journal->finish(log_.disk.run(plan));
    if (batch != nullptr) model_.apply(*batch);
    in_flight_.reset();
  }

  void stop() {
    if (rng_.one_in(3)) return log_.disk.crash(rng_);  // Nothing was in flight.
    if (rng_.one_in(2)) run_plan(log_.journal->mark_clean(), nullptr);
  }

  // Power loss, or a kill that loses nothing but the operations that were not begun.
  void interrupt(const std::vector<DiskOp>& ops) {
    log_.disk.run_part(ops, rng_.below(ops.size() + 1), rng_);
    if (!rng_.one_in(4)) log_.disk.crash(rng_);
    alive_ = false;
  }

  Rng rng_;
  LogDriver log_;
  Model model_;
  std::optional<raft::PersistBatch> in_flight_;
  bool alive_ = false;
};

TEST_CASE(
    "[F33] [F36] [F37] [F38] [ZF-6] a crash never loses an acknowledged frame and never "
    "keeps a node from starting") {
  for (std::uint64_t seed = 1; seed <= kTrials; ++seed) {
    CAPTURE(seed);
    Trial(seed).run();
  }
}

// A log of three segments whose last frame begins at last_frame.
struct Sample : LogDriver {
  Sample() : LogDriver(8 * kBlock) {
    start_new();
    for (std::uint64_t i = 2; i < 17; ++i)
      append({entry(i, i / 5 + 1, "payload of entry " + std::to_string(i))});
    newest = format::segment_name(4);
    ASSERT(disk.exists(newest));
    ASSERT(disk.contents(newest)[0] != std::byte{0});
    while (disk.contents(newest)[last_frame + kBlock] != std::byte{0})
      last_frame += kBlock;
    auto recovered = recover(disk, recover_options());
    ASSERT(recovered);
    whole = recovered->durable;
  }
  // Refused, or the log is the same as it was.
  bool refused_or_whole() {
    auto recovered = recover(disk, recover_options());
    if (!recovered) refusals += 1;
    if (!recovered) return recovered.error().code == Errc::kCorrupt;
    return recovered->durable.hard_state == whole.hard_state &&
           recovered->durable.terms == whole.terms &&
           texts(recovered->durable.tail) == texts(whole.tail);
  }
  FileName newest;
  std::uint64_t last_frame = 0;
  int refusals = 0;
  raft::Durable whole;
};

TEST_CASE("[F45] a flipped bit before the last frame is refused or harmless, never a shorter log") {
  Sample log;
  Rng rng(42);
  for (int i = 0; i < 8'000; ++i) {
    const std::vector<FileName> names = log.disk.names();
    const FileName& name = names[rng.below(names.size())];
    if (!format::parse_segment_name(name)) continue;
    const std::uint64_t end = name == log.newest ? log.last_frame : log.disk.contents(name).size();
    // Mostly where something is written.
    const std::uint64_t block = rng.below(end / kBlock) * kBlock;
    const std::uint64_t offset = block + rng.below(rng.one_in(4) ? kBlock : 128);
    const auto bit = static_cast<unsigned>(rng.below(8));
    log.disk.flip_bit(name, offset, bit);
    CAPTURE(name);
    CAPTURE(offset);
    REQUIRE(log.refused_or_whole());
    log.disk.flip_bit(name, offset, bit);
  }
  CHECK(log.refusals > 2'000);
}

TEST_CASE(
    "[F45] every written byte before the last frame is covered: any change to it is refused") {
  Sample log;
  for (const FileName& name : log.disk.names()) {
    if (!format::parse_segment_name(name)) continue;
    const Bytes bytes = log.disk.contents(name);
    const std::uint64_t end = name == log.newest ? log.last_frame : bytes.size();
    for (std::uint64_t offset = 0; offset < end; ++offset) {
      if (bytes[offset] == std::byte{0}) continue;
      log.disk.flip_bit(name, offset, 0);
      CAPTURE(name);
      CAPTURE(offset);
      REQUIRE(!recover(log.disk, log.recover_options()));
      log.disk.flip_bit(name, offset, 0);
    }
  }
}

TEST_CASE("a lost sector before the last frame is refused or held nothing") {
  Sample log;
  for (const FileName& name : log.disk.names()) {
    if (!format::parse_segment_name(name)) continue;
    const Bytes whole = log.disk.contents(name);
    const std::uint64_t end = name == log.newest ? log.last_frame : whole.size();
    for (std::uint64_t at = 0; at < end; at += test::MemoryDisk::kSectorBytes) {
      Bytes bytes = whole;
      const auto from = bytes.begin() + static_cast<long>(at);
      std::fill(from, from + test::MemoryDisk::kSectorBytes, std::byte{0});
      log.disk.set_contents(name, bytes);
      CAPTURE(name);
      CAPTURE(at);
      REQUIRE(log.refused_or_whole());
    }
    log.disk.set_contents(name, whole);
  }
}

TEST_CASE("damage to the last entry is provable after an idle mark") {
  LogDriver log;
  log.start_new();
  log.append({entry(2, 1, "two")});
  REQUIRE(log.finish(log.journal->mark_idle()));
  log.disk.flip_bit("log-00000000000000000002", kBlock + 81, 0);
  const auto refused = recover(log.disk, log.recover_options());
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kCorrupt);
}

}  // namespace
}  // namespace raftd::storage
