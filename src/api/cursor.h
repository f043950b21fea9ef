// Where a list goes on: opaque to clients, good on every node and after restarts, since all of it
// is in the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kv/query.h"

namespace raftd::api {

inline constexpr std::size_t kCursorBytesMax = 4096;

struct Cursor {
  kv::Revision rev = 0;     // All pages show this revision.
  std::uint32_t query = 0;  // Digest of the other parameters, which must be repeated.
  std::string position;     // RangeQuery::start.
};

std::string encode_cursor(const Cursor& cursor);  // Characters of URL-safe base64.
std::optional<Cursor> decode_cursor(std::string_view text);

}  // namespace raftd::api
