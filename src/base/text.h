// Text for people and protocols: checked formatting, escaping, hexadecimal.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace raftd {

// snprintf into a string.
std::string strf(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string vstrf(const char* format, va_list arguments) __attribute__((format(printf, 1, 0)));

// Control bytes, '%' and bytes that are not valid UTF-8 become %XX, so that a line stays a line.
std::string percent_escape(std::string_view bytes);

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

std::string_view trimmed(std::string_view text);  // Without the spaces and tabs around it.

std::string to_hex(ByteView bytes);  // Lower case.

// Decimal digits only, no sign, no space; false if it does not fit.
bool parse_u64(std::string_view digits, std::uint64_t& value);
// Sixteen hexadecimal digits in lower case, no more and no less.
bool parse_hex_u64(std::string_view digits, std::uint64_t& value);

}  // namespace raftd
