#include "etcd/call.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "api/answer.h"
#include "base/limits.h"

namespace raftd::etcd {
namespace {

constexpr std::string_view kErrorFields = "Content-Type: application/json\r\n";
constexpr std::string_view kJsonFields =
    "Content-Type: application/json\r\nGrpc-Metadata-Content-Type: application/grpc\r\n";

std::uint64_t cluster_id(const api::Site& site) {
  const std::string& hex = site.options.cluster_id;
  std::uint64_t id = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), id, 16);
  return id;
}

}  // namespace

ResponseHeader header(const api::Site& site, kv::Revision revision) {
  return {cluster_id(site), site.options.self.value, static_cast<std::int64_t>(revision),
          site.headers.role().term.value};
}

http::Response empty_answer(const api::Site& site) {
  http::Response response = site.leftovers.response();
  response.fields.append(kJsonFields).append(kCorsFields);
  return response;
}

http::Response header_answer(const api::Site& site, kv::Revision revision) {
  return answer(site, HeaderResponse{header(site, revision)});
}

http::Response refuse(const Error& error) {
  http::Response response;
  response.status = http_status(error.code);
  response.fields.append(kErrorFields).append(kCorsFields);
  response.body = unary_json(error);
  return response;
}

http::Response stream_answer(std::unique_ptr<http::BodySource> stream) {
  http::Response response;
  response.fields.append(kJsonFields).append(kCorsFields);
  response.stream = std::move(stream);
  return response;
}

http::Response EtcdCall::refuse(const api::Site&, const api::ApiError& error) const {
  return etcd::refuse(translate(error));
}

std::optional<Error> check_leader(const api::Site& site) {
  if (site.headers.is_leader() || site.headers.role().leader) return std::nullopt;
  return no_leader();
}

kv::LeaseId choose_lease_id(const api::Site& site) {
  return std::max<kv::LeaseId>(1, site.names.next() & limits::kLeaseIdMax);
}

KeyValue key_value(kv::Item item) {
  return {std::move(item.key),
          static_cast<std::int64_t>(item.create),
          static_cast<std::int64_t>(item.mod),
          static_cast<std::int64_t>(item.version),
          std::move(item.value),
          static_cast<std::int64_t>(item.lease)};
}

std::optional<Error> error_of(const kv::StoreReply& reply) {
  using Result = kv::StoreReply::Result;
  switch (reply.result) {
    case Result::kDone:
      return std::nullopt;
    case Result::kNotFound:
      return invalid("key not found");
    case Result::kLeaseNotFound:
      return not_found("requested lease not found");
    case Result::kLeaseExists:
      return failed_precondition("lease already exists");
    case Result::kTooManyLeases:
      return no_space();
    case Result::kTooLarge:
      return exhausted("over " + reply.message + ", at most " + std::to_string(reply.number));
    case Result::kCompacted:
      return compacted();
    case Result::kFuture:
      return future_revision();
    case Result::kModDiffers:
    case Result::kExists:
    case Result::kAbsent:
    case Result::kBadCommand:
    case Result::kFenced:
    case Result::kMismatch:
    case Result::kNotANumber:
    case Result::kOverflow:
    case Result::kNoLease:
    case Result::kSharedLease:
    case Result::kLocked:
    case Result::kWaiting:
    case Result::kLockLost:
      break;
  }
  return Error{Code::kInternal, "etcdserver: " + reply.message};
}

}  // namespace raftd::etcd
