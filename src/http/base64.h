// Base64 (RFC 4648), strict: one text for each byte string and no other.
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

// Nothing: a foreign character (space and line ends, too), wrong padding, or stray bits at the end.
std::optional<std::string> base64_decode(std::string_view text,
                                         Base64 alphabet = Base64::kStandard);

}  // namespace raftd::http
