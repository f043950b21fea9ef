#include "storage/journal.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "base/text.h"
#include "storage/format.h"
#include "storage/frame_index.h"
#include "storage/frame_memory.h"
#include "storage/old_entries.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kBlock = limits::kBlockBytes;
// Zeros that a start waits for. It votes and leads before they are used up.
constexpr std::uint64_t kZerosAtStart = 256 * limits::kKiB;
// Frames so large on average take the disk so long that zeros beneath them gain nothing, and cost
// it every byte a second time.
constexpr std::uint64_t kLargeFrameBytes = 128 * limits::kKiB;

std::uint64_t batch_frame_bytes(const raft::PersistBatch& batch) {
  std::uint64_t records = format::record_bytes(0);  // The hard state.
  if (batch.reset) records += format::record_bytes(0);
  for (const raft::Entry& entry : batch.entries) {
    records += format::record_bytes(entry.payload.bytes.size());
  }
  return format::frame_bytes(records);
}

format::RecordHeader mark(format::RecordKind kind, std::uint64_t term, std::uint64_t index) {
  format::RecordHeader record{};
  record.kind = static_cast<std::uint8_t>(kind);
  record.term = term;
  record.index = index;
  return record;
}

// The segment that frames go to.
struct Open {
  std::uint64_t seq = 0;
  FileName name;
  std::uint64_t capacity = 0;
  std::uint64_t offset = 0;  // Of the next frame.
  std::uint64_t frames = 0;
  bool durable = false;  // Its first frame is.
};

// The frame that is being written.
struct InFlight {
  PlanId id;
  std::optional<FrameAt> entries;
  bool resets = false;
};

}  // namespace

struct Journal::State {
  JournalOptions options;
  raft::Incarnation incarnation;

  // The log as it was begun.
  std::uint64_t next_frame_seq = 1;
  std::uint32_t prev_seal_crc32c = 0;
  raft::Index last_index;
  raft::Term last_term;
  raft::HardState hard_state;
  raft::Index snapshot_index;
  raft::Term snapshot_term;

  std::uint64_t next_segment_seq = 1;
  std::optional<Open> open;  // nullopt: nothing was written since the start.
  std::optional<InFlight> in_flight;
  bool ended = false;  // mark_clean() was called.

  std::uint64_t prepared_bytes = 0;  // Of segment next_segment_seq.
  std::optional<PlanId> preparing;
  std::uint64_t preparing_bytes = 0;
  bool first_of_process = true;

  std::uint64_t reserve_bytes = 0;
  std::optional<PlanId> reserving;
  bool take_reserve = false;  // The next segment could not be made.
  bool full = false;

  // Of durable frames.
  raft::Index first_index;
  raft::Index last_durable;
  FrameIndex index;
  std::vector<SegmentInfo> segments;
  std::uint64_t reset_segment_seq = 0;  // Of the last durable reset.
  std::map<raft::LogReadId, std::vector<FrameAt>> reads;

  std::uint64_t plans = 0;
  FrameMemory memory;

  DiskPlan plan(Lane lane) { return {PlanId{++plans}, lane, {}, false}; }
  bool fits(std::uint64_t bytes) const {
    return open && open->offset + bytes + kBlock <= open->capacity;
  }
  bool can_write(std::uint64_t bytes) const {
    return !ended && !in_flight && (fits(bytes) || prepared_bytes > 0);
  }
  format::FrameWriter::Place place() const {
    return {incarnation.value, open->seq, next_frame_seq};
  }

  std::uint64_t zeros_to_write() const;
  void append_header(Bytes& out) const;
  void append_end(DiskPlan& plan, format::RecordKind kind);
  void enter_next(DiskPlan& plan, std::uint64_t frame_bytes);
  template <class Fill>
  DiskPlan write_frame(std::uint64_t frame_bytes, Fill fill);
  void note_durable(const InFlight& done);
};

