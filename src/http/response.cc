#include "http/response.h"

#include <charconv>
#include <chrono>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::http {

namespace {

// Short lines, gathered to be appended at once.
class Lines {
 public:
  void add(std::string_view text) {
    ASSERT_CMP(text.size(), <=, sizeof text_ - size_);
    text.copy(text_ + size_, text.size());
    size_ += text.size();
  }
  void add(std::uint64_t number) {
    const auto result = std::to_chars(text_ + size_, text_ + sizeof text_, number);
    ASSERT(result.ec == std::errc());
    size_ = static_cast<std::size_t>(result.ptr - text_);
  }
  std::string_view text() const { return {text_, size_}; }

 private:
  std::size_t size_ = 0;
  char text_[192];
};

void add_status_line(Lines& lines, int status) {
  ASSERT(status >= 100);
  ASSERT(status <= 999);
  // A server answers with its own version, also to HTTP/1.0 (RFC 9110, 2.5).
  lines.add("HTTP/1.1 ");
  lines.add(static_cast<std::uint64_t>(status));
  lines.add(" ");
  lines.add(reason_phrase(status));
  lines.add("\r\n");
}

}  // namespace

Appended append_response(std::string& out, const Response& response,
                         const ResponseContext& context) {
  const bool bodiless = response.status == 204 || response.status == 304;
  const bool streamed = response.stream != nullptr && !bodiless;
  Appended result;
  result.close = response.close || !context.keep_alive;
  Lines first;
  add_status_line(first, response.status);
  first.add("Date: ");
  first.add(context.date);
  first.add("\r\n");
  Lines last;
  if (streamed && context.http_1_0) {
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    result.close = true;
    if (!context.head_request) result.form = BodyForm::kUntilClose;
  } else if (streamed) {
    last.add("Transfer-Encoding: chunked\r\n");
    if (!context.head_request) result.form = BodyForm::kChunked;
  } else if (!bodiless) {
    last.add("Content-Length: ");
    last.add(response.body.size());
    last.add("\r\n");
  }
  if (result.close) {
    last.add("Connection: close\r\n");
  } else if (context.http_1_0) {
    last.add("Connection: keep-alive\r\n");
  }
  last.add("\r\n");
  out += first.text();
  out += response.fields;
  out += last.text();
  if (!streamed && !bodiless && !context.head_request) out += response.body;
  return result;
}

void append_chunk(std::string& out, std::string_view data) {
  if (data.empty()) return;  // An empty chunk would be the last one.
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, data.size(), 16);
  ASSERT(result.ec == std::errc());
  out.append(digits, result.ptr);
  out += "\r\n";
  out += data;
  out += "\r\n";
}

void append_last_chunk(std::string& out, std::string_view trailers) {
  out += "0\r\n";
  out += trailers;
  out += "\r\n";
}

std::string http_date(std::int64_t unix_seconds) {
  static constexpr const char* kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  ASSERT_CMP(unix_seconds, >=, 0);
  const std::int64_t days = unix_seconds / 86400;
  const std::int64_t second = unix_seconds % 86400;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days(days)}};
  return strf("%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[days % 7],
              static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
              static_cast<int>(date.year()), static_cast<int>(second / 3600),
              static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
}

}  // namespace raftd::http
