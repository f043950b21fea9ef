// New members: what is claimed, in which order, what the change then is, and how refusals read.
#include "http/json.h"
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Result = kv::MemberReply::Result;

const std::string kToken = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";  // 32 zero bytes.
const std::string kBody = R"({"name":"n4","peer":"10.0.0.4:2380","client":"http://10.0.0.4:2379",)"
                          R"("ticket":")" +
                          kToken + R"(","instance":"00000000000000ab"})";

struct JoinFixture : Fixture {
  JoinFixture() {
    auto& configuration = backend.now.configuration.configuration;
    backend.now.configuration.index = {12};
    configuration.voters = {{1}, {2}, {3}};
    configuration.addresses = {{{1}, "a:1"}, {{2}, "b:1"}, {{3}, "c:1"}};
  }

  // Up to the first thing that is asked of the log.
  RequestId begin(std::string_view method, std::string_view target, std::string body) {
    const RequestId id = send(make(method, target, {}, std::move(body)));
    REQUIRE(backend.asked.size() == 1);
    answer(node::Done{{12}, {3}, false, std::make_unique<kv::GetReply>()});
    return id;
  }
  kv::ClaimMember claimed(Result result, std::uint64_t id = 4, bool voter = true) {
    auto reply = std::make_unique<kv::MemberReply>();
    reply->result = result;
    reply->id = id;
    reply->voter = voter;
    answer(done(std::move(reply)));
    return last_command<kv::ClaimMember>();
  }
  const node::ChangeMembers& change() const {
    REQUIRE(backend.asked.size() == 1);
    return std::get<node::ChangeMembers>(std::get<node::Write>(backend.asked[0].op).op);
  }
  http::Response changed(RequestId id) {
    backend.now.configuration.configuration = change().target;
    answer(node::Done{{91}, {3}, false, nullptr});
    return take(id);
  }
  // As a claim that was applied leaves it.
  void own(std::uint64_t id, std::uint64_t instance) {
    apply(kv::ClaimMember{id, "", instance, "n4", "http://10.0.0.4:2379", true, 0});
  }
  void apply(const kv::Command& command) {
    const Bytes bytes = kv::encode(command);
    ++applied;
    store.apply({{applied}, {1}, {0}, ByteView(bytes).subspan(machine::kStampBytes)}, false);
  }
  void applied_configuration() {
    ++applied;
    const raft::Configuration& now = backend.now.configuration.configuration;
    store.apply({{applied}, {1}, {0}, {}, &now}, false);
  }
};

}  // namespace

TEST_CASE("a new member claims its id with the ticket and then becomes a learner") {
  JoinFixture f;
  const RequestId id = f.begin("PUT", "/cluster/members/4", kBody);
  const kv::ClaimMember claim = f.claimed(Result::kDone);
  CHECK(claim.id == 4);
  CHECK(claim.instance == 0xab);
  CHECK(claim.name == "n4");
  CHECK(claim.client == "http://10.0.0.4:2379");
  CHECK(claim.token_hash.size() == kv::kTokenHashBytes);
  CHECK(claim.voter);
  CHECK(f.change().target.voters == std::vector<raft::NodeId>{{1}, {2}, {3}});
  CHECK(f.change().target.learners == std::vector<raft::NodeId>{{4}});
  CHECK(f.change().target.addresses.back() == raft::MemberAddress{{4}, "10.0.0.4:2380"});
  CHECK(f.change().based_on == raft::Index{12});
  CHECK_FALSE(f.change().forced);
  f.own(4, 0xab);
  const http::Response response = f.changed(id);
  CHECK(response.status == 201);
  CHECK(response.body ==
        "{\"id\":4,\"role\":\"learner\",\"auto_promote\":true,\"config_index\":91}\n");
}

