// An AppendRequest with entries of 128 bytes, to bytes and back.
#include <benchmark/benchmark.h>

#include "wire/codec.h"
#include "wire/frame.h"

namespace raftd {
namespace {

node::PeerMessage append_of(std::int64_t entries) {
  const SharedBytes payload = share(Bytes(128, std::byte{7}));
  raft::AppendRequest body{{1000}, {3}, {1000}, {0}, {}};
  raft::Index index = body.prev_index;
  for (std::int64_t i = 0; i < entries; ++i) {
    index = index.next();
    body.entries.push_back({index, {3}, raft::EntryKind::kCommand, payload});
  }
  return raft::Message{{1}, {2}, {3}, std::move(body)};
}

void encode_append(benchmark::State& state) {
  const node::PeerMessage message = append_of(state.range(0));
  Bytes out;
  for (auto _ : state) {
    out.clear();
    const std::size_t begin = wire::begin_frame(out);
    wire::encode(message, out);
    wire::end_frame(out, begin);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(encode_append)->Arg(1)->Arg(64);

void decode_append(benchmark::State& state) {
  Bytes bytes;
  wire::encode(append_of(state.range(0)), bytes);
  const SharedBytes body = share(std::move(bytes));
  for (auto _ : state)
    benchmark::DoNotOptimize(wire::decode(body));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(decode_append)->Arg(1)->Arg(64);

}  // namespace
}  // namespace raftd
