#include "sim/disk_log.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/endian.h"
#include "machine/state_machine.h"
#include "storage/format.h"

namespace raftd::sim {
namespace {

namespace format = storage::format;

LogSlot slot_of(raft::Term term, raft::EntryKind kind, ByteView payload, const LogSlot* before) {
  std::uint64_t stamp = static_cast<std::uint64_t>(kind);
  if (kind == raft::EntryKind::kCommand && payload.size() >= machine::kStampBytes) {
    stamp = load_le<std::uint64_t>(payload);
    payload = payload.subspan(machine::kStampBytes);
  }
  const std::uint32_t crc = crc32c(payload);
  std::uint64_t chain = before == nullptr ? 0x6c6f67 : before->chain;
  for (const std::uint64_t part : {term.value, stamp, std::uint64_t{crc}})
    chain = digest_mix(chain ^ part) + 0x9e3779b97f4a7c15;
  return {term, crc, chain | 1};
}

void apply_entries(LogImage& image, raft::Index first, const std::vector<LogSlot>& entries) {
  if (entries.empty()) return;
  ASSERT_CMP(first.value, <=, image.slots.size() + 1);
  image.slots.resize(first.value - 1);
  image.slots.insert(image.slots.end(), entries.begin(), entries.end());
}

}  // namespace

// The state of a snapshot stands for the entries that are committed up to it.
void DiskLog::reset(LogImage& image, raft::Index to) const {
  image.slots.clear();
  for (raft::Index index{1}; index <= to; index = index.next())
    image.slots.push_back(observer_->committed(index));
}

void DiskLog::apply(LogImage& image, const Frame& frame) const {
  if (frame.reset) reset(image, frame.reset);
  if (frame.hard) image.hard = *frame.hard;
  apply_entries(image, frame.first, frame.entries);
}

bool DiskLog::leads_up() const {
  if (snapshots_.empty()) return true;
  const raft::Index newest = *snapshots_.rbegin();
  return durable_.chain_at(newest) == observer_->committed(newest).chain;
}

const LogSlot* DiskLog::at(raft::Index index) const {
  if (index && index <= last()) {
    return leads_up() ? durable_.at(index) : &observer_->committed(index);
  }
  return index && index.value <= owed_.size() ? &owed_[index.value - 1] : nullptr;
}

// Whether recovery found this image. Its tail is compared by what the entries hold; what is dropped
// at its beginning is in the snapshot. A log that does not lead up to the snapshot will be reset.
bool DiskLog::same(const LogImage& image, const raft::Durable& recovered) const {
  if (image.hard != recovered.hard_state || image.last() != recovered.last_index) return false;
  for (std::size_t i = 0; i < recovered.terms.size(); ++i) {
    const raft::TermRun& run = recovered.terms[i];
    const raft::Index end =
        i + 1 == recovered.terms.size() ? image.last() : recovered.terms[i + 1].first.prev();
    if (image.at(run.first) == nullptr || image.at(run.first)->term != run.term) return false;
    if (image.at(end) == nullptr || image.at(end)->term != run.term) return false;
  }
  return std::ranges::all_of(recovered.tail, [&](const raft::Entry& entry) {
    const LogSlot* slot = image.at(entry.index);
    if (slot == nullptr) return false;
    const LogSlot* before = image.at(entry.index.prev());
    return slot->chain == slot_of(entry.term, entry.kind, entry.payload.bytes, before).chain;
  });
}

void DiskLog::wrote(FileNumber file, std::uint64_t offset, ByteView bytes) {
  if (frozen_) return;
  if (offset == 0) {
    if (bytes.size() < limits::kBlockBytes) return;
    bytes = bytes.subspan(limits::kBlockBytes);
  }
  while (bytes.size() >= sizeof(format::FrameHeader)) {
    const std::size_t used = parse(file, bytes);
    if (used == 0 || used >= bytes.size()) return;
    bytes = bytes.subspan(used);
  }
}

// One frame. Its checksums are recovery's business. Gives its bytes; 0: none is there.
std::size_t DiskLog::parse(FileNumber file, ByteView bytes) {
  format::FrameHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != format::kFrameMagic) return 0;
  ASSERT_CMP(sizeof header + header.payload_bytes, <=, bytes.size());
  Frame frame;
  frame.file = file;
  ByteView rest = bytes.subspan(sizeof header, header.payload_bytes);
  const LogSlot* before = nullptr;
  for (std::uint32_t i = 0; i < header.record_count; ++i) {
    format::RecordHeader record;
    ASSERT_CMP(rest.size(), >=, sizeof record);
    std::memcpy(&record, rest.data(), sizeof record);
    if (static_cast<format::RecordKind>(record.kind) == format::RecordKind::kReset) {
      frame.reset = {record.index};
      reset(written_, frame.reset);
    } else if (static_cast<format::RecordKind>(record.kind) == format::RecordKind::kHardState) {
      frame.hard = raft::HardState{{record.term}, {record.index}};
    } else if (static_cast<format::RecordKind>(record.kind) == format::RecordKind::kEntry) {
      if (frame.entries.empty()) {
        frame.first = {record.index};
        before = written_.at(frame.first.prev());
      }
      frame.entries.push_back(slot_of({record.term},
                                      static_cast<raft::EntryKind>(record.entry_kind),
                                      rest.subspan(sizeof record, record.payload_bytes), before));
      before = &frame.entries.back();
    }
    rest = rest.subspan(
        std::min<std::size_t>(rest.size(), format::record_bytes(record.payload_bytes)));
  }
  if (frame.hard) {
    if (observer_ != nullptr) observer_->hard_state(written_.hard, *frame.hard);
    written_.hard = *frame.hard;
  }
  apply_entries(written_, frame.first, frame.entries);
  for (std::size_t i = 0; i < frame.entries.size() && observer_ != nullptr; ++i)
    observer_->wrote(written_, frame.first + i);
  unsynced_.push_back(std::move(frame));
  return format::frame_bytes(header.payload_bytes);
}

