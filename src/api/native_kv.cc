#include "api/native_kv.h"

#include "api/answer.h"
#include "base/text.h"
#include "http/base64.h"
#include "http/uri.h"

namespace raftd::api {

std::optional<std::string> decode_any_base64(std::string_view text) {
  const bool padded = text.size() % 4 == 0;
  for (int i = 0; i < 2 && padded && text.ends_with('='); ++i)
    text.remove_suffix(1);
  std::string url_safe(text);
  for (char& c : url_safe)
    c = c == '+' ? '-' : c == '/' ? '_' : c;
  return http::base64_decode(url_safe, http::Base64::kUrlSafe);
}

namespace {

// Of the key and its value; 0: it is not there.
std::uint64_t replaced_bytes(const Site& site, std::string_view key) {
  kv::GetQuery query;
  query.key = key;
  const std::unique_ptr<machine::Reply> reply = site.store.query(query, {});
  const auto* present = dynamic_cast<const kv::GetReply*>(reply.get());
  if (present == nullptr || present->result != kv::GetReply::Result::kFound) return 0;
  return present->item.key.size() + present->item.value.size();
}

ApiError quota(const Site& site, std::uint64_t bytes) {
  ApiError error = too_large("limits.store_bytes", site.limits.store_bytes, bytes);
  error.status = 507;
  error.code = "quota";
  error.message = "the store is full; deletes always work";
  return error;
}

}  // namespace

std::optional<ApiError> read_key(const Context& context, std::string& key) {
  if (context.parameters.has(Param::kKey64)) {
    if (!context.routed.rest.empty()) {
      return bad_parameter("key64", "with key64 the path names no key");
    }
    std::optional<std::string> decoded = decode_any_base64(context.parameters.value(Param::kKey64));
    if (!decoded) return bad_parameter("key64", "key64 is not base64");
    key = *std::move(decoded);
    return std::nullopt;
  }
  Result<std::string> decoded = http::percent_decode(context.routed.rest);
  if (!decoded) return bad_request("the path: " + decoded.error().message);
  key = *std::move(decoded);
  return std::nullopt;
}

std::optional<ApiError> check_key_size(const Site& site, const std::string& key) {
  if (key.size() <= site.limits.key_bytes) return std::nullopt;
  return too_large("limits.key_bytes", site.limits.key_bytes, key.size());
}

std::optional<ApiError> check_key(const Site& site, const std::string& key) {
  if (key.empty()) return bad_request("the key is empty");
  return check_key_size(site, key);
}

std::optional<ApiError> check_value(const Site& site, const Context& context) {
  std::uint64_t bytes = context.request.body.size();
  if (context.head_only && context.headers.content_length != nullptr) {
    if (!parse_u64(*context.headers.content_length, bytes)) bytes = 0;  // The parser refuses it.
  }
  if (bytes <= site.limits.value_bytes) return std::nullopt;
  ApiError error = too_large("limits.value_bytes", site.limits.value_bytes, bytes);
  error.close = context.head_only;  // The body is not wanted any more.
  return error;
}

std::uint64_t stored_bytes(const Site& site) {
  const kv::StoreStats stats = site.store.stats();
  return stats.bytes + stats.lock_bytes;
}

std::optional<ApiError> check_quota(const Site& site, std::span<const KeyWrite> writes) {
  std::uint64_t bytes = 0;
  for (const KeyWrite& write : writes)
    bytes += write.key.size() + write.value_bytes;
  const std::uint64_t stored = stored_bytes(site);
  if (stored + bytes <= site.limits.store_bytes) return std::nullopt;
  // Near the quota: what is replaced counts.
  std::uint64_t replaced = 0;
  for (const KeyWrite& write : writes)
    replaced += replaced_bytes(site, write.key);
  if (bytes <= replaced || stored - replaced + bytes <= site.limits.store_bytes) {
    return std::nullopt;
  }
  return quota(site, stored + bytes);
}

std::optional<ApiError> check_quota(const Site& site, std::uint64_t bytes) {
  const std::uint64_t stored = stored_bytes(site);
  if (stored + bytes <= site.limits.store_bytes) return std::nullopt;
  return quota(site, stored + bytes);
}

void add_item_or_null(std::string& json, std::string_view name,
                      const std::optional<kv::Item>& item) {
  add_name(json, name);
  if (item) {
    add_item(json, *item, true);
  } else {
    json += "null";
  }
}

void add_forwarded(std::string& fields, const Site& site, const node::Done& done) {
  if (done.forwarded) add_header(fields, "Raftd-Forwarded", site.options.self.value);
}

http::Response written(const Site& site, const node::Done& done, const Written& what,
                       std::string json) {
  http::Response response = written(site, done, what);
  if (!what.minimal) response.body = std::move(json);
  return response;
}

http::Response written(const Site& site, const node::Done& done, const Written& what) {
  http::Response response = site.leftovers.response();
  if (what.minimal) {
    response.status = 204;
    response.fields = "Preference-Applied: return=minimal\r\n";
  } else {
    response.status = what.status;
    response.fields = "Content-Type: application/json\r\n";
  }
  add_header(response.fields, "Raftd-Revision", what.revision);
  add_header(response.fields, "Raftd-Index", done.index.value);
  add_forwarded(response.fields, site, done);
  response.fields += site.headers.block();
  return response;
}

http::Response refuse_write(const Site& site, const ApiError& error, const node::Done& done) {
  http::Response response = to_response(error, site.headers);
  add_header(response.fields, "Raftd-Index", done.index.value);
  add_forwarded(response.fields, site, done);
  return response;
}

}  // namespace raftd::api
