#include "api/write_refusal.h"

#include "api/answer.h"
#include "api/native_kv.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::api {
namespace {

using Result = kv::StoreReply::Result;

ApiError of_key(int status, const char* code, std::string message, std::string_view key) {
  ApiError error = bad_request(std::move(message));
  error.status = status;
  error.code = code;
  if (!key.empty()) add_bytes(error.extra, "key", key);
  return error;
}

ApiError make(const kv::StoreReply& reply, std::string_view key) {
  if (std::optional<ApiError> common = error_of(reply)) return *std::move(common);
  const std::string name = "key " + percent_escape(key);
  switch (reply.result) {
    case Result::kNotFound:
      return of_key(404, "not_found", "touch: " + name + " does not exist", key);
    case Result::kNoLease:
      return of_key(409, "no_lease", "touch: " + name + " has no lease; attach one with PUT", key);
    case Result::kSharedLease:
      return of_key(409, "shared_lease",
                    "touch: other keys use the lease of " + name + ", its length stays", key);
    case Result::kNotANumber:
      return of_key(409, "not_a_number", "incr: the value of " + name + " is no decimal number",
                    key);
    case Result::kOverflow:
      return of_key(409, "overflow", "incr: the sum does not fit in 64 bits: " + name, key);
    case Result::kLeaseNotFound: {
      const std::string id = std::to_string(reply.number);
      std::string message = "there is no lease " + id;
      if (!key.empty()) message += " for " + name;
      ApiError error = of_key(404, "lease_not_found", std::move(message), key);
      add_lease_id(error.extra, "id", reply.number);
      return error;
    }
    case Result::kLeaseExists: {
      const std::string id = std::to_string(reply.number);
      ApiError error = of_key(409, "lease_exists", "lease " + id + " exists", {});
      add_lease_id(error.extra, "id", reply.number);
      return error;
    }
    case Result::kTooLarge:
      return too_large(reply.message, reply.number, 0);
    case Result::kDone:
    case Result::kModDiffers:
    case Result::kExists:
    case Result::kAbsent:
    case Result::kBadCommand:
    case Result::kFenced:
    case Result::kMismatch:
    case Result::kTooManyLeases:
    case Result::kLocked:
    case Result::kWaiting:
    case Result::kLockLost:
    case Result::kCompacted:
    case Result::kFuture:
      break;
  }
  return internal_error(reply.message);
}

}  // namespace

ApiError store_refusal(const kv::StoreReply& reply, std::string_view key) {
  ApiError error = make(reply, key);
  error.revision = reply.revision;
  return error;
}

http::Response refused_write(const Site& site, const node::Done& done, const kv::StoreReply& reply,
                             std::string_view key) {
  return refuse_write(site, store_refusal(reply, key), done);
}

}  // namespace raftd::api
