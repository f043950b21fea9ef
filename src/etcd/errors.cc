#include "etcd/errors.h"

#include <utility>

#include "api/answer.h"

namespace raftd::etcd {
namespace {

Error make(Code code, std::string_view text) {
  return {code, std::string("etcdserver: ").append(text)};
}

// Of a status as HTTP names it: the stream form carries it.
std::string_view status_text(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 409:
      return "Conflict";
    case 429:
      return "Too Many Requests";
    case 499:
      return "Client Closed Request";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

std::uint64_t number_of(Code code) {
  return static_cast<std::uint64_t>(code);
}

}  // namespace

Error invalid(std::string_view text) {
  return make(Code::kInvalidArgument, text);
}

Error not_found(std::string_view text) {
  return make(Code::kNotFound, text);
}

Error failed_precondition(std::string_view text) {
  return make(Code::kFailedPrecondition, text);
}

Error out_of_range(std::string_view text) {
  return make(Code::kOutOfRange, text);
}

Error exhausted(std::string_view text) {
  return make(Code::kResourceExhausted, text);
}

Error unavailable(std::string_view text) {
  return make(Code::kUnavailable, text);
}

Error no_space() {
  return exhausted("mvcc: database space exceeded");
}

Error no_leader() {
  return unavailable("no leader");
}

Error compacted() {
  return out_of_range("mvcc: required revision has been compacted");
}

Error future_revision() {
  return out_of_range("mvcc: required revision is a future revision");
}

Error translate(const api::ApiError& error) {
  const std::string_view code = error.code;
  if (code == "no_leader") return no_leader();
  if (code == "leader_lost" || code == "superseded" || code == "transferring") {
    return unavailable("leader changed");
  }
  if (code == "timeout") return unavailable("request timed out");
  if (code == "shutting_down") return unavailable("server stopped");
  if (code == "not_ready") return unavailable("unhealthy cluster");
  if (code == "overloaded") return exhausted("too many requests");
  if (code == "disk_full" || code == "quota") return no_space();
  if (code == "too_large") return invalid("request is too large");
  if (code == "change_pending") return unavailable("a change of members is under way");
  if (code == "not_caught_up") {
    return failed_precondition("can only promote a learner member which is in sync with leader");
  }
  if (code == "transfer_failed") return failed_precondition("bad leader transferee");
  return make(Code::kInternal, error.message);
}

int http_status(Code code) {
  switch (code) {
    case Code::kCancelled:
      return 499;
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return 400;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kPermissionDenied:
      return 403;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnimplemented:
      return 501;
    case Code::kUnavailable:
      return 503;
    case Code::kUnauthenticated:
      return 401;
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss:
      break;
  }
  return 500;
}

std::string unary_json(const Error& error) {
  std::string json = "{";
  api::add_member(json, "error", error.message);
  api::add_member(json, "message", error.message);
  api::add_member(json, "code", number_of(error.code));
  return json + ",\"details\":[]}";
}

std::string stream_json(const Error& error) {
  const int status = http_status(error.code);
  std::string json = "{\"error\":{";
  api::add_member(json, "grpc_code", number_of(error.code));
  api::add_member(json, "http_code", static_cast<std::uint64_t>(status));
  api::add_member(json, "http_status", status_text(status));
  api::add_member(json, "code", number_of(error.code));
  api::add_member(json, "message", error.message);
  return json + ",\"details\":[]}}\n";
}

}  // namespace raftd::etcd
