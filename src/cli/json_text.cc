#include "cli/json_text.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "http/base64.h"

namespace raftd::cli {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  http::JsonWriter(out).value(text);
  return out;
}

std::string scalar(const http::JsonValue& value) {
  if (const bool* flag = value.boolean()) return *flag ? "true" : "false";
  if (const std::uint64_t* number = value.whole()) return std::to_string(*number);
  if (const std::int64_t* number = value.negative()) return std::to_string(*number);
  if (const double* number = value.real()) return strf("%g", *number);
  return "null";
}

}  // namespace

std::string shown(const http::JsonValue* value) {
  if (value == nullptr || value->is_null()) return "-";
  if (const std::string* text = value->text()) return *text;
  return spaced_json(*value);
}

// Recursive, but parse_json lets nothing deeper than kJsonDepthMax through.
std::string spaced_json(const http::JsonValue& value) {
  if (const std::string* text = value.text()) return quoted(*text);
  if (const http::JsonArray* items = value.array()) {
    std::string out = "[";
    for (const http::JsonValue& item : *items)
      out += (out.size() > 1 ? ", " : "") + spaced_json(item);
    return out + "]";
  }
  const http::JsonObject* fields = value.object();
  if (fields == nullptr) return scalar(value);
  std::vector<const http::JsonField*> sorted;
  for (const http::JsonField& field : *fields)
    sorted.push_back(&field);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  std::string out = "{";
  for (const http::JsonField* field : sorted) {
    out += (out.size() > 1 ? ", " : "") + quoted(field->name) + ": " + spaced_json(field->value);
  }
  return out + "}";
}

bool bytes_field(const http::JsonValue& object, std::string_view name, std::string& bytes) {
  const http::JsonValue* plain = object.field(name);
  if (plain != nullptr && plain->text() != nullptr) {
    bytes = *plain->text();
    return true;
  }
  const http::JsonValue* encoded = object.field(std::string(name) + "64");
  if (encoded == nullptr || encoded->text() == nullptr) return false;
  const std::optional<std::string> decoded = http::base64_decode(*encoded->text());
  if (!decoded) return false;
  bytes = *decoded;
  return true;
}

std::string_view without_newline(std::string_view body) {
  while (body.ends_with('\n'))
    body.remove_suffix(1);
  return body;
}

}  // namespace raftd::cli
