// Assertions: always on, in every build. They detect programmer errors; operating errors
// (a full disk, a dead peer, a bad request) are values, never assertions.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

namespace raftd {

[[noreturn]] void assert_failed(const char* expression, const char* file, int line) noexcept;
[[noreturn]] void assert_compare_failed(const char* expression, const char* file, int line,
                                        const std::string& left, const std::string& right) noexcept;
[[noreturn]] void panic(const char* file, int line, const char* format, ...) noexcept
    __attribute__((format(printf, 3, 4)));

// What a comparison's operand looks like in the report of a failed assertion.
template <class T>
std::string assert_text(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return std::to_string(value);
  } else if constexpr (requires {
                         { value.value } -> std::convertible_to<std::uint64_t>;
                       }) {
    return std::to_string(value.value);
  } else {
    return "?";
  }
}

}  // namespace raftd

// One condition per ASSERT, so that the report names the condition that failed.
#define ASSERT(expression)                            \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::raftd::assert_failed(#expression, __FILE__, __LINE__))

// Comparisons whose values the report must show: ASSERT_CMP(match, <=, last_index).
#define ASSERT_CMP(left, op, right)                                                \
  do {                                                                             \
    const auto assert_left_ = (left);                                              \
    const auto assert_right_ = (right);                                            \
    if (!__builtin_expect(static_cast<bool>(assert_left_ op assert_right_), 1)) {  \
      ::raftd::assert_compare_failed(#left " " #op " " #right, __FILE__, __LINE__, \
                                     ::raftd::assert_text(assert_left_),           \
                                     ::raftd::assert_text(assert_right_));         \
    }                                                                              \
  } while (false)

// For the one place where going on would break a promise made to clients: log, then abort. systemd
// restarts raftd, except on exit status 64, 65, 73, 75 and 78. A failed write or sync does not
// come here: one line and exit status 74 (storage/posix_files).
#define PANIC(...) ::raftd::panic(__FILE__, __LINE__, __VA_ARGS__)