TEST_CASE("a claim that is refused is the answer, and nothing is changed") {
  const auto refusal = [](Result result) {
    JoinFixture f;
    const RequestId id = f.begin("PUT", "/cluster/members/4", kBody);
    f.claimed(result);
    CHECK(f.backend.asked.empty());
    const http::Response response = f.take(id);
    return std::to_string(response.status) + " " + field(response, "Raftd-Error");
  };
  CHECK(refusal(Result::kBadTicket) == "403 bad_ticket");
  CHECK(refusal(Result::kIdUsed) == "409 id_used");
  CHECK(refusal(Result::kNameTaken) == "409 name_taken");
  CHECK(refusal(Result::kTooMany) == "409 too_many_members");
}

TEST_CASE("a change that comes between is told, and the same request goes on later") {
  JoinFixture f;
  const RequestId id = f.begin("PUT", "/cluster/members/4", kBody);
  f.claimed(Result::kDone);
  f.answer(refused(Errc::kConflict));
  const http::Response response = f.take(id);
  CHECK(response.status == 409);
  CHECK(field(response, "Raftd-Error") == "change_pending");
  f.backend.now.configuration.configuration.voters_outgoing = {{1}};
  const RequestId again = f.begin("PUT", "/cluster/members/4", kBody);
  CHECK(field(f.take(again), "Raftd-Error") == "change_pending");
}

TEST_CASE(
    "[RF-8] a lost answer is harmless: the same node finds that it is a member, another not") {
  JoinFixture f;
  f.own(4, 0xab);
  auto& configuration = f.backend.now.configuration.configuration;
  configuration.learners = {{4}};
  configuration.addresses.push_back({{4}, "10.0.0.4:2380"});
  const http::Response same = f.take(f.begin("PUT", "/cluster/members/4", kBody));
  CHECK(same.status == 200);
  CHECK(same.body == "{\"id\":4,\"role\":\"learner\",\"auto_promote\":true,\"config_index\":12}\n");
  std::string other = kBody;
  other.replace(other.find("00ab"), 4, "00ac");
  const http::Response stranger = f.take(f.begin("PUT", "/cluster/members/4", other));
  CHECK(stranger.status == 403);
  CHECK(field(stranger, "Raftd-Error") == "bad_ticket");
  const std::string without = R"({"peer":"h:1","instance":"00000000000000ac"})";
  CHECK(field(f.take(f.begin("PUT", "/cluster/members/4", without)), "Raftd-Error") == "id_used");
}

TEST_CASE("a member's address, name and role can be changed under its id") {
  JoinFixture f;
  f.publish(3, "n3", "http://10.0.0.3:2379");
  RequestId id = f.begin("PUT", "/cluster/members/3", R"({"name":"third","peer":"x:1"})");
  auto written = std::make_unique<kv::WriteReply>();
  f.answer(done(std::move(written)));
  const auto published = f.last_command<kv::PublishMember>();
  CHECK(published.name == "third");
  CHECK(published.client == "http://10.0.0.3:2379");
  CHECK(published.instance == 77);
  f.publish(3, "third", "http://10.0.0.3:2379");
  CHECK(f.change().target.addresses.back() == raft::MemberAddress{{3}, "x:1"});
  CHECK(f.changed(id).status == 200);
  f.publish(2, "n2", "http://10.0.0.2:2379");
  const http::Response taken = f.take(f.begin("PUT", "/cluster/members/3", R"({"name":"n2"})"));
  CHECK(taken.status == 409);
  CHECK(field(taken, "Raftd-Error") == "name_taken");
  id = f.begin("PUT", "/cluster/members/3?voter=false", R"({"name":"third"})");
  CHECK(f.change().target.learners == std::vector<raft::NodeId>{{3}});
  CHECK(f.change().target.voters == std::vector<raft::NodeId>{{1}, {2}});
  CHECK(f.changed(id).body ==
        "{\"id\":3,\"role\":\"learner\",\"auto_promote\":false,\"config_index\":91}\n");
  id = f.begin("PUT", "/cluster/members/3", R"({"role":"voter"})");
  CHECK(f.change().target.voters.size() == 3);
  f.answer(refused(Errc::kBusy));
  CHECK(field(f.take(id), "Raftd-Error") == "not_caught_up");
}

