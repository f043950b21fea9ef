// The header fields that mean something to the native API, found in one pass over a request's
// headers, and how conditions are written in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/errors.h"
#include "api/parameters.h"
#include "kv/command.h"

namespace raftd::api {

// Null: not sent.
struct RequestHeaders {
  const std::string* accept = nullptr;
  const std::string* api = nullptr;
  const std::string* authorization = nullptr;
  const std::string* cluster = nullptr;
  const std::string* content_length = nullptr;
  const std::string* expect = nullptr;
  const std::string* fence = nullptr;
  const std::string* forwarded = nullptr;
  const std::string* host = nullptr;
  const std::string* idempotency_key = nullptr;
  const std::string* if_match = nullptr;
  const std::string* if_none_match = nullptr;
  const std::string* last_event_id = nullptr;
  const std::string* origin = nullptr;
  const std::string* prefer = nullptr;
  const std::string* traceparent = nullptr;
  const std::string* repeated = nullptr;  // Name of one that was sent twice and may not be.
};

RequestHeaders find_headers(const http::Request& request);

// The checks of section 3 that come before parameters: Origin, cluster, API version, and headers
// of this contract that this release does not have. Nothing: go on.
std::optional<ApiError> check_headers(const http::Request& request, const RequestHeaders& headers,
                                      std::string_view cluster_id);

// The media types of an Accept header, without their parameters, in their order.
std::vector<std::string_view> accepted_types(std::string_view accept);

bool prefers_minimal(const RequestHeaders& headers);

// Of headers and of the parameters cas and if; at most one may be given.
kv::Condition read_condition(const RequestHeaders& headers, ParamReader& reader);
// Of a write that is not of one key: there must be none.
void refuse_condition(const RequestHeaders& headers, ParamReader& reader);
// If-None-Match of a GET: the revision that the client has.
std::optional<std::uint64_t> read_known_revision(const RequestHeaders& headers,
                                                 ParamReader& reader);

}  // namespace raftd::api
