// Refusals: what went wrong, whether anything was done, and their form in HTTP (native API,
// section 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "kv/query.h"
#include "node/replica.h"

namespace raftd::api {

class NodeHeaders;

// none: nothing was done and nothing will be done because of this request.
enum class Outcome : std::uint8_t { kNone, kUnknown };

struct ApiError {
  int status = 400;
  const char* code = "bad_request";
  std::string message;  // A sentence for a person.
  Outcome outcome = Outcome::kNone;
  std::optional<std::uint64_t> revision;  // Of the store, where the answer depends on it.
  std::uint64_t retry_after_ms = 0;       // 0: no advice.
  std::string extra;                      // Further JSON members, each begun with a comma.
  std::string fields;                     // Further header lines.
  bool close = false;
};

// A parameter or a header that is wrong; name is what the client sent, of any bytes.
ApiError bad_parameter(std::string_view name, std::string message);
ApiError bad_request(std::string message);
ApiError too_large(std::string_view limit, std::uint64_t max, std::uint64_t got);
ApiError no_leader(Duration election_timeout_min);
ApiError unknown_path(std::string_view path);
ApiError internal_error(std::string message);

// Whether the replica was asked for a write, a read, a change of leader or of members, or a
// snapshot.
enum class Asked : std::uint8_t { kWrite, kRead, kTransfer, kMembers, kSnapshot };

// What the replica's Refused or Unknown is called towards clients. outcome "none" only where the
// replica is certain that the write neither happened nor will.
ApiError error_of(const node::Refused& refused, Asked asked, Duration election_timeout_min);
ApiError error_of(const node::Unknown& unknown, Asked asked);
// What the store may answer to any write. nullopt: what it answered is for that kind of write to
// say.
std::optional<ApiError> error_of(const kv::StoreReply& reply);

http::Response to_response(const ApiError& error, const NodeHeaders& headers);
// The JSON object alone, without a newline: for the end of a stream.
std::string to_json(const ApiError& error, std::string_view leader_url);

}  // namespace raftd::api
