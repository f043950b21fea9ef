#include "config/value.h"

#include <cstddef>

#include "base/text.h"

namespace raftd::config {
namespace {

constexpr std::size_t kShownBytesMax = 64;

// Long text is cut where a character begins, so that a message stays valid UTF-8.
std::string shortened(const std::string& text) {
  if (text.size() <= kShownBytesMax) return text;
  std::size_t end = kShownBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::string toml_quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (u < 0x20 || u == 0x7f) {
      out += strf("\\u%04X", static_cast<unsigned>(u));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string found_text(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kBoolean:
      return value.boolean ? "true" : "false";
    case Value::Kind::kInteger:
      return "the integer " + shortened(value.text);
    case Value::Kind::kFloat:
      return "the number " + shortened(value.text);
    case Value::Kind::kString:
      return "the string " + toml_quote(shortened(value.text));
    case Value::Kind::kTime:
      return "a date or time";
    case Value::Kind::kArray:
      return value.items.empty() ? "an empty array" : "an array";
    case Value::Kind::kTable:
      return "a table";
  }
  return "";
}

}  // namespace raftd::config
