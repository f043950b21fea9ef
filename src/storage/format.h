// The bytes on disk, as disk-format.md describes them. Every struct here is little-endian, has no
// padding, and is checked by a static_assert and by a golden-file test.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/limits.h"

namespace raftd::storage::format {

static_assert(std::endian::native == std::endian::little, "port encode and decode first");

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kSegmentMagic = 0x31474553'44544652;   // "RFTDSEG1"
inline constexpr std::uint32_t kFrameMagic = 0x4d524652;              // "RFRM"
inline constexpr std::uint64_t kIdentityMagic = 0x314e4449'44544652;  // "RFTDIDN1"
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
  std::uint64_t snapshot_index;  // A snapshot at least this new was durable by then.
  std::uint64_t snapshot_term;
  std::uint32_t prev_seal_crc32c;  // Of the previous segment's last record; zero in the first.
  std::uint32_t reserved;          // Zero.
  std::uint64_t created_unix_ns;   // For people only.
};
static_assert(sizeof(SegmentHeader) == 128);
static_assert(std::has_unique_object_representations_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, cluster_id) == 16);

// One frame is what one fdatasync made durable. Starts at a multiple of kBlockBytes, ends padded
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
  kReset = 5,  // The log is empty and starts after (index, term): a snapshot was installed.
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

struct SnapshotHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t header_crc32c;  // Of this struct and of the meta that follows it.
  std::uint8_t cluster_id[16];
  std::uint64_t last_index;
  std::uint64_t last_term;
  std::uint64_t body_bytes;
  std::uint32_t meta_bytes;   // SnapshotMetaHeader, configuration, machine name.
  std::uint32_t chunk_bytes;  // Body is cut in chunks, each followed by its crc32c.
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

}  // namespace raftd::storage::format
