// A TOML value with its place in the file. Everything but toml_reader.cc sees only this, so that
// one file depends on the TOML library and the rest compiles quickly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace raftd::config {

struct Place {  // Both from 1; the column counts bytes.
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const Place&) const = default;
};

struct ValueField;

struct Value {
  enum class Kind : std::uint8_t { kBoolean, kInteger, kFloat, kString, kTime, kArray, kTable };

  Kind kind = Kind::kString;
  Place place;
  bool boolean = false;
  std::int64_t integer = 0;
  std::string text;                // Of a string; of other scalars the literal, for messages.
  std::vector<Value> items;        // Of an array.
  std::vector<ValueField> fields;  // Of a table, in the order of the file.
};

struct ValueField {
  std::string name;
  Value value;
};

// For messages: the string "x", the integer 5, an array.
std::string found_text(const Value& value);

// A TOML basic string: quoted, escaped, one line.
std::string toml_quote(const std::string& text);

}  // namespace raftd::config
