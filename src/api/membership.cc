// Changes of members (native API, section 13.2).
//
// The happy path is: a linearizable read confirms that this node knows the members, the wanted ones
// are computed from those, and the replica is asked for the change, which is answered when the last
// of its configurations is committed. Possible failure modes are: a change is under way, or came
// between (409 change_pending: ask again); the new voter lacks too much (409 not_caught_up); too
// few of those that would be left answer (503 not_ready, unless forced); the leader is lost
// meanwhile (504: whoever leads next ends the change, or it never was).
#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/members.h"
#include "api/membership.h"
#include "api/native_kv.h"
#include "api/read_options.h"
#include "http/uri.h"

namespace raftd::api {

ApiError refusal(const char* code, std::string message) {
  ApiError error = bad_request(std::move(message));
  error.status = 409;
  error.code = code;
  return error;
}

ApiError change_pending(const Site& site, Instant now, std::string message) {
  ApiError error = refusal("change_pending", std::move(message));
  add_member(error.extra, "index", site.backend.status(now).configuration.index.value);
  return error;
}

namespace {

class ChangeCall : public Call {
 public:
  ChangeCall(std::string member, Instant begun) : member_(std::move(member)), begun_(begun) {}

  Asked asked() const final { return changing_ ? Asked::kMembers : Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) final {
    if (changing_) {
      http::Response response = answer(site, done.index);
      add_forwarded(response.fields, site, done);
      return response;
    }
    const node::ReplicaStatus status = site.backend.status(begun_);
    const raft::ConfigurationAt& present = status.configuration;
    if (present.configuration.joint()) {
      return to_response(change_pending(site, begun_, "a change of members is under way"),
                         site.headers);
    }
    const std::vector<MemberView> members = members_of(site, status, begun_);
    const MemberView* member = find_member(members, member_);
    if (member == nullptr) return absent(site);
    id_ = member->id;
    node::ChangeMembers change{present.configuration, present.index, false};
    if (auto response = prepare(site, change)) return *std::move(response);
    changing_ = true;
    return node::Write{std::move(change)};
  }

  std::optional<ApiError> refusal_of(const Site& site, const node::Refused& why) const final {
    if (!changing_) return std::nullopt;
    if (why.error.code == Errc::kConflict) {
      return change_pending(site, begun_, "the members are being changed, or just were");
    }
    return refused_change(why);
  }

 protected:
  raft::NodeId id() const { return id_; }
  const std::string& member() const { return member_; }

  virtual http::Response absent(const Site& site) const = 0;
  // Makes of the present members the wanted ones; a response: there is nothing to do, or it cannot
  // be done.
  virtual std::optional<http::Response> prepare(const Site& site, node::ChangeMembers& change) = 0;
  virtual http::Response answer(const Site& site, raft::Index index) const = 0;
  virtual std::optional<ApiError> refused_change(const node::Refused&) const {
    return std::nullopt;
  }

 private:
  std::string member_;
  Instant begun_;
  raft::NodeId id_;
  bool changing_ = false;
};

class RemoveCall final : public ChangeCall {
 public:
  RemoveCall(std::string member, Instant begun, bool forced)
      : ChangeCall(std::move(member), begun), forced_(forced) {}

 private:
  http::Response absent(const Site& site) const override {
    return json_answer(200, site.headers, "{\"removed\":false}\n");
  }
  std::optional<http::Response> prepare(const Site& site, node::ChangeMembers& change) override {
    raft::Configuration& target = change.target;
    std::erase(target.voters, id());
    std::erase(target.learners, id());
    std::erase_if(target.addresses, [&](const raft::MemberAddress& a) { return a.id == id(); });
    change.forced = forced_;
    if (!target.voters.empty()) return std::nullopt;
    return to_response(refusal("last_voter", "nobody would be left who votes"), site.headers);
  }
  http::Response answer(const Site& site, raft::Index index) const override {
    std::string json = "{\"removed\":true";
    add_member(json, "config_index", index.value);
    return json_answer(200, site.headers, json + "}\n");
  }

  bool forced_;
};

class PromoteCall final : public ChangeCall {
 public:
  using ChangeCall::ChangeCall;

 private:
  http::Response absent(const Site& site) const override {
    return to_response(member_not_found(member()), site.headers);
  }
  std::optional<http::Response> prepare(const Site& site, node::ChangeMembers& change) override {
    raft::Configuration& target = change.target;
    if (std::erase(target.learners, id()) == 0) return answer(site, change.based_on);
    target.voters.insert(std::ranges::lower_bound(target.voters, id()), id());
    const Status fits = raft::check(target);
    if (fits) return std::nullopt;
    return to_response(refusal("too_many_members", fits.error().message), site.headers);
  }
  http::Response answer(const Site& site, raft::Index index) const override {
    std::string json = "{";
    add_member(json, "id", id().value);
    add_member(json, "role", "voter");
    add_member(json, "config_index", index.value);
    return json_answer(200, site.headers, json + "}\n");
  }
  std::optional<ApiError> refused_change(const node::Refused& why) const override {
    if (why.error.code != Errc::kBusy) return std::nullopt;
    return refusal("not_caught_up", "the member does not answer, or lacks too much of the log");
  }
};

}  // namespace

Handled handle_membership(const Site& site, const Context& context) {
  const bool removes = context.routed.route == Route::kMember;
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  const bool forced = reader.flag(Param::kForce);
  const ParamSet allowed = removes ? kCommonParams | ParamSet{Param::kForce} : kCommonParams;
  if (auto error = context.parameters.only(allowed)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  Result<std::string> member = http::percent_decode(context.routed.rest);
  if (!member) return refuse(site, bad_request("the path: " + member.error().message));
  if (!context.head_only) {
    if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  std::unique_ptr<Call> call;
  if (removes) {
    call = std::make_unique<RemoveCall>(*std::move(member), context.now, forced);
  } else {
    call = std::make_unique<PromoteCall>(*std::move(member), context.now);
  }
  return Started{std::move(call), confirmation(node::Consistency::kLinearizable)};
}

}  // namespace raftd::api
