// Pieces of which answers are put together: header lines, numbers, items as JSON. Appending to one
// string is all that the hot path does.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/node_headers.h"
#include "kv/query.h"

namespace raftd::api {

inline void add_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

inline void add_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}
// Put together aside and appended at once: an answer has many of these.
template <std::size_t kNameBytes>
void add_header(std::string& out, const char (&name)[kNameBytes], std::uint64_t value) {
  char text[kNameBytes + 24];
  char* at = std::copy_n(name, kNameBytes - 1, text);
  at = std::copy_n(": ", 2, at);
  at = std::to_chars(at, text + sizeof text, value).ptr;
  at = std::copy_n("\r\n", 2, at);
  out.append(text, static_cast<std::size_t>(at - text));
}
inline void add_etag(std::string& out, std::uint64_t revision) {
  char text[40];
  char* at = std::copy_n("ETag: \"", 7, text);
  at = std::to_chars(at, text + sizeof text, revision).ptr;
  at = std::copy_n("\"\r\n", 3, at);
  out.append(text, static_cast<std::size_t>(at - text));
}

// ,"name":value; the comma only if something stands before it.
void add_name(std::string& json, std::string_view name);
template <std::size_t kNameBytes>
void add_member(std::string& json, const char (&name)[kNameBytes], std::uint64_t value) {
  char text[kNameBytes + 24];
  char* at = text;
  if (!json.empty() && json.back() != '{') *at++ = ',';
  *at++ = '"';
  at = std::copy_n(name, kNameBytes - 1, at);
  at = std::copy_n("\":", 2, at);
  at = std::to_chars(at, text + sizeof text, value).ptr;
  json.append(text, static_cast<std::size_t>(at - text));
}
void add_member(std::string& json, std::string_view name, std::string_view text);  // UTF-8.
void add_flag(std::string& json, std::string_view name, bool value);
// Bytes that may be anything: "name" if they are UTF-8, else "name64" in base64.
void add_bytes(std::string& json, std::string_view name, std::string_view bytes);

// A lease's id as JSON: it uses all 64 bits, and not every reader's numbers do.
void add_lease_id(std::string& json, std::string_view name, kv::LeaseId id);
// Whole seconds, rounded up.
inline std::uint64_t seconds_of(std::uint64_t ms) {
  return ms / 1000 + (ms % 1000 != 0 ? 1 : 0);
}

// {"key":...,"value":...,"mod":...,"create":...,"version":...}, and lease and ttl if it has one.
void add_item(std::string& json, const kv::Item& item, bool with_value);

// The node's headers, Content-Type: application/json, and room to add more.
http::Response json_answer(int status, const NodeHeaders& headers, std::string body);
http::Response text_answer(int status, const NodeHeaders& headers, std::string body);

}  // namespace raftd::api
