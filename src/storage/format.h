// The bytes on disk, as disk-format.md describes them. Every struct here is little-endian, has no
// padding, and is checked by a static_assert and by a golden-file test.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace raftd::storage::format {

static_assert(std::endian::native == std::endian::little, "port encode and decode first");

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kSegmentMagic = 0x31474553'44544652;   // "RFTDSEG1"
inline constexpr std::uint32_t kFrameMagic = 0x4d524652;              // "RFRM"
inline constexpr std::uint64_t kIdentityMagic = 0x314e4449'44544652;  // "RFTDIDN1"
inline constexpr std::uint64_t kRepairMagic = 0x31504552'44544652;    // "RFTDREP1"
inline constexpr std::uint64_t kSnapshotMagic = 0x31504e53'44544652;  // "RFTDSNP1"

// Offset 0 of every segment; the rest of the first block is zero.
struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_crc32c;  // Of this struct with this field zero.
  std::uint8_t cluster_id[16];
  std::uint64_t node_id;
  std::uint64_t segment_seq;      // 1, 2, 3...: equal to the number in the file's name.
  std::uint64_t incarnation;      // Random, drawn at each start: no stale frame ever matches.
  std::uint64_t frame_seq_first;  // The first frame here has this sequence number.
  std::uint64_t prev_index;       // The log as it was when this segment was begun:
  std::uint64_t prev_term;        //   position before the first entry in it,
  std::uint64_t hard_term;        //   and the hard state, so older segments can go.
  std::uint64_t hard_vote;
  std::uint64_t snapshot_index;  // A snapshot at least this new was durable by then; zero: none.
  std::uint64_t snapshot_term;
  std::uint32_t prev_seal_crc32c;  // Of the previous segment's last record; zero in the first.
  std::uint32_t reserved;          // Zero.
  std::uint64_t created_unix_ns;   // For people only.
};
static_assert(sizeof(SegmentHeader) == 128);
static_assert(std::has_unique_object_representations_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, cluster_id) == 16);

// One frame is what one sync made durable. Starts at a multiple of kBlockBytes, ends padded
// with zeros to the next: a durable block is never written again.
struct FrameHeader {
  std::uint32_t magic;
  std::uint32_t header_crc32c;  // Of this struct with this field zero.
  std::uint64_t incarnation;
  std::uint64_t segment_seq;
  std::uint64_t frame_seq;      // Previous frame's plus one, across segments.
  std::uint32_t payload_bytes;  // Records only, without header and padding.
  std::uint32_t record_count;
  std::uint32_t payload_crc32c;  // Of the record headers' crc fields, in order: cheap and binding.
  std::uint32_t reserved;        // Zero.
};
static_assert(sizeof(FrameHeader) == 48);
static_assert(std::has_unique_object_representations_v<FrameHeader>);

enum class RecordKind : std::uint8_t {
  kEntry = 1,
  kHardState = 2,
  kSeal = 3,   // The last record of a finished segment: only zeros follow.
  kClean = 4,  // A seal written by a clean shutdown: nothing was in flight.
  kReset = 5,  // A snapshot of (index, term) was installed; the log is empty after it.
};

struct RecordHeader {
  std::uint32_t crc32c;  // Of the rest of this header and of the payload.
  std::uint32_t payload_bytes;
  std::uint8_t kind;
  std::uint8_t entry_kind;  // raft::EntryKind, or zero.
  std::uint16_t reserved0;  // Zero.
  std::uint32_t reserved1;  // Zero.
  std::uint64_t term;
  std::uint64_t index;
};
static_assert(sizeof(RecordHeader) == 32);
static_assert(std::has_unique_object_representations_v<RecordHeader>);
static_assert(limits::kEntryBytesMax + sizeof(FrameHeader) + sizeof(RecordHeader) + 8 <=
              limits::kFrameBytesMax);

// Written once, when the data directory is made.
struct IdentityFile {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t crc32c;  // Of this struct with this field zero.
  std::uint8_t cluster_id[16];
  std::uint64_t node_id;
  std::uint64_t instance;  // Random, drawn once: the same id on an empty disk is another one.
};
static_assert(sizeof(IdentityFile) == 48);
static_assert(std::has_unique_object_representations_v<IdentityFile>);

// What a repair decided. It stays until the log holds again what it held before (repair.h).
struct RepairFile {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t crc32c;  // Of this struct with this field zero.
  std::uint8_t cluster_id[16];
  std::uint64_t node_id;
  std::uint64_t incarnation;  // Of the segment that the log begins with from now on,
  std::uint64_t segment_seq;  //   its number,
  std::uint64_t frame_seq;    //   and that of its first frame.
  std::uint64_t hard_term;
  std::uint64_t hard_vote;
  std::uint64_t promised_term;  // Where the damaged log ended, or could have.
  std::uint64_t promised_index;
  std::uint64_t snapshot_index;  // What is left: this snapshot; zero: nothing.
  std::uint64_t snapshot_term;
};
static_assert(sizeof(RepairFile) == 112);
static_assert(std::has_unique_object_representations_v<RepairFile>);

// A snapshot file: this, the meta, the body in chunks with a crc32c behind each, the trailer.
struct SnapshotHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_crc32c;  // Of this struct with this field zero, and of the meta.
  std::uint8_t cluster_id[16];
  std::uint64_t last_index;
  std::uint64_t last_term;
  std::uint64_t body_bytes;   // Without checksums.
  std::uint32_t meta_bytes;   // SnapshotMetaHeader, configuration, machine name.
  std::uint32_t chunk_bytes;  // Every chunk but the last has as many.
};
static_assert(sizeof(SnapshotHeader) == 64);
static_assert(std::has_unique_object_representations_v<SnapshotHeader>);

