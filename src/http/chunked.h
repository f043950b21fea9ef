// Decoder of the chunked transfer coding (RFC 9112, 7.1), stricter than the RFC where laxness has
// been used to smuggle requests or to burn time: no bare LF, no space around the size, bounded
// extensions and trailers (both are thrown away).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/head_scanner.h"
#include "http/message.h"

namespace raftd::http {

class ChunkedDecoder {
 public:
  enum class Outcome : std::uint8_t { kMore, kEnd, kRefused };

  struct Limits {
    std::size_t body_bytes = 0;     // 413 above it.
    std::size_t trailer_bytes = 0;  // 431.
  };

  ChunkedDecoder() : trailers_(HeadScanner::Part::kTrailers) {}
  void restart();

  // Appends what it decodes to body, if there is one. consumed: all bytes, unless the body has
  // ended or was refused.
  Outcome feed(std::string_view bytes, const Limits& bounds, std::string* body,
               std::size_t& consumed);
  const Refusal& refusal() const { return refusal_; }  // After kRefused.

 private:
  enum class State : std::uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
  };
  bool step(unsigned char byte, const Limits& bounds);  // False: refused.
  bool bad(const char* message);

  State state_ = State::kSize;
  unsigned digits_ = 0;
  std::size_t extension_bytes_ = 0;
  std::uint64_t chunk_left_ = 0;
  std::uint64_t body_bytes_ = 0;  // Announced so far.
  HeadScanner trailers_;
  Refusal refusal_;
};

Refusal body_too_large(std::size_t bytes_max);

}  // namespace raftd::http
