// JSON out, field by field in the order given, and JSON in, strictly (RFC 8259 and the native
// API's rules). Bytes that are not UTF-8 travel as base64 under another name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace raftd::http {

// Appends to a string; commas are its business, balance is the caller's. Text that is not UTF-8 is
// shown with U+FFFD; where bytes matter, use bytes().
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}  // out outlives the writer.

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();

  JsonWriter& name(std::string_view name);  // Of the value that follows.
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::uint64_t number);
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(int number) { return value(static_cast<std::int64_t>(number)); }
  JsonWriter& value(unsigned number) { return value(static_cast<std::uint64_t>(number)); }
  JsonWriter& value(bool flag);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // Already JSON.

  template <class T>
  JsonWriter& field(std::string_view field_name, const T& field_value) {
    return name(field_name).value(field_value);
  }
  // "key": text if the bytes are UTF-8, else "key64": base64.
  JsonWriter& bytes(std::string_view field_name, std::string_view bytes);

 private:
  void separate();
  void append_text(std::string_view text);

  std::string& out_;
  bool needs_comma_ = false;
};

class JsonValue;
struct JsonField;
using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<JsonField>;  // In the order given, no name twice.

class JsonValue {
 public:
  JsonValue() = default;  // null
  template <class T>
  explicit JsonValue(T value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  // Each: nullptr if it is something else. Whole numbers that are not negative are unsigned.
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const std::uint64_t* whole() const { return std::get_if<std::uint64_t>(&value_); }
  const std::int64_t* negative() const { return std::get_if<std::int64_t>(&value_); }
  const double* real() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const JsonArray* array() const { return std::get_if<JsonArray>(&value_); }
  const JsonObject* object() const { return std::get_if<JsonObject>(&value_); }
  JsonArray* array() { return std::get_if<JsonArray>(&value_); }
  JsonObject* object() { return std::get_if<JsonObject>(&value_); }

  // The field of an object; nullptr: absent, or no object.
  const JsonValue* field(std::string_view name) const;

 private:
  std::variant<std::monostate, bool, std::uint64_t, std::int64_t, double, std::string, JsonArray,
               JsonObject>
      value_;
};

struct JsonField {
  std::string name;
  JsonValue value;
};

// kBadInput: what parse_json_events() refuses, and a repeated field, which is named.
Result<JsonValue> parse_json(std::string_view text);

// Hears what a text consists of, in its order. false: it wants no more, and has a problem.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;

  virtual bool null() = 0;
  virtual bool boolean(bool value) = 0;
  virtual bool whole(std::uint64_t value) = 0;
  virtual bool negative(std::int64_t value) = 0;
  virtual bool real(double value) = 0;
  virtual bool text(std::string_view value) = 0;  // Is gone after the call, as is a name.
  virtual bool begin_object() = 0;
  virtual bool name(std::string_view name) = 0;  // Of the value that follows.
  virtual bool end_object() = 0;
  virtual bool begin_array() = 0;
  virtual bool end_array() = 0;

  virtual std::string take_problem() = 0;
};

// kBadInput: not one JSON text and nothing else, more than kJsonDepthMax levels, a number beyond
// double, a byte order mark, a lone surrogate, bytes that are not UTF-8, each with the byte's
// offset; or the problem of the events.
Status parse_json_events(std::string_view text, JsonEvents& events);

}  // namespace raftd::http
