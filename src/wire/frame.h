// Frames on a peer connection: [u32 length][u32 crc32c] body, little-endian. The checksum covers
// the length and the body.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace raftd::wire {

inline constexpr std::size_t kFrameHeaderBytes = 8;

// Room for a frame's header at the end of out; returns where the frame begins. Append the body,
// then call end_frame with what begin_frame returned.
std::size_t begin_frame(Bytes& out);
// Precondition: the body has 1..kWireMessageBytesMax bytes.
void end_frame(Bytes& out, std::size_t begin);

// Cuts a stream of bytes into frames. Bytes are received straight into the buffer that the bodies
// are views of: a large body is never copied. Memory: one block, at most twice what has arrived of
// an unfinished frame, however long that says it is.
class FrameReader {
 public:
  // Reads in blocks of block_bytes and refuses frames whose body is larger than body_bytes_max.
  FrameReader(std::size_t block_bytes, std::size_t body_bytes_max)
      : block_bytes_(block_bytes), body_bytes_max_(body_bytes_max) {}

  // From the next frame on.
  void set_limits(std::size_t block_bytes, std::size_t body_bytes_max) {
    block_bytes_ = block_bytes;
    body_bytes_max_ = body_bytes_max;
  }

  // Where to put the next bytes; never empty. Then received(n), n <= the span's size.
  std::span<std::byte> space();
  void received(std::size_t n);

  // What has arrived and not been taken yet; skip(n) takes a prefix that is no frame.
  ByteView pending() const { return {block_.get() + begin_, end_ - begin_}; }
  void skip(std::size_t n);

  // The next whole frame's body, nullopt if it is not there yet. Small bodies are copies (they must
  // not keep a whole block alive in the log's cache), large ones share the block. kBadInput: an
  // impossible length or a wrong checksum; the stream is unusable from then on.
  Result<std::optional<SharedBytes>> next();

  std::size_t capacity() const { return capacity_; }

 private:
  void replace_block(std::size_t bytes);

  std::size_t block_bytes_;
  std::size_t body_bytes_max_;
  std::shared_ptr<std::byte[]> block_;  // Invariant: begin_ <= end_ <= capacity_.
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t wanted_ = 0;  // Bytes of the frame at begin_, if its header is there; else 0.
};

}  // namespace raftd::wire
