// Goal: what eight bytes at once say of each byte is what it says of itself.
// Method: every byte at every place, between neighbours that must not matter.
#include "base/byte_words.h"

#include <doctest/doctest.h>

#include <array>

namespace raftd::byte_words {
namespace {

using Text = std::array<char, kBytes>;

// The mask that has this byte alone.
constexpr std::uint64_t mask_of(std::size_t place) {
  return std::uint64_t{0x80} << 8 * place;
}

TEST_CASE("each byte of a word is judged by itself, whatever stands beside it") {
  for (const unsigned neighbour : {0x00U, 0x1fU, 0x20U, 0x22U, 0x41U, 0x7fU, 0x80U, 0xffU}) {
    for (std::size_t place = 0; place < kBytes; ++place) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        Text text{};
        text.fill(static_cast<char>(neighbour));
        text[place] = static_cast<char>(byte);
        const std::uint64_t word = load(text.data());
        const std::uint64_t mask = mask_of(place);
        const unsigned low = byte & 0x7f;
        REQUIRE(((above_ascii(word) & mask) != 0) == (byte >= 0x80));
        REQUIRE(((at_least(word, 'a') & mask) != 0) == (low >= 'a'));
        REQUIRE(((at_least(word, 0x7f) & mask) != 0) == (low == 0x7f));
        REQUIRE((at_least(word, 0x80) & mask) == 0);
        REQUIRE(((below(word, 0x20) & mask) != 0) == (low < 0x20));
        REQUIRE(((equal(word, '"') & mask) != 0) == (low == '"'));
      }
    }
  }
}

TEST_CASE("a mask has the highest bits of bytes and no others, and tells which byte is the first") {
  const Text text{'a', '"', 'b', ' ', '"', '\x1f', '\x7f', '\xc3'};
  const std::uint64_t word = load(text.data());
  CHECK(equal(word, '"') == (mask_of(1) | mask_of(4)));
  CHECK(below(word, 0x20) == mask_of(5));
  CHECK(at_least(word, 0x7f) == mask_of(6));
  CHECK(above_ascii(word) == mask_of(7));
  CHECK(bytes_before(equal(word, '"')) == 1);
  CHECK(bytes_before(mask_of(0)) == 0);
  CHECK(bytes_before(above_ascii(word)) == 7);
}

}  // namespace
}  // namespace raftd::byte_words
