#include "api/cursor.h"

#include "api/answer.h"
#include "base/text.h"
#include "http/base64.h"

namespace raftd::api {
namespace {

constexpr std::string_view kVersion = "1.";

// The digits up to the next point, which is removed as well.
bool take_number(std::string_view& text, std::uint64_t& number) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || !parse_u64(text.substr(0, point), number)) return false;
  text.remove_prefix(point + 1);
  return true;
}

}  // namespace

std::string encode_cursor(const Cursor& cursor) {
  std::string plain(kVersion);
  add_number(plain, cursor.rev);
  plain += '.';
  add_number(plain, cursor.query);
  plain += '.';
  plain += cursor.position;
  return http::base64_encode(plain, http::Base64::kUrlSafe);
}

std::optional<Cursor> decode_cursor(std::string_view text) {
  if (text.empty() || text.size() > kCursorBytesMax) return std::nullopt;
  const std::optional<std::string> plain = http::base64_decode(text, http::Base64::kUrlSafe);
  if (!plain) return std::nullopt;
  std::string_view rest = *plain;
  if (!rest.starts_with(kVersion)) return std::nullopt;
  rest.remove_prefix(kVersion.size());
  Cursor cursor;
  std::uint64_t query = 0;
  if (!take_number(rest, cursor.rev) || !take_number(rest, query)) return std::nullopt;
  if (cursor.rev == 0 || query > UINT32_MAX || rest.empty()) return std::nullopt;
  cursor.query = static_cast<std::uint32_t>(query);
  cursor.position = rest;
  return cursor;
}

}  // namespace raftd::api
