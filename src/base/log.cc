#include "base/log.h"

#include <array>
#include <cstdarg>
#include <ctime>

namespace raftd {
namespace {

constexpr std::array<const char*, 5> kNames = {"error", "warn", "info", "debug", "trace"};
// syslog(3) priorities: journald reads them as a prefix in angle brackets (sd-daemon(3)).
constexpr std::array<int, 5> kPriorities = {3, 4, 6, 7, 7};

std::string json_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (u < 0x20) {
      out += strf("\\u%04x", static_cast<unsigned>(u));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) {
      out += strf("\\x%02x", static_cast<unsigned>(u));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

void Log::write(LogLevel level, const char* format, va_list arguments) {
  if (!enabled(level)) return;
  sink_(level, vstrf(format, arguments));
}

#define RAFTD_LOG_LEVEL_(name, level)       \
  void Log::name(const char* format, ...) { \
    va_list arguments;                      \
    va_start(arguments, format);            \
    write(level, format, arguments);        \
    va_end(arguments);                      \
  }
RAFTD_LOG_LEVEL_(error, LogLevel::kError)
RAFTD_LOG_LEVEL_(warn, LogLevel::kWarn)
RAFTD_LOG_LEVEL_(info, LogLevel::kInfo)
RAFTD_LOG_LEVEL_(debug, LogLevel::kDebug)
RAFTD_LOG_LEVEL_(trace, LogLevel::kTrace)
#undef RAFTD_LOG_LEVEL_

const char* log_level_name(LogLevel level) {
  return kNames[static_cast<std::size_t>(level)];
}

bool parse_log_level(std::string_view name, LogLevel& level) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) {
      level = static_cast<LogLevel>(i);
      return true;
    }
  }
  return false;
}

std::string format_log_line(LogFormat format, LogLevel level, std::int64_t time_ms,
                            std::string_view text) {
  if (format == LogFormat::kJournald) {
    return strf("<%d>", kPriorities[static_cast<std::size_t>(level)]) + one_line(text) + "\n";
  }
  const auto seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  const std::string time = strf("%s.%03dZ", stamp, static_cast<int>(time_ms % 1000));
  if (format == LogFormat::kJson) {
    return "{\"time\":\"" + time + "\",\"level\":\"" + log_level_name(level) + "\",\"message\":\"" +
           json_text(text) + "\"}\n";
  }
  return time + " " + log_level_name(level) + " " + one_line(text) + "\n";
}

}  // namespace raftd
