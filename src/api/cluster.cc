// Members and leader, and handing leadership over (native API, section 13).
#include <utility>

#include "api/answer.h"
#include "api/members.h"
#include "api/membership.h"
#include "api/native_kv.h"
#include "base/text.h"
#include "http/json.h"
#include "http/uri.h"

namespace raftd::api {
namespace {

constexpr ParamSet kClusterParams = kCommonParams | ParamSet{Param::kConsistency};

// Waits until the leader has confirmed that what this node knows is not out of date.
class ClusterCall final : public Call {
 public:
  ClusterCall(Route route, std::string member, const ReadOptions& options, Instant begun)
      : route_(route), member_(std::move(member)), options_(options), begun_(begun) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const node::ReplicaStatus status = site.backend.status(begun_);
    const std::vector<MemberView> members = members_of(site, status, begun_);
    std::string json;
    if (route_ == Route::kMember) {
      const MemberView* member = find_member(members, member_);
      if (member == nullptr) return to_response(member_not_found(member_), site.headers);
      add_member_json(json, *member, false);
    } else {
      json = whole(site, status, members);
    }
    json += '\n';
    http::Response response = json_answer(200, site.headers, std::move(json));
    add_header(response.fields, "Raftd-Index", done.index.value);
    add_header(response.fields, "Raftd-Consistency", options_.level);
    return response;
  }

 private:
  std::string whole(const Site& site, const node::ReplicaStatus& status,
                    const std::vector<MemberView>& members) const {
    std::string json = "{";
    if (route_ == Route::kCluster) {
      std::uint64_t max_id = site.store.max_id();
      for (const MemberView& member : members)
        max_id = std::max(max_id, member.id.value);
      add_member(json, "cluster_id", site.options.cluster_id);
      add_member(json, "term", status.role.term.value);
      add_leader(json, site);
      add_member(json, "config_index", status.configuration.index.value);
      add_flag(json, "joint", status.configuration.configuration.joint());
      add_member(json, "max_id", max_id);
    }
    add_name(json, "members");
    json += '[';
    bool first = true;
    for (const MemberView& member : members) {
      if (!std::exchange(first, false)) json += ',';
      add_member_json(json, member, false);
    }
    json += ']';
    if (route_ == Route::kCluster) add_tickets(json, site, begun_);
    json += '}';
    return json;
  }

  Route route_;
  std::string member_;
  ReadOptions options_;
  Instant begun_;
};

class TransferCall final : public Call {
 public:
  Asked asked() const override { return Asked::kTransfer; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    return answer(site, done.forwarded);
  }

  static http::Response answer(const Site& site, bool forwarded) {
    const raft::RoleView& role = site.headers.role();
    std::string json = "{";
    add_member(json, "leader", role.leader.value);
    add_member(json, "term", role.term.value);
    json += "}\n";
    http::Response response = json_answer(200, site.headers, std::move(json));
    if (forwarded) add_header(response.fields, "Raftd-Forwarded", site.options.self.value);
    return response;
  }
};

}  // namespace

std::optional<ApiError> check_no_fields(std::string_view body) {
  if (body.empty()) return std::nullopt;
  const Result<http::JsonValue> parsed = http::parse_json(body);
  ApiError error = bad_request("the body must be empty or {}");
  error.code = "bad_json";
  if (!parsed) {
    error.message = parsed.error().message;
  } else if (const http::JsonObject* object = (*parsed).object()) {
    if (object->empty()) return std::nullopt;
    error.message = "unknown field " + object->front().name;
    add_member(error.extra, "field", object->front().name);
  }
  return error;
}

Handled handle_cluster(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  if (auto error = context.parameters.only(kClusterParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  Result<std::string> member = http::percent_decode(context.routed.rest);
  if (!member) return refuse(site, bad_request("the path: " + member.error().message));
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  return Started{
      std::make_unique<ClusterCall>(context.routed.route, *std::move(member), options, context.now),
      confirmation(options.consistency)};
}

Handled handle_transfer(const Site& site, const Context& context) {
  const bool stepdown = context.routed.route == Route::kStepdown;
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  const ParamSet allowed = stepdown ? kCommonParams : kCommonParams | ParamSet{Param::kTo};
  if (auto error = context.parameters.only(allowed)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (context.head_only) {
    if (auto response = refuse_by_leader(site, context)) return *std::move(response);
    return AwaitBody{};
  }
  if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  raft::NodeId target;
  if (context.parameters.has(Param::kTo)) {
    const std::string_view to = context.parameters.value(Param::kTo);
    const node::ReplicaStatus status = site.backend.status(context.now);
    const std::vector<MemberView> members = members_of(site, status, context.now);
    const MemberView* member = find_member(members, to);
    if (member == nullptr) return refuse(site, member_not_found(to));
    if (member->id == site.headers.role().leader) return TransferCall::answer(site, false);
    target = member->id;
  }
  return Started{std::make_unique<TransferCall>(), node::Write{node::Transfer{target}}};
}

}  // namespace raftd::api
