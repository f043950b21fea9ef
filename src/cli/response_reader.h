// An HTTP/1.1 answer from bytes as they arrive: content-length, chunked, or ended by the close.
// Bounded; it believes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/result.h"

namespace raftd::cli {

inline constexpr std::size_t kAnswerHeadBytesMax = 64 * limits::kKiB;
inline constexpr std::size_t kAnswerBodyBytesMax = 64 * limits::kMiB;

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // Names in lower case; of a repeated one the last.
  std::string body;
  std::map<std::string, std::string> trailers;  // Likewise.
};

// Gets the body of a 200 as it comes. An error ends it.
using BodySink = std::function<Status(std::string_view)>;

class ResponseReader {
 public:
  ResponseReader() = default;
  // The body of a 200 goes there, of any size, and is not kept.
  explicit ResponseReader(BodySink sink) : sink_(std::move(sink)) {}

  // kBadInput: this is not HTTP; kTooBig: more than the limits above.
  Status feed(std::string_view bytes);
  // The other side closed: that may be the end of the body. kBadInput: it may not.
  Status closed();
  bool complete() const { return state_ == State::kComplete; }
  const HttpAnswer& answer() const { return answer_; }

 private:
  enum class State : std::uint8_t {
    kHead,
    kCounted,  // left_ bytes to come.
    kUntilClose,
    kChunkSize,
    kChunkData,  // left_ bytes and a line end to come.
    kTrailer,
    kComplete,
  };

  Status step(bool& progress);
  Status take_head();
  Status parse_head(std::string_view head);
  Status take_chunk_size();
  Status take_counted();
  void take_trailer(std::string_view line);
  bool sinks() const { return sink_ && answer_.status == 200; }

  State state_ = State::kHead;
  std::string input_;  // Not yet understood.
  std::uint64_t left_ = 0;
  HttpAnswer answer_;
  BodySink sink_;
};

}  // namespace raftd::cli
