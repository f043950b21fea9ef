// One core with everything around it that a test needs: a disk that keeps what was persisted, a
// list of what it applied, the answers to its reads. Time and the network belong to the test.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "raft/core.h"

namespace raftd::raft::testing {

using namespace std::chrono_literals;

inline Instant at(Duration since_start) {
  return Instant{1h + since_start};
}

inline Configuration make_configuration(const std::vector<std::uint64_t>& voters,
                                        const std::vector<std::uint64_t>& outgoing = {},
                                        const std::vector<std::uint64_t>& learners = {}) {
  Configuration configuration;
  std::vector<std::uint64_t> all;
  const auto fill = [&](const std::vector<std::uint64_t>& from, std::vector<NodeId>& to) {
    for (const std::uint64_t id : from)
      to.push_back({id});
    all.insert(all.end(), from.begin(), from.end());
  };
  fill(voters, configuration.voters);
  fill(outgoing, configuration.voters_outgoing);
  fill(learners, configuration.learners);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  for (const std::uint64_t id : all) {
    configuration.addresses.push_back({{id}, "node-" + std::to_string(id) + ":1"});
  }
  return configuration;
}

inline Entry command(std::uint64_t index, std::uint64_t term, std::string_view text = "x") {
  return {{index}, {term}, EntryKind::kCommand, share(to_bytes(text))};
}
inline Entry noop(std::uint64_t index, std::uint64_t term) {
  return {{index}, {term}, EntryKind::kNoop, {}};
}
inline Entry members(std::uint64_t index, std::uint64_t term, const Configuration& configuration) {
  return {{index}, {term}, EntryKind::kConfiguration, share(encode(configuration))};
}

// What a restart finds. Entries are contiguous.
struct TestDisk {
  HardState hard_state;
  std::vector<Entry> entries;
  std::uint64_t before = 0;  // The index before the first of them; what is there is dropped.
  std::uint64_t before_term = 0;
  std::optional<SnapshotMeta> snapshot;
  std::optional<LogPosition> promised;

  Durable recover(std::size_t tail_entries) const {
    Durable durable;
    durable.hard_state = hard_state;
    durable.snapshot = snapshot;
    durable.promised = promised;
    durable.first_index = {before + 1};
    durable.prev_term = {before_term};
    durable.last_index = {before + entries.size()};
    for (const Entry& entry : entries) {
      if (durable.terms.empty() || durable.terms.back().term != entry.term) {
        durable.terms.push_back({entry.index, entry.term});
      }
      if (entry.kind == EntryKind::kConfiguration) {
        durable.configurations.push_back({entry.index, *decode_configuration(entry.payload.bytes)});
      }
    }
    const std::size_t kept = std::min(tail_entries, entries.size());
    durable.tail.assign(entries.end() - static_cast<std::ptrdiff_t>(kept), entries.end());
    return durable;
  }

  void write(const PersistBatch& batch) {
    if (batch.hard_state) hard_state = *batch.hard_state;
    if (batch.reset) {
      entries.clear();
      before = batch.reset->last_index.value;
      before_term = batch.reset->last_term.value;
    }
    if (batch.entries.empty()) return;
    entries.resize(batch.entries.front().index.value - 1 - before);
    entries.insert(entries.end(), batch.entries.begin(), batch.entries.end());
  }

  void drop_to(std::uint64_t first) {
    while (before + 1 < first) {
      before_term = entries.front().term.value;
      entries.erase(entries.begin());
      ++before;
    }
  }
};

// The log that every first start writes: the configuration at (1, 1).
inline TestDisk first_start(const Configuration& configuration) {
  TestDisk disk;
  disk.hard_state = {{1}, {}};
  disk.entries = {members(1, 1, configuration)};
  return disk;
}

// Terms of the entries behind the first one, as the Raft paper draws logs.
inline TestDisk with_log(const Configuration& configuration, std::uint64_t term,
                         const std::vector<std::uint64_t>& terms) {
  TestDisk disk = first_start(configuration);
  disk.hard_state.term = {term};
  for (const std::uint64_t each : terms) {
    disk.entries.push_back(command(disk.entries.size() + 1, each, "t" + std::to_string(each)));
  }
  return disk;
}

inline CoreConfig core_config(std::uint64_t self) {
  CoreConfig config;
  config.self = {self};
  config.incarnation = {self * 1000};
  config.heartbeat_interval = 20ms;
  config.election_timeout_min = 100ms;
  config.log_cache_bytes = 64 * limits::kMiB;
  config.max_pending_bytes = 8 * limits::kMiB;
  config.max_inflight_bytes = limits::kAppendsInFlightBytesMax;
  return config;
}

class TestNode {
 public:
  TestNode(const CoreConfig& core_config, TestDisk start, Instant now, std::uint64_t seed = 1,
           std::size_t tail_entries = 1U << 20)
      : config(core_config),
        disk(std::move(start)),
        core(std::make_unique<Core>(config, disk.recover(tail_entries), seed, now)) {
    core->check_invariants();
  }

