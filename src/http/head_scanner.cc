#include "http/head_scanner.h"

#include <llhttp.h>

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "http/head_bytes.h"

namespace raftd::http {

namespace {

static_assert(LLHTTP_STRICT_MODE == 1, "the default mode of llhttp lets smuggled requests through");

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

bool is_known_method(std::string_view name) {
#define RAFTD_METHOD(number, symbol, text) #text,
  static constexpr std::string_view kNames[] = {HTTP_METHOD_MAP(RAFTD_METHOD)};
#undef RAFTD_METHOD
  // Not requests of HTTP/1.1, though llhttp knows the words.
  if (name == "PRI" || name == "SOURCE") return false;
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

void HeadScanner::restart(Part part) {
  static_assert(sizeof method_ == limits::kHttpMethodBytesMax);
  part_ = part;
  state_ = part == Part::kHead ? State::kStart : State::kLineStart;
  ended_ = false;
  empty_lines_ = 0;
  method_bytes_ = 0;
  version_bytes_ = 0;
  fields_ = 0;
  line_bytes_ = 0;
  target_bytes_ = 0;
  total_ = 0;
}

HeadScanner::Outcome HeadScanner::scan(std::string_view bytes, std::size_t bytes_max,
                                       std::size_t& consumed) {
  ASSERT(!ended_);
  const std::size_t room = bytes_max - std::min(total_, bytes_max);
  const std::size_t end = std::min(bytes.size(), room);
  std::size_t at = 0;
  bool accepted = true;
  while (at < end && accepted && !ended_) {
    const std::size_t run = run_of_ordinary(bytes.substr(at, end - at));
    at += run;
    if (state_ == State::kTarget) {
      line_bytes_ += run;
      target_bytes_ += run;
    }
    if (at < end) accepted = step(static_cast<unsigned char>(bytes[at++]));
  }
  total_ += at;
  consumed = at;
  if (!accepted) return Outcome::kRefused;
  if (ended_) return Outcome::kEnd;
  if (bytes.size() > end) {
    refuse(431, "headers_too_large", "the header block is too large", "limits.header_bytes",
           bytes_max);
    return Outcome::kRefused;
  }
  return Outcome::kMore;
}

std::size_t HeadScanner::run_of_ordinary(std::string_view bytes) const {
  std::size_t most = bytes.size();
  ByteClass what = kTokenByte;
  switch (state_) {
    case State::kName:
      break;
    case State::kValue:
      what = kValueByte;
      break;
    case State::kTarget:
      what = kTargetByte;
      most = std::min(most, limits::kHttpRequestLineBytesMax - line_bytes_);
      break;
    case State::kStart:
    case State::kStartLf:
    case State::kMethod:
    case State::kVersion:
    case State::kLineLf:
    case State::kLineStart:
    case State::kValueLf:
    case State::kEndLf:
      return 0;
  }
  const char* const first = bytes.data();
  const char* at = first;
  for (const char* const end = first + most; at != end; ++at) {
    if (!is_of(*at, what)) break;
  }
  return static_cast<std::size_t>(at - first);
}

bool HeadScanner::step(unsigned char byte) {
  if (byte == 0) return bad("the request holds a NUL byte");
  switch (state_) {
    case State::kStart:
      // RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD
      // ignore at least one empty line (CRLF) received prior to the request-line."
      if (byte == '\r' && empty_lines_ < 2) {
        state_ = State::kStartLf;
        return true;
      }
      state_ = State::kMethod;
      return step_request_line(byte);
    case State::kStartLf:
      if (byte != '\n') return bad("a CR without LF");
      ++empty_lines_;
      state_ = State::kStart;
      return true;
    case State::kMethod:
    case State::kTarget:
    case State::kVersion:
    case State::kLineLf:
      return step_request_line(byte);
    case State::kLineStart:
    case State::kName:
    case State::kValue:
    case State::kValueLf:
    case State::kEndLf:
      return step_field(byte);
  }
  ASSERT(false);
  return false;
}

bool HeadScanner::step_request_line(unsigned char byte) {
  if (state_ == State::kLineLf) {
    if (byte != '\n') return bad("a CR without LF");
    state_ = State::kLineStart;
    return end_request_line();
  }
  if (byte != '\r' && ++line_bytes_ > limits::kHttpRequestLineBytesMax) {
    return refuse(414, "uri_too_long", "the request line is too long", "request line",
                  limits::kHttpRequestLineBytesMax);
  }
  if (state_ == State::kMethod) {
    if (byte == ' ' && method_bytes_ > 0) {
      state_ = State::kTarget;
      return true;
    }
    if (!is_of(static_cast<char>(byte), kCapital))
      return bad("the request does not begin with a method");
    if (method_bytes_ == sizeof method_) return bad("the method is too long");
    method_[method_bytes_++] = static_cast<char>(byte);
    return true;
  }
  if (state_ == State::kTarget) {
    if (byte == ' ' && target_bytes_ > 0) {
      state_ = State::kVersion;
      return true;
    }
    if (byte == '\r') return bad("the request line has no version");
    if (!is_of(static_cast<char>(byte), kTargetByte))
      return bad("the request target holds a byte that is not allowed");
    ++target_bytes_;
    return true;
  }
  ASSERT(state_ == State::kVersion);
  if (byte == '\r') {
    state_ = State::kLineLf;
    return true;
  }
  if (version_bytes_ == sizeof version_) return bad("the request line ends in no HTTP version");
  version_[version_bytes_++] = static_cast<char>(byte);
  return true;
}

bool HeadScanner::end_request_line() {
  const std::string_view version(version_, version_bytes_);
  const bool well_formed = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                           is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
  if (!well_formed) return bad("the request line ends in no HTTP version");
  if (version[5] != '1' || version[7] > '1') {
    return refuse(505, "http_version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  if (!is_known_method(method())) {
    return refuse(501, "not_implemented", "the method is not known");
  }
  return true;
}

bool HeadScanner::step_field(unsigned char byte) {
  switch (state_) {
    case State::kLineStart:
      if (byte == '\r') {
        state_ = State::kEndLf;
        return true;
      }
      if (byte == ' ' || byte == '\t') return bad("a header line is folded or begins with space");
      if (byte == ':') return bad("a header field has no name");
      if (part_ == Part::kTrailers && fields_ == limits::kHttpTrailerFieldsMax) {
        return bad("too many trailer fields");
      }
      if (fields_ == limits::kHttpHeaderFieldsMax) {
        return refuse(431, "headers_too_large", "too many header fields", "header fields",
                      limits::kHttpHeaderFieldsMax);
      }
      ++fields_;
      state_ = State::kName;
      [[fallthrough]];
    case State::kName:
      if (byte == ':') {
        state_ = State::kValue;
        return true;
      }
      if (!is_of(static_cast<char>(byte), kTokenByte))
        return bad("a header name holds a byte that is not allowed");
      return true;
    case State::kValue:
      if (byte == '\r') {
        state_ = State::kValueLf;
        return true;
      }
      if (!is_of(static_cast<char>(byte), kValueByte))
        return bad("a header value holds a byte that is not allowed");
      return true;
    case State::kValueLf:
      if (byte != '\n') return bad("a CR without LF");
      state_ = State::kLineStart;
      return true;
    case State::kEndLf:
      if (byte != '\n') return bad("a CR without LF");
      ended_ = true;
      return true;
    case State::kStart:
    case State::kStartLf:
    case State::kMethod:
    case State::kTarget:
    case State::kVersion:
    case State::kLineLf:
      break;
  }
  ASSERT(false);
  return false;
}

bool HeadScanner::refuse(int status, const char* error, const char* message, const char* limit,
                         std::uint64_t max) {
  refusal_ = {.status = status, .error = error, .message = message, .limit = limit, .max = max};
  return false;
}

}  // namespace raftd::http
