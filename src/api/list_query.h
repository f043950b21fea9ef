// GET /kv/PREFIX?list as the client asked for it (native API, section 6).
#pragma once

#include <string>

#include "api/call.h"
#include "api/cursor.h"
#include "api/read_options.h"

namespace raftd::api {

enum class ListFormat : std::uint8_t { kJson, kText, kNdjson, kHttpSd };

struct ListQuery {
  std::string prefix;
  ListFormat format = ListFormat::kJson;
  bool keys_only = false;
  bool count = false;
  bool reverse = false;
  std::string delimiter;
  std::uint64_t limit = 0;  // 0: none; then the list is streamed.
  ReadOptions read;
  Polling polling;
  std::optional<Cursor> cursor;
  std::uint32_t digest = 0;  // Of everything that pages of one list have in common.

  // The first question; follow-ups say where and at which revision to go on.
  kv::RangeQuery first() const;
  kv::RangeQuery next(kv::Revision rev, std::string start) const;
};

// Or the refusal: 400, 406, 413.
std::optional<ApiError> read_list_query(const Site& site, const Context& context,
                                        std::string prefix, ListQuery& query);

const char* content_type(ListFormat format);

}  // namespace raftd::api
