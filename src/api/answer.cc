#include "api/answer.h"

#include "http/json.h"

namespace raftd::api {

void add_name(std::string& json, std::string_view name) {
  if (!json.empty() && json.back() != '{') json += ',';
  json += '"';
  json.append(name).append("\":");
}

void add_member(std::string& json, std::string_view name, std::string_view text) {
  add_name(json, name);
  http::JsonWriter(json).value(text);
}

void add_flag(std::string& json, std::string_view name, bool value) {
  add_name(json, name);
  json += value ? "true" : "false";
}

void add_bytes(std::string& json, std::string_view name, std::string_view bytes) {
  if (!json.empty() && json.back() != '{') json += ',';
  http::JsonWriter(json).bytes(name, bytes);
}

void add_lease_id(std::string& json, std::string_view name, kv::LeaseId id) {
  add_name(json, name);
  json += '"';
  add_number(json, id);
  json += '"';
}

void add_item(std::string& json, const kv::Item& item, bool with_value) {
  json += '{';
  add_bytes(json, "key", item.key);
  if (with_value) add_bytes(json, "value", item.value);
  add_member(json, "mod", item.mod);
  add_member(json, "create", item.create);
  add_member(json, "version", item.version);
  if (item.lease != 0) {
    add_lease_id(json, "lease", item.lease);
    add_member(json, "ttl", seconds_of(item.ttl_ms));
  }
  json += '}';
}

namespace {

http::Response answer(int status, std::string_view type, const NodeHeaders& headers,
                      std::string body) {
  constexpr std::size_t kUsualHeaderBytes = 512;
  http::Response response;
  response.status = status;
  response.fields.reserve(kUsualHeaderBytes);
  add_header(response.fields, "Content-Type", type);
  response.fields += headers.block();
  response.body = std::move(body);
  return response;
}

}  // namespace

http::Response json_answer(int status, const NodeHeaders& headers, std::string body) {
  return answer(status, "application/json", headers, std::move(body));
}

http::Response text_answer(int status, const NodeHeaders& headers, std::string body) {
  return answer(status, "text/plain; charset=utf-8", headers, std::move(body));
}

}  // namespace raftd::api
