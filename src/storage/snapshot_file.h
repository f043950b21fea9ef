// The bytes of a snapshot file (disk-format, 1.6): header, meta, the machine's body in chunks with
// a checksum behind each, trailer. A file is moved between nodes byte for byte.
//
// The writer gives bytes to append as the body comes, and the header last, when the size is known:
// a file without it never was a snapshot. The reader checks as it goes, however the bytes are cut,
// and hands on no byte of the body whose checksum it has not seen.
#pragma once

#include <optional>
#include <string>

#include "raft/configuration.h"
#include "storage/format.h"
#include "storage/recovery.h"

namespace raftd::storage {

// What is known when the state is cut.
struct SnapshotCut {
  ClusterId cluster_id{};
  raft::Index last_index;
  raft::Term last_term;
  raft::ConfigurationAt configuration;  // In effect at last_index.
  std::uint64_t cluster_time_ms = 0;
  std::string machine_name;  // Of the format of the body, for example "kv/1".
};

class SnapshotFileWriter {
 public:
  explicit SnapshotFileWriter(SnapshotCut cut, std::size_t chunk_bytes = kChunkBytes);

  // Where the first bytes of add() go; header and meta come before them.
  std::uint64_t head_bytes() const { return head_bytes_; }
  // The next of the body. Appends to out whole chunks with their checksums, as many as are full.
  void add(ByteView body, Bytes& out);
  // The rest of the body and the trailer. Nothing may be added after it.
  void finish(Bytes& out);
  // After finish(): header and meta, for offset 0, and what the file is now called.
  Bytes head() const;
  raft::SnapshotMeta meta() const;

  // The same head before the body is there, for who knows how large it will be.
  Bytes head(std::uint64_t body_bytes) const;
  std::uint64_t body_bytes() const { return body_bytes_; }  // After finish(): all of it.

 private:
  static constexpr std::size_t kChunkBytes = limits::kSnapshotChunkBytes;
  void end_chunk(Bytes& out);

  SnapshotCut cut_;
  Bytes configuration_;
  std::uint64_t head_bytes_ = 0;
  std::size_t chunk_bytes_;
  Bytes chunk_;  // Not full.
  std::uint64_t body_bytes_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint32_t digest_ = 0;
  bool finished_ = false;
};

class SnapshotFileReader {
 public:
  explicit SnapshotFileReader(SnapshotBody sink) : sink_(std::move(sink)) {}

  // The next bytes of the file. kCorrupt: what was found and expected, with the offset;
  // kUnsupported: a later format. After an error nothing more may be fed.
  Status feed(ByteView bytes);
  // All has been fed. kCorrupt: the file ends early.
  Status finish() const;

  // Once header and meta have been read and verified.
  const std::optional<SnapshotCut>& cut() const { return cut_; }
  // After finish() was good.
  raft::SnapshotMeta meta() const;
  std::uint64_t body_bytes() const { return header_.body_bytes; }

 private:
  enum class Part : std::uint8_t { kHeader, kMeta, kChunk, kTrailer, kEnd };
  std::size_t wanted() const;
  Status take(ByteView part);
  Status take_header(ByteView part);
  Status take_meta(ByteView part);
  Status take_chunk(ByteView part);
  Status take_trailer(ByteView part);
  std::size_t next_chunk_bytes() const;

  SnapshotBody sink_;
  Part part_ = Part::kHeader;
  Bytes rest_;  // The beginning of the part: at most a chunk.
  std::uint64_t offset_ = 0;
  format::SnapshotHeader header_{};
  std::optional<SnapshotCut> cut_;
  std::uint64_t body_left_ = 0;
  std::uint32_t digest_ = 0;
};

// Reads a whole file. sink gets the body; nothing is known to be good before this returns.
// kCorrupt, kUnsupported, kIo: with the file's name.
Result<raft::SnapshotMeta> read_snapshot(DirectoryReader& directory, const FileName& name,
                                         SnapshotFileReader& reader);

}  // namespace raftd::storage