// Of the segment that is prepared.
std::uint64_t Journal::State::zeros_to_write() const {
  if (!open) return std::min(preparing_bytes, kZerosAtStart);
  const bool large = open->frames > 0 && open->offset / open->frames >= kLargeFrameBytes;
  return large ? 0 : preparing_bytes;
}

void Journal::State::append_header(Bytes& out) const {
  format::SegmentHeader header{};
  const ClusterId& cluster = options.identity.cluster_id;
  std::copy(cluster.begin(), cluster.end(), header.cluster_id);
  header.node_id = options.identity.node_id.value;
  header.segment_seq = open->seq;
  header.incarnation = incarnation.value;
  header.frame_seq_first = next_frame_seq;
  header.prev_index = last_index.value;
  header.prev_term = last_term.value;
  header.hard_term = hard_state.term.value;
  header.hard_vote = hard_state.voted_for.value;
  header.snapshot_index = snapshot_index.value;
  header.snapshot_term = snapshot_term.value;
  header.prev_seal_crc32c = prev_seal_crc32c;
  header.created_unix_ns = static_cast<std::uint64_t>(options.created_unix_ns);
  format::append_segment_header(out, header);
}

// The last frame of the open segment, in the block that every frame left for it.
void Journal::State::append_end(DiskPlan& plan, format::RecordKind kind) {
  ASSERT(open);
  Bytes bytes;
  format::FrameWriter frame(bytes, place());
  prev_seal_crc32c = frame.add(mark(kind, last_term.value, last_index.value), {});
  frame.finish();
  ASSERT_CMP(bytes.size(), ==, kBlock);
  plan.ops.emplace_back(WriteFile{open->name, open->offset, share(std::move(bytes))});
  plan.ops.emplace_back(SyncFile{open->name});
  next_frame_seq += 1;
  open->offset += kBlock;
  ASSERT_CMP(segments.back().seq, ==, open->seq);
}

void Journal::State::enter_next(DiskPlan& plan, std::uint64_t frame_bytes) {
  ASSERT_CMP(prepared_bytes, >, 0U);
  ASSERT(!preparing);
  // Sealed and synced first: recovery takes a segment for finished when a later one holds anything.
  if (open) append_end(plan, format::RecordKind::kSeal);
  // In a segment that is too small for its first frame that frame makes the file longer.
  const std::uint64_t capacity = std::max(prepared_bytes, 2 * kBlock + frame_bytes);
  open = Open{next_segment_seq, format::segment_name(next_segment_seq), capacity};
  segments.push_back({next_segment_seq, capacity, {}, {}});
  next_segment_seq += 1;
  prepared_bytes = 0;
}

// One write and one sync; more only when the segment changes. fill adds the records.
template <class Fill>
DiskPlan Journal::State::write_frame(std::uint64_t frame_bytes, Fill fill) {
  ASSERT(can_write(frame_bytes));
  ASSERT_CMP(frame_bytes, <=, limits::kFrameBytesMax);
  DiskPlan result = plan(Lane::kJournal);
  if (!fits(frame_bytes)) enter_next(result, frame_bytes);
  const std::uint64_t write_at = open->offset;
  const std::shared_ptr<Bytes> owner = memory.take(kBlock + frame_bytes);
  Bytes& bytes = *owner;
  const std::size_t begin = bytes.size();
  // The header goes with the first frame: a prepared segment is all zeros until then, and there is
  // no second state to recover from.
  if (write_at == 0) append_header(bytes);
  const std::uint64_t frame_at = write_at + (bytes.size() - begin);
  ASSERT_CMP(frame_at % kBlock, ==, 0U);
  format::FrameWriter frame(bytes, place());
  std::optional<FrameAt> entries = fill(frame);
  frame.finish();
  const ByteView written = ByteView(bytes).subspan(begin);
  ASSERT_CMP(write_at + written.size(), ==, frame_at + frame_bytes);
  if (entries) {
    entries->segment_seq = open->seq;
    entries->offset = frame_at;
    entries->bytes = static_cast<std::uint32_t>(frame_bytes);
  }
  result.ops.reserve(result.ops.size() + 2);
  result.ops.emplace_back(WriteFile{open->name, write_at, {owner, written}});
  result.ops.emplace_back(SyncFile{open->name});
  next_frame_seq += 1;
  open->offset = frame_at + frame_bytes;
  open->frames += 1;
  in_flight = InFlight{result.id, entries, false};
  return result;
}

