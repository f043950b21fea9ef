// Three cores, whose disks and network take no time: commands are proposed, appended on all, acked
// and committed. And the reads that one round of heartbeats confirms.
#include <benchmark/benchmark.h>

#include <deque>

#include "base/limits.h"
#include "raft/core.h"
#include "raft/quorum.h"

namespace raftd::raft {
namespace {

constexpr std::uint64_t kNodes = 3;

Configuration three() {
  Configuration configuration;
  for (std::uint64_t id = 1; id <= kNodes; ++id) {
    configuration.voters.push_back({id});
    configuration.addresses.push_back({{id}, "node:1"});
  }
  return configuration;
}

class Group {
 public:
  Group() {
    for (std::uint64_t id = 1; id <= kNodes; ++id) {
      CoreConfig config;
      config.self = {id};
      config.incarnation = {id};
      config.heartbeat_interval = std::chrono::milliseconds(50);
      config.election_timeout_min = std::chrono::milliseconds(500);
      config.log_cache_bytes = limits::kLogCacheBytesMin;
      config.max_pending_bytes = 64 * limits::kMiB;
      config.max_inflight_bytes = limits::kAppendsInFlightBytesMax;
      Durable durable;
      durable.hard_state = {{1}, {}};
      durable.last_index = {1};
      durable.terms = {{{1}, {1}}};
      durable.configurations = {{{1}, three()}};
      durable.tail = {{{1}, {1}, EntryKind::kConfiguration, share(encode(three()))}};
      cores_.push_back(std::make_unique<Core>(config, std::move(durable), id, now_));
    }
    while (leader_ == nullptr) {
      now_ = now_ + std::chrono::milliseconds(1);
      for (const auto& core : cores_)
        core->tick(now_);
      settle();
      for (const auto& core : cores_) {
        if (core->role().role == Role::kLeader) leader_ = core.get();
      }
    }
  }

  void propose(std::int64_t count, const SharedBytes& command) {
    for (std::int64_t i = 0; i < count; ++i)
      ASSERT(leader_->propose(now_, command));
    settle();
    now_ = now_ + std::chrono::microseconds(100);
    if (++rounds_ % 1024 == 0) compact();
  }

  void read(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      ASSERT(leader_->read(now_, ++reads_));
    settle();
    now_ = now_ + std::chrono::microseconds(100);
  }

 private:
  void settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const auto& core : cores_) {
        while (core->has_output()) {
          busy = true;
          act(*core, core->take_output());
        }
      }
      for (; !wire_.empty(); wire_.pop_front()) {
        busy = true;
        const NodeId to = wire_.front().to;
        cores_[to.value - 1]->step(now_, std::move(wire_.front()));
      }
    }
  }
  void act(Core& core, Output out) {
    for (Message& message : out.messages)
      wire_.push_back(std::move(message));
    if (out.persist) core.persisted(now_, out.persist->seq);
    if (!out.committed.empty()) core.applied(out.committed.back().index);
  }
  // The log would grow without end.
  void compact() {
    for (const auto& core : cores_) {
      const Index applied = core->commit_index();
      if (applied > core->persisted_index()) continue;
      core->compacted({{applied, core->role().term, 1, 1}, core->configuration()});
      core->dropped(applied);
    }
  }

  Instant now_{std::chrono::hours(1)};
  std::vector<std::unique_ptr<Core>> cores_;
  Core* leader_ = nullptr;
  std::deque<Message> wire_;
  std::uint64_t rounds_ = 0;
  std::uint64_t reads_ = 0;
};

void commit(benchmark::State& state) {
  Group group;
  const SharedBytes command = share(Bytes(128, std::byte{7}));
  for (auto _ : state)
    group.propose(state.range(0), command);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(commit)->Arg(1)->Arg(64);

void confirm_reads(benchmark::State& state) {
  Group group;
  for (auto _ : state)
    group.read(state.range(0));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(confirm_reads)->Arg(1)->Arg(64);

void quorum(benchmark::State& state) {
  const Configuration configuration = three();
  std::uint64_t matches[] = {0, 17, 19, 18};
  for (auto _ : state) {
    benchmark::DoNotOptimize(matches);
    benchmark::DoNotOptimize(
        quorum_value<std::uint64_t>(configuration, [&](NodeId id) { return matches[id.value]; }));
  }
}
BENCHMARK(quorum);

}  // namespace
}  // namespace raftd::raft
