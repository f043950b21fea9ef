#include "http/base64.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace raftd::http {

namespace {

constexpr std::string_view kStandardDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafeDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static_assert(kStandardDigits.size() == 64);
static_assert(kUrlSafeDigits.size() == 64);

constexpr std::array<signed char, 256> values_of(std::string_view digits) {
  std::array<signed char, 256> values{};
  for (auto& value : values)
    value = -1;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<signed char>(i);
  }
  return values;
}

constexpr auto kStandardValues = values_of(kStandardDigits);
constexpr auto kUrlSafeValues = values_of(kUrlSafeDigits);

// Of the four digits of a group, each of either alphabet: their bits where they belong in the three
// bytes, the first byte lowest; kNoDigit is in none of these.
static_assert(std::endian::native == std::endian::little);
constexpr std::uint32_t kNoDigit = 1u << 31;
using GroupBits = std::array<std::array<std::uint32_t, 256>, 4>;
constexpr GroupBits kGroupBits = [] {
  GroupBits bits{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const int digit = std::max(kStandardValues[byte], kUrlSafeValues[byte]);
    for (std::size_t place = 0; place < 4; ++place) {
      if (digit < 0) {
        bits[place][byte] = kNoDigit;
        continue;
      }
      const std::uint32_t group = static_cast<std::uint32_t>(digit) << (18 - 6 * place);
      bits[place][byte] = (group >> 16 & 0xff) | (group & 0xff00) | (group & 0xff) << 16;
    }
  }
  return bits;
}();

}  // namespace

void base64_append(std::string& out, std::string_view bytes) {
  const auto byte = [bytes](std::size_t at) -> std::uint32_t {
    return static_cast<unsigned char>(bytes[at]);
  };
  const std::size_t before = out.size();
  out.resize(before + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + before;
  const auto put = [&to](std::uint32_t group) {
    to[0] = kStandardDigits[group >> 18];
    to[1] = kStandardDigits[group >> 12 & 63];
    to[2] = kStandardDigits[group >> 6 & 63];
    to[3] = kStandardDigits[group & 63];
    to += 4;
  };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3)
    put(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2));
  if (i == bytes.size()) return;
  const bool two = i + 2 == bytes.size();
  put(byte(i) << 16 | (two ? byte(i + 1) << 8 : 0));
  to[-1] = '=';
  if (!two) to[-2] = '=';
}

std::string base64_encode(std::string_view bytes, Base64 alphabet) {
  std::string out;
  base64_append(out, bytes);
  if (alphabet == Base64::kStandard) return out;
  while (!out.empty() && out.back() == '=')
    out.pop_back();
  for (char& digit : out) {
    if (digit == '+') digit = '-';
    if (digit == '/') digit = '_';
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text, Base64 alphabet) {
  const auto& values = alphabet == Base64::kStandard ? kStandardValues : kUrlSafeValues;
  if (alphabet == Base64::kStandard) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i)
      text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 255));
    }
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return out;
}

namespace {

bool decode_any(std::string_view text, std::string& bytes) {
  if (text.size() % 4 != 0) return false;
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i)
    text.remove_suffix(1);
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return false;

  bytes.resize(text.size() / 4 * 3 + rest * 6 / 8 + 1);  // The last store is one byte longer.
  const char* from = text.data();
  char* to = bytes.data();
  std::uint32_t seen = 0;
  const auto bits = [&from](std::size_t place) {
    return kGroupBits[place][static_cast<unsigned char>(from[place])];
  };
  const char* const end = from + (text.size() - rest);
  for (; from != end; from += 4, to += 3) {
    const std::uint32_t group = bits(0) | bits(1) | bits(2) | bits(3);
    seen |= group;
    std::memcpy(to, &group, 4);
  }
  if (rest != 0) {
    const std::uint32_t group = bits(0) | bits(1) | (rest == 3 ? bits(2) : 0);
    seen |= group;
    std::memcpy(to, &group, 2);
  }
  bytes.pop_back();
  return (seen & kNoDigit) == 0;
}

}  // namespace

// Line ends are looked for only if there must be something of the kind.
bool base64_decode_any(std::string_view text, std::string& bytes) {
  if (decode_any(text, bytes)) return true;
  std::string without_line_ends;
  for (const char c : text) {
    if (c != '\r' && c != '\n') without_line_ends.push_back(c);
  }
  return without_line_ends.size() != text.size() && decode_any(without_line_ends, bytes);
}

}  // namespace raftd::http
