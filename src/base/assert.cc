#include "base/assert.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace raftd {
namespace {

using OperandText = std::array<char, 24>;  // The longest is 20 characters.

OperandText operand_text(AssertKind kind, std::uint64_t bits) {
  OperandText out{'?'};
  if (kind == AssertKind::kUnsigned) {
    std::snprintf(out.data(), out.size(), "%llu", static_cast<unsigned long long>(bits));
  } else if (kind == AssertKind::kSigned) {
    std::snprintf(out.data(), out.size(), "%lld", static_cast<long long>(bits));
  }
  return out;
}

}  // namespace

void assert_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "raftd: assertion failed at %s:%d: %s\n", file, line, expression);
  std::abort();
}

void assert_compare_failed(const char* expression, const char* file, int line, AssertKinds kinds,
                           std::uint64_t left, std::uint64_t right) noexcept {
  const OperandText left_text = operand_text(kinds.left, left);
  const OperandText right_text = operand_text(kinds.right, right);
  std::fprintf(stderr, "raftd: assertion failed at %s:%d: %s (left is %s, right is %s)\n", file,
               line, expression, left_text.data(), right_text.data());
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
