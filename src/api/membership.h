// What the calls that change members share: refusals, and members as a client writes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/call.h"
#include "http/json.h"

namespace raftd::api {

ApiError refusal(const char* code, std::string message);  // 409
ApiError change_pending(const Site& site, Instant now, std::string message);

// A member as a body describes it. Checked: whoever reads it may put it in a header line.
struct WantedMember {
  raft::NodeId id;
  std::string name;    // Empty: not said.
  std::string peer;    // HOST:PORT; the same.
  std::string client;  // http://HOST:PORT; the same.
  std::optional<bool> voter;
  std::string token_hash;  // Of its ticket; empty: it has none.
  std::uint64_t replaces = 0;
  std::uint64_t instance = 0;
};

// id 0: the body has it. nullopt: it could be read. Else bad_json or bad_request, naming the field.
std::optional<ApiError> read_member(const http::JsonValue& body, raft::NodeId id,
                                    WantedMember& member);

bool read_role(std::string_view text, bool& voter);  // False: neither "voter" nor "learner".

// SHA-256 of what the token says; nullopt: it is no token.
std::optional<std::string> token_hash(std::string_view token);
std::string new_token();  // Of the operating system's randomness.

void add_tickets(std::string& json, const Site& site, Instant now);  // "tickets":[...]

}  // namespace raftd::api
