#include "http/message.h"

#include <algorithm>

#include "base/spares.h"

namespace raftd::http {

namespace {

// Of a connection that may be idle for long: what nearly every request fits in.
constexpr std::size_t kTextBytesKept = 1024;
constexpr std::size_t kHeadersKept = 16;

}  // namespace

std::string_view Request::path() const {
  const std::string_view whole = target;
  return whole.substr(0, whole.find('?'));
}

std::string_view Request::query() const {
  const std::string_view whole = target;
  const std::size_t mark = whole.find('?');
  return mark == std::string_view::npos ? std::string_view() : whole.substr(mark + 1);
}

const std::string* Request::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const Header& header) { return header.name == name; });
  return found == headers.end() ? nullptr : &found->value;
}

std::size_t Request::header_count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      headers.begin(), headers.end(), [&](const Header& header) { return header.name == name; }));
}

void Request::clear() {
  method = Method::kGet;
  clear_text(method_name, kTextBytesKept);
  clear_text(target, kTextBytesKept);
  headers.clear();
  if (headers.capacity() > kHeadersKept) std::vector<Header>().swap(headers);
  clear_text(body, kTextBytesKept);
  http_1_0 = false;
  keep_alive = true;
  expects_continue = false;
}

std::string_view status_line(int status) {
  struct Line {
    int status;
    std::string_view text;
  };
  // A server answers with its own version, also to HTTP/1.0 (RFC 9110, 2.5).
  static constexpr Line kLines[] = {
      {100, "HTTP/1.1 100 Continue\r\n"},
      {200, "HTTP/1.1 200 OK\r\n"},
      {201, "HTTP/1.1 201 Created\r\n"},
      {202, "HTTP/1.1 202 Accepted\r\n"},
      {204, "HTTP/1.1 204 No Content\r\n"},
      {302, "HTTP/1.1 302 Found\r\n"},
      {304, "HTTP/1.1 304 Not Modified\r\n"},
      {307, "HTTP/1.1 307 Temporary Redirect\r\n"},
      {400, "HTTP/1.1 400 Bad Request\r\n"},
      {401, "HTTP/1.1 401 Unauthorized\r\n"},
      {403, "HTTP/1.1 403 Forbidden\r\n"},
      {404, "HTTP/1.1 404 Not Found\r\n"},
      {405, "HTTP/1.1 405 Method Not Allowed\r\n"},
      {406, "HTTP/1.1 406 Not Acceptable\r\n"},
      {408, "HTTP/1.1 408 Request Timeout\r\n"},
      {409, "HTTP/1.1 409 Conflict\r\n"},
      {410, "HTTP/1.1 410 Gone\r\n"},
      {412, "HTTP/1.1 412 Precondition Failed\r\n"},
      {413, "HTTP/1.1 413 Content Too Large\r\n"},
      {414, "HTTP/1.1 414 URI Too Long\r\n"},
      {417, "HTTP/1.1 417 Expectation Failed\r\n"},
      {421, "HTTP/1.1 421 Misdirected Request\r\n"},
      {422, "HTTP/1.1 422 Unprocessable Content\r\n"},
      {429, "HTTP/1.1 429 Too Many Requests\r\n"},
      {431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
      {500, "HTTP/1.1 500 Internal Server Error\r\n"},
      {501, "HTTP/1.1 501 Not Implemented\r\n"},
      {503, "HTTP/1.1 503 Service Unavailable\r\n"},
      {504, "HTTP/1.1 504 Gateway Timeout\r\n"},
      {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
      {507, "HTTP/1.1 507 Insufficient Storage\r\n"},
  };
  for (const Line& line : kLines) {
    if (line.status == status) return line.text;
  }
  return {};
}

}  // namespace raftd::http
