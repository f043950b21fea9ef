// Members as clients of etcd see and change them.
#include "unit/etcd/played_fixture.h"

namespace raftd::etcd {
namespace {

struct ClusterFixture : PlayedFixture {
  ClusterFixture() {
    raft::Configuration& members = backend.now.configuration.configuration;
    backend.now.configuration.index = {7};
    members.voters = {{1}, {2}};
    members.learners = {{5}};
    members.addresses = {{{1}, "10.0.0.1:2380"}, {{2}, "10.0.0.2:2380"}, {{5}, "10.0.0.5:2380"}};
  }

  // A change that is confirmed, and what then is asked.
  api::RequestId confirmed(std::string_view path, std::string body) {
    const api::RequestId id = ask(path, std::move(body));
    REQUIRE(backend.asked.size() == 1);
    answer(api::got(kv::GetReply::Result::kNotFound, 50));
    CHECK(last_consistency() == node::Consistency::kLinearizable);
    return id;
  }
  std::string refused_at_once(std::string_view path, std::string body) {
    return outcome(take(confirmed(path, std::move(body))));
  }
  const node::ChangeMembers& wanted() {
    REQUIRE(backend.asked.size() == 1);
    const auto* write = std::get_if<node::Write>(&backend.asked.front().op);
    REQUIRE(write != nullptr);
    const auto* change = std::get_if<node::ChangeMembers>(&write->op);
    REQUIRE(change != nullptr);
    CHECK(change->based_on.value == 7);
    CHECK(!change->forced);
    return *change;
  }
  void change_done() {
    backend.now.configuration.configuration = wanted().target;
    answer(node::Done{{9}, {3}, false, nullptr});
  }
};

constexpr const char* kFirst = R"({"ID":"1","name":"n1","peerURLs":["http://10.0.0.1:2380"],)"
                               R"("clientURLs":["http://10.0.0.1:2379"]})";
constexpr const char* kSecond = R"({"ID":"2","name":"n2","peerURLs":["http://10.0.0.2:2380"],)"
                                R"("clientURLs":["http://10.0.0.2:2379"]})";
constexpr const char* kFifth = R"({"ID":"5","peerURLs":["http://10.0.0.5:2380"],"isLearner":true})";

std::string members_json(std::initializer_list<std::string> members) {
  std::string json;
  for (const std::string& member : members)
    json += (json.empty() ? "" : ",") + member;
  return "\"members\":[" + json + "]";
}

}  // namespace

TEST_CASE("members are listed from what this node knows, or confirmed by the leader") {
  ClusterFixture f;
  const std::string expected =
      "200 {" + header_at(0) + "," + members_json({kFirst, kSecond, kFifth}) + "}";
  CHECK(PlayedFixture::outcome(f.post("/cluster/member/list", "{}")) == expected);
  CHECK(f.refused_at_once("/cluster/member/list", R"({"linearizable":true})") == expected);
  f.follow(0);
  CHECK(PlayedFixture::outcome(f.post("/cluster/member/list", R"({"linearizable":true})")) ==
        "503 14 etcdserver: no leader");
}

TEST_CASE("a member is added under a new id: claimed first, then a learner") {
  ClusterFixture f;
  const api::RequestId id =
      f.confirmed("/cluster/member/add", R"({"peerURLs":["http://10.0.0.6:2380"]})");
  auto claimed = std::make_unique<kv::MemberReply>();
  claimed->id = 6;
  f.answer(api::done(std::move(claimed)));
  const auto claim = f.last_command<kv::ClaimMember>();
  CHECK(claim.id == 6);
  CHECK(claim.voter);
  CHECK(claim.token_hash.empty());
  CHECK(f.wanted().target.learners == std::vector<raft::NodeId>{{5}, {6}});
  CHECK(f.wanted().target.addresses.back() == raft::MemberAddress{{6}, "10.0.0.6:2380"});
  f.change_done();
  const std::string sixth = R"({"ID":"6","peerURLs":["http://10.0.0.6:2380"],"isLearner":true})";
  CHECK(PlayedFixture::outcome(f.take(id)) ==
        "200 {" + header_at(0) + ",\"member\":" + sixth + "," +
            members_json({kFirst, kSecond, kFifth, sixth}) + "}");
}

TEST_CASE("a member that only learns says so in its claim") {
  ClusterFixture f;
  (void)f.confirmed("/cluster/member/add",
                    R"({"peerURLs":["http://10.0.0.6:2380"],"isLearner":true})");
  f.answer(api::done(std::make_unique<kv::MemberReply>()));
  CHECK(!f.last_command<kv::ClaimMember>().voter);
}

TEST_CASE("a claim that is not given adds nobody") {
  using Result = kv::MemberReply::Result;
  const std::pair<Result, const char*> refusals[] = {
      {Result::kIdUsed, "400 9 etcdserver: member ID already exist"},
      {Result::kTooMany, "400 9 etcdserver: too many learner members in cluster"}};
  for (const auto& [result, expected] : refusals) {
    ClusterFixture f;
    const api::RequestId id =
        f.confirmed("/cluster/member/add", R"({"peerURLs":["http://10.0.0.6:2380"]})");
    auto reply = std::make_unique<kv::MemberReply>();
    reply->result = result;
    f.answer(api::done(std::move(reply)));
    CHECK(PlayedFixture::outcome(f.take(id)) == expected);
  }
}

TEST_CASE("a member has one address that others can reach, and nobody else's") {
  ClusterFixture f;
  for (const char* urls :
       {"[]", R"(["10.0.0.6:2380"])", R"(["http://10.0.0.6"])", R"(["http://0.0.0.0:2380"])",
        R"(["http://a:1","http://b:1"])", R"(["unix:///x"])", R"([""])"}) {
    CAPTURE(urls);
    const std::string body = R"({"ID":"2","peerURLs":)" + std::string(urls) + "}";
    CHECK(PlayedFixture::outcome(f.post("/cluster/member/add", body)) ==
          "400 3 etcdserver: given member URLs are invalid");
    CHECK(PlayedFixture::outcome(f.post("/cluster/member/update", body)) ==
          "400 3 etcdserver: given member URLs are invalid");
  }
  CHECK(f.refused_at_once("/cluster/member/add", R"({"peerURLs":["http://10.0.0.2:2380"]})") ==
        "400 9 etcdserver: Peer URLs already exists");
  CHECK(f.refused_at_once("/cluster/member/update",
                          R"({"ID":"1","peerURLs":["http://10.0.0.2:2380"]})") ==
        "400 9 etcdserver: Peer URLs already exists");
}

TEST_CASE("a member is removed, but not the last voter") {
  ClusterFixture f;
  const api::RequestId id = f.confirmed("/cluster/member/remove", R"({"ID":"2"})");
  CHECK(f.wanted().target.voters == std::vector<raft::NodeId>{{1}});
  CHECK(f.wanted().target.addresses.size() == 2);
  f.change_done();
  CHECK(PlayedFixture::outcome(f.take(id)) ==
        "200 {" + header_at(0) + "," + members_json({kFirst, kFifth}) + "}");
  f.backend.now.configuration.index = {7};
  CHECK(f.refused_at_once("/cluster/member/remove", R"({"ID":"1"})") ==
        "400 9 etcdserver: re-configuration failed due to not enough started members");
}

TEST_CASE("a member gets another address, and its own is no change") {
  ClusterFixture f;
  const api::RequestId id =
      f.confirmed("/cluster/member/update", R"({"ID":"2","peerURLs":["http://10.0.0.9:2380"]})");
  CHECK(f.wanted().target.addresses[1] == raft::MemberAddress{{2}, "10.0.0.9:2380"});
  f.change_done();
  CHECK(
      api::contains(PlayedFixture::outcome(f.take(id)), R"("peerURLs":["http://10.0.0.9:2380"])"));
  CHECK(f.refused_at_once("/cluster/member/update",
                          R"({"ID":"2","peerURLs":["http://10.0.0.9:2380"]})")
            .starts_with("200 "));
}

TEST_CASE("a learner that has caught up is promoted") {
  ClusterFixture f;
  api::RequestId id = f.confirmed("/cluster/member/promote", R"({"ID":"5"})");
  CHECK(f.wanted().target.voters == std::vector<raft::NodeId>{{1}, {2}, {5}});
  CHECK(f.wanted().target.learners.empty());
  f.answer(api::refused(Errc::kBusy, "it lacks too much"));
  CHECK(PlayedFixture::outcome(f.take(id)) ==
        "400 9 etcdserver: can only promote a learner member which is in sync with leader");
  id = f.confirmed("/cluster/member/promote", R"({"ID":"5"})");
  f.change_done();
  CHECK(f.take(id).status == 200);
  CHECK(f.refused_at_once("/cluster/member/promote", R"({"ID":"5"})") ==
        "400 9 etcdserver: can only promote a learner member");
}

TEST_CASE("nobody is found under an unknown id") {
  ClusterFixture f;
  for (const char* path :
       {"/cluster/member/remove", "/cluster/member/update", "/cluster/member/promote"}) {
    CAPTURE(path);
    for (const char* id : {"3", "0"}) {
      CHECK(f.refused_at_once(path, std::string(R"({"ID":")") + id +
                                        R"(","peerURLs":["http://10.0.0.6:2380"]})") ==
            "404 5 etcdserver: member not found");
    }
  }
}

TEST_CASE("one change at a time, and none that leaves too few: to be tried again") {
  ClusterFixture f;
  api::RequestId id = f.confirmed("/cluster/member/remove", R"({"ID":"2"})");
  f.answer(api::refused(Errc::kConflict));
  CHECK(PlayedFixture::outcome(f.take(id)) ==
        "503 14 etcdserver: a change of members is under way");
  id = f.confirmed("/cluster/member/remove", R"({"ID":"2"})");
  f.answer(api::refused(Errc::kNotReady));
  CHECK(PlayedFixture::outcome(f.take(id)) == "503 14 etcdserver: unhealthy cluster");
  f.backend.now.configuration.configuration.voters_outgoing = {{1}};
  CHECK(f.refused_at_once("/cluster/member/remove", R"({"ID":"2"})") ==
        "503 14 etcdserver: a change of members is under way");
}

}  // namespace raftd::etcd
