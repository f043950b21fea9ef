// Commands to bytes and back, and what the store does with them: keys of 11 bytes, values of 100.
#include <benchmark/benchmark.h>

#include "base/limits.h"
#include "base/text.h"
#include "kv/command.h"
#include "kv/store.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kKeys = 100'000;

std::string key_of(std::size_t number) {
  return strf("key%08zu", number);
}

ByteView unstamped(const Bytes& command) {
  return ByteView(command).subspan(machine::kStampBytes);
}

const std::string& value() {
  static const std::string kValue(100, 'v');
  return kValue;
}

void encode_put(benchmark::State& state) {
  const std::string key = key_of(1);
  for (auto _ : state)
    benchmark::DoNotOptimize(encode(Put{key, value()}));
}
BENCHMARK(encode_put);

void decode_put(benchmark::State& state) {
  const std::string key = key_of(1);
  const Bytes command = encode(Put{key, value()});
  for (auto _ : state)
    benchmark::DoNotOptimize(decode(unstamped(command)));
}
BENCHMARK(decode_put);

// A store in which all keys are; history goes when a segment's worth of it is there.
class Filled {
 public:
  Filled() {
    for (std::size_t i = 0; i < kKeys; ++i)
      apply(encode(Put{key_of(i), value()}));
  }
  void apply(const Bytes& command) {
    machine::Outcome outcome = store.apply({{++index_}, {1}, {1000}, unstamped(command)}, true);
    while (!outcome.finished)
      outcome = store.apply_slice();
    benchmark::DoNotOptimize(outcome);
    if (index_ % 65536 == 0) drop_history();
  }
  std::size_t next() { return key_ = (key_ + 7919) % kKeys; }

  Store store{HistoryLimits{600'000, 64 * limits::kMiB}};

 private:
  void drop_history() {
    const Bytes command = encode(Compact{store.stats().revision});
    store.apply({{++index_}, {1}, {1000}, unstamped(command)}, false);
    while (store.tidy_slice()) {
    }
  }

  std::uint64_t index_ = 0;
  std::size_t key_ = 0;
};

Filled& filled() {
  static Filled once;
  return once;
}

void put_new(benchmark::State& state) {
  Filled store;
  std::size_t key = kKeys;
  std::vector<Bytes> commands;
  for (auto _ : state) {
    state.PauseTiming();
    commands.clear();
    for (int i = 0; i < 64; ++i)
      commands.push_back(encode(Put{key_of(key++), value()}));
    state.ResumeTiming();
    for (const Bytes& command : commands)
      store.apply(command);
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(put_new);

void put_again(benchmark::State& state) {
  std::vector<Bytes> commands;
  for (std::size_t i = 0; i < 1024; ++i)
    commands.push_back(encode(Put{key_of(filled().next()), value()}));
  std::size_t at = 0;
  for (auto _ : state)
    filled().apply(commands[at++ % commands.size()]);
}
BENCHMARK(put_again);

void get(benchmark::State& state) {
  std::vector<GetQuery> queries(1024);
  for (GetQuery& query : queries)
    query.key = key_of(filled().next());
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(filled().store.query(queries[at++ % queries.size()], {1000}));
}
BENCHMARK(get);

void list_100(benchmark::State& state) {
  RangeQuery query;
  query.prefix = "key00001";
  query.limit = 100;
  for (auto _ : state)
    benchmark::DoNotOptimize(filled().store.query(query, {1000}));
}
BENCHMARK(list_100);

// A guard that holds, and puts.
void transaction(benchmark::State& state) {
  std::vector<std::string> keys;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    keys.push_back(key_of(filled().next()));
  Transaction transaction;
  Guard guard;
  guard.target = Guard::Target::kVersion;
  guard.relation = Guard::Relation::kGreater;
  guard.span = {keys[0], {}};
  transaction.guards.push_back(guard);
  for (const std::string& key : keys)
    transaction.then.push_back({Put{key, value()}});
  const Bytes command = encode(transaction);
  for (auto _ : state)
    filled().apply(command);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(transaction)->Arg(2)->Arg(100);

}  // namespace
}  // namespace raftd::kv