void DiskLog::synced(FileNumber file) {
  if (frozen_ || unsynced_.empty()) return;
  for (Frame& frame : unsynced_)
    frame.synced = frame.synced || frame.file == file;
  settle();
}

void DiskLog::named(FileNumber file) {
  if (named_.insert(file).second) settle();
}

// A frame counts only behind all that came before it: recovery reads no farther than a gap.
void DiskLog::settle() {
  while (!frozen_ && !unsynced_.empty() && unsynced_.front().synced &&
         named_.contains(unsynced_.front().file)) {
    const Frame frame = std::move(unsynced_.front());
    unsynced_.pop_front();
    make_durable(frame);
  }
}

void DiskLog::make_durable(const Frame& frame) {
  std::optional<std::vector<LogSlot>> all;
  if (frame.reset) {
    const LogImage before = durable_;
    all = before.slots;
    reset(durable_, frame.reset);
    // Nothing that was committed may go with what is reset.
    for (raft::Index index{1}; index <= before.last() && observer_ != nullptr;
         index = index.next()) {
      if (before.chain_at(index) != durable_.chain_at(index)) {
        observer_->replaced(index, *before.at(index));
      }
    }
  }
  undo_ = {durable_.hard, durable_.slots.size(), {}, std::move(all)};
  if (frame.hard) durable_.hard = *frame.hard;
  if (frame.entries.empty()) return settle_debt();
  undo_.kept = frame.first.value - 1;
  for (raft::Index index = frame.first; index <= durable_.last(); index = index.next()) {
    const LogSlot& slot = *durable_.at(index);
    const std::size_t at = index - frame.first;
    const bool kept = at < frame.entries.size() && frame.entries[at].chain == slot.chain;
    if (!kept && observer_ != nullptr) observer_->replaced(index, slot);
    undo_.removed.push_back(slot);
  }
  apply_entries(durable_, frame.first, frame.entries);
  settle_debt();
}

