#include "wire/frame.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/text.h"

namespace raftd::wire {
namespace {

// A body of less than this is copied out of the block: one small allocation instead of a block of
// 64 KiB that lives as long as the smallest entry in it.
constexpr std::size_t kShareBytesMin = 4 * limits::kKiB;

std::uint32_t checksum(ByteView length, ByteView body) {
  return crc32c(body, crc32c(length));
}

SharedBytes copy_of(ByteView bytes) {
  auto owner = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(owner.get(), bytes.data(), bytes.size());
  const ByteView view(owner.get(), bytes.size());
  return {std::move(owner), view};
}

}  // namespace

std::size_t begin_frame(Bytes& out) {
  const std::size_t begin = out.size();
  out.resize(begin + kFrameHeaderBytes);
  return begin;
}

void end_frame(Bytes& out, std::size_t begin) {
  ASSERT_CMP(begin + kFrameHeaderBytes, <, out.size());
  const ByteView body = ByteView(out).subspan(begin + kFrameHeaderBytes);
  ASSERT_CMP(body.size(), <=, limits::kWireMessageBytesMax);
  store_le(std::span(out), begin, static_cast<std::uint32_t>(body.size()));
  const std::uint32_t crc = checksum(ByteView(out).subspan(begin, 4), body);
  store_le(std::span(out), begin + 4, crc);
}

void FrameReader::replace_block(std::size_t bytes) {
  const std::size_t kept = end_ - begin_;
  ASSERT_CMP(kept, <, bytes);
  auto block = std::make_shared_for_overwrite<std::byte[]>(bytes);
  if (kept > 0) std::memcpy(block.get(), block_.get() + begin_, kept);
  block_ = std::move(block);
  capacity_ = bytes;
  begin_ = 0;
  end_ = kept;
}

std::span<std::byte> FrameReader::space() {
  const std::size_t kept = end_ - begin_;
  const bool shared = block_.use_count() > 1;  // Bodies in it are alive: it is not ours to reuse.
  if (kept == 0 && !shared) begin_ = end_ = 0;
  const bool oversized = kept == 0 && capacity_ > block_bytes_;
  if (end_ == capacity_ || oversized) {
    // Grows with what has arrived, not with what was announced: a length costs nothing.
    const std::size_t grown = std::max(block_bytes_, 2 * kept);
    replace_block(wanted_ > kept ? std::min(grown, std::max(wanted_, block_bytes_)) : grown);
  }
  ASSERT_CMP(end_, <, capacity_);
  return {block_.get() + end_, capacity_ - end_};
}

void FrameReader::received(std::size_t n) {
  ASSERT_CMP(n, <=, capacity_ - end_);
  end_ += n;
}

void FrameReader::skip(std::size_t n) {
  ASSERT_CMP(n, <=, end_ - begin_);
  begin_ += n;
}

Result<std::optional<SharedBytes>> FrameReader::next() {
  wanted_ = 0;
  const ByteView bytes = pending();
  if (bytes.size() < kFrameHeaderBytes) return std::optional<SharedBytes>();
  const auto length = load_le<std::uint32_t>(bytes, 0);
  if (length == 0 || length > body_bytes_max_) {
    return Error{Errc::kBadInput, strf("a frame of %u bytes, which is not within 1 and %zu", length,
                                       body_bytes_max_)};
  }
  wanted_ = kFrameHeaderBytes + length;
  if (bytes.size() < wanted_) return std::optional<SharedBytes>();
  const ByteView body = bytes.subspan(kFrameHeaderBytes, length);
  const auto expected = load_le<std::uint32_t>(bytes, 4);
  const std::uint32_t crc = checksum(bytes.first(4), body);
  if (crc != expected) {
    return Error{Errc::kBadInput, strf("a frame of %u bytes whose crc is %08x, expected %08x",
                                       length, crc, expected)};
  }
  begin_ += wanted_;
  wanted_ = 0;
  if (length < kShareBytesMin) return std::optional(copy_of(body));
  return std::optional(SharedBytes{block_, body});
}

}  // namespace raftd::wire
