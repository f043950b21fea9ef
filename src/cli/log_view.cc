#include "cli/log_view.h"

#include <algorithm>

#include "base/text.h"
#include "storage/data_dir.h"
#include "storage/format.h"
#include "storage/verdict.h"

namespace raftd::cli {
namespace {

namespace format = storage::format;
using Number = unsigned long long;  // For strf.

class Viewer {
 public:
  Viewer(storage::DirectoryReader& directory, bool in_use)
      : directory_(directory), in_use_(in_use) {}

  Result<LogView> run() {
    TRY(const std::vector<storage::FileName> names, directory_.list());
    std::vector<std::uint64_t> segments;
    bool identity = false;
    for (const storage::FileName& name : names) {
      if (const auto seq = format::parse_segment_name(name)) segments.push_back(*seq);
      identity = identity || name == format::kIdentityName;
    }
    if (segments.empty() && !identity) {
      return Error{Errc::kBadInput, "this is no data directory: it has neither IDENTITY nor a log"};
    }
    Result<std::optional<storage::Identity>> read = storage::read_identity(directory_);
    if (read) {
      view_.identity = *read;
    } else {
      view_.damage.push_back(read.error().message);
    }
    std::sort(segments.begin(), segments.end());
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (i > 0 && segments[i] != segments[i - 1] + 1) {
        view_.damage.push_back(format::segment_name(segments[i - 1] + 1) + ": is missing");
      }
      segment(segments[i], i + 1 == segments.size());
    }
    return std::move(view_);
  }

 private:
  void segment(std::uint64_t seq, bool last) {
    SegmentView segment;
    segment.name = format::segment_name(seq);
    const Result<std::uint64_t> size = directory_.size(segment.name);
    Status status = Done{};
    if (size) {
      segment.bytes = *size;
      storage::SegmentReader reader(directory_, seq, *size);
      status = walk(reader, seq, last, segment);
    } else {
      status = size.error();
    }
    if (!status) wrong(segment, status.error().message);
    view_.segments.push_back(std::move(segment));
  }

  Status walk(storage::SegmentReader& reader, std::uint64_t seq, bool last, SegmentView& segment) {
    TRY(const std::optional<format::SegmentHeader> header, reader.header());
    if (!header) return no_header(reader, last, segment);
    segment.version = header->version;
    view_.hard_state = {raft::Term{header->hard_term}, raft::NodeId{header->hard_vote}};
    std::uint64_t frame_seq = header->frame_seq_first;
    std::vector<format::Record> records;
    bool sealed = false;
    while (!sealed) {
      TRY(const std::optional<storage::GoodFrame> frame, reader.next(frame_seq, records));
      if (!frame) break;
      for (const format::Record& record : records)
        take(record, seq, frame->offset, segment);
      ++frame_seq;
      sealed = frame->seals;
    }
    previous_sealed_ = sealed;
    TRY(const storage::SegmentRest rest, reader.rest(frame_seq));
    settle(rest, sealed, segment);
    return Done{};
  }

  // Prepared and not begun: all zeros. Else the node's first write into it was not finished, or it
  // is damaged.
  Status no_header(storage::SegmentReader& reader, bool last, SegmentView& segment) {
    TRY(const storage::SegmentRest rest, reader.rest(0));
    if (rest.zero && last) {
      segment.state = "prepared";
    } else if (in_use_ && last && previous_sealed_) {
      segment.state = "in use";
    } else {
      wrong(segment, segment.name + ": offset 0: " + reader.header_reason());
    }
    return Done{};
  }

  void take(const format::Record& record, std::uint64_t seq, std::uint64_t frame_offset,
            SegmentView& segment) {
    const raft::Index index{record.header.index};
    const raft::Term term{record.header.term};
    switch (static_cast<format::RecordKind>(record.header.kind)) {
      case format::RecordKind::kEntry:
        drop_from(index);
        view_.entries.push_back({index, term,
                                 static_cast<raft::EntryKind>(record.header.entry_kind), seq,
                                 frame_offset + record.offset + sizeof(format::RecordHeader),
                                 record.header.payload_bytes});
        view_.last_index = index;
        if (!segment.first) segment.first = index;
        segment.first = std::min(segment.first, index);
        segment.last = std::max(segment.last, index);
        break;
      case format::RecordKind::kHardState:
        view_.hard_state = {term, raft::NodeId{index.value}};
        break;
      case format::RecordKind::kReset:
        view_.entries.clear();
        view_.last_index = index;
        break;
      case format::RecordKind::kSeal:
      case format::RecordKind::kClean:
        break;
    }
  }

  void drop_from(raft::Index first) {
    while (!view_.entries.empty() && view_.entries.back().index >= first)
      view_.entries.pop_back();
  }

  void settle(const storage::SegmentRest& rest, bool sealed, SegmentView& segment) {
    storage::SegmentEnd end;
    end.header_valid = true;
    end.sealed = sealed;
    end.rest_zero = rest.zero;
    end.later_frame = rest.later_frame_offset.has_value();
    end.far_bytes = !rest.zero && rest.last_non_zero >= rest.offset + limits::kFrameBytesMax;
    end.newest = true;  // Whether a seal is missing is recovery's to say.
    const std::string at = strf("%s: offset %llu: ", segment.name.c_str(), Number{rest.offset});
    switch (storage::judge(end)) {
      case storage::Verdict::kSealed:
        segment.state = "sealed";
        return;
      case storage::Verdict::kEnd:
        segment.state = "in use";
        return;
      case storage::Verdict::kTorn:
        segment.state = "in use";
        if (!in_use_) wrong(segment, at + "torn tail: " + rest.reason);
        return;
      case storage::Verdict::kBytesAfterSeal:
        wrong(segment, at + "bytes after the seal, expected zeros");
        return;
      case storage::Verdict::kFrameLost:
      case storage::Verdict::kFarBytes:
      case storage::Verdict::kBadInside:
      case storage::Verdict::kSealMissing:
      case storage::Verdict::kNeverWritten:
      case storage::Verdict::kHeaderBad:
        wrong(segment, at + rest.reason + ", expected a good frame");
        return;
    }
  }

  void wrong(SegmentView& segment, const std::string& sentence) {
    segment.state = "damaged";
    view_.damage.push_back(sentence);
  }

  storage::DirectoryReader& directory_;
  bool in_use_;
  bool previous_sealed_ = false;
  LogView view_;
};

}  // namespace

Result<LogView> view_log(storage::DirectoryReader& directory, bool in_use) {
  return Viewer(directory, in_use).run();
}

Result<Bytes> read_payload(storage::DirectoryReader& directory, const EntryView& entry) {
  return directory.read(format::segment_name(entry.segment_seq), entry.offset, entry.bytes);
}

}  // namespace raftd::cli
