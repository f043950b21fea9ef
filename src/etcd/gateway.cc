#include "etcd/gateway.h"

#include "api/read_options.h"
#include "etcd/auth.h"
#include "etcd/call.h"
#include "etcd/watch_stream.h"

namespace raftd::etcd {
namespace {

using api::Context;
using api::Handled;
using api::Site;

// Until this node's state may be shown.
class WatchCall final : public EtcdCall {
 public:
  api::Asked asked() const override { return api::Asked::kRead; }
  api::Step on_done(const Site& site, api::RequestId request, node::Done&) override {
    return stream_answer(std::make_unique<WatchStream>(site, request));
  }
};

// What is watched comes in the body, which is the stream's.
Handled watch(const Site&, const http::Request&) {
  return api::Started{std::make_unique<WatchCall>(), api::confirmation(node::Consistency::kLocal)};
}

using Handle = Handled (*)(const Site& site, const http::Request& request);

template <class Request, Handled (*kCall)(const Site&, Request)>
Handled unary(const Site& site, const http::Request& request) {
  Result<Request> message = from_json<Request>(request.body);
  if (!message) return refuse({Code::kInvalidArgument, message.error().message});
  return kCall(site, *std::move(message));
}

struct Path {
  std::string_view path;  // Behind the version.
  Handle handle;
};

// Those that are asked for most come first: the search is linear.
constexpr Path kPaths[] = {
    {"/kv/put", unary<PutRequest, put>},
    {"/kv/range", unary<RangeRequest, range>},
    {"/kv/txn", unary<TxnRequest, txn>},
    {"/lease/keepalive", unary<LeaseKeepAliveRequest, lease_keepalive>},
    {"/watch", watch},
    {"/kv/deleterange", unary<DeleteRangeRequest, delete_range>},
    {"/kv/compaction", unary<CompactionRequest, compaction>},
    {"/lease/grant", unary<LeaseGrantRequest, lease_grant>},
    {"/lease/revoke", unary<LeaseRevokeRequest, lease_revoke>},
    {"/kv/lease/revoke", unary<LeaseRevokeRequest, lease_revoke>},
    {"/lease/timetolive", unary<LeaseTimeToLiveRequest, lease_timetolive>},
    {"/kv/lease/timetolive", unary<LeaseTimeToLiveRequest, lease_timetolive>},
    {"/lease/leases", unary<Empty, lease_leases>},
    {"/kv/lease/leases", unary<Empty, lease_leases>},
    {"/cluster/member/list", unary<MemberListRequest, member_list>},
    {"/cluster/member/add", unary<MemberAddRequest, member_add>},
    {"/cluster/member/remove", unary<MemberRemoveRequest, member_remove>},
    {"/cluster/member/update", unary<MemberUpdateRequest, member_update>},
    {"/cluster/member/promote", unary<MemberPromoteRequest, member_promote>},
    {"/maintenance/status", unary<Empty, status>},
    {"/maintenance/alarm", unary<AlarmRequest, alarm>},
    {"/maintenance/hash", unary<Empty, hash>},
    {"/maintenance/hashkv", unary<HashKVRequest, hash_kv>},
    {"/maintenance/defragment", unary<Empty, defragment>},
    {"/maintenance/transfer-leadership", unary<MoveLeaderRequest, transfer_leadership>},
    {"/maintenance/snapshot", unary<Empty, snapshot>},
    {"/lock/lock", unary<LockRequest, lock>},
    {"/lock/unlock", unary<UnlockRequest, unlock>},
    {"/election/campaign", unary<CampaignRequest, campaign>},
    {"/election/proclaim", unary<ProclaimRequest, proclaim>},
    {"/election/leader", unary<LeaderRequest, leader>},
    {"/election/observe", unary<LeaderRequest, observe>},
    {"/election/resign", unary<ResignRequest, resign>},
    {"/auth/status", unary<Empty, auth_status>},
    {"/auth/disable", unary<Empty, auth_disable>},
    {"/auth/authenticate", unary<Empty, auth_off>},
    {"/auth/enable", unary<Empty, auth_off>},
    {"/auth/user/add", unary<Empty, auth_off>},
    {"/auth/user/get", unary<Empty, auth_off>},
    {"/auth/user/list", unary<Empty, auth_off>},
    {"/auth/user/delete", unary<Empty, auth_off>},
    {"/auth/user/changepw", unary<Empty, auth_off>},
    {"/auth/user/grant", unary<Empty, auth_off>},
    {"/auth/user/revoke", unary<Empty, auth_off>},
    {"/auth/role/add", unary<Empty, auth_off>},
    {"/auth/role/get", unary<Empty, auth_off>},
    {"/auth/role/list", unary<Empty, auth_off>},
    {"/auth/role/delete", unary<Empty, auth_off>},
    {"/auth/role/grant", unary<Empty, auth_off>},
    {"/auth/role/revoke", unary<Empty, auth_off>},
};

// What stands behind /v3, /v3beta or /v3alpha; empty: the path is not etcd's.
std::string_view unversioned(std::string_view path) {
  constexpr std::string_view kVersion = "/v3";
  if (!path.starts_with(kVersion)) return {};
  path.remove_prefix(kVersion.size());
  if (path.starts_with('/')) return path;  // Nearly all.
  for (const std::string_view stage : {"beta/", "alpha/"}) {
    if (path.starts_with(stage)) return path.substr(stage.size() - 1);
  }
  return {};
}

http::Response plain(int status, std::string text) {
  http::Response response;
  response.status = status;
  response.fields =
      "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n";
  response.fields += kCorsFields;
  response.body = std::move(text);
  return response;
}

class Gateway final : public api::Protocol {
 public:
  std::span<const std::string_view> streamed_paths() const override {
    static constexpr std::string_view kStreamed[] = {"/v3/watch", "/v3beta/watch",
                                                     "/v3alpha/watch"};
    return kStreamed;
  }
  bool owns(std::string_view path) const override { return !unversioned(path).empty(); }

  http::Response refuse(const api::ApiError& error) const override {
    http::Response response = etcd::refuse(translate(error));
    response.close = error.close;
    return response;
  }

  // Whatever is sent along is read: only then does the client hear of what was wrong.
  Handled handle(const Site& site, const Context& context) const override {
    const http::Request& request = context.request;
    if (context.head_only) return api::AwaitBody{};
    if (request.method == http::Method::kOptions) {
      http::Response response;
      response.fields = kCorsFields;
      return response;
    }
    const std::string_view wanted = unversioned(request.path());
    for (const Path& path : kPaths) {
      if (path.path != wanted) continue;
      if (request.method != http::Method::kPost) return plain(405, "Method Not Allowed\n");
      return path.handle(site, request);
    }
    return plain(404, "Not Found\n");
  }
};

}  // namespace

const api::Protocol& gateway() {
  static const Gateway kGateway;
  return kGateway;
}

}  // namespace raftd::etcd
