// Assertions: always on, in every build. They detect programmer errors; operating errors
// (a full disk, a dead peer, a bad request) are values, never assertions.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace raftd {

// How an operand of a failed comparison reads: a number, with a sign or without, or "?".
enum class AssertKind : std::uint8_t { kUnsigned, kSigned, kUnknown };
struct AssertKinds {
  AssertKind left;
  AssertKind right;
};

[[noreturn, gnu::cold]] void assert_failed(const char* expression, const char* file,
                                           int line) noexcept;
// There are hundreds of callers: bare bits, so that each is a few instructions.
[[noreturn, gnu::cold]] void assert_compare_failed(const char* expression, const char* file,
                                                   int line, AssertKinds kinds, std::uint64_t left,
                                                   std::uint64_t right) noexcept;
[[noreturn, gnu::cold]] void panic(const char* file, int line, const char* format, ...) noexcept
    __attribute__((format(printf, 3, 4)));

template <class T>
concept AssertStrong = requires(const T& operand) {
  { operand.value } -> std::convertible_to<std::uint64_t>;
};

template <class T>
constexpr AssertKind assert_kind(const T&) {
  static_assert(!std::is_floating_point_v<T>);
  if (std::is_enum_v<T> || std::is_signed_v<T>) return AssertKind::kSigned;
  return std::is_arithmetic_v<T> || AssertStrong<T> ? AssertKind::kUnsigned : AssertKind::kUnknown;
}

template <class T>
constexpr std::uint64_t assert_bits(const T& operand) {
  if constexpr (std::is_enum_v<T> || std::is_arithmetic_v<T>) {
    return static_cast<std::uint64_t>(operand);
  } else if constexpr (AssertStrong<T>) {
    return static_cast<std::uint64_t>(operand.value);
  } else {
    return 0;
  }
}

}  // namespace raftd

// One condition per ASSERT, so that the report names the condition that failed.
#define ASSERT(expression)                            \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::raftd::assert_failed(#expression, __FILE__, __LINE__))

// Comparisons whose values the report must show: ASSERT_CMP(match, <=, last_index).
#define ASSERT_CMP(left, op, right)                                                  \
  do {                                                                               \
    const auto assert_left_ = (left);                                                \
    const auto assert_right_ = (right);                                              \
    if (!__builtin_expect(static_cast<bool>(assert_left_ op assert_right_), 1)) {    \
      ::raftd::assert_compare_failed(                                                \
          #left " " #op " " #right, __FILE__, __LINE__,                              \
          {::raftd::assert_kind(assert_left_), ::raftd::assert_kind(assert_right_)}, \
          ::raftd::assert_bits(assert_left_), ::raftd::assert_bits(assert_right_));  \
    }                                                                                \
  } while (false)

// For the one place where going on would break a promise made to clients: log, then abort. systemd
// restarts raftd, except on exit status 64, 65, 73, 75 and 78. A failed write or sync does not
// come here: one line and exit status 74 (storage/posix_files).
#define PANIC(...) ::raftd::panic(__FILE__, __LINE__, __VA_ARGS__)
