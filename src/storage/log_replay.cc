#include "storage/log_replay.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

Error broken(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

bool is(const format::Record& record, format::RecordKind kind) {
  return record.header.kind == static_cast<std::uint8_t>(kind);
}

bool is_entry(const format::Record& record) {
  return is(record, format::RecordKind::kEntry);
}

// What an entry in memory costs besides its payload.
constexpr std::size_t kEntryOverheadBytes = sizeof(raft::Entry);

}  // namespace

void LogReplay::begin_log(raft::Index prev, raft::Term prev_term,
                          const raft::HardState& hard_state) {
  ASSERT(segments_.empty());
  first_index_ = prev.next();
  last_index_ = prev;
  prev_term_ = prev_term;
  hard_state_ = hard_state;
}

void LogReplay::begin_segment(std::uint64_t seq, std::uint64_t bytes) {
  segments_.push_back({seq, bytes, {}, {}});
}

void LogReplay::end_segment(std::uint64_t bytes) {
  ASSERT(!segments_.empty());
  segments_.back().bytes = bytes;
}

raft::Term LogReplay::last_term() const {
  return terms_.empty() ? prev_term_ : terms_.back().term;
}

raft::Term LogReplay::term_at(raft::Index index) const {
  const auto after = std::partition_point(
      terms_.begin(), terms_.end(), [&](const raft::TermRun& run) { return run.first <= index; });
  if (after != terms_.begin()) return std::prev(after)->term;
  return index == first_index_.prev() ? prev_term_ : raft::Term{};
}

void LogReplay::override_from(raft::Index first) {
  if (first > last_index_) return;
  while (!terms_.empty() && terms_.back().first >= first)
    terms_.pop_back();
  while (!configurations_.empty() && configurations_.back().index >= first) {
    configurations_.pop_back();
  }
  while (!tail_.empty() && tail_.back().index >= first) {
    tail_bytes_ -= tail_.back().payload.bytes.size() + kEntryOverheadBytes;
    tail_.pop_back();
  }
  index_.override_from(first);
  last_index_ = first.prev();
}

Status LogReplay::apply(const GoodFrame& frame, std::span<const format::Record> records) {
  ASSERT(!segments_.empty());
  ASSERT(!records.empty());
  const bool has_entries = std::any_of(records.begin(), records.end(), is_entry);
  SharedBytes shared;
  if (has_entries) shared = share(Bytes(frame.frame.begin(), frame.frame.end()));
  raft::Index first;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const format::Record& record = records[i];
    Status status = Done{};
    if (is_entry(record)) {
      if (first && record.header.index != last_index_.next().value) {
        status = broken(strf("entry has index %llu, expected %llu as the next of its frame",
                             Number{record.header.index}, Number{last_index_.next().value}));
      } else {
        if (!first) first = raft::Index{record.header.index};
        status = apply_entry(record, shared, frame);
      }
    } else if (is(record, format::RecordKind::kReset)) {
      status = i == 0 ? apply_reset(record)
                      : Status(broken("reset is not the first record of its frame"));
    } else if (is(record, format::RecordKind::kHardState)) {
      const bool leads = i == 0 || (i == 1 && is(records[0], format::RecordKind::kReset));
      status = leads ? apply_hard_state(record)
                     : Status(broken("hard state is not the first record of its frame"));
    } else {
      status = check_mark(record, records.size());
    }
    if (!status) {
      return broken(strf("record %zu at byte %zu of the frame: %s", i + 1, record.offset,
                         status.error().message.c_str()));
    }
  }
  frames_seen_ += 1;
  if (!has_entries) return Done{};
  if (hard_state_.term < last_term()) {
    return broken(strf("hard state has term %llu, expected at least the last entry's term %llu",
                       Number{hard_state_.term.value}, Number{last_term().value}));
  }
  index_.add({segments_.back().seq, frame.offset, frame.bytes, first, last_index_});
  SegmentInfo& segment = segments_.back();
  if (!segment.first || first < segment.first) segment.first = first;
  segment.last = std::max(segment.last, last_index_);
  return Done{};
}

