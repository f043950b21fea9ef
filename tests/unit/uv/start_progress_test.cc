// Goal: a long recovery says once a second where it is, a short one says nothing. Method: a clock
// in the test's hand.
#include "uv/start_progress.h"

#include <doctest/doctest.h>

#include "base/limits.h"

namespace raftd::uv {
namespace {

using std::chrono::milliseconds;

TEST_CASE("a recovery says how far it is once a second, and at what rate since the last time") {
  std::vector<std::string> lines;
  Log log(LogLevel::kInfo, [&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const Notifier notifier;
  const Instant begin{std::chrono::seconds(9)};
  StartProgress progress(log, notifier, begin);
  const auto mib = [](std::uint64_t n) { return n * limits::kMiB; };
  progress.on_read(begin + milliseconds(999), {"snapshot-1", mib(100), mib(1000)});
  CHECK(lines.empty());
  progress.on_read(begin + milliseconds(1000), {"snapshot-1", mib(200), mib(1000)});
  progress.on_read(begin + milliseconds(1900), {"snapshot-1", mib(400), mib(1000)});
  progress.on_read(begin + milliseconds(3000), {"log-7", mib(1000), mib(1000)});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("recovering: 20 % of 1000 MiB read, 200 MiB/s, now snapshot-1") !=
        std::string::npos);
  CHECK(lines[1].find("recovering: 100 % of 1000 MiB read, 400 MiB/s, now log-7") !=
        std::string::npos);
}

TEST_CASE("a recovery of nothing, or one that has less before it than it thought, says so too") {
  std::vector<std::string> lines;
  Log log(LogLevel::kInfo, [&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const Notifier notifier;
  StartProgress progress(log, notifier, Instant{});
  progress.on_read(Instant{std::chrono::seconds(1)}, {"log-1", 0, 0});
  progress.on_read(Instant{std::chrono::seconds(2)}, {"log-1", limits::kMiB, limits::kMiB});
  progress.on_read(Instant{std::chrono::seconds(3)}, {"log-1", 0, limits::kMiB});
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].find("recovering: 0 % of 0 MiB read, 0 MiB/s") != std::string::npos);
  CHECK(lines[2].find("recovering: 0 % of 1 MiB read, 0 MiB/s") != std::string::npos);
}

}  // namespace
}  // namespace raftd::uv
