#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace raftd {
namespace {

constexpr std::uint32_t kPolynomialReversed = 0x82f63b78;

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomialReversed : crc >> 1;
    }
    table[i] = crc;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

#if defined(__x86_64__)
// The instruction's result comes three cycles later, but one can begin in each: three parts of a
// large block, side by side, take no longer than one of them.
constexpr std::size_t kPartBytes = 1024;

// A checksum is a polynomial modulo the one above; its highest bit is the coefficient of x^0.
constexpr std::uint32_t kOne = 1U << 31;
constexpr std::uint32_t kX = kOne >> 1;

constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  for (std::uint32_t coefficient = kOne; coefficient != 0; coefficient >>= 1) {
    if ((a & coefficient) != 0) sum ^= b;
    b = (b & 1) != 0 ? (b >> 1) ^ kPolynomialReversed : b >> 1;
  }
  return sum;
}

using Behind = std::array<std::array<std::uint32_t, 256>, 4>;

// What each byte of a checksum becomes when a part of zeros follows: a multiple of x^(8 bytes).
constexpr Behind make_behind() {
  std::uint32_t factor = kOne;
  std::uint32_t square = kX;
  for (std::size_t exponent = 8 * kPartBytes; exponent != 0; exponent /= 2) {
    if (exponent % 2 != 0) factor = product(factor, square);
    square = product(square, square);
  }
  Behind behind{};
  for (std::size_t place = 0; place < behind.size(); ++place) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      behind[place][byte] = product(factor, byte << (8 * place));
    }
  }
  return behind;
}

constexpr Behind kBehind = make_behind();

std::uint32_t before_part(std::uint64_t crc) {
  return kBehind[0][crc & 0xff] ^ kBehind[1][crc >> 8 & 0xff] ^ kBehind[2][crc >> 16 & 0xff] ^
         kBehind[3][crc >> 24 & 0xff];
}

std::uint64_t word_at(const std::byte* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(ByteView bytes,
                                                             std::uint32_t before) noexcept {
  std::uint64_t crc = ~before;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 3 * kPartBytes; left -= 3 * kPartBytes, at += 3 * kPartBytes) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kPartBytes; i += 8) {
      crc = __builtin_ia32_crc32di(crc, word_at(at + i));
      second = __builtin_ia32_crc32di(second, word_at(at + kPartBytes + i));
      third = __builtin_ia32_crc32di(third, word_at(at + 2 * kPartBytes + i));
    }
    crc = before_part(before_part(crc) ^ second) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8)
    crc = __builtin_ia32_crc32di(crc, word_at(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*at));
  }
  return ~narrow;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  for (const std::byte b : bytes) {
    crc = kTable[(crc ^ static_cast<std::uint32_t>(b)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t before) noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(bytes, before);
#endif
  return crc32c_portable(bytes, before);
}

}  // namespace raftd
