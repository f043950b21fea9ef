#include "http/chunked.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"

namespace raftd::http {

namespace {

constexpr unsigned kSizeDigitsMax = 16;  // What fits in 64 bits, so the size cannot overflow.

int hex_value(unsigned char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

}  // namespace

Refusal body_too_large(std::size_t bytes_max) {
  return {.status = 413,
          .error = "too_large",
          .message = "the body is too large",
          .limit = "limits.request_bytes",
          .max = bytes_max};
}

void ChunkedDecoder::restart() {
  state_ = State::kSize;
  digits_ = 0;
  extension_bytes_ = 0;
  chunk_left_ = 0;
  body_bytes_ = 0;
  trailers_.restart(HeadScanner::Part::kTrailers);
}

bool ChunkedDecoder::bad(const char* message) {
  refusal_ = {.status = 400, .error = "bad_request", .message = message, .limit = {}, .max = 0};
  return false;
}

ChunkedDecoder::Outcome ChunkedDecoder::feed(std::string_view bytes, const Limits& bounds,
                                             std::string* body, std::size_t& consumed) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::kTrailers) {
    if (state_ == State::kData) {
      const auto take =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, bytes.size() - at));
      if (body != nullptr) body->append(bytes.substr(at, take));
      at += take;
      chunk_left_ -= take;
      if (chunk_left_ == 0) state_ = State::kDataCr;
      continue;
    }
    if (!step(static_cast<unsigned char>(bytes[at++]), bounds)) {
      consumed = at;
      return Outcome::kRefused;
    }
  }
  consumed = at;
  if (state_ != State::kTrailers || at == bytes.size()) return Outcome::kMore;
  std::size_t trailer_bytes = 0;
  const HeadScanner::Outcome outcome =
      trailers_.scan(bytes.substr(at), bounds.trailer_bytes, trailer_bytes);
  consumed += trailer_bytes;
  switch (outcome) {
    case HeadScanner::Outcome::kMore:
      return Outcome::kMore;
    case HeadScanner::Outcome::kEnd:
      return Outcome::kEnd;
    case HeadScanner::Outcome::kRefused:
      refusal_ = trailers_.refusal();
      return Outcome::kRefused;
  }
  ASSERT(false);
  return Outcome::kRefused;
}

bool ChunkedDecoder::step(unsigned char byte, const Limits& bounds) {
  switch (state_) {
    case State::kSize: {
      const int digit = hex_value(byte);
      if (digit >= 0) {
        if (++digits_ > kSizeDigitsMax) return bad("a chunk size is too long");
        chunk_left_ = chunk_left_ << 4 | static_cast<unsigned>(digit);
        return true;
      }
      if (digits_ == 0) return bad("a chunk has no size");
      if (byte == '\r') {
        state_ = State::kSizeLf;
        return true;
      }
      if (byte != ';') return bad("a chunk size holds a byte that is not allowed");
      state_ = State::kExtension;
      return true;
    }
    case State::kExtension:
      if (byte == '\r') {
        state_ = State::kSizeLf;
        return true;
      }
      // Nobody needs them, and some have kept servers busy for hours (CVE-2024-22019).
      if (++extension_bytes_ > limits::kHttpChunkExtensionBytesMax) {
        return bad("the chunk extensions are too long");
      }
      if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
        return bad("a chunk extension holds a byte that is not allowed");
      }
      return true;
    case State::kSizeLf:
      if (byte != '\n') return bad("a CR without LF");
      digits_ = 0;
      if (chunk_left_ >
          bounds.body_bytes - std::min<std::uint64_t>(body_bytes_, bounds.body_bytes)) {
        refusal_ = body_too_large(bounds.body_bytes);
        return false;
      }
      body_bytes_ += chunk_left_;
      state_ = chunk_left_ == 0 ? State::kTrailers : State::kData;
      return true;
    case State::kDataCr:
      if (byte != '\r') return bad("a chunk is longer than its size");
      state_ = State::kDataLf;
      return true;
    case State::kDataLf:
      if (byte != '\n') return bad("a CR without LF");
      state_ = State::kSize;
      return true;
    case State::kData:
    case State::kTrailers:
      break;
  }
  ASSERT(false);
  return false;
}

}  // namespace raftd::http
