#include "base/assert.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace raftd {

void assert_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "raftd: assertion failed at %s:%d: %s\n", file, line, expression);
  std::abort();
}

void assert_compare_failed(const char* expression, const char* file, int line,
                           const std::string& left, const std::string& right) noexcept {
  std::fprintf(stderr, "raftd: assertion failed at %s:%d: %s (left is %s, right is %s)\n", file,
               line, expression, left.c_str(), right.c_str());
  std::abort();
}

void panic(const char* file, int line, const char* format, ...) noexcept {
  std::fprintf(stderr, "raftd: panic at %s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

}  // namespace raftd
