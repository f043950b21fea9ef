// Two calls for people who look closely: POST /cluster/campaign has this node stand for election at
// once, POST /cluster/leave-joint waits for the end of a change of members that is under way
// (native API, section 13.2).
#include "api/answer.h"
#include "api/call.h"
#include "api/membership.h"
#include "api/read_options.h"

namespace raftd::api {
namespace {

class CampaignCall final : public Call {
 public:
  Asked asked() const override { return Asked::kTransfer; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    std::string json = "{";
    add_member(json, "term", done.term.value);
    return json_answer(202, site.headers, json + "}\n");
  }

  std::optional<ApiError> refusal_of(const Site&, const node::Refused& why) const override {
    if (why.error.code != Errc::kConflict) return std::nullopt;
    return refusal("wrong_role", why.error.message);
  }
};

// The leader ends a joint phase by itself as soon as that may be: there is nothing to propose, but
// something to wait for.
class LeaveJointCall final : public Call {
 public:
  explicit LeaveJointCall(Instant begun) : begun_(begun) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done&) override {
    const raft::ConfigurationAt present = site.backend.status(begun_).configuration;
    if (present.configuration.joint()) {
      waited_ = true;
      return confirmation(node::Consistency::kLinearizable);
    }
    if (!waited_) {
      return to_response(refusal("not_joint", "no change of members is under way"), site.headers);
    }
    std::string json = "{";
    add_member(json, "config_index", present.index.value);
    return json_answer(200, site.headers, json + "}\n");
  }

 private:
  Instant begun_;
  bool waited_ = false;
};

}  // namespace

Handled handle_nudge(const Site& site, const Context& context) {
  const bool campaign = context.routed.route == Route::kCampaign;
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (!context.head_only) {
    if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  }
  if (!campaign) {
    if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  }
  if (context.head_only) return AwaitBody{};
  if (campaign) return Started{std::make_unique<CampaignCall>(), node::Stand{}};
  return Started{std::make_unique<LeaveJointCall>(context.now),
                 confirmation(node::Consistency::kLinearizable)};
}

}  // namespace raftd::api
