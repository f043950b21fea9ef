// Base64 (RFC 4648). base64_decode() is strict: one text for each byte string and no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace raftd::http {

enum class Base64 : std::uint8_t {
  kStandard,  // '+' and '/', padded.
  kUrlSafe,   // '-' and '_', not padded.
};

std::string base64_encode(std::string_view bytes, Base64 alphabet = Base64::kStandard);
void base64_append(std::string& out, std::string_view bytes);  // Standard.

// Nothing: a foreign character (space and line ends, too), wrong padding, or stray bits at the end.
std::optional<std::string> base64_decode(std::string_view text,
                                         Base64 alphabet = Base64::kStandard);
// What many clients call base64: of either alphabet, padded, line ends anywhere in it, stray bits
// at the end not looked at. false: something else, and bytes holds anything.
bool base64_decode_any(std::string_view text, std::string& bytes);

}  // namespace raftd::http
