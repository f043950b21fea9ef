// Pieces of which answers are put together: header lines, numbers, items as JSON. Appending to one
// string is all that the hot path does.
#pragma once

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
inline void add_header(std::string& out, std::string_view name, std::uint64_t value) {
  out.append(name).append(": ");
  add_number(out, value);
  out.append("\r\n");
}
inline void add_etag(std::string& out, std::uint64_t revision) {
  out.append("ETag: \"");
  add_number(out, revision);
  out.append("\"\r\n");
}

// ,"name":value; the comma only if something stands before it.
void add_name(std::string& json, std::string_view name);
void add_member(std::string& json, std::string_view name, std::uint64_t value);
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