void DiskLog::forgive(std::size_t kept) {
  for (std::size_t i = kept; i < owed_.size() && observer_ != nullptr; ++i)
    observer_->replaced({i + 1}, owed_[i]);
  owed_.resize(std::min(kept, owed_.size()));
}

// What the log now holds instead, or holds again.
void DiskLog::settle_debt() {
  if (!promised_) return;
  std::size_t same = std::min(owed_.size(), durable_.slots.size());
  while (same > 0 && owed_[same - 1].chain != durable_.slots[same - 1].chain)
    --same;
  if (same < durable_.slots.size()) forgive(same);
  const raft::Term term = durable_.slots.empty() ? raft::Term{} : durable_.slots.back().term;
  if (raft::LogPosition{term, durable_.last()} < *promised_) return;
  forgive(durable_.slots.size());
  owed_.clear();
  promised_.reset();
}

// How many of the frames that were not synced must have survived; the most that fit.
std::optional<std::size_t> DiskLog::frames_in(const raft::Durable& recovered) const {
  std::optional<std::size_t> found;
  if (same(durable_, recovered)) found = 0;
  if (unsynced_.empty()) return found;
  LogImage image = durable_;
  for (std::size_t i = 0; i < unsynced_.size(); ++i) {
    apply(image, unsynced_[i]);
    if (same(image, recovered)) found = i + 1;
  }
  return found;
}

LogImage DiskLog::before_last_frame() const {
  LogImage before = durable_;
  before.hard = undo_.hard;
  before.slots.resize(undo_.kept);
  before.slots.insert(before.slots.end(), undo_.removed.begin(), undo_.removed.end());
  if (undo_.all) before.slots = *undo_.all;
  return before;
}

DiskLog::Found DiskLog::compare(const raft::Durable& recovered) const {
  if (frames_in(recovered)) return Found::kAll;
  return same(before_last_frame(), recovered) ? Found::kLastFrameLost : Found::kSomethingElse;
}

LogImage DiskLog::with_owed(LogImage image) const {
  if (owed_.size() > image.slots.size()) {
    image.slots.insert(image.slots.end(),
                       owed_.begin() + static_cast<std::ptrdiff_t>(image.slots.size()),
                       owed_.end());
  }
  return image;
}

DiskLog::Found DiskLog::repaired(const raft::Durable& recovered, raft::LogPosition promised) {
  const auto kept = [&](const LogImage& image) {
    const raft::Term term = image.slots.empty() ? raft::Term{} : image.slots.back().term;
    const bool hard = recovered.hard_state == image.hard ||
                      recovered.hard_state == raft::HardState{{image.hard.term.value + 1}, {}};
    return hard && raft::LogPosition{term, image.last()} <= promised;
  };
  LogImage image = durable_;
  bool all = kept(with_owed(image));
  for (const Frame& frame : unsynced_) {
    apply(image, frame);
    all = all || kept(with_owed(image));
  }
  if (!all) return kept(before_last_frame()) ? Found::kLastFrameLost : Found::kSomethingElse;
  owed_ = with_owed(durable_).slots;
  promised_ = promised;
  durable_.hard = recovered.hard_state;
  reset(durable_, recovered.snapshot ? recovered.snapshot->id.last_index : raft::Index{});
  if (!same(durable_, recovered)) return Found::kSomethingElse;
  unsynced_.clear();
  written_ = durable_;
  undo_ = {durable_.hard, durable_.slots.size(), {}};
  settle_debt();
  return Found::kAll;
}

void DiskLog::accept(const raft::Durable& recovered) {
  const std::optional<std::size_t> frames = frames_in(recovered);
  ASSERT(frames.has_value());
  for (std::size_t i = 0; i < *frames; ++i)
    make_durable(unsynced_[i]);
  unsynced_.clear();
  written_ = durable_;
  undo_ = {durable_.hard, durable_.slots.size(), {}};  // A seal is the last frame now.
  frozen_ = false;
}

}  // namespace raftd::sim
