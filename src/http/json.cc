#include "http/json.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/text.h"
#include "http/base64.h"

namespace raftd::http {

JsonWriter& JsonWriter::begin_object() {
  separate();
  out_.push_back('{');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  out_.push_back('}');
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  separate();
  out_.push_back('[');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  out_.push_back(']');
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::name(std::string_view name) {
  separate();
  append_text(name);
  out_.push_back(':');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_text(text);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, number);
  return raw({digits, static_cast<std::size_t>(result.ptr - digits)});
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, number);
  return raw({digits, static_cast<std::size_t>(result.ptr - digits)});
}

JsonWriter& JsonWriter::value(bool flag) {
  return raw(flag ? "true" : "false");
}

JsonWriter& JsonWriter::null() {
  return raw("null");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_.append(json);
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::bytes(std::string_view field_name, std::string_view bytes) {
  if (is_utf8(bytes)) return field(field_name, bytes);
  return field(std::string(field_name) + "64", std::string_view(base64_encode(bytes)));
}

void JsonWriter::separate() {
  if (needs_comma_) out_.push_back(',');
}

void JsonWriter::append_text(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const bool whole = is_utf8(text);
  out_.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_.push_back('\\');
      out_.push_back(c);
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\r') {
      out_ += "\\r";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out_ += "\\u00";
      out_.push_back(kDigits[byte >> 4]);
      out_.push_back(kDigits[byte & 15]);
    } else if (byte >= 0x80 && !whole) {
      out_ += "\\ufffd";
    } else {
      out_.push_back(c);
    }
  }
  out_.push_back('"');
}

}  // namespace raftd::http