void Journal::State::note_durable(const InFlight& done) {
  if (open) open->durable = true;
  if (done.resets) reset_segment_seq = open->seq;
  if (!done.entries) return;
  index.add(*done.entries);
  last_durable = done.entries->last;
  SegmentInfo& segment = segments.back();
  ASSERT_CMP(segment.seq, ==, done.entries->segment_seq);
  if (!segment.first || done.entries->first < segment.first) segment.first = done.entries->first;
  segment.last = std::max(segment.last, done.entries->last);
}

Journal::Journal(const JournalOptions& options, JournalPosition position)
    : state_(std::make_unique<State>()) {
  ASSERT_CMP(options.segment_bytes, >=, 3 * kBlock);
  ASSERT_CMP(options.segment_bytes % kBlock, ==, 0U);
  ASSERT_CMP(options.first_segment_bytes % kBlock, ==, 0U);
  ASSERT(position.incarnation);
  state_->options = options;
  state_->incarnation = position.incarnation;
  state_->next_frame_seq = position.next_frame_seq;
  state_->prev_seal_crc32c = position.prev_seal_crc32c;
  state_->last_index = position.last_index;
  state_->last_durable = position.last_index;
  state_->last_term = position.last_term;
  state_->hard_state = position.hard_state;
  state_->next_segment_seq = position.next_segment_seq;
  state_->prepared_bytes = position.prepared_bytes;
  state_->reserve_bytes = position.reserve_bytes;
  state_->first_index = position.first_index;
  state_->index = FrameIndex(std::move(position.frames));
  state_->segments = std::move(position.segments);
  state_->reset_segment_seq = position.reset_segment_seq;
  state_->snapshot_index = position.snapshot_index;
  state_->snapshot_term = position.snapshot_term;
}

Journal::~Journal() = default;

DiskPlan Journal::begin(const raft::PersistBatch& batch) {
  State& state = *state_;
  ASSERT(ready(batch));
  ASSERT(batch.hard_state || batch.reset || !batch.entries.empty());
  if (batch.hard_state) ASSERT_CMP(batch.hard_state->term, >=, state.hard_state.term);
  if (batch.reset) {
    state.index = FrameIndex();
    state.first_index = batch.reset->last_index.next();
    state.last_durable = batch.reset->last_index;
  }
  if (!batch.entries.empty()) {
    const raft::Index first = batch.entries.front().index;
    ASSERT_CMP(first, >=, state.first_index);
    ASSERT_CMP(first, <=, (batch.reset ? batch.reset->last_index : state.last_index).next());
    state.index.override_from(first);
    state.last_durable = std::min(state.last_durable, first.prev());
  }
  DiskPlan plan = state.write_frame(batch_frame_bytes(batch), [&](format::FrameWriter& frame) {
    if (batch.reset) {
      // Not before: seal and header speak of the log as it was before this frame.
      state.last_index = batch.reset->last_index;
      state.last_term = batch.reset->last_term;
      frame.add(mark(format::RecordKind::kReset, batch.reset->last_term.value,
                     batch.reset->last_index.value),
                {});
    }
    if (batch.hard_state) state.hard_state = *batch.hard_state;
    // Also when it is as it was, most often in bytes that would be padding: any good frame tells
    // it, whatever happens to those before (repair.h).
    frame.add(mark(format::RecordKind::kHardState, state.hard_state.term.value,
                   state.hard_state.voted_for.value),
              {});
    std::optional<FrameAt> entries;
    for (const raft::Entry& entry : batch.entries) {
      if (entries) ASSERT_CMP(entry.index, ==, state.last_index.next());
      format::RecordHeader record =
          mark(format::RecordKind::kEntry, entry.term.value, entry.index.value);
      record.entry_kind = static_cast<std::uint8_t>(entry.kind);
      frame.add(record, entry.payload.bytes);
      if (!entries) entries = FrameAt{0, 0, 0, entry.index, entry.index};
      entries->last = entry.index;
      state.last_index = entry.index;
      state.last_term = entry.term;
    }
    ASSERT_CMP(state.hard_state.term, >=, state.last_term);
    return entries;
  });
  state.in_flight->resets = batch.reset.has_value();
  return plan;
}

