// Which bytes may stand where in the head of a request.
#pragma once

#include <array>
#include <string_view>

namespace raftd::http {

enum ByteClass : unsigned char { kTokenByte = 1, kTargetByte = 2, kValueByte = 4, kCapital = 8 };

constexpr std::array<unsigned char, 256> make_byte_classes() {
  std::array<unsigned char, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool visible = byte > 0x20 && byte < 0x7f;
    const bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= 'a' && byte <= 'z');
    const bool mark =
        std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(byte)) != std::string_view::npos;
    unsigned classes = 0;
    if (alphanumeric || (mark && byte != 0)) classes |= kTokenByte;
    // A fragment is never sent, and bytes above 0x7e must be percent-encoded (native API, paths).
    if (visible && byte != '#') classes |= kTargetByte;
    if (visible || byte == ' ' || byte == '\t' || byte >= 0x80) classes |= kValueByte;
    if ((byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_') classes |= kCapital;
    table[byte] = static_cast<unsigned char>(classes);
  }
  return table;
}

inline constexpr std::array<unsigned char, 256> kByteClasses = make_byte_classes();

constexpr bool is_of(char c, ByteClass what) {
  return (kByteClasses[static_cast<unsigned char>(c)] & what) != 0;
}

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace raftd::http
