// Refusals in etcd's words: their texts are part of its API, clients compare them
// (etcd-io/etcd: api/v3rpc/rpctypes/error.go).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/errors.h"

namespace raftd::etcd {

// Of gRPC.
enum class Code : std::uint8_t {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

struct Error {
  Code code = Code::kUnknown;
  std::string message;
};

// The message is text behind "etcdserver: ".
Error invalid(std::string_view text);
Error not_found(std::string_view text);
Error failed_precondition(std::string_view text);
Error out_of_range(std::string_view text);
Error exhausted(std::string_view text);
Error unavailable(std::string_view text);
Error no_space();
Error no_leader();
Error compacted();
Error future_revision();

// What the replica or this node says to any call, in etcd's words.
Error translate(const api::ApiError& error);

int http_status(Code code);
// {"error":...,"message":...,"code":...,"details":[]}: what old and what new clients read.
std::string unary_json(const Error& error);
// {"error":{"grpc_code":...,...}} and a newline: as a message of a stream.
std::string stream_json(const Error& error);

}  // namespace raftd::etcd
