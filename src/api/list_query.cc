#include "api/list_query.h"

#include "api/answer.h"
#include "api/native_kv.h"
#include "base/crc32c.h"

namespace raftd::api {
namespace {

constexpr std::uint64_t kJsonLimit = 1000;
constexpr ParamSet kListParams =
    kReadParams | ParamSet{Param::kKey64,  Param::kList,      Param::kLimit, Param::kCursor,
                           Param::kKeys,   Param::kDelimiter, Param::kCount, Param::kReverse,
                           Param::kFormat, Param::kAfter,     Param::kWait};

ApiError not_acceptable() {
  ApiError error = bad_request("this list is not offered in that form");
  error.status = 406;
  error.code = "not_acceptable";
  add_name(error.extra, "offers");
  error.extra += "[\"application/json\",\"text/plain\",\"application/x-ndjson\"]";
  return error;
}

// JSON if it is named at all or nothing is asked for, else the first type that is offered.
std::optional<ListFormat> negotiate(const std::string* accept) {
  if (accept == nullptr || accept->empty()) return ListFormat::kJson;
  std::optional<ListFormat> first;
  for (const std::string_view type : accepted_types(*accept)) {
    if (type == "*/*" || type == "application/*" || type == "application/json") {
      return ListFormat::kJson;
    }
    if (first) continue;
    if (type == "text/plain" || type == "text/*") first = ListFormat::kText;
    if (type == "application/x-ndjson") first = ListFormat::kNdjson;
  }
  return first;
}

// Each part with its length, so that no two queries look the same.
std::uint32_t digest_of(const ListQuery& query) {
  std::string all;
  const auto add = [&all](std::string_view part) {
    add_number(all, part.size());
    all.append(":").append(part);
  };
  add(query.prefix);
  add(query.delimiter);
  add(query.read.level);
  for (const std::uint64_t number :
       {std::uint64_t{query.keys_only}, std::uint64_t{query.reverse}, query.read.rev,
        query.read.min_revision,
        query.read.max_stale ? static_cast<std::uint64_t>(query.read.max_stale->count()) + 1 : 0}) {
    add_number(all, number);
    all += ',';
  }
  return crc32c(as_bytes(all));
}

void check_combinations(ParamReader& reader, const ListQuery& query) {
  if (query.count) {
    for (const Param other : {Param::kLimit, Param::kCursor, Param::kDelimiter, Param::kFormat})
      reader.exclude(Param::kCount, other);
  }
  if (query.format == ListFormat::kHttpSd) {
    for (const Param other :
         {Param::kLimit, Param::kCursor, Param::kDelimiter, Param::kKeys, Param::kReverse})
      reader.exclude(Param::kFormat, other);
  }
}

void read_format(ParamReader& reader, ListQuery& query) {
  if (!reader.has(Param::kFormat)) return;
  if (reader.text(Param::kFormat) != "http_sd") {
    reader.fail(Param::kFormat, "format can only be http_sd; for other forms send Accept");
  }
  query.format = ListFormat::kHttpSd;
}

void read_cursor(ParamReader& reader, ListQuery& query) {
  if (!reader.has(Param::kCursor)) return;
  query.cursor = decode_cursor(reader.text(Param::kCursor));
  if (!query.cursor) {
    reader.fail(Param::kCursor, "that is not a cursor of this API");
  } else if (query.cursor->query != query.digest) {
    reader.fail(Param::kCursor,
                "the cursor is of another list: repeat all parameters but limit and timeout");
  }
}

}  // namespace

kv::RangeQuery ListQuery::next(kv::Revision rev, std::string start) const {
  kv::RangeQuery range;
  range.prefix = prefix;
  range.start = std::move(start);
  range.rev = rev;
  range.keys_only = keys_only && format != ListFormat::kHttpSd;
  range.count_only = count;
  range.reverse = reverse;
  range.delimiter = delimiter;
  return range;
}

kv::RangeQuery ListQuery::first() const {
  if (!cursor) {
    kv::RangeQuery range = next(read.rev, {});
    range.min_revision = read.min_revision;
    return range;
  }
  kv::RangeQuery range = next(cursor->rev, cursor->position);
  // Another node gave the cursor: without a confirmed read this one may not be there yet.
  range.min_revision = read.local() ? cursor->rev : read.min_revision;
  return range;
}

std::optional<ApiError> read_list_query(const Site& site, const Context& context,
                                        std::string prefix, ListQuery& query) {
  ParamReader reader(context.parameters);
  query.prefix = std::move(prefix);
  query.read = read_options(reader);
  query.polling = read_polling(reader, site, context, false);
  reader.exclude(Param::kWait, Param::kCursor);
  query.keys_only = reader.flag(Param::kKeys);
  query.count = reader.flag(Param::kCount);
  query.reverse = reader.flag(Param::kReverse);
  query.delimiter = reader.text(Param::kDelimiter);
  if (reader.has(Param::kDelimiter) && query.delimiter.empty()) {
    reader.fail(Param::kDelimiter, "delimiter must have at least one byte");
  }
  const std::optional<ListFormat> negotiated = negotiate(context.headers.accept);
  query.format = negotiated.value_or(ListFormat::kJson);
  read_format(reader, query);
  check_combinations(reader, query);
  const bool json = query.format == ListFormat::kJson;
  query.limit =
      reader.number(Param::kLimit, json ? std::min(kJsonLimit, site.limits.page_items) : 0, 1,
                    json ? site.limits.page_items : UINT64_MAX);
  query.digest = digest_of(query);
  read_cursor(reader, query);
  if (auto error = context.parameters.only(kListParams)) return error;
  if (reader.failed()) return reader.take_error();
  if (!negotiated && query.format != ListFormat::kHttpSd && !query.count) return not_acceptable();
  if (auto error = check_key_size(site, query.prefix)) return error;
  if (auto error = check_key_size(site, query.delimiter)) return error;
  return std::nullopt;
}

const char* content_type(ListFormat format) {
  switch (format) {
    case ListFormat::kJson:
    case ListFormat::kHttpSd:
      return "application/json";
    case ListFormat::kText:
      return "text/plain; charset=utf-8";
    case ListFormat::kNdjson:
      return "application/x-ndjson";
  }
  return "application/json";
}

}  // namespace raftd::api
