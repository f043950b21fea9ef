// On which terms a write is asked for: what its headers say besides the write itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/request_headers.h"
#include "api/router.h"
#include "kv/command.h"

namespace raftd::api {

// Before the name in a fence: an election is meant, and no lock.
inline constexpr std::string_view kElectionFence = "election:";

// Valid as long as the request that it was read from.
class RequestTerms {
 public:
  // Raftd-Fence. 400: malformed, too many, or of a call that would not heed it, or would be done
  // twice in spite of its Idempotency-Key.
  std::optional<ApiError> read(const RequestHeaders& headers, Route route);
  // Idempotency-Key, which check_headers() has found to be one. body_here: the request is whole.
  void identify(const http::Request& request, const RequestHeaders& headers, bool body_here);
  // Views into this object and the request.
  kv::Terms view() const;
  bool none() const { return fences_.empty() && idempotency_key_.empty(); }

 private:
  struct Fence {
    kv::Space space = kv::Space::kKeys;
    std::string name;
    kv::Revision token = 0;
  };
  std::vector<Fence> fences_;
  std::string_view idempotency_key_;
  std::uint64_t request_hash_ = 0;
};

// Of what makes it this request: method, path, query without timeout and redirect, body.
std::uint64_t request_hash(const http::Request& request);

}  // namespace raftd::api
