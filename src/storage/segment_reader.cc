#include "storage/segment_reader.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kWindowBytes = 1 * limits::kMiB;

// Offset of the last byte that is not zero; nullopt: all are. Eight at a time.
std::optional<std::size_t> last_non_zero(ByteView bytes) {
  std::size_t end = bytes.size();
  for (; end >= 8; end -= 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + end - 8, 8);
    if (word != 0) break;
  }
  for (; end > 0; --end) {
    if (bytes[end - 1] != std::byte{0}) return end - 1;
  }
  return std::nullopt;
}

}  // namespace

FileWindow::FileWindow(DirectoryReader& directory, FileName name, std::uint64_t size)
    : directory_(directory), name_(std::move(name)), size_(size), read_bytes_min_(kWindowBytes) {}

Result<ByteView> FileWindow::at(std::uint64_t offset, std::uint64_t bytes) {
  if (offset >= size_) return ByteView{};
  bytes = std::min(bytes, size_ - offset);
  if (offset < start_ || offset + bytes > start_ + buffer_.size()) {
    auto read = directory_.read(name_, offset, std::max(bytes, read_bytes_min_));
    if (!read) {
      return Error{Errc::kCorrupt,
                   strf("%s: offset %llu cannot be read (%s)", name_.c_str(),
                        static_cast<unsigned long long>(offset), read.error().message.c_str())};
    }
    buffer_ = *std::move(read);
    start_ = offset;
    if (buffer_.size() < bytes) {
      return Error{Errc::kCorrupt,
                   strf("%s: it ends at offset %llu, expected %llu bytes", name_.c_str(),
                        static_cast<unsigned long long>(offset + buffer_.size()),
                        static_cast<unsigned long long>(size_))};
    }
  }
  return ByteView(buffer_).subspan(offset - start_, bytes);
}

Result<std::optional<format::SegmentHeader>> SegmentReader::header() {
  TRY(const ByteView block, window_.at(0, limits::kBlockBytes));
  auto header = format::parse_segment_header(block);
  if (!header) {
    header_reason_ = header.error().message;
    return std::optional<format::SegmentHeader>{};
  }
  incarnation_ = header->incarnation;
  offset_ = limits::kBlockBytes;
  return std::optional(*header);
}

Result<std::optional<GoodFrame>> SegmentReader::next(std::uint64_t expected_seq,
                                                     std::vector<format::Record>& records) {
  ASSERT(incarnation_);
  TRY(const ByteView head, window_.at(offset_, sizeof(format::FrameHeader)));
  const auto header = format::find_frame_header(head, seq_, incarnation_);
  if (header && header->frame_seq != expected_seq) {
    frame_reason_ = strf("frame %llu is there", static_cast<unsigned long long>(header->frame_seq));
    return std::optional<GoodFrame>{};
  }
  TRY(const std::optional<GoodFrame> good, read_frame(offset_, records));
  if (good) offset_ += good->bytes;
  return good;
}

Result<std::optional<GoodFrame>> SegmentReader::read_frame(std::uint64_t offset,
                                                           std::vector<format::Record>& records) {
  const std::optional<GoodFrame> none;
  TRY(const ByteView head, window_.at(offset, sizeof(format::FrameHeader)));
  const auto header = format::find_frame_header(head, seq_, incarnation_);
  if (!header) {
    frame_reason_ = head.empty() ? "the file ends" : "no frame header is there";
    return none;
  }
  const std::uint64_t bytes = format::frame_bytes(header->payload_bytes);
  if (bytes > limits::kFrameBytesMax ||
      sizeof(format::FrameHeader) + header->payload_bytes > size() - offset) {
    frame_reason_ = strf("its %u bytes do not end inside the file", header->payload_bytes);
    return none;
  }
  TRY(const ByteView frame,
      window_.at(offset, sizeof(format::FrameHeader) + header->payload_bytes));
  const auto parsed = format::parse_records(*header, frame, records);
  if (!parsed) {
    frame_reason_ = parsed.error().message;
    return none;
  }
  GoodFrame good{*header, offset, static_cast<std::uint32_t>(bytes), frame, false};
  if (records.size() == 1) {
    const auto kind = static_cast<format::RecordKind>(records[0].header.kind);
    good.seals = kind == format::RecordKind::kSeal || kind == format::RecordKind::kClean;
  }
  return std::optional(good);
}

Result<SegmentRest> SegmentReader::rest(std::uint64_t frame_seq) {
  SegmentRest rest;
  rest.offset = offset_;
  rest.frame_seq = frame_seq;
  rest.reason = frame_reason_;
  for (std::uint64_t at = offset_; at < size(); at += kWindowBytes) {
    TRY(const ByteView part, window_.at(at, kWindowBytes));
    const auto non_zero = last_non_zero(part);
    if (!non_zero) continue;
    rest.zero = false;
    rest.last_non_zero = at + *non_zero;
    for (std::size_t block = 0; block < *non_zero; block += limits::kBlockBytes) {
      const auto header = format::find_frame_header(part.subspan(block), seq_, incarnation_);
      if (!header || header->frame_seq <= frame_seq || rest.later_frame_offset) continue;
      rest.later_frame_offset = at + block;
      rest.later_frame_seq = header->frame_seq;
    }
  }
  return rest;
}

FoundFrames SegmentReader::find_frames() {
  window_.narrow();
  FoundFrames found;
  found.end = incarnation_ ? limits::kBlockBytes : 0;
  std::vector<format::Record> records;
  for (std::uint64_t at = found.end; at < size();) {
    const auto frame = read_frame(at, records);
    if (frame && *frame) {
      found.frames.push_back({(*frame)->header.frame_seq, at});
      at += (*frame)->bytes;
      found.end = at;
      continue;
    }
    const auto block = window_.at(at, limits::kBlockBytes);
    at += limits::kBlockBytes;
    if (!block || last_non_zero(*block)) found.last_unknown_end = at;
  }
  std::sort(found.frames.begin(), found.frames.end());
  return found;
}

Result<bool> all_zero(DirectoryReader& directory, const FileName& name, std::uint64_t size) {
  FileWindow window(directory, name, size);
  for (std::uint64_t at = 0; at < size; at += kWindowBytes) {
    TRY(const ByteView part, window.at(at, kWindowBytes));
    if (last_non_zero(part)) return false;
  }
  return true;
}

}  // namespace raftd::storage
