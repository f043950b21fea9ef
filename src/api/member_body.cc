#include <algorithm>

#include "api/answer.h"
#include "api/membership.h"
#include "base/address.h"
#include "base/digest.h"
#include "base/endian.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/text.h"
#include "http/base64.h"
#include "http/json.h"

namespace raftd::api {
namespace {

constexpr std::size_t kTokenBytes = 32;

ApiError bad_field(std::string_view name, std::string expected) {
  ApiError error = bad_request("field " + std::string(name) + ": expected " + std::move(expected));
  add_member(error.extra, "field", name);
  return error;
}

bool read_id(const http::JsonValue& value, std::uint64_t& id) {
  const std::uint64_t* number = value.whole();
  if (number == nullptr || *number == 0 || *number > limits::kNodeIdMax) return false;
  id = *number;
  return true;
}

std::optional<ApiError> read_text(const std::string& name, const std::string& text,
                                  WantedMember& member) {
  Address address;
  if (name == "name") {
    if (!is_member_name(text)) {
      return bad_field(name, "1 to 64 bytes that are not all digits, without control bytes");
    }
    member.name = text;
  } else if (name == "peer") {
    const bool good = text.size() <= limits::kAddressBytesMax &&
                      parse_address(text, false, address) && !address.is_wildcard();
    if (!good) return bad_field(name, "HOST:PORT at which the others reach it");
    member.peer = text;
  } else if (name == "client") {
    const bool good = text.size() <= limits::kAddressBytesMax && parse_url(text, address) &&
                      !address.is_wildcard();
    if (!good) return bad_field(name, "http://HOST:PORT at which clients reach it");
    member.client = text;
  } else if (name == "role") {
    bool voter = false;
    if (!read_role(text, voter)) return bad_field(name, "\"voter\" or \"learner\"");
    member.voter = voter;
  } else if (name == "ticket") {
    const std::optional<std::string> hash = token_hash(text);
    if (!hash) return bad_field(name, "the token of a ticket, 43 characters");
    member.token_hash = *hash;
  } else if (name == "instance") {
    if (!parse_hex_u64(text, member.instance)) {
      return bad_field(name, "16 hexadecimal digits in lower case");
    }
  }
  return std::nullopt;
}

std::optional<ApiError> read_field(const http::JsonField& field, bool with_id,
                                   WantedMember& member) {
  constexpr std::string_view kTexts[] = {"name", "peer", "client", "role", "ticket", "instance"};
  std::uint64_t id = 0;
  if (field.name == "id" && with_id) {
    if (!read_id(field.value, id)) return bad_field("id", "a number from 1 to 2^53-1");
    member.id = {id};
    return std::nullopt;
  }
  if (field.name == "replaces") {
    if (!read_id(field.value, member.replaces)) {
      return bad_field("replaces", "the id of a member, a number from 1 to 2^53-1");
    }
    return std::nullopt;
  }
  if (std::ranges::find(kTexts, field.name) == std::end(kTexts)) {
    ApiError error = bad_request("unknown field " + percent_escape(field.name));
    error.code = "bad_json";
    add_member(error.extra, "field", field.name);
    return error;
  }
  const std::string* text = field.value.text();
  if (text == nullptr) return bad_field(field.name, "a string");
  return read_text(field.name, *text, member);
}

}  // namespace

bool read_role(std::string_view text, bool& voter) {
  voter = text == "voter";
  return voter || text == "learner";
}

std::optional<ApiError> read_member(const http::JsonValue& body, raft::NodeId id,
                                    WantedMember& member) {
  member.id = id;
  const http::JsonObject* object = body.object();
  if (object == nullptr) {
    ApiError error = bad_request("a member is an object");
    error.code = "bad_json";
    return error;
  }
  for (const http::JsonField& field : *object) {
    if (auto error = read_field(field, !id, member)) return error;
  }
  if (!member.id) return bad_field("id", "a number from 1 to 2^53-1");
  if (member.replaces == member.id.value) return bad_field("replaces", "another member's id");
  return std::nullopt;
}

std::optional<std::string> token_hash(std::string_view token) {
  const std::optional<std::string> bytes = http::base64_decode(token, http::Base64::kUrlSafe);
  if (!bytes || bytes->size() != kTokenBytes) return std::nullopt;
  Sha256 sum;
  sum.add(as_bytes(*bytes));
  const Sha256::Sum hash = sum.finish();
  return std::string(as_text(hash));
}

std::string new_token() {
  Bytes bytes;
  while (bytes.size() < kTokenBytes)
    append_le(bytes, os_entropy());
  return http::base64_encode(as_text(bytes), http::Base64::kUrlSafe);
}

}  // namespace raftd::api
