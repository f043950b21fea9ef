// A journal on a disk in memory, driven like a replica drives it, beside the list of entries that
// it must hold: what the tests of journal and recovery share.
#pragma once

#include <map>

#include "storage/data_dir.h"
#include "storage/format.h"
#include "storage/journal.h"
#include "storage/recovery.h"
#include "support/memory_disk.h"

namespace raftd::storage {

constexpr std::uint64_t kBlock = limits::kBlockBytes;

inline raft::Configuration one_voter() {
  raft::Configuration configuration;
  configuration.voters = {raft::NodeId{1}};
  configuration.addresses = {{raft::NodeId{1}, "127.0.0.1:2380"}};
  return configuration;
}

inline raft::Entry entry(std::uint64_t index, std::uint64_t term, std::string_view payload = "") {
  raft::Entry made{raft::Index{index}, raft::Term{term}, raft::EntryKind::kNoop, {}};
  if (payload.empty()) return made;
  made.kind = raft::EntryKind::kCommand;
  made.payload = share(to_bytes(payload));
  return made;
}

inline std::string text_of(const raft::Entry& entry) {
  return std::to_string(entry.index.value) + "/" + std::to_string(entry.term.value) + "/" +
         std::string(as_text(entry.payload.bytes));
}

inline std::vector<std::string> texts(const std::vector<raft::Entry>& entries) {
  std::vector<std::string> all;
  for (const raft::Entry& one : entries)
    all.push_back(text_of(one));
  return all;
}

class LogDriver {
 public:
  explicit LogDriver(std::uint64_t segment_bytes = 16 * kBlock) : segment_bytes_(segment_bytes) {
    identity_ = {make_cluster_id("test", one_voter()), raft::NodeId{1}, 77};
  }

  RecoverOptions recover_options(std::size_t tail_bytes = 1 << 30) {
    RecoverOptions options;
    options.identity = identity_;
    options.incarnation = raft::Incarnation{++incarnations_};
    options.tail_bytes_max = tail_bytes;
    options.prepared_bytes_min = 3 * kBlock;
    return options;
  }
  std::vector<DiskOp> first_start() {
    return first_start_ops({identity_, raft::Incarnation{++incarnations_}, one_voter(), 0});
  }
  JournalOptions journal_options() const {
    return {identity_, static_cast<std::size_t>(segment_bytes_), 0, 0};
  }

  // Recovers, repairs, and opens the journal; the error of recover().
  Result<raft::Durable> start() {
    journal.reset();
    auto recovered = recover(disk, recover_options());
    if (!recovered) return recovered.error();
    DiskPlan copy;
    copy.ops = recovered->set_aside;
    copy.may_lack_space = true;
    disk.run(copy);
    disk.run(recovered->repairs);
    notes = recovered->notes;
    position = recovered->position;
    journal = std::make_unique<Journal>(journal_options(), recovered->position);
    return recovered->durable;
  }
  void start_new() {
    disk.run(first_start());
    const auto started = start();
    ASSERT(started);
  }

  void background() {
    while (auto plan = journal->prepare_next_segment()) {
      const DiskResult result = disk.run(*plan);
      journal->finish(result);
      if (result.no_space && !disk.exists("reserve")) break;
    }
  }
  bool finish(const DiskPlan& plan) { return journal->finish(disk.run(plan)); }

  static raft::PersistBatch batch(std::vector<raft::Entry> entries,
                                  std::optional<raft::HardState> hard_state = std::nullopt) {
    return {raft::PersistSeq{1}, hard_state, std::nullopt, std::move(entries)};
  }
  // Writes it to the end; the term of the hard state follows the entries'.
  void append(std::vector<raft::Entry> entries) {
    const raft::Term term = entries.back().term;
    std::optional<raft::HardState> hard_state;
    if (term > term_) hard_state = raft::HardState{term, raft::NodeId{1}};
    term_ = std::max(term_, term);
    background();
    const bool done = finish(journal->begin(batch(std::move(entries), hard_state)));
    ASSERT(done);
  }
  std::vector<raft::Entry> read(std::uint64_t first, std::uint64_t last,
                                std::size_t bytes_max = 1 << 30) {
    const raft::LogRead wanted{raft::LogReadId{++reads_}, raft::Index{first}, raft::Index{last},
                               bytes_max};
    const auto plan = journal->read(wanted);
    if (!plan) return {};
    auto entries = journal->decode(wanted, disk.run(*plan));
    ASSERT(entries);
    return *entries;
  }

  test::MemoryDisk disk;
  std::unique_ptr<Journal> journal;
  std::vector<std::string> notes;
  JournalPosition position;

 private:
  std::uint64_t segment_bytes_;
  Identity identity_;
  std::uint64_t incarnations_ = 1000;
  std::uint64_t reads_ = 0;
  raft::Term term_{1};
};

}  // namespace raftd::storage
