#include "http/response.h"

#include <charconv>
#include <chrono>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::http {

namespace {

void append_number(std::string& out, std::uint64_t number, int base) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, number, base);
  ASSERT(result.ec == std::errc());
  out.append(digits, result.ptr);
}

void append_status_line(std::string& out, int status) {
  ASSERT(status >= 100);
  ASSERT(status <= 999);
  const std::string_view line = status_line(status);
  out += line;
  if (line.empty()) out += strf("HTTP/1.1 %d Unknown\r\n", status);
}

}  // namespace

Appended append_head(std::string& out, const Response& response, const ResponseContext& context) {
  const bool bodiless = response.status == 204 || response.status == 304;
  const bool streamed = response.stream != nullptr && !bodiless;
  Appended result;
  result.close = response.close || !context.keep_alive;
  append_status_line(out, response.status);
  out += "Date: ";
  out += context.date;
  out += "\r\n";
  out += response.fields;
  if (streamed && context.http_1_0) {
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    result.close = true;
    if (!context.head_request) result.form = BodyForm::kUntilClose;
  } else if (streamed) {
    out += "Transfer-Encoding: chunked\r\n";
    if (!context.head_request) result.form = BodyForm::kChunked;
  } else if (!bodiless) {
    out += "Content-Length: ";
    append_number(out, response.body.size(), 10);
    out += "\r\n";
  }
  if (result.close) {
    out += "Connection: close\r\n";
  } else if (context.http_1_0) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  result.body = !streamed && !bodiless && !context.head_request;
  return result;
}

void append_chunk(std::string& out, std::string_view data) {
  if (data.empty()) return;  // An empty chunk would be the last one.
  append_number(out, data.size(), 16);
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