DiskPlan Journal::mark_idle() {
  State& state = *state_;
  ASSERT(ready_to_mark());
  if (!state.open) {  // What recovery sealed is followed by that seal.
    DiskPlan nothing = state.plan(Lane::kJournal);
    state.in_flight = InFlight{nothing.id, std::nullopt, false};
    return nothing;
  }
  state.memory.forget();
  return state.write_frame(kBlock, [&](format::FrameWriter& frame) {
    frame.add(mark(format::RecordKind::kHardState, state.hard_state.term.value,
                   state.hard_state.voted_for.value),
              {});
    return std::optional<FrameAt>{};
  });
}

DiskPlan Journal::mark_clean() {
  State& state = *state_;
  ASSERT(idle());
  ASSERT(!state.ended);
  DiskPlan result = state.plan(Lane::kJournal);
  if (state.open) {
    state.append_end(result, format::RecordKind::kClean);
    // The zeros behind it will never be used: recovery does not touch a segment that is finished.
    if (state.open->offset < state.open->capacity) {
      result.ops.emplace_back(TruncateFile{state.open->name, state.open->offset});
      state.segments.back().bytes = state.open->offset;
    }
  }
  state.ended = true;
  state.in_flight = InFlight{result.id, std::nullopt, false};
  return result;
}

bool Journal::finish(const DiskResult& result) {
  State& state = *state_;
  if (state.in_flight && state.in_flight->id == result.id) {
    ASSERT(!result.no_space);  // Its plan does not allow for that.
    const InFlight done = *state.in_flight;
    state.in_flight.reset();
    state.note_durable(done);
    return true;
  }
  if (state.preparing && *state.preparing == result.id) {
    state.preparing.reset();
    if (!result.no_space) {
      state.prepared_bytes = state.preparing_bytes;
      state.first_of_process = false;
      return false;
    }
    state.full = true;
    state.take_reserve = state.reserve_bytes > 0;
  } else if (state.reserving && *state.reserving == result.id) {
    state.reserving.reset();
    state.reserve_bytes = result.no_space ? 0 : state.options.segment_bytes;
    state.full = result.no_space;
  }
  return false;
}

bool Journal::idle() const {
  return !state_->in_flight;
}

bool Journal::ready(const raft::PersistBatch& batch) const {
  return state_->can_write(batch_frame_bytes(batch));
}

bool Journal::ready_to_mark() const {
  if (!state_->open) return idle() && !state_->ended;
  return state_->can_write(kBlock);
}

std::optional<DiskPlan> Journal::prepare_next_segment() {
  State& state = *state_;
  if (state.ended || state.preparing || state.reserving || state.prepared_bytes > 0) {
    return std::nullopt;
  }
  // Not before the first frame of this one is durable: recovery takes a next segment as proof that
  // it is.
  if (state.open && !state.open->durable) return std::nullopt;
  // Half full, or the largest frame might not fit any more: nobody prepares when it has come.
  const bool roomy = state.open && state.open->offset * 2 < state.open->capacity &&
                     state.fits(limits::kFrameBytesMax);
  if (roomy) return std::nullopt;
  const FileName name = format::segment_name(state.next_segment_seq);
  DiskPlan plan = state.plan(Lane::kBackground);
  if (state.take_reserve) {
    plan.ops.emplace_back(RenameFile{FileName(format::kReserveName), name});
    state.preparing_bytes = state.reserve_bytes;
    state.reserve_bytes = 0;
    state.take_reserve = false;
  } else {
    const bool small = state.first_of_process && state.options.first_segment_bytes > 0;
    state.preparing_bytes = small ? state.options.first_segment_bytes : state.options.segment_bytes;
    plan.ops.emplace_back(CreateFile{name, state.preparing_bytes, state.zeros_to_write()});
    plan.may_lack_space = true;
  }
  plan.ops.emplace_back(SyncDirectory{});
  state.preparing = plan.id;
  return plan;
}