  // Does what the output says; persisting waits for persist(). With auto_persist it does not.
  void pump(Instant now) {
    core->check_invariants();
    for (int rounds = 0; core->has_output(); ++rounds) {
      ASSERT_CMP(rounds, <, 1000);  // An output that never ends would hang the shell.
      Output out = core->take_output();
      core->check_invariants();
      for (Message& message : out.messages)
        sent.push_back(std::move(message));
      if (out.persist) {
        ASSERT(!writing);
        writing = std::move(out.persist);
      }
      for (const LogRead& read : out.log_reads)
        log_reads.push_back(read);
      for (SnapshotChunk& chunk : out.chunks)
        chunks.push_back(std::move(chunk));
      if (auto_log_reads) finish_log_reads(now);
      for (Entry& entry : out.committed) {
        applied.push_back(entry);
        core->applied(entry.index);
      }
      for (const ReadDone& read : out.reads)
        reads.push_back(read);
      if (out.role) roles.push_back(*out.role);
      if (out.configuration) configurations.push_back(*out.configuration);
      if (out.hand_over) handed_over.push_back(*out.hand_over);
      if (out.transfer_failed) ++transfers_failed;
      if (auto_persist && writing) persist(now);
    }
    core->check_invariants();
  }

  void persist(Instant now) {
    ASSERT(writing.has_value());
    const PersistSeq seq = writing->seq;
    disk.write(*writing);
    writing.reset();
    core->persisted(now, seq);
    core->check_invariants();
  }

  void finish_log_reads(Instant now) {
    for (const LogRead& read : std::exchange(log_reads, {})) {
      std::vector<Entry> entries;
      std::size_t bytes = 0;
      const std::uint64_t last = disk.before + disk.entries.size();
      for (Index i = read.first; i <= read.last && i.value <= last; i = i.next()) {
        if (i.value <= disk.before) break;  // Dropped.
        const Entry& entry = disk.entries[i.value - disk.before - 1];
        bytes += entry.payload.bytes.size();
        if (bytes > read.bytes_max && !entries.empty()) break;
        entries.push_back(entry);
      }
      ++log_reads_done;
      core->log_read_done(now, read.id, std::move(entries));
    }
  }

  void step(Instant now, Message message) {
    core->step(now, std::move(message));
    pump(now);
  }
  // Ticks whenever the core asks for it, as a loop would.
  void run_until(Instant& now, Instant end) {
    while (core->next_deadline() <= end) {
      now = std::max(now, core->next_deadline());
      core->tick(now);
      pump(now);
    }
    now = std::max(now, end);
  }

  std::vector<Message> take_sent() { return std::exchange(sent, {}); }

  CoreConfig config;
  TestDisk disk;
  std::unique_ptr<Core> core;
  bool auto_persist = true;
  bool auto_log_reads = true;
  std::optional<PersistBatch> writing;
  std::vector<LogRead> log_reads;
  std::vector<SnapshotChunk> chunks;
  std::size_t log_reads_done = 0;
  std::vector<Message> sent;
  std::vector<Entry> applied;
  std::vector<ReadDone> reads;
  std::vector<RoleView> roles;
  std::vector<ConfigurationAt> configurations;
  std::vector<HandOver> handed_over;
  int transfers_failed = 0;
};

}  // namespace raftd::raft::testing
