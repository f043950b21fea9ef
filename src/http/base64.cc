#include "http/base64.h"

#include <array>

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
constexpr std::array<signed char, 256> kAnyValues = [] {
  auto values = kStandardValues;
  values['-'] = kUrlSafeValues['-'];
  values['_'] = kUrlSafeValues['_'];
  return values;
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

bool base64_decode_any(std::string_view text, std::string& bytes) {
  std::string without_line_ends;
  if (text.find('\n') != std::string_view::npos || text.find('\r') != std::string_view::npos) {
    for (const char c : text) {
      if (c != '\r' && c != '\n') without_line_ends.push_back(c);
    }
    text = without_line_ends;
  }
  if (text.size() % 4 != 0) return false;
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i)
    text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;

  bytes.resize(text.size() / 4 * 3 + (text.size() % 4 * 6) / 8);
  char* to = bytes.data();
  int seen = 0;  // Negative: a value was.
  const auto value = [&seen, text](std::size_t at) {
    const int digit = kAnyValues[static_cast<unsigned char>(text[at])];
    seen |= digit;
    return static_cast<std::uint32_t>(digit);
  };
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const std::uint32_t group =
        value(i) << 18 | value(i + 1) << 12 | value(i + 2) << 6 | value(i + 3);
    *to++ = static_cast<char>(group >> 16 & 255);
    *to++ = static_cast<char>(group >> 8 & 255);
    *to++ = static_cast<char>(group & 255);
  }
  if (i < text.size()) {
    std::uint32_t group = value(i) << 18 | value(i + 1) << 12;
    if (i + 2 < text.size()) group |= value(i + 2) << 6;
    *to++ = static_cast<char>(group >> 16 & 255);
    if (i + 2 < text.size()) *to++ = static_cast<char>(group >> 8 & 255);
  }
  return seen >= 0;
}

}  // namespace raftd::http
