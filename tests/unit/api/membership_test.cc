// Changes of members: what the replica is asked for, and how refusals read.
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

struct MembersFixture : Fixture {
  MembersFixture() {
    auto& configuration = backend.now.configuration.configuration;
    backend.now.configuration.index = {12};
    configuration.voters = {{1}, {2}, {3}};
    configuration.learners = {{4}};
    configuration.addresses = {{{1}, "a:1"}, {{2}, "b:1"}, {{3}, "c:1"}, {{4}, "d:1"}};
  }

  // Up to the change: the read before it is confirmed.
  node::ChangeMembers asked_for(std::string_view method, std::string_view target) {
    request = send(make(method, target));
    confirm();
    REQUIRE(backend.asked.size() == 1);
    const auto& write = std::get<node::Write>(backend.asked[0].op);
    return std::get<node::ChangeMembers>(write.op);
  }
  void confirm() {
    REQUIRE(backend.asked.size() == 1);
    CHECK(std::get<node::Read>(backend.asked[0].op).consistency ==
          node::Consistency::kLinearizable);
    answer(node::Done{{12}, {3}, false, std::make_unique<kv::GetReply>()});
  }
  http::Response ended(node::ClientResult result) {
    answer(std::move(result));
    return take(request);
  }
  // Answered without a change.
  http::Response unchanged(std::string_view method, std::string_view target) {
    const RequestId id = send(make(method, target));
    confirm();
    CHECK(backend.asked.empty());
    return take(id);
  }

  RequestId request{};
};

TEST_CASE("a member is removed by id or name, and the answer waits for the end of the change") {
  MembersFixture f;
  f.publish(3, "third", "http://c:2");
  for (const char* member : {"3", "third"}) {
    const auto change = f.asked_for("DELETE", std::string("/cluster/members/") + member);
    CHECK(change.target.voters == std::vector<raft::NodeId>{{1}, {2}});
    CHECK(change.target.addresses.size() == 3);
    CHECK(change.based_on == raft::Index{12});
    CHECK_FALSE(change.forced);
    const auto response = f.ended(node::Done{{99}, {3}, true, nullptr});
    CHECK(response.body == "{\"removed\":true,\"config_index\":99}\n");
    CHECK(field(response, "Raftd-Forwarded") == "1");
  }
  CHECK(f.asked_for("DELETE", "/cluster/members/4?force").forced);
  CHECK(f.ended(node::Done{{99}, {3}, false, nullptr}).status == 200);
  CHECK(f.unchanged("DELETE", "/cluster/members/9").body == "{\"removed\":false}\n");
}

TEST_CASE("a learner is promoted; a voter is one already; a stranger is not found") {
  MembersFixture f;
  const auto change = f.asked_for("POST", "/cluster/members/4/promote");
  CHECK(change.target.voters == std::vector<raft::NodeId>{{1}, {2}, {3}, {4}});
  CHECK(change.target.learners.empty());
  CHECK(f.ended(node::Done{{95}, {3}, false, nullptr}).body ==
        "{\"id\":4,\"role\":\"voter\",\"config_index\":95}\n");
  CHECK(f.unchanged("POST", "/cluster/members/2/promote").body ==
        "{\"id\":2,\"role\":\"voter\",\"config_index\":12}\n");
  CHECK(f.unchanged("POST", "/cluster/members/9/promote").status == 404);
}

TEST_CASE("[RF-12] a change that cannot be made is refused with its reason") {
  MembersFixture f;
  const auto refusal = [&](const char* method, const char* target, Errc code) {
    f.asked_for(method, target);
    return f.ended(refused(code, "why"));
  };
  const auto pending = refusal("DELETE", "/cluster/members/3", Errc::kConflict);
  CHECK(pending.status == 409);
  CHECK(field(pending, "Raftd-Error") == "change_pending");
  CHECK(contains(pending.body, "\"outcome\":\"none\""));
  CHECK(contains(pending.body, "\"index\":12"));
  const auto behind = refusal("POST", "/cluster/members/4/promote", Errc::kBusy);
  CHECK(behind.status == 409);
  CHECK(field(behind, "Raftd-Error") == "not_caught_up");
  CHECK(refusal("DELETE", "/cluster/members/3", Errc::kNotReady).status == 503);

  f.asked_for("DELETE", "/cluster/members/3");
  const auto unknown = f.ended(node::Unknown{});
  CHECK(unknown.status == 504);
  CHECK(contains(unknown.body, "\"outcome\":\"unknown\""));

  auto& configuration = f.backend.now.configuration.configuration;
  configuration.voters_outgoing = {{1}, {2}};
  CHECK(field(f.unchanged("DELETE", "/cluster/members/3"), "Raftd-Error") == "change_pending");
  configuration.voters_outgoing.clear();
  configuration.voters = {{1}};
  const auto last = f.unchanged("DELETE", "/cluster/members/1");
  CHECK(last.status == 409);
  CHECK(field(last, "Raftd-Error") == "last_voter");
}

