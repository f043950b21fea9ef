#include "api/terms.h"

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "base/limits.h"
#include "base/text.h"
#include "http/uri.h"

namespace raftd::api {
namespace {

ApiError bad_fence(std::string message) {
  return bad_parameter("Raftd-Fence", "Raftd-Fence " + std::move(message));
}

// Where a request is sent, and how long its client waits, does not make it another one.
bool is_part_of_request(std::string_view parameter) {
  const Result<std::string> name = http::percent_decode(parameter.substr(0, parameter.find('=')));
  return !name || (*name != param_name(Param::kTimeout) && *name != param_name(Param::kRedirect));
}

// Whether the calls of this route go through the store, which checks the terms.
bool takes_terms(Route route) {
  constexpr std::array kRoutes{Route::kKv,       Route::kTxn,       Route::kLeases,
                               Route::kLease,    Route::kKeepLease, Route::kLock,
                               Route::kKeepLock, Route::kElection,  Route::kKeepElection};
  return std::ranges::find(kRoutes, route) != kRoutes.end();
}

// What contains a secret is not kept for who asks again, and the contract has the key ignored.
bool ignores_keys(Route route) {
  return route == Route::kTickets || route == Route::kTicket;
}

}  // namespace

std::optional<ApiError> RequestTerms::read(const RequestHeaders& headers, Route route) {
  const bool taken = takes_terms(route);
  if (!taken && !ignores_keys(route) && headers.idempotency_key != nullptr) {
    return bad_parameter("Idempotency-Key", "Idempotency-Key does not go with this call");
  }
  if (headers.fence == nullptr) return std::nullopt;
  if (!taken) return bad_fence("does not go with this call");
  std::string_view rest = *headers.fence;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    std::string_view text = trimmed(rest.substr(0, comma));
    if (more) rest.remove_prefix(comma + 1);
    if (fences_.size() == limits::kFencesMax) {
      return bad_fence(strf("names more than %zu locks", limits::kFencesMax));
    }
    Fence fence;
    if (text.starts_with(kElectionFence)) {
      fence.space = kv::Space::kElections;
      text.remove_prefix(kElectionFence.size());
    }
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || !parse_u64(text.substr(equals + 1), fence.token) ||
        fence.token == 0) {
      return bad_fence("must be NAME=TOKEN, or several of these between commas");
    }
    Result<std::string> name = http::percent_decode(text.substr(0, equals));
    if (!name) return bad_fence("has a malformed name: " + name.error().message);
    fence.name = *std::move(name);
    if (fence.name.empty() || fence.name.size() > limits::kLockNameBytesMax) {
      return bad_fence(strf("has a name that is not of 1 to %zu bytes", limits::kLockNameBytesMax));
    }
    fences_.push_back(std::move(fence));
  }
  return std::nullopt;
}

void RequestTerms::identify(const http::Request& request, const RequestHeaders& headers,
                            bool body_here) {
  if (headers.idempotency_key == nullptr) return;
  idempotency_key_ = *headers.idempotency_key;
  if (body_here) request_hash_ = request_hash(request);
}

kv::Terms RequestTerms::view() const {
  kv::Terms terms;
  terms.idempotency_key = idempotency_key_;
  terms.request_hash = request_hash_;
  for (const Fence& fence : fences_)
    terms.fences.push_back({fence.space, fence.name, fence.token});
  return terms;
}

std::uint64_t request_hash(const http::Request& request) {
  std::uint64_t hash = hash64(as_bytes(request.method_name));
  hash = hash64(as_bytes(request.path()), hash);
  std::uint64_t parameters = 0;
  for (std::string_view rest = request.query(); !rest.empty();) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view parameter = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!is_part_of_request(parameter)) continue;
    hash = hash64(as_bytes(parameter), hash);
    ++parameters;
  }
  return hash64(as_bytes(request.body), digest_mix(hash + parameters));
}

}  // namespace raftd::api
