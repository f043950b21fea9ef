// Pieces of JSON answers as text for people.
#pragma once

#include <string>
#include <string_view>

#include "http/json.h"

namespace raftd::cli {

// A scalar as it is ("leader", 12, true), "-" for null and absent, JSON for the rest.
std::string shown(const http::JsonValue* value);

// {"a": 1, "b": [1, 2]}: names in order of the alphabet, a space after ':' and ','.
std::string spaced_json(const http::JsonValue& value);

// The bytes of a field that travels as NAME or NAME64; nothing: neither is there.
bool bytes_field(const http::JsonValue& object, std::string_view name, std::string& bytes);

// A body's text without the newline at its end.
std::string_view without_newline(std::string_view body);

}  // namespace raftd::cli