Status LogReplay::apply_entry(const format::Record& record, const SharedBytes& frame,
                              const GoodFrame& at) {
  const raft::Index index{record.header.index};
  const raft::Term term{record.header.term};
  if (!index || index > last_index_.next()) {
    return broken(strf("entry has index %llu, expected at most %llu", Number{index.value},
                       Number{last_index_.next().value}));
  }
  const raft::Term before = term_at(index.prev());
  if (!term || term < before) {
    return broken(strf("entry %llu has term %llu, expected at least %llu", Number{index.value},
                       Number{term.value}, Number{std::max(before, raft::Term{1}).value}));
  }
  override_from(index);
  if (index < first_index_) {
    // It was written over entries whose older half is dropped by now: the log begins with it.
    first_index_ = index;
    prev_term_ = {};
  }
  const auto kind = static_cast<raft::EntryKind>(record.header.entry_kind);
  if (kind != raft::EntryKind::kNoop && kind != raft::EntryKind::kCommand &&
      kind != raft::EntryKind::kConfiguration) {
    return broken(strf("entry %llu has kind %u, expected 1, 2 or 3", Number{index.value},
                       record.header.entry_kind));
  }
  if (kind == raft::EntryKind::kNoop && !record.payload.empty()) {
    return broken(strf("entry %llu is a no-op of %zu bytes, expected none", Number{index.value},
                       record.payload.size()));
  }
  if (kind == raft::EntryKind::kConfiguration) {
    auto configuration = raft::decode_configuration(record.payload);
    if (!configuration) {
      return broken(strf("entry %llu is no configuration: %s", Number{index.value},
                         configuration.error().message.c_str()));
    }
    configurations_.push_back({index, *std::move(configuration)});
  }
  if (terms_.empty() || terms_.back().term != term) terms_.push_back({index, term});
  last_index_ = index;
  const auto start = static_cast<std::size_t>(record.payload.data() - at.frame.data());
  tail_.push_back(
      {index, term, kind, {frame.owner, frame.bytes.subspan(start, record.payload.size())}});
  tail_bytes_ += record.payload.size() + kEntryOverheadBytes;
  while (tail_bytes_ > tail_bytes_max_) {
    tail_bytes_ -= tail_.front().payload.bytes.size() + kEntryOverheadBytes;
    tail_.pop_front();
  }
  return Done{};
}

Status LogReplay::apply_hard_state(const format::Record& record) {
  const raft::HardState state{raft::Term{record.header.term}, raft::NodeId{record.header.index}};
  if (state.term < hard_state_.term) {
    return broken(strf("hard state has term %llu, expected at least %llu", Number{state.term.value},
                       Number{hard_state_.term.value}));
  }
  hard_state_ = state;
  return Done{};
}

// A snapshot was installed: the log is empty after it.
Status LogReplay::apply_reset(const format::Record& record) {
  const raft::Index index{record.header.index};
  const raft::Term term{record.header.term};
  if (!index || !term) {
    return broken(
        strf("reset to index %llu of term %llu", Number{index.value}, Number{term.value}));
  }
  terms_.clear();
  configurations_.clear();
  tail_.clear();
  tail_bytes_ = 0;
  index_ = FrameIndex();
  first_index_ = index.next();
  last_index_ = index;
  prev_term_ = term;
  reset_segment_seq_ = segments_.back().seq;
  return Done{};
}

// Seal and clean: alone in their frame, and they repeat where the log ends.
Status LogReplay::check_mark(const format::Record& record, std::size_t records_count) const {
  const auto kind = static_cast<format::RecordKind>(record.header.kind);
  if (kind != format::RecordKind::kSeal && kind != format::RecordKind::kClean) {
    return broken(strf("it has kind %u, expected 1 to 5", record.header.kind));
  }
  if (records_count != 1) {
    return broken(strf("%s is not alone in its frame", record_kind_name(kind)));
  }
  if (record.header.index != last_index_.value || record.header.term != last_term().value) {
    return broken(
        strf("%s says that the log ends at index %llu of term %llu, expected index %llu "
             "of term %llu",
             record_kind_name(kind), Number{record.header.index}, Number{record.header.term},
             Number{last_index_.value}, Number{last_term().value}));
  }
  return Done{};
}

raft::Durable LogReplay::take_durable() {
  raft::Durable durable;
  durable.hard_state = hard_state_;
  durable.first_index = first_index_;
  durable.prev_term = prev_term_;
  durable.last_index = last_index_;
  durable.terms = std::move(terms_);
  durable.configurations = std::move(configurations_);
  durable.tail.assign(tail_.begin(), tail_.end());
  return durable;
}

}  // namespace raftd::storage
