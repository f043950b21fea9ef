#include "base/log.h"

#include <doctest/doctest.h>

#include <vector>

namespace raftd {
namespace {

constexpr std::int64_t kTime = 1'000'000'000'123;  // 2001-09-09T01:46:40.123Z

}  // namespace

TEST_CASE("a line has time, level and text, in three shapes") {
  CHECK(format_log_line(LogFormat::kText, LogLevel::kWarn, kTime, "slow disk") ==
        "2001-09-09T01:46:40.123Z warn slow disk\n");
  CHECK(format_log_line(LogFormat::kJournald, LogLevel::kError, kTime, "x") == "<3>x\n");
  CHECK(format_log_line(LogFormat::kJson, LogLevel::kInfo, kTime, "say \"a\\b\"") ==
        "{\"time\":\"2001-09-09T01:46:40.123Z\",\"level\":\"info\","
        "\"message\":\"say \\\"a\\\\b\\\"\"}\n");
}

TEST_CASE("whatever is in the text, a line stays one line") {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson, LogFormat::kJournald}) {
    const std::string line = format_log_line(format, LogLevel::kInfo, kTime, "a\nb\x1b[31m\r\x7f");
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(line.find('\r') == std::string::npos);
  }
}

TEST_CASE("levels have names, and only what is enabled reaches the sink") {
  LogLevel level = LogLevel::kError;
  CHECK(parse_log_level("trace", level));
  CHECK(level == LogLevel::kTrace);
  CHECK_FALSE(parse_log_level("Trace", level));
  CHECK_FALSE(parse_log_level("", level));
  std::vector<std::string> lines;
  Log log(LogLevel::kInfo, [&](LogLevel at, std::string_view text) {
    lines.push_back(std::string(log_level_name(at)) + " " + std::string(text));
  });
  log.error("%d", 1);
  log.debug("%d", 2);
  log.info("%s", "three");
  log.set_level(LogLevel::kTrace);
  log.trace("four");
  log.set_level(LogLevel::kError);
  log.warn("five");
  CHECK(lines == std::vector<std::string>{"error 1", "info three", "trace four"});
  CHECK_FALSE(log.enabled(LogLevel::kWarn));
}

}  // namespace raftd
