#include "base/assert.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>

#include "base/strong.h"

namespace raftd {
namespace {

struct Last {
  std::string line;  // The last that it wrote on standard error.
  bool aborted = false;
};

// What becomes of a process that does this.
template <class F>
Last last_of(F f) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    f();
    std::_Exit(0);
  }
  close(ends[1]);
  Last out;
  std::array<char, 512> some{};
  for (ssize_t n = 0; (n = read(ends[0], some.data(), some.size())) > 0;)
    out.line.append(some.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  out.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  return out;
}

bool ends_with(const Last& last, const std::string& text) {
  INFO(last.line);
  const bool names_place = last.line.find("assert_test.cc:") != std::string::npos;
  CHECK(names_place);
  return last.aborted && last.line.ends_with(": " + text + "\n");
}

using Count = Strong<struct CountTag>;
enum class Kind : unsigned char { kFirst, kSecond };
struct Point {
  int x = 0;
  auto operator<=>(const Point&) const = default;
};

}  // namespace

TEST_CASE("an assertion that holds does nothing, one that fails ends with its text and place") {
  CHECK_FALSE(last_of([] { ASSERT(1 + 1 == 2); }).aborted);
  CHECK(ends_with(last_of([] { ASSERT(1 + 1 == 3); }), "1 + 1 == 3"));
}

TEST_CASE("a failed comparison shows both values") {
  CHECK_FALSE(last_of([] { ASSERT_CMP(1, <, 2); }).aborted);
  CHECK(ends_with(last_of([] { ASSERT_CMP(-1, >, 2); }), "-1 > 2 (left is -1, right is 2)"));
  CHECK(ends_with(last_of([] { ASSERT_CMP(~0ULL, ==, 1U); }),
                  "~0ULL == 1U (left is 18446744073709551615, right is 1)"));
  CHECK(ends_with(last_of([] { ASSERT_CMP(Count{7}, <, Count{3}); }),
                  "Count{7} < Count{3} (left is 7, right is 3)"));
  CHECK(ends_with(last_of([] { ASSERT_CMP(Kind::kSecond, ==, Kind::kFirst); }),
                  "Kind::kSecond == Kind::kFirst (left is 1, right is 0)"));
  CHECK(ends_with(last_of([] { ASSERT_CMP(true, ==, false); }),
                  "true == false (left is 1, right is 0)"));
  CHECK(ends_with(last_of([] { ASSERT_CMP(Point{2}, <, Point{1}); }),
                  "Point{2} < Point{1} (left is ?, right is ?)"));
}

}  // namespace raftd