TEST_CASE("a node is asked to leave: it says so at once, also a second time, unless nobody votes") {
  MembersFixture f;
  for (const bool leads : {true, false}) {
    leads ? f.lead() : f.follow(0);  // Without a leader it leaves when there is one.
    const auto response = f.now("POST", "/cluster/leave", {}, "{}");
    CHECK(response.status == 202);
    CHECK(response.body == "{\"leaving\":true}\n");
    CHECK(f.service.wishes().leave);
  }
  MembersFixture last;
  auto& configuration = last.backend.now.configuration.configuration;
  configuration.voters = {{1}};
  const auto refused = last.now("POST", "/cluster/leave");
  CHECK(refused.status == 409);
  CHECK(field(refused, "Raftd-Error") == "last_voter");
  configuration.voters = {{2}};
  CHECK(last.now("GET", "/cluster/leave").status == 405);
  CHECK(last.now("POST", "/cluster/leave?force").status == 400);
  CHECK(last.now("POST", "/cluster/leave", {{"if-match", "*"}}).status == 400);
  CHECK(last.now("POST", "/cluster/leave", {}, "{\"a\":1}").status == 400);
  CHECK_FALSE(last.service.wishes().leave);
}

TEST_CASE("a change of members takes no other parameters, no condition and no fields") {
  MembersFixture f;
  CHECK(f.now("DELETE", "/cluster/members/3?forced").status == 400);
  CHECK(f.now("POST", "/cluster/members/4/promote?force").status == 400);
  CHECK(f.now("DELETE", "/cluster/members/3", {{"if-match", "*"}}).status == 400);
  CHECK(f.now("DELETE", "/cluster/members/%zz").status == 400);
  CHECK(f.now("POST", "/cluster/members/4/promote", {}, "{\"a\":1}").status == 400);
  CHECK(f.now("PUT", "/cluster/members/4/promote").status == 405);
  CHECK(f.now("GET", "/cluster/members/4/promote").status == 405);
  CHECK(f.now("POST", "/cluster/members//promote").status == 404);
  f.follow(0);
  CHECK(f.now("DELETE", "/cluster/members/3").status == 503);
}

}  // namespace

TEST_CASE("a node stands for election when it is asked to, unless its role forbids it") {
  MembersFixture f;
  f.follow(2);
  const RequestId id = f.send(Fixture::make("POST", "/cluster/campaign"));
  REQUIRE(f.backend.asked.size() == 1);
  CHECK(std::holds_alternative<node::Stand>(f.backend.asked[0].op));
  f.answer(node::Done{{12}, {4}, false, nullptr});
  const http::Response stands = f.take(id);
  CHECK(stands.status == 202);
  CHECK(stands.body == "{\"term\":4}\n");
  const http::Response leads =
      f.with(refused(Errc::kConflict, "this node leads already"), "POST", "/cluster/campaign");
  CHECK(leads.status == 409);
  CHECK(field(leads, "Raftd-Error") == "wrong_role");
  CHECK(f.now("POST", "/cluster/campaign?to=2").status == 400);
  CHECK(f.now("POST", "/cluster/campaign", {}, "{\"a\":1}").status == 400);
}

TEST_CASE("who asks for the end of a joint phase waits for it, and is told if there is none") {
  MembersFixture f;
  const auto none = f.unchanged("POST", "/cluster/leave-joint");
  CHECK(none.status == 409);
  CHECK(field(none, "Raftd-Error") == "not_joint");
  auto& configuration = f.backend.now.configuration.configuration;
  configuration.voters_outgoing = {{1}};
  const RequestId id = f.send(Fixture::make("POST", "/cluster/leave-joint"));
  f.confirm();
  CHECK_FALSE(f.answered(id));
  configuration.voters_outgoing.clear();
  f.backend.now.configuration.index = {13};
  f.confirm();
  CHECK(f.take(id).body == "{\"config_index\":13}\n");
}

}  // namespace raftd::api
