#include "api/errors.h"

#include <algorithm>

#include "api/answer.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::api {
namespace {

// The upper bound of the election timeout: by then another leader should be known.
std::uint64_t retry_ms(Duration election_timeout_min) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(2 * election_timeout_min).count());
}

ApiError make(int status, const char* code, std::string message) {
  ApiError error;
  error.status = status;
  error.code = code;
  error.message = std::move(message);
  return error;
}

ApiError unavailable(const char* code, std::string message, Duration election_timeout_min) {
  ApiError error = make(503, code, std::move(message));
  error.retry_after_ms = retry_ms(election_timeout_min);
  return error;
}

}  // namespace

ApiError bad_parameter(std::string_view name, std::string message) {
  constexpr std::size_t kNameShownMax = 64;
  ApiError error = bad_request(std::move(message));
  add_member(error.extra, "parameter", percent_escape(name.substr(0, kNameShownMax)));
  return error;
}

ApiError bad_request(std::string message) {
  return make(400, "bad_request", std::move(message));
}

ApiError too_large(std::string_view limit, std::uint64_t max, std::uint64_t got) {
  ApiError error = make(413, "too_large", "over " + std::string(limit));
  add_member(error.extra, "limit", limit);
  add_member(error.extra, "max", max);
  if (got != 0) add_member(error.extra, "got", got);
  return error;
}

ApiError no_leader(Duration election_timeout_min) {
  return unavailable("no_leader", "no leader is known; an election is under way",
                     election_timeout_min);
}

ApiError unknown_path(std::string_view path) {
  constexpr std::size_t kPathShownMax = 256;
  return make(404, "unknown_path",
              "nothing is served at " + percent_escape(path.substr(0, kPathShownMax)));
}

ApiError internal_error(std::string message) {
  ApiError error = make(500, "internal", std::move(message));
  error.outcome = Outcome::kUnknown;
  return error;
}

ApiError error_of(const node::Refused& refused, Asked asked, Duration election_timeout_min) {
  const std::string& message = refused.error.message;
  switch (refused.error.code) {
    case Errc::kNotLeader:
      return no_leader(election_timeout_min);
    case Errc::kBusy: {
      ApiError error = unavailable(
          "overloaded", message.empty() ? "too many requests wait" : message, election_timeout_min);
      error.status = 429;
      add_member(error.extra, "limit",
                 asked == Asked::kSnapshot ? "snapshots" : "raft.max_pending_bytes");
      return error;
    }
    case Errc::kTransferring:
      return unavailable("transferring", "leadership is being handed over", election_timeout_min);
    case Errc::kDiskFull:
      return make(507, "disk_full",
                  asked == Asked::kSnapshot ? message : "no space is left for the log");
    case Errc::kSuperseded:
      return unavailable("superseded", "the leader changed and another entry was committed instead",
                         election_timeout_min);
    case Errc::kTimeout:
      return make(504, "timeout", "nothing was done before the timeout");
    case Errc::kShuttingDown:
      return unavailable("shutting_down", "this node is stopping; ask another",
                         election_timeout_min);
    case Errc::kNotReady:
      return unavailable("not_ready", message, election_timeout_min);
    case Errc::kTooBig:
      return too_large("limits.request_bytes", limits::kRequestBytesMax, 0);
    case Errc::kConflict:
    case Errc::kBadInput:
      if (asked == Asked::kTransfer) return make(409, "transfer_failed", message);
      break;
    case Errc::kIo:
    case Errc::kCorrupt:
    case Errc::kUnsupported:
      break;
  }
  ApiError error = internal_error(message);
  if (asked == Asked::kRead) error.outcome = Outcome::kNone;
  return error;
}

ApiError error_of(const node::Unknown& unknown, Asked asked) {
  ApiError error =
      unknown.leader_lost
          ? make(504, "leader_lost", "the leader was lost; what became of the request is not known")
          : make(504, "timeout", "no answer within the timeout");
  if (asked == Asked::kRead) {
    error.code = "timeout";
  } else {
    error.outcome = Outcome::kUnknown;
  }
  return error;
}

std::optional<ApiError> error_of(const kv::StoreReply& reply) {
  using Result = kv::StoreReply::Result;
  if (reply.result == Result::kBadCommand) return internal_error(reply.message);
  ApiError error;
  error.revision = reply.revision;
  if (reply.result == Result::kFenced) {
    error.status = 412;
    error.code = "fenced";
    error.message =
        percent_escape(reply.message) + " is not held with token " + std::to_string(reply.number);
    add_bytes(error.extra, "name", reply.message);
    add_member(error.extra, "token", reply.number);
    return error;
  }
  if (reply.result == Result::kMismatch) {
    error.status = 422;
    error.code = "idempotency_mismatch";
    error.message = "this Idempotency-Key belongs to another request";
    return error;
  }
  if (reply.result == Result::kTooManyLeases) {
    error.status = 507;
    error.code = "quota";
    error.message = strf("at most %zu leases may live at once", limits::kLeasesMax);
    add_member(error.extra, "limit", "leases");
    add_member(error.extra, "max", std::uint64_t{limits::kLeasesMax});
    return error;
  }
  return std::nullopt;
}

std::string to_json(const ApiError& error, std::string_view leader_url) {
  std::string json = "{";
  add_member(json, "error", error.code);
  add_member(json, "message", error.message);
  add_member(json, "status", static_cast<std::uint64_t>(error.status));
  add_member(json, "outcome", error.outcome == Outcome::kNone ? "none" : "unknown");
  if (error.revision) add_member(json, "revision", *error.revision);
  if (!leader_url.empty()) add_member(json, "leader", leader_url);
  if (error.retry_after_ms != 0) add_member(json, "retry_after_ms", error.retry_after_ms);
  if (!error.extra.empty()) json.append(",").append(error.extra);
  json += '}';
  return json;
}

http::Response to_response(const ApiError& error, const NodeHeaders& headers) {
  http::Response response =
      json_answer(error.status, headers, to_json(error, headers.leader_url()) + '\n');
  add_header(response.fields, "Raftd-Error", error.code);
  if (error.retry_after_ms != 0) {
    add_header(response.fields, "Retry-After",
               std::max<std::uint64_t>(1, (error.retry_after_ms + 999) / 1000));
  }
  if (error.revision) add_header(response.fields, "Raftd-Revision", *error.revision);
  response.fields += error.fields;
  response.close = error.close;
  return response;
}

}  // namespace raftd::api
