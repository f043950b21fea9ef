// A batch of entries of 128 bytes to one frame, and the frame back to entries.
#include <benchmark/benchmark.h>

#include "base/limits.h"
#include "storage/format.h"
#include "storage/journal.h"

namespace raftd::storage {
namespace {

constexpr std::size_t kSegmentBytes = limits::kSegmentBytesMin;

storage::DiskResult done(const DiskPlan& plan) {
  return {plan.id, plan.lane, {}, false, {}};
}

// Segments are made when they are wanted and dropped at once, so that it goes on for ever.
void journal_frame(benchmark::State& state) {
  JournalPosition position;
  position.incarnation = {1};
  position.first_index = {1};
  Journal journal({{{}, {1}, 1}, kSegmentBytes, kSegmentBytes, 0}, std::move(position));
  raft::PersistBatch batch;
  batch.hard_state = raft::HardState{{1}, {}};
  batch.entries.assign(static_cast<std::size_t>(state.range(0)),
                       {{}, {1}, raft::EntryKind::kCommand, share(Bytes(128, std::byte{7}))});
  raft::Index index;
  for (auto _ : state) {
    for (raft::Entry& entry : batch.entries)
      entry.index = index = index.next();
    if (!journal.ready(batch)) journal.finish(done(*journal.prepare_next_segment()));
    journal.finish(done(journal.begin(batch)));
    if (auto plan = journal.drop_oldest(index)) journal.finish(done(*plan));
    batch.hard_state.reset();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(journal_frame)->Arg(1)->Arg(64);

void parse_frame(benchmark::State& state) {
  Bytes frame;
  format::FrameWriter writer(frame, {1, 1, 1});
  const Bytes payload(128, std::byte{7});
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    format::RecordHeader header{};
    header.kind = static_cast<std::uint8_t>(format::RecordKind::kEntry);
    header.entry_kind = static_cast<std::uint8_t>(raft::EntryKind::kCommand);
    header.index = static_cast<std::uint64_t>(i) + 1;
    header.term = 1;
    writer.add(header, payload);
  }
  writer.finish();
  const auto header = format::find_frame_header(frame, 1, std::nullopt);
  std::vector<format::Record> records;
  for (auto _ : state) {
    records.clear();
    benchmark::DoNotOptimize(format::parse_records(*header, frame, records));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(parse_frame)->Arg(1)->Arg(64);

}  // namespace
}  // namespace raftd::storage