struct SnapshotMetaHeader {
  std::uint64_t configuration_index;
  std::uint64_t cluster_time_ms;
  std::uint32_t configuration_bytes;  // Encoded as in an entry.
  std::uint32_t machine_name_bytes;   // For example "kv/1"; another name: refuse.
};
static_assert(sizeof(SnapshotMetaHeader) == 24);
static_assert(std::has_unique_object_representations_v<SnapshotMetaHeader>);

struct SnapshotTrailer {
  std::uint32_t digest;  // crc32c of all chunk checksums, in order.
  std::uint32_t digest_inverted;
};
static_assert(sizeof(SnapshotTrailer) == 8);

// Payload of an entry of kind kConfiguration: this, then the ids (u64 each: voters, outgoing
// voters, learners), then for each member {id u64, address_bytes u16, address}.
struct ConfigurationHeader {
  std::uint8_t version;
  std::uint8_t reserved;  // Zero.
  std::uint8_t voters_count;
  std::uint8_t voters_outgoing_count;
  std::uint8_t learners_count;
  std::uint8_t members_count;
  std::uint16_t reserved1;  // Zero.
};
static_assert(sizeof(ConfigurationHeader) == 8);
static_assert(std::has_unique_object_representations_v<ConfigurationHeader>);
static_assert(limits::kMembersMax <= 255);

// Payload of an entry of kind kCommand: this, then the command of the state machine.
struct CommandHeader {
  std::uint64_t cluster_time_ms;
};
static_assert(sizeof(CommandHeader) == 8);

// Names in a data directory. A name holds only what never changes.
inline constexpr std::string_view kLockName = "LOCK";
inline constexpr std::string_view kIdentityName = "IDENTITY";
inline constexpr std::string_view kReserveName = "reserve";
inline constexpr std::string_view kRepairName = "REPAIR";
inline constexpr std::string_view kTicketName = "TICKET";  // Of a node that joins: see data_dir.h.
inline constexpr std::string_view kRemovedName = "REMOVED";     // See storage/removal.h.
inline constexpr std::string_view kDamagedPrefix = "damaged-";  // Before a name: set aside.
inline constexpr std::string_view kUnfinishedSuffix = ".tmp";
inline constexpr std::string_view kFoundingName = "founding";  // See storage/founding.h;
inline constexpr std::string_view kBeforePrefix = "before-";   //   a directory.

std::string segment_name(std::uint64_t seq);                         // log-%020llu
std::string torn_name(std::uint64_t seq, std::uint64_t offset);      // torn-%020llu-%020llu
std::string snapshot_name(std::uint64_t index, std::uint64_t term);  // snapshot-%020llu-%020llu
std::string incoming_name(std::uint64_t index, std::uint64_t term);  // incoming-%020llu-%020llu
std::optional<std::uint64_t> parse_segment_name(std::string_view);   // nullopt: not one.
// Index and term; nullopt: not the name of a snapshot.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_snapshot_name(std::string_view);
bool is_incoming_name(std::string_view name);
bool is_torn_name(std::string_view name);
bool is_unfinished_name(std::string_view name);  // Ends with .tmp.
bool is_damaged_name(std::string_view name);     // A segment or a snapshot that a repair set aside.
bool is_before_name(std::string_view name);      // before-, 16 hex digits.

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}
// Of a record with its padding, and of a frame with its own, given its records' bytes.
constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes) {
  return sizeof(RecordHeader) + round_up(payload_bytes, 8);
}
constexpr std::uint64_t frame_bytes(std::uint64_t records_bytes) {
  return round_up(sizeof(FrameHeader) + records_bytes, limits::kBlockBytes);
}

// Magic, version and checksum are filled in; the other fields are the caller's.
void append_segment_header(Bytes& out, SegmentHeader header);  // A whole block.
Bytes encode_identity(IdentityFile identity);
Bytes encode_repair(RepairFile repair);

// The errors say what was found and what was expected; the caller adds the file.
Result<SegmentHeader> parse_segment_header(ByteView block);
Result<IdentityFile> parse_identity(ByteView file);
Result<RepairFile> parse_repair(ByteView file);

// One frame, written behind what is in a buffer already. Payloads are copied once and hashed once.
class FrameWriter {
 public:
  struct Place {
    std::uint64_t incarnation = 0;
    std::uint64_t segment_seq = 0;
    std::uint64_t frame_seq = 0;
  };
  // Precondition: out outlives the writer.
  FrameWriter(Bytes& out, const Place& place);

  // The record's checksum.
  std::uint32_t add(RecordHeader header, ByteView payload);
  void finish();  // Header and padding. Precondition: something was added.

 private:
  Bytes& out_;
  std::size_t start_;
  FrameHeader header_{};
};

// The frame header at the front of these bytes, if it is a valid one of this segment: magic,
// checksum, number of the segment and, where it is known, its incarnation. Whether the frame is
// good is another question.
std::optional<FrameHeader> find_frame_header(ByteView bytes, std::uint64_t segment_seq,
                                             std::optional<std::uint64_t> incarnation);

struct Record {
  RecordHeader header{};
  ByteView payload;
  std::size_t offset = 0;  // From the frame's first byte.
};

// All records of a frame, their checksums verified. The error says which record is bad and why.
// frame begins with the header and is at least as long as the header says; records are views of it.
Status parse_records(const FrameHeader& header, ByteView frame, std::vector<Record>& records);

const char* record_kind_name(RecordKind kind);

}  // namespace raftd::storage::format
