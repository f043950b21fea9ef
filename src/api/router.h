// Which call a path and a method mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "api/errors.h"
#include "http/message.h"

namespace raftd::api {

enum class Route : std::uint8_t {
  kIndex,
  kKv,
  kLocks,
  kLock,
  kKeepLock,
  kElection,
  kKeepElection,
  kStatus,
  kLivez,
  kReadyz,
  kHealth,
  kVersion,
  kMetrics,
  kCluster,
  kMembers,
  kMember,
  kPromote,
  kTickets,
  kTicket,
  kTransfer,
  kStepdown,
  kLeave,
  kCampaign,
  kLeaveJoint,
  kDebug,
  kSnapshot,
  kLeases,
  kLease,
  kKeepLease,
  kWatch,
  kTxn,
};

// The first segment, for metrics; paths of clients are without number.
enum class Root : std::uint8_t {
  kIndex,
  kKv,
  kWatch,
  kStatus,
  kLivez,
  kReadyz,
  kHealth,
  kVersion,
  kMetrics,
  kCluster,
  kAdmin,
  kLease,
  kTxn,
  kLock,
  kElection,
  kEtcd,
  kOther,
};
inline constexpr std::size_t kRoots = static_cast<std::size_t>(Root::kOther) + 1;

Root root_of(std::string_view path);
const char* root_name(Root root);  // "/kv"; "other".

struct Routed {
  Route route = Route::kIndex;
  std::string_view rest;  // Not decoded: the key; the member; the lease; the lock.
};

// The call; 204 for OPTIONS (its Allow line in fields); or the refusal: 400, 404, 405, 501.
struct OptionsAnswer {
  std::string fields;
};
using Routing = std::variant<Routed, OptionsAnswer, ApiError>;
Routing route(const http::Request& request);

}  // namespace raftd::api
