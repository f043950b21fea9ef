#include "storage/old_entries.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "storage/format.h"

namespace raftd::storage {
namespace {

bool follows(const FrameAt& before, const FrameAt& after) {
  return before.segment_seq == after.segment_seq && before.offset + before.bytes == after.offset;
}

// Calls what(frame, number of the read, offset in it) for each frame.
template <class What>
void for_each_place(const std::vector<FrameAt>& frames, What what) {
  std::size_t read = 0;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i > 0) {
      const bool together = follows(frames[i - 1], frames[i]);
      read += together ? 0 : 1;
      offset = together ? offset + frames[i - 1].bytes : 0;
    }
    what(frames[i], read, offset);
  }
}

Error damaged(const FrameAt& frame, const std::string& why) {
  return {Errc::kCorrupt,
          strf("%s: frame at offset %llu, entries %llu to %llu, was good when it was written or "
               "recovered: %s",
               format::segment_name(frame.segment_seq).c_str(),
               static_cast<unsigned long long>(frame.offset),
               static_cast<unsigned long long>(frame.first.value),
               static_cast<unsigned long long>(frame.last.value), why.c_str())};
}

Result<std::vector<format::Record>> records_of(const FrameAt& frame, ByteView bytes) {
  const auto header = format::find_frame_header(bytes, frame.segment_seq, std::nullopt);
  if (!header) return damaged(frame, "its header is not there any more");
  if (sizeof(format::FrameHeader) + header->payload_bytes > bytes.size()) {
    return damaged(frame, strf("it has %zu bytes, expected %u", bytes.size(), frame.bytes));
  }
  std::vector<format::Record> records;
  const Status parsed = format::parse_records(*header, bytes, records);
  if (!parsed) return damaged(frame, parsed.error().message);
  return records;
}

struct Collector {
  const raft::LogRead& wanted;
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  bool done = false;

  raft::Index next() const { return wanted.first + entries.size(); }

  void take(const format::Record& record, const SharedBytes& owner) {
    if (record.header.kind != static_cast<std::uint8_t>(format::RecordKind::kEntry)) return;
    if (record.header.index != next().value) return;
    if (!entries.empty() && bytes + record.payload.size() > wanted.bytes_max) done = true;
    if (done) return;
    bytes += record.payload.size();
    entries.push_back({raft::Index{record.header.index},
                       raft::Term{record.header.term},
                       static_cast<raft::EntryKind>(record.header.entry_kind),
                       {owner.owner, record.payload}});
  }
};

}  // namespace

std::vector<FrameAt> frames_to_read(const FrameIndex& index, const raft::LogRead& wanted) {
  std::vector<FrameAt> chosen;
  if (index.find(wanted.first) == nullptr) return chosen;
  std::size_t bytes = 0;
  const std::vector<FrameAt>& frames = index.frames();
  for (std::size_t i = index.position(wanted.first); i < frames.size(); ++i) {
    if (frames[i].first > wanted.last) break;
    if (!chosen.empty() && bytes + frames[i].bytes > wanted.bytes_max) break;
    bytes += frames[i].bytes;
    chosen.push_back(frames[i]);
  }
  return chosen;
}

std::vector<DiskOp> read_ops(const std::vector<FrameAt>& frames) {
  std::vector<DiskOp> ops;
  for_each_place(frames, [&](const FrameAt& frame, std::size_t read, std::size_t) {
    if (read == ops.size()) {
      ops.emplace_back(ReadFile{format::segment_name(frame.segment_seq), frame.offset, 0});
    }
    std::get<ReadFile>(ops.back()).bytes += frame.bytes;
  });
  return ops;
}

Result<std::vector<raft::Entry>> decode_old_entries(
    const FrameIndex& index, const raft::LogRead& wanted, const std::vector<FrameAt>& frames,
    const std::vector<std::optional<Bytes>>& reads) {
  Collector collector{wanted, {}, 0, false};
  std::optional<Error> error;
  SharedBytes owner;
  std::size_t owned = reads.size();  // The read that owner is a copy of.
  for_each_place(frames, [&](const FrameAt& frame, std::size_t read, std::size_t offset) {
    if (collector.done || error) return;
    ASSERT_CMP(read, <, reads.size());
    // Overridden meanwhile, all of it or its end?
    const FrameAt* live = index.find(collector.next());
    if (!reads[read] || live == nullptr || live->segment_seq != frame.segment_seq ||
        live->offset != frame.offset) {
      collector.done = true;
      return;
    }
    if (owned != read) owner = share(Bytes(*reads[read]));
    owned = read;
    const std::size_t start = std::min(offset, owner.bytes.size());
    const std::size_t bytes = std::min<std::size_t>(frame.bytes, owner.bytes.size() - start);
    auto records = records_of(frame, owner.bytes.subspan(start, bytes));
    if (!records) {
      error = records.error();
      return;
    }
    const raft::Index last = std::min(live->last, wanted.last);
    for (const format::Record& record : *records) {
      if (collector.next() > last) break;
      collector.take(record, owner);
    }
    if (!collector.done && collector.next() <= last) {
      error = damaged(frame, strf("entry %llu is not in it",
                                  static_cast<unsigned long long>(collector.next().value)));
    }
    if (last < frame.last) collector.done = true;
  });
  if (error) return *std::move(error);
  return std::move(collector.entries);
}

}  // namespace raftd::storage
