// The checksum of everything on disk and on the wire.
#include <benchmark/benchmark.h>

#include "base/crc32c.h"

namespace raftd {
namespace {

void checksum(benchmark::State& state) {
  const Bytes bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  for (auto _ : state)
    benchmark::DoNotOptimize(crc32c(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(160)->Arg(4096)->Arg(65536);

}  // namespace
}  // namespace raftd

BENCHMARK_MAIN();
