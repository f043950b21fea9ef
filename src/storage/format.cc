#include "storage/format.h"

#include <array>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/endian.h"
#include "base/text.h"

namespace raftd::storage::format {
namespace {

template <class T>
ByteView raw(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof(T)};
}

template <class T>
void append_raw(Bytes& out, const T& value) {
  const ByteView bytes = raw(value);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Copied: resize() would write them one by one.
void pad_to(Bytes& out, std::size_t bytes) {
  static constexpr std::array<std::byte, limits::kBlockBytes> kZeros{};
  ASSERT_CMP(bytes, >=, out.size());
  ASSERT_CMP(bytes - out.size(), <=, kZeros.size());
  out.insert(out.end(), kZeros.data(), kZeros.data() + (bytes - out.size()));
}

std::uint32_t header_crc(SegmentHeader header) {
  header.header_crc32c = 0;
  return crc32c(raw(header));
}

std::uint32_t header_crc(FrameHeader header) {
  header.header_crc32c = 0;
  return crc32c(raw(header));
}

template <class File>
std::uint32_t file_crc(File file) {
  file.crc32c = 0;
  return crc32c(raw(file));
}

std::uint32_t record_crc(const RecordHeader& header, ByteView payload) {
  return crc32c(payload, crc32c(raw(header).subspan(sizeof header.crc32c)));
}

constexpr std::string_view kTornPrefix = "torn-";
constexpr std::string_view kSnapshotPrefix = "snapshot-";
constexpr std::string_view kIncomingPrefix = "incoming-";

std::string two_numbers(std::uint64_t first, std::uint64_t second) {
  return strf("%020llu-%020llu", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(second));
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_two_numbers(std::string_view name,
                                                                         std::string_view prefix) {
  constexpr std::size_t kDigits = 20;
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view numbers = name.substr(prefix.size());
  if (numbers.size() != kDigits + 1 + kDigits) return std::nullopt;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  const bool parsed = parse_u64(numbers.substr(0, kDigits), first) &&
                      parse_u64(numbers.substr(kDigits + 1), second);
  if (!parsed || two_numbers(first, second) != numbers) return std::nullopt;
  return std::pair(first, second);
}

Error damaged(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

Status check_version(std::uint32_t version) {
  if (version == kVersion) return Done{};
  return damaged(strf("format version is %u, this raftd reads version %u", version, kVersion));
}

// What all small files have: one struct with a magic, a version and a checksum.
template <class File>
Result<File> parse_file(ByteView bytes, std::uint64_t magic) {
  if (bytes.size() != sizeof(File)) {
    return damaged(strf("it has %zu bytes, expected %zu", bytes.size(), sizeof(File)));
  }
  const auto file = load_le<File>(bytes);
  if (file.magic != magic) return damaged("its magic is wrong");
  const std::uint32_t crc = file_crc(file);
  if (file.crc32c != crc) return damaged(strf("crc is %08x, expected %08x", file.crc32c, crc));
  TRY([[maybe_unused]] const Done done, check_version(file.version));
  return file;
}

}  // namespace

std::string segment_name(std::uint64_t seq) {
  return strf("log-%020llu", static_cast<unsigned long long>(seq));
}

std::string torn_name(std::uint64_t seq, std::uint64_t offset) {
  return std::string(kTornPrefix) + two_numbers(seq, offset);
}

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  constexpr std::string_view kPrefix = "log-";
  std::uint64_t seq = 0;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  if (!parse_u64(name.substr(kPrefix.size()), seq)) return std::nullopt;
  if (segment_name(seq) != name) return std::nullopt;
  return seq;
}

std::string snapshot_name(std::uint64_t index, std::uint64_t term) {
  return std::string(kSnapshotPrefix) + two_numbers(index, term);
}

std::string incoming_name(std::uint64_t index, std::uint64_t term) {
  return std::string(kIncomingPrefix) + two_numbers(index, term);
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_snapshot_name(std::string_view name) {
  return parse_two_numbers(name, kSnapshotPrefix);
}

bool is_incoming_name(std::string_view name) {
  return parse_two_numbers(name, kIncomingPrefix).has_value();
}

bool is_torn_name(std::string_view name) {
  return parse_two_numbers(name, kTornPrefix).has_value();
}

bool is_before_name(std::string_view name) {
  if (!name.starts_with(kBeforePrefix)) return false;
  name.remove_prefix(kBeforePrefix.size());
  return name.size() == 16 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool is_unfinished_name(std::string_view name) {
  return name.ends_with(kUnfinishedSuffix);
}

bool is_damaged_name(std::string_view name) {
  if (!name.starts_with(kDamagedPrefix)) return false;
  name.remove_prefix(kDamagedPrefix.size());
  return parse_segment_name(name) || parse_snapshot_name(name);
}

void append_segment_header(Bytes& out, SegmentHeader header) {
  header.magic = kSegmentMagic;
  header.version = kVersion;
  header.header_crc32c = header_crc(header);
  const std::size_t start = out.size();
  append_raw(out, header);
  pad_to(out, start + limits::kBlockBytes);
}

Bytes encode_identity(IdentityFile identity) {
  identity.magic = kIdentityMagic;
  identity.version = kVersion;
  identity.crc32c = file_crc(identity);
  const ByteView bytes = raw(identity);
  return {bytes.begin(), bytes.end()};
}

Bytes encode_repair(RepairFile repair) {
  repair.magic = kRepairMagic;
  repair.version = kVersion;
  repair.crc32c = file_crc(repair);
  const ByteView bytes = raw(repair);
  return {bytes.begin(), bytes.end()};
}

Result<SegmentHeader> parse_segment_header(ByteView block) {
  if (block.size() < sizeof(SegmentHeader)) {
    return damaged(
        strf("segment header is %zu bytes, expected %zu", block.size(), sizeof(SegmentHeader)));
  }
  const auto header = load_le<SegmentHeader>(block);
  if (header.magic != kSegmentMagic) {
    return damaged(strf("segment magic is %016llx, expected %016llx",
                        static_cast<unsigned long long>(header.magic),
                        static_cast<unsigned long long>(kSegmentMagic)));
  }
  const std::uint32_t crc = header_crc(header);
  if (header.header_crc32c != crc) {
    return damaged(strf("segment header's crc is %08x, expected %08x", header.header_crc32c, crc));
  }
  return header;
}

Result<IdentityFile> parse_identity(ByteView bytes) {
  TRY(const auto file, parse_file<IdentityFile>(bytes, kIdentityMagic));
  if (file.node_id == 0) return damaged("node id is 0");
  return file;
}

Result<RepairFile> parse_repair(ByteView bytes) {
  return parse_file<RepairFile>(bytes, kRepairMagic);
}

FrameWriter::FrameWriter(Bytes& out, const Place& place) : out_(out), start_(out.size()) {
  header_.magic = kFrameMagic;
  header_.incarnation = place.incarnation;
  header_.segment_seq = place.segment_seq;
  header_.frame_seq = place.frame_seq;
  append_raw(out_, header_);  // Its final value comes with finish().
}

std::uint32_t FrameWriter::add(RecordHeader header, ByteView payload) {
  ASSERT_CMP(payload.size(), <=, limits::kEntryBytesMax);
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.crc32c = record_crc(header, payload);
  append_raw(out_, header);
  out_.insert(out_.end(), payload.begin(), payload.end());
  pad_to(out_, round_up(out_.size(), 8));
  header_.record_count += 1;
  header_.payload_crc32c = crc32c(raw(header.crc32c), header_.payload_crc32c);
  return header.crc32c;
}

void FrameWriter::finish() {
  ASSERT_CMP(header_.record_count, >, 0U);
  ASSERT_CMP(header_.header_crc32c, ==, 0U);
  const std::size_t bytes = out_.size() - start_;
  ASSERT_CMP(bytes, <=, limits::kFrameBytesMax);
  header_.payload_bytes = static_cast<std::uint32_t>(bytes - sizeof(FrameHeader));
  header_.header_crc32c = header_crc(header_);
  store_le(std::span(out_), start_, header_);
  pad_to(out_, start_ + round_up(bytes, limits::kBlockBytes));
}

std::optional<FrameHeader> find_frame_header(ByteView bytes, std::uint64_t segment_seq,
                                             std::optional<std::uint64_t> incarnation) {
  if (bytes.size() < sizeof(FrameHeader)) return std::nullopt;
  const auto header = load_le<FrameHeader>(bytes);
  if (header.magic != kFrameMagic) return std::nullopt;
  if (header.segment_seq != segment_seq) return std::nullopt;
  if (incarnation && header.incarnation != *incarnation) return std::nullopt;
  if (header.header_crc32c != header_crc(header)) return std::nullopt;
  return header;
}

Status parse_records(const FrameHeader& header, ByteView frame, std::vector<Record>& records) {
  ASSERT_CMP(sizeof(FrameHeader) + header.payload_bytes, <=, frame.size());
  const std::size_t end = sizeof(FrameHeader) + header.payload_bytes;
  std::uint32_t crc_of_crcs = 0;
  records.clear();
  std::size_t at = sizeof(FrameHeader);
  while (at < end) {
    const auto number = static_cast<unsigned>(records.size() + 1);
    if (end - at < sizeof(RecordHeader)) {
      return damaged(strf("record %u: its header does not end inside the frame", number));
    }
    const auto record = load_le<RecordHeader>(frame, at);
    if (record.payload_bytes > end - at - sizeof(RecordHeader) ||
        record_bytes(record.payload_bytes) > end - at) {
      return damaged(
          strf("record %u: %u bytes do not end inside the frame", number, record.payload_bytes));
    }
    const ByteView payload = frame.subspan(at + sizeof(RecordHeader), record.payload_bytes);
    const std::uint32_t crc = record_crc(record, payload);
    if (record.crc32c != crc) {
      return damaged(strf("record %u (term %llu, index %llu): crc is %08x, expected %08x", number,
                          static_cast<unsigned long long>(record.term),
                          static_cast<unsigned long long>(record.index), record.crc32c, crc));
    }
    crc_of_crcs = crc32c(raw(record.crc32c), crc_of_crcs);
    records.push_back({record, payload, at});
    at += record_bytes(record.payload_bytes);
  }
  if (records.size() != header.record_count) {
    return damaged(strf("it has %zu records, expected %u", records.size(), header.record_count));
  }
  if (crc_of_crcs != header.payload_crc32c) {
    return damaged(
        strf("crc of its records is %08x, expected %08x", header.payload_crc32c, crc_of_crcs));
  }
  return Done{};
}

const char* record_kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kEntry:
      return "entry";
    case RecordKind::kHardState:
      return "hard_state";
    case RecordKind::kSeal:
      return "seal";
    case RecordKind::kClean:
      return "clean";
    case RecordKind::kReset:
      return "reset";
  }
  return "unknown";
}

}  // namespace raftd::storage::format