// Under another name first: a reserve that is there is whole.
std::optional<DiskPlan> Journal::prepare_reserve() {
  State& state = *state_;
  if (state.ended || state.reserving || state.preparing || state.reserve_bytes > 0) {
    return std::nullopt;
  }
  const FileName name(format::kReserveName);
  const FileName unfinished = name + std::string(format::kUnfinishedSuffix);
  DiskPlan plan = state.plan(Lane::kBackground);
  // Of use when there is no space, which is no time to be quick.
  plan.ops.emplace_back(CreateFile{unfinished, state.options.segment_bytes, 0});
  plan.ops.emplace_back(RenameFile{unfinished, name});
  plan.ops.emplace_back(SyncDirectory{});
  plan.may_lack_space = true;
  state.reserving = plan.id;
  return plan;
}

bool Journal::has_reserve() const {
  return !state_->full;
}

// What stays is the segment in use, and the one before it until the first frame of its successor is
// durable.
bool Journal::can_drop_up_to(raft::Index limit) const {
  const State& state = *state_;
  if (state.segments.size() < 2) return false;
  const bool successor_used = state.segments.size() > 2 || !state.open || state.open->durable;
  const auto& oldest = state.segments.front();
  return successor_used && (oldest.last <= limit || oldest.seq < state.reset_segment_seq);
}

void Journal::snapshot_durable(const raft::SnapshotId& id) {
  if (id.last_index <= state_->snapshot_index) return;
  state_->snapshot_index = id.last_index;
  state_->snapshot_term = id.last_term;
}

// Oldest first, each made durable: two that were lost together could leave a gap.
std::optional<DiskPlan> Journal::drop_oldest(raft::Index limit) {
  if (!can_drop_up_to(limit)) return std::nullopt;
  State& state = *state_;
  DiskPlan result = state.plan(Lane::kBackground);
  result.ops.emplace_back(RemoveFile{format::segment_name(state.segments.front().seq)});
  result.ops.emplace_back(SyncDirectory{});
  state.segments.erase(state.segments.begin());
  state.index.drop_before(state.segments.front().seq);
  const auto& frames = state.index.frames();
  state.first_index = frames.empty() ? state.last_durable.next() : frames.front().first;
  return result;
}

std::optional<DiskPlan> Journal::read(const raft::LogRead& wanted) {
  State& state = *state_;
  std::vector<FrameAt> frames = frames_to_read(state.index, wanted);
  if (frames.empty()) return std::nullopt;
  DiskPlan plan = state.plan(Lane::kRead);
  plan.ops = read_ops(frames);
  const bool fresh = state.reads.emplace(wanted.id, std::move(frames)).second;
  ASSERT(fresh);
  return plan;
}

Result<std::vector<raft::Entry>> Journal::decode(const raft::LogRead& wanted,
                                                 const DiskResult& result) {
  State& state = *state_;
  const auto read = state.reads.find(wanted.id);
  ASSERT(read != state.reads.end());
  const std::vector<FrameAt> frames = std::move(read->second);
  state.reads.erase(read);
  return decode_old_entries(state.index, wanted, frames, result.reads);
}

raft::Index Journal::first_index() const {
  return state_->first_index;
}

raft::Index Journal::last_index() const {
  return state_->last_durable;
}

std::uint64_t Journal::bytes_on_disk() const {
  std::uint64_t bytes = state_->prepared_bytes + state_->reserve_bytes;
  for (const SegmentInfo& segment : state_->segments)
    bytes += segment.bytes;
  return bytes;
}

}  // namespace raftd::storage
