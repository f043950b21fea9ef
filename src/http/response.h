// Responses as bytes (RFC 9112).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace raftd::http {

// What a response must know of its request and its connection.
struct ResponseContext {
  bool head_request = false;
  bool http_1_0 = false;
  bool keep_alive = true;      // False: the connection closes after this response.
  std::string_view date = {};  // "Sun, 06 Nov 1994 08:49:37 GMT".
};

enum class BodyForm : std::uint8_t {
  kComplete,    // The response was appended whole, or it has no body.
  kChunked,     // The stream follows, in chunks.
  kUntilClose,  // The stream follows as it is; closing the connection ends it.
};

struct Appended {
  BodyForm form = BodyForm::kComplete;
  bool close = false;  // Close the connection after the response.
  bool body = false;   // The response's body, which is no stream, follows the head.
};

Appended append_head(std::string& out, const Response& response, const ResponseContext& context);
void append_chunk(std::string& out, std::string_view data);  // Nothing if data is empty.
// trailers: whole header lines.
void append_last_chunk(std::string& out, std::string_view trailers = {});

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// The date of a response, from seconds since 1970 (RFC 9110, 5.6.7).
std::string http_date(std::int64_t unix_seconds);

}  // namespace raftd::http
