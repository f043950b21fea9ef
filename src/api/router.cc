#include "api/router.h"

#include <algorithm>
#include <array>
#include <optional>

#include "api/answer.h"

namespace raftd::api {
namespace {

using http::Method;

enum MethodBits : unsigned { kGet = 1, kPut = 2, kPost = 4, kDelete = 8 };

struct Call {
  std::string_view path;
  Route route;
  unsigned methods;
};

constexpr Call kCalls[] = {
    {"/lock", Route::kLocks, kGet},
    {"/status", Route::kStatus, kGet},
    {"/livez", Route::kLivez, kGet},
    {"/readyz", Route::kReadyz, kGet},
    {"/health", Route::kHealth, kGet},
    {"/version", Route::kVersion, kGet},
    {"/metrics", Route::kMetrics, kGet},
    {"/cluster", Route::kCluster, kGet},
    {"/cluster/members", Route::kMembers, kGet | kPost},
    {"/cluster/tickets", Route::kTickets, kGet | kPost},
    {"/cluster/transfer", Route::kTransfer, kPost},
    {"/cluster/stepdown", Route::kStepdown, kPost},
    {"/cluster/leave", Route::kLeave, kPost},
    {"/cluster/campaign", Route::kCampaign, kPost},
    {"/cluster/leave-joint", Route::kLeaveJoint, kPost},
    {"/admin/debug", Route::kDebug, kGet},
    {"/admin/snapshot", Route::kSnapshot, kGet | kPost},
    {"/lease", Route::kLeases, kGet | kPost},
    {"/txn", Route::kTxn, kPost},
    {"/", Route::kIndex, kGet},
};
constexpr unsigned kAllMethods = kGet | kPut | kPost | kDelete;
constexpr std::string_view kMembersPrefix = "/cluster/members/";
constexpr std::string_view kTicketsPrefix = "/cluster/tickets/";
constexpr std::string_view kPromoteSuffix = "/promote";
constexpr std::string_view kLeasePrefix = "/lease/";
constexpr std::string_view kLockPrefix = "/lock/";
constexpr std::string_view kElectionPrefix = "/election/";
constexpr std::string_view kKeepaliveSuffix = "/keepalive";

constexpr std::array<std::string_view, kRoots> kRootNames{
    "/",       "/kv",      "/watch",    "/status",  "/livez", "/readyz",
    "/health", "/version", "/metrics",  "/cluster", "/admin", "/lease",
    "/txn",    "/lock",    "/election", "/v3",      "other"};

struct Found {
  Routed routed;
  unsigned methods = 0;
};

// A lock or an election of one segment, or its keepalive.
std::optional<Found> find_lock(std::string_view name, bool election) {
  const bool keeps = name.ends_with(kKeepaliveSuffix);
  if (keeps) name.remove_suffix(kKeepaliveSuffix.size());
  if (name.empty() || name.find('/') != std::string_view::npos) return std::nullopt;
  if (keeps) return Found{{election ? Route::kKeepElection : Route::kKeepLock, name}, kPost};
  if (election) return Found{{Route::kElection, name}, kAllMethods};
  return Found{{Route::kLock, name}, kGet | kPost | kDelete};
}

std::optional<Found> find(std::string_view path) {
  if (path.starts_with("/kv/")) return Found{{Route::kKv, path.substr(4)}, kAllMethods};
  if (path == "/kv") return Found{{Route::kKv, {}}, kAllMethods};
  if (path.starts_with("/watch/")) return Found{{Route::kWatch, path.substr(7)}, kGet};
  if (path == "/watch") return Found{{Route::kWatch, {}}, kGet};
  if (path.starts_with(kLockPrefix)) return find_lock(path.substr(kLockPrefix.size()), false);
  if (path.starts_with(kElectionPrefix))
    return find_lock(path.substr(kElectionPrefix.size()), true);
  for (const Call& call : kCalls) {
    if (call.path == path) return Found{{call.route, {}}, call.methods};
  }
  if (path.starts_with(kMembersPrefix)) {
    std::string_view member = path.substr(kMembersPrefix.size());
    const bool promote = member.ends_with(kPromoteSuffix);
    if (promote) member.remove_suffix(kPromoteSuffix.size());
    if (!member.empty() && member.find('/') == std::string_view::npos) {
      return promote ? Found{{Route::kPromote, member}, kPost}
                     : Found{{Route::kMember, member}, kGet | kPut | kDelete};
    }
  }
  if (path.starts_with(kTicketsPrefix)) {
    const std::string_view ticket = path.substr(kTicketsPrefix.size());
    if (!ticket.empty() && ticket.find('/') == std::string_view::npos) {
      return Found{{Route::kTicket, ticket}, kDelete};
    }
  }
  if (path.starts_with(kLeasePrefix)) {
    std::string_view lease = path.substr(kLeasePrefix.size());
    const bool keep = lease.ends_with(kKeepaliveSuffix);
    if (keep) lease.remove_suffix(kKeepaliveSuffix.size());
    if (!lease.empty() && lease.find('/') == std::string_view::npos) {
      return keep ? Found{{Route::kKeepLease, lease}, kPost}
                  : Found{{Route::kLease, lease}, kGet | kDelete};
    }
  }
  return std::nullopt;
}

std::string allow_line(unsigned methods) {
  std::string allow;
  if ((methods & kGet) != 0) allow += "GET, HEAD, ";
  if ((methods & kPut) != 0) allow += "PUT, ";
  if ((methods & kPost) != 0) allow += "POST, ";
  if ((methods & kDelete) != 0) allow += "DELETE, ";
  std::string line;
  add_header(line, "Allow", allow + "OPTIONS");
  return line;
}

unsigned bit_of(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
      return kGet;
    case Method::kPut:
      return kPut;
    case Method::kPost:
      return kPost;
    case Method::kDelete:
      return kDelete;
    case Method::kOptions:
    case Method::kOther:
      break;
  }
  return 0;
}

ApiError method_not_allowed(const http::Request& request, unsigned methods) {
  ApiError error;
  error.status = 405;
  error.code = "method_not_allowed";
  error.message = request.method_name + " is not offered here";
  error.fields = allow_line(methods);
  return error;
}

// A word that is no method at all. CONNECT and TRACE are refused wherever they point.
std::optional<ApiError> refused_method(const http::Request& request) {
  if (request.method != Method::kOther) return std::nullopt;
  const std::string& name = request.method_name;
  if (name == "CONNECT" || name == "TRACE") return method_not_allowed(request, kAllMethods);
  if (name == "PATCH") return std::nullopt;  // Known, offered nowhere.
  const bool capitals = !name.empty() && std::all_of(name.begin(), name.end(),
                                                     [](char c) { return c >= 'A' && c <= 'Z'; });
  ApiError error = bad_request("a request begins with a method in capitals");
  if (capitals) {
    error.status = 501;
    error.code = "not_implemented";
    error.message = "there is no method " + name;
  }
  error.close = true;
  return error;
}

}  // namespace

Root root_of(std::string_view path) {
  const std::string_view root = path.substr(0, path.find('/', 1));
  for (std::size_t i = 0; i + 1 < kRoots; ++i) {
    if (root == kRootNames[i]) return static_cast<Root>(i);
  }
  if (root == "/v3beta" || root == "/v3alpha") return Root::kEtcd;
  return Root::kOther;
}

const char* root_name(Root root) {
  return kRootNames[static_cast<std::size_t>(root)].data();
}

Routing route(const http::Request& request) {
  if (auto error = refused_method(request)) return *std::move(error);
  const std::string_view path = request.path();
  if (path == "*" && request.method == Method::kOptions) {
    return OptionsAnswer{allow_line(kAllMethods)};
  }
  const std::optional<Found> found = find(path);
  if (!found) return unknown_path(path);
  if (request.method == Method::kOptions) return OptionsAnswer{allow_line(found->methods)};
  if ((found->methods & bit_of(request.method)) == 0) {
    return method_not_allowed(request, found->methods);
  }
  return found->routed;
}

}  // namespace raftd::api