TEST_CASE("a new member does not take the address of another one, unless it replaces that") {
  JoinFixture f;
  const auto body = [](const std::string& more) { return "{\"peer\":\"b:1\"" + more + "}"; };
  const http::Response taken = f.take(f.begin("PUT", "/cluster/members/4", body("")));
  CHECK(taken.status == 409);
  CHECK(field(taken, "Raftd-Error") == "name_taken");
  CHECK(taken.body.find("the peer address b:1 is that of member 2: to take its place, say that "
                        "the new member replaces 2 (raftd join --replaces 2)\"") !=
        std::string::npos);
  CHECK(taken.body.find("\"id\":2") != std::string::npos);
  CHECK(f.backend.asked.empty());
  const std::string other = body(",\"replaces\":3");
  CHECK(f.take(f.begin("PUT", "/cluster/members/4", other)).status == 409);
  f.begin("PUT", "/cluster/members/4", body(",\"replaces\":2"));
  CHECK(f.claimed(Result::kDone).replaces == 2);
  CHECK(f.change().target.addresses.back() == raft::MemberAddress{{4}, "b:1"});
}

TEST_CASE("what a ticket says of whom its member replaces counts for the address, too") {
  JoinFixture f;
  f.applied_configuration();
  f.apply(kv::ReserveMember{std::string(kv::kTokenHashBytes, 'h'), "n1", true, 2, 600'000});
  const std::uint64_t id = f.store.tickets().at(0).id;
  f.begin("PUT", "/cluster/members/" + std::to_string(id), R"({"peer":"b:1"})");
  CHECK(f.claimed(Result::kDone, id).id == id);
}

TEST_CASE("of several new members no two have one address") {
  JoinFixture f;
  const http::Response response = f.take(f.begin(
      "POST", "/cluster/members", R"({"members":[{"id":4,"peer":"d:1"},{"id":5,"peer":"d:1"}]})"));
  CHECK(field(response, "Raftd-Error") == "name_taken");
  CHECK(response.body.find("address d:1 is that of member 5, too") != std::string::npos);
}

TEST_CASE("[RF-12] several join in one change: all are claimed first") {
  JoinFixture f;
  const RequestId id = f.begin("POST", "/cluster/members",
                               R"({"members":[{"id":4,"peer":"d:1"},)"
                               R"({"id":5,"peer":"e:1","role":"learner"},{"id":3,"peer":"y:1"}]})");
  CHECK(f.claimed(Result::kDone, 4).id == 4);
  const kv::ClaimMember second = f.claimed(Result::kDone, 5, false);
  CHECK(second.id == 5);
  CHECK_FALSE(second.voter);
  CHECK(second.token_hash.empty());
  CHECK(f.change().target.learners == std::vector<raft::NodeId>{{4}, {5}});
  CHECK(f.change().target.addresses[2].peer == "y:1");
  const http::Response response = f.changed(id);
  CHECK(response.status == 201);
  CHECK(contains(response.body, "\"config_index\":91}"));
  const auto json = http::parse_json(response.body);
  REQUIRE(json);
  CHECK((*json).field("members")->array()->size() == 3);
}

TEST_CASE("who comes in the place of another may have its name, also when it asks again") {
  JoinFixture f;
  f.publish(3, "n4", "http://10.0.0.3:2379");
  f.apply(kv::ClaimMember{4, "", 0xab, "n4", "http://10.0.0.4:2379", true, 3});
  auto& configuration = f.backend.now.configuration.configuration;
  configuration.learners = {{4}};
  configuration.addresses.push_back({{4}, "10.0.0.4:2380"});
  CHECK(f.take(f.begin("PUT", "/cluster/members/4", kBody)).status == 200);
}

TEST_CASE("one that catches up is not made a voter by being put again") {
  JoinFixture f;
  f.own(4, 0xab);
  auto& configuration = f.backend.now.configuration.configuration;
  configuration.learners = {{4}};
  configuration.addresses.push_back({{4}, "10.0.0.4:2380"});
  f.applied_configuration();
  std::string body = kBody;
  body.insert(body.size() - 1, R"(,"role":"voter")");
  CHECK(f.take(f.begin("PUT", "/cluster/members/4", body)).status == 200);
}

TEST_CASE("a body that is wrong is refused, naming the field") {
  JoinFixture f;
  const auto refusal = [&](std::string_view method, std::string_view target, std::string body) {
    const http::Response response = f.now(method, target, {}, std::move(body));
    CHECK(response.status == 400);
    return response.body;
  };
  const std::string_view put = "/cluster/members/4";
  CHECK(contains(refusal("PUT", put, ""), "bad_json"));
  CHECK(contains(refusal("PUT", put, "[]"), "bad_json"));
  CHECK(contains(refusal("PUT", put, R"({"peers":"a:1"})"), R"("field":"peers")"));
  CHECK(contains(refusal("PUT", put, R"({"id":4})"), R"("field":"id")"));
  CHECK(contains(refusal("PUT", put, R"({"peer":"a"})"), R"("field":"peer")"));
  CHECK(contains(refusal("PUT", put, R"({"peer":"0.0.0.0:1"})"), R"("field":"peer")"));
  CHECK(contains(refusal("PUT", put, R"({"peer":7})"), R"("field":"peer")"));
  CHECK(contains(refusal("PUT", put, R"({"client":"http://a:1\r\nX: y"})"), R"("field":"client")"));
  CHECK(contains(refusal("PUT", put, R"({"name":"17"})"), R"("field":"name")"));
  CHECK(contains(refusal("PUT", put, R"({"role":"king"})"), R"("field":"role")"));
  CHECK(contains(refusal("PUT", put, R"({"ticket":"short"})"), R"("field":"ticket")"));
  CHECK(contains(refusal("PUT", put, R"({"replaces":0})"), R"("field":"replaces")"));
  CHECK(contains(refusal("PUT", put, R"({"replaces":4})"), R"("field":"replaces")"));
  CHECK(contains(refusal("PUT", put, R"({"instance":"AB"})"), R"("field":"instance")"));
  CHECK(contains(refusal("PUT", "/cluster/members/n4", "{}"), "under its id"));
  CHECK(contains(refusal("PUT", "/cluster/members/0", "{}"), "under its id"));
  const std::string_view post = "/cluster/members";
  CHECK(contains(refusal("POST", post, R"({"members":[]})"), "bad_json"));
  CHECK(contains(refusal("POST", post, R"({"members":[{"peer":"a:1"}]})"), R"("field":"id")"));
  CHECK(contains(refusal("POST", post, R"({"members":[{"id":4},{"id":4}]})"), "twice"));
  CHECK(contains(refusal("POST", post, R"({"members":[{"id":4}],"x":1})"), "bad_json"));
  const RequestId id = f.begin("PUT", put, "{}");
  CHECK(contains(f.take(id).body, "a new member needs it"));
}

TEST_CASE(
    "a configuration that would be too large, or without a voter, is refused before it is asked") {
  JoinFixture f;
  const RequestId id = f.begin("POST", "/cluster/members",
                               R"({"members":[{"id":1,"role":"learner"},{"id":2,"role":"learner"},)"
                               R"({"id":3,"role":"learner"}]})");
  CHECK(field(f.take(id), "Raftd-Error") == "last_voter");
  auto& learners = f.backend.now.configuration.configuration.learners;
  for (std::uint64_t more = 10; learners.size() < limits::kLearnersMax; ++more) {
    learners.push_back({more});
    f.backend.now.configuration.configuration.addresses.push_back({{more}, "z:1"});
  }
  const RequestId many = f.begin("PUT", "/cluster/members/99", R"({"peer":"n:1"})");
  f.claimed(Result::kDone, 99);
  CHECK(field(f.take(many), "Raftd-Error") == "too_many_members");
}

}  // namespace raftd::api
