// Walks one segment file: its header, its good frames one after the other, and what stands behind
// them. Recovery and the tools that describe a directory share it.
#pragma once

#include <optional>
#include <string>

#include "storage/format.h"
#include "storage/recovery.h"

namespace raftd::storage {

// A file through a window of bounded size.
class FileWindow {
 public:
  FileWindow(DirectoryReader& directory, FileName name, std::uint64_t size);

  // The bytes from offset on, as many as wanted; fewer only at the end of the file. Valid until the
  // next call. A read error becomes kCorrupt: what cannot be read must not be guessed.
  Result<ByteView> at(std::uint64_t offset, std::uint64_t bytes);
  std::uint64_t size() const { return size_; }
  const FileName& name() const { return name_; }
  // From now on nothing is read but what is asked for: a bad sector spoils only its own block.
  void narrow() { read_bytes_min_ = 1; }

 private:
  DirectoryReader& directory_;
  FileName name_;
  std::uint64_t size_;
  std::uint64_t read_bytes_min_;
  std::uint64_t start_ = 0;
  Bytes buffer_;
};

struct GoodFrame {
  format::FrameHeader header{};
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  // With padding.
  ByteView frame;           // Header and records; valid until the next call.
  bool seals = false;       // Its one record is a seal or clean.
};

// What stands behind the good frames.
struct SegmentRest {
  std::uint64_t offset = 0;     // Where they end.
  std::uint64_t frame_seq = 0;  // The one expected there.
  std::string reason;           // Why there is no good frame at offset.
  bool zero = true;
  std::optional<std::uint64_t> later_frame_offset;
  std::uint64_t later_frame_seq = 0;
  std::uint64_t last_non_zero = 0;  // Offset of the last byte that is not zero, if any is.
};

// All that is good in a damaged segment, wherever it stands.
struct FoundFrames {
  struct At {
    std::uint64_t seq = 0;
    std::uint64_t offset = 0;
    auto operator<=>(const At&) const = default;
  };
  std::vector<At> frames;              // By their numbers.
  std::uint64_t end = 0;               // Behind the last of them in the file, and the header.
  std::uint64_t last_unknown_end = 0;  // Behind the last block that is neither good nor zero.
};

class SegmentReader {
 public:
  SegmentReader(DirectoryReader& directory, std::uint64_t seq, std::uint64_t size)
      : window_(directory, format::segment_name(seq), size), seq_(seq) {}

  // nullopt: not valid; header_reason() says why.
  Result<std::optional<format::SegmentHeader>> header();
  const std::string& header_reason() const { return header_reason_; }

  // The next good frame with its records; nullopt: none is there. expected_seq is the first
  // frame's; it is counted on. Precondition: header() was valid.
  Result<std::optional<GoodFrame>> next(std::uint64_t expected_seq,
                                        std::vector<format::Record>& records);

  // Looks at everything behind the good frames, or behind offset 0 without a valid header;
  // a frame counts as later if its number is above frame_seq.
  Result<SegmentRest> rest(std::uint64_t frame_seq);

  // Never fails: a block that cannot be read is not known. Without a valid header() frames of any
  // incarnation count. After this read_frame() is all that may be called.
  FoundFrames find_frames();
  // The good frame at this offset with its records; nullopt: none is there.
  Result<std::optional<GoodFrame>> read_frame(std::uint64_t offset,
                                              std::vector<format::Record>& records);

  const FileName& name() const { return window_.name(); }
  std::uint64_t size() const { return window_.size(); }
  std::uint64_t offset() const { return offset_; }  // Behind the good frames.

 private:
  FileWindow window_;
  std::uint64_t seq_;
  std::optional<std::uint64_t> incarnation_;
  std::uint64_t offset_ = 0;
  std::string header_reason_;
  std::string frame_reason_;
};

// Every byte of the file is zero.
Result<bool> all_zero(DirectoryReader& directory, const FileName& name, std::uint64_t size);

}  // namespace raftd::storage
