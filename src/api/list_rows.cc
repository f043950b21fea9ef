#include "api/list_rows.h"

#include "api/answer.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::api {
namespace {

std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

bool is_target_group(std::string_view value) {
  const Result<http::JsonValue> parsed = http::parse_json(value);
  if (!parsed) return false;
  const http::JsonValue* targets = (*parsed).field("targets");
  const http::JsonValue* labels = (*parsed).field("labels");
  return targets != nullptr && targets->array() != nullptr && labels != nullptr &&
         labels->object() != nullptr;
}

}  // namespace

void ListRows::add(const kv::RangeReply::Row& row, std::string& out) {
  switch (format_) {
    case ListFormat::kText:
      out += percent_escape(row.item.key);
      out += '\n';
      break;
    case ListFormat::kNdjson:
      if (row.is_prefix) {
        out += '{';
        add_bytes(out, "prefix", row.item.key);
        out += '}';
      } else {
        add_item(out, row.item, !keys_only_);
      }
      out += '\n';
      break;
    case ListFormat::kHttpSd:
      add_target(row.item, out);
      return;
    case ListFormat::kJson:
      if (count_ != 0) out += ',';
      add_item(out, row.item, !keys_only_);
      break;
  }
  ++count_;
}

// A value that is a target group already stays as it is; any other text is one target. What
// cannot be in JSON is left out: one bad value must not take a whole discovery down.
void ListRows::add_target(const kv::Item& item, std::string& out) {
  const std::string_view value = without_space(item.value);
  if (value.empty() || !is_utf8(value)) return;
  out += count_ == 0 ? '[' : ',';
  ++count_;
  if (value.front() == '{' && is_target_group(value)) {
    out += value;
    return;
  }
  out += "{\"targets\":[";
  http::JsonWriter(out).value(value);
  out += "],\"labels\":{";
  add_bytes(out, "key", item.key);
  out += "}}";
}

void ListRows::finish(kv::Revision revision, std::string& out) {
  switch (format_) {
    case ListFormat::kHttpSd:
      out += count_ == 0 ? "[]\n" : "]\n";
      break;
    case ListFormat::kNdjson:
      out += "{\"end\":true";
      add_member(out, "revision", revision);
      add_member(out, "count", count_);
      out += "}\n";
      break;
    case ListFormat::kText:
    case ListFormat::kJson:
      break;
  }
}

}  // namespace raftd::api
