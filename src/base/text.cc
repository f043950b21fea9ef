#include "base/text.h"

#include <charconv>
#include <cstdio>

#include "base/assert.h"

namespace raftd {

std::string vstrf(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  char small[256];
  const int needed = std::vsnprintf(small, sizeof small, format, arguments);
  ASSERT(needed >= 0);
  const auto bytes = static_cast<std::size_t>(needed);
  std::string text;
  if (bytes < sizeof small) {
    text.assign(small, bytes);
  } else {
    text.resize(bytes);
    std::vsnprintf(text.data(), bytes + 1, format, again);
  }
  va_end(again);
  return text;
}

std::string strf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = vstrf(format, arguments);
  va_end(arguments);
  return text;
}

namespace {

// Bytes of the valid UTF-8 sequence that text begins with; 0 if there is none.
std::size_t utf8_sequence_bytes(std::string_view text) {
  ASSERT(!text.empty());
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && at(i) >= low && at(i) <= high;
  };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;   // No overlong form.
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;  // No surrogate.
    return continues(1, low, high) && continues(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;  // Nothing above U+10FFFF.
    return continues(1, low, high) && continues(2, 0x80, 0xbf) && continues(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t sequence = utf8_sequence_bytes(bytes);
    if (sequence == 0) return false;
    bytes.remove_prefix(sequence);
  }
  return true;
}

std::string percent_escape(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    std::size_t sequence = utf8_sequence_bytes(bytes);
    const auto lead = static_cast<unsigned char>(bytes[0]);
    if (sequence == 0 || lead < 0x20 || lead == 0x7f || lead == '%') {
      out += strf("%%%02X", static_cast<unsigned>(lead));
      sequence = 1;
    } else {
      out.append(bytes.substr(0, sequence));
    }
    bytes.remove_prefix(sequence);
  }
  return out;
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    out.push_back(kDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

bool parse_u64(std::string_view digits, std::uint64_t& value) {
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return !digits.empty() && result.ec == std::errc() && result.ptr == digits.data() + digits.size();
}

bool parse_hex_u64(std::string_view digits, std::uint64_t& value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (digits.size() != 16 || digits.find_first_not_of(kDigits) != std::string_view::npos) {
    return false;
  }
  return std::from_chars(digits.data(), digits.data() + digits.size(), value, 16).ec == std::errc();
}

}  // namespace raftd
