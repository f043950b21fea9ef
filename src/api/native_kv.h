// What the calls under /kv share: where the key is read from, its limits, and pieces of answers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/call.h"
#include "api/read_options.h"
#include "kv/command.h"

namespace raftd::api {

// The bytes between the root's slash and the query, decoded once; or key64 in their place.
std::optional<ApiError> read_key(const Context& context, std::string& key);

std::optional<ApiError> check_key_size(const Site& site, const std::string& key);
std::optional<ApiError> check_key(const Site& site, const std::string& key);  // Nor empty.
// Of the body that is here or, before it is, of its announced length.
std::optional<ApiError> check_value(const Site& site, const Context& context);
// All that clients keep in the store, as limits.store_bytes counts it.
std::uint64_t stored_bytes(const Site& site);
// Writes that make the store larger than limits.store_bytes. Of values that replace others only
// what they have more is growth.
inline constexpr std::size_t kDecimalBytesMax = 20;  // Of 64 bits with their sign.
struct KeyWrite {
  std::string_view key;
  std::size_t value_bytes = 0;  // At most.
};
std::optional<ApiError> check_quota(const Site& site, std::span<const KeyWrite> writes);
// The same of what is known to be growth.
std::optional<ApiError> check_quota(const Site& site, std::uint64_t bytes);

// Either alphabet, padded or not.
std::optional<std::string> decode_any_base64(std::string_view text);

void add_item_or_null(std::string& json, std::string_view name,
                      const std::optional<kv::Item>& item);
// A write that was done: its status and body, or 204 and none for who prefers that.
struct Written {
  int status = 200;
  bool minimal = false;
  kv::Revision revision = 0;
};
http::Response written(const Site& site, const node::Done& done, const Written& what,
                       std::string json);
http::Response written(const Site& site, const node::Done& done, const Written& what);  // No body.
void add_forwarded(std::string& fields, const Site& site, const node::Done& done);
// The log took the write, and the store refused it.
http::Response refuse_write(const Site& site, const ApiError& error, const node::Done& done);

// {"revision":N,"count":N}, or what a DELETE ?prefix would delete.
struct CountShape {
  bool would_delete = false;
  std::uint64_t limit = 0;  // Of would_delete; 0: none.
};
Started start_count(const ReadOptions& options, std::string prefix, const CountShape& shape);

}  // namespace raftd::api
