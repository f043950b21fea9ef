// Eight bytes of a text at once, for scanners: which of them end a run. Each function answers with
// a mask that has the highest bit of every byte that is meant, and of no other.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace raftd::byte_words {

static_assert(std::endian::native == std::endian::little, "the first byte is the lowest one");

inline constexpr std::size_t kBytes = sizeof(std::uint64_t);

constexpr std::uint64_t all(unsigned char byte) {
  return byte * (~std::uint64_t{0} / 0xff);
}
inline constexpr std::uint64_t kHigh = all(0x80);

inline std::uint64_t load(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, kBytes);
  return word;
}

// In the rest, bytes from 0x80 on are taken for themselves without that bit: leave them out, or add
// them, with above_ascii().
constexpr std::uint64_t above_ascii(std::uint64_t word) {
  return word & kHigh;
}
// limit: 1 to 0x80.
constexpr std::uint64_t at_least(std::uint64_t word, unsigned char limit) {
  return ((word & ~kHigh) + all(static_cast<unsigned char>(0x80 - limit))) & kHigh;
}
constexpr std::uint64_t below(std::uint64_t word, unsigned char limit) {
  return ~at_least(word, limit) & kHigh;
}
constexpr std::uint64_t equal(std::uint64_t word, unsigned char byte) {
  return below(word ^ all(byte), 1);
}

// How many bytes stand before the first of the mask.
constexpr std::size_t bytes_before(std::uint64_t mask) {
  return static_cast<std::size_t>(std::countr_zero(mask)) / 8;
}

}  // namespace raftd::byte_words
