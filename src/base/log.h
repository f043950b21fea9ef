// Log lines for the person at 3 a.m.: what happened, what it means, what to do. One line per
// change of something, not per message.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/text.h"

namespace raftd {

enum class LogLevel : std::uint8_t { kError, kWarn, kInfo, kDebug, kTrace };
enum class LogFormat : std::uint8_t { kText, kJson, kJournald };

// Not thread-safe: owned by main, used on the loop's thread. The rooms without I/O get it by
// reference and never ask what time it is: the sink knows.
class Log {
 public:
  // Gets each line's level and text (without time, without newline).
  using Sink = std::function<void(LogLevel, std::string_view)>;

  Log(LogLevel level, Sink sink) : level_(level), sink_(std::move(sink)) {}

  bool enabled(LogLevel level) const { return level <= level_; }
  LogLevel level() const { return level_; }
  void set_level(LogLevel level) { level_ = level; }

  void error(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void warn(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void info(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void debug(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void trace(const char* format, ...) __attribute__((format(printf, 2, 3)));

 private:
  void write(LogLevel level, const char* format, va_list arguments)
      __attribute__((format(printf, 3, 0)));

  LogLevel level_;
  Sink sink_;
};

const char* log_level_name(LogLevel level);
bool parse_log_level(std::string_view name, LogLevel& level);

// One whole line with its newline: "2026-01-31T23:59:59.123Z info text", the same as JSON, or
// "<6>text" for journald. time_ms is Unix time. Bytes that would break the line are escaped.
std::string format_log_line(LogFormat format, LogLevel level, std::int64_t time_ms,
                            std::string_view text);

}  // namespace raftd
