// Join tickets: what is put into the log, and what the client is told.
#include <set>

#include "http/json.h"
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Result = kv::MemberReply::Result;

struct TicketFixture : Fixture {
  TicketFixture() {
    auto& configuration = backend.now.configuration.configuration;
    configuration.voters = {{1}};
    configuration.addresses = {{{1}, "a:1"}};
    backend.now.cluster_time = {5000};
  }
  kv::ReserveMember reserved(Result result, std::uint64_t id) {
    auto reply = std::make_unique<kv::MemberReply>();
    reply->result = result;
    reply->id = id;
    reply->expires = {65'000};
    answer(done(std::move(reply)));
    return last_command<kv::ReserveMember>();
  }
  void apply(const kv::Command& command) {
    const Bytes bytes = kv::encode(command);
    ++applied;
    store.apply({{applied}, {1}, {0}, ByteView(bytes).subspan(machine::kStampBytes)}, false);
  }
};

std::string text_of(const http::JsonValue& body, std::string_view name) {
  const http::JsonValue* value = body.field(name);
  REQUIRE(value != nullptr);
  REQUIRE(value->text() != nullptr);
  return *value->text();
}

}  // namespace

TEST_CASE("a ticket tells its id, a token that nobody else is told, and where the cluster is") {
  TicketFixture f;
  const RequestId id =
      f.send(Fixture::make("POST", "/cluster/tickets?name=n4&ttl=1m&replaces=3&role=voter"));
  const kv::ReserveMember reserve = f.reserved(Result::kDone, 4);
  CHECK(reserve.name == "n4");
  CHECK(reserve.voter);
  CHECK(reserve.replaces == 3);
  CHECK(reserve.ttl_ms == 60'000);
  const std::string hash(reserve.token_hash);
  const http::Response response = f.take(id);
  CHECK(response.status == 201);
  const auto body = http::parse_json(response.body);
  REQUIRE(body);
  CHECK(*(*body).field("id")->whole() == 4);
  CHECK(*(*body).field("replaces")->whole() == 3);
  CHECK(*(*body).field("expires_in_ms")->whole() == 60'000);
  CHECK(text_of(*body, "name") == "n4");
  CHECK(text_of(*body, "role") == "voter");
  CHECK(text_of(*body, "cluster_id") == "8f1c0a93d2be7745");
  CHECK(text_of(*body, "cluster_name") == "test");
  CHECK((*body).field("members")->array()->size() == 1);
  const std::string token = text_of(*body, "token");
  CHECK(token.size() == 43);

  // Who says the token claims with the hash that is in the log.
  const RequestId join = f.send(Fixture::make("PUT", "/cluster/members/4", {},
                                              R"({"peer":"d:1","ticket":")" + token + "\"}"));
  f.answer(node::Done{{12}, {3}, false, std::make_unique<kv::GetReply>()});
  f.answer(refused(Errc::kTimeout));
  CHECK(f.last_command<kv::ClaimMember>().token_hash == hash);
  f.take(join);
}

TEST_CASE("several tickets have several tokens, in an array") {
  TicketFixture f;
  const RequestId id = f.send(Fixture::make("POST", "/cluster/tickets?count=3&voter=false"));
  for (std::uint64_t next = 4; next <= 6; ++next)
    CHECK_FALSE(f.reserved(Result::kDone, next).voter);
  const auto body = http::parse_json(f.take(id).body);
  REQUIRE(body);
  REQUIRE((*body).array() != nullptr);
  std::set<std::string> tokens;
  for (const http::JsonValue& each : *(*body).array())
    tokens.insert(text_of(each, "token"));
  CHECK(tokens.size() == 3);
  const RequestId one = f.send(Fixture::make("POST", "/cluster/tickets?count=1"));
  f.reserved(Result::kDone, 7);
  CHECK(f.take(one).body.starts_with("[{"));
}

TEST_CASE("a name that is taken, or too many tickets, are refused") {
  TicketFixture f;
  const auto refusal = [&](Result result) {
    const RequestId id = f.send(Fixture::make("POST", "/cluster/tickets"));
    f.reserved(result, 0);
    const http::Response response = f.take(id);
    CHECK(response.status == 409);
    return field(response, "Raftd-Error");
  };
  CHECK(refusal(Result::kNameTaken) == "name_taken");
  CHECK(refusal(Result::kTooMany) == "too_many_members");
}

TEST_CASE("parameters of tickets are checked") {
  TicketFixture f;
  for (const char* target :
       {"?ttl=59s", "?ttl=25h", "?name=17", "?name=", "?role=king", "?role=voter&voter=false",
        "?count=0", "?count=17", "?replaces=0", "?name=n&count=2", "?force"}) {
    CAPTURE(target);
    CHECK(f.now("POST", std::string("/cluster/tickets") + target).status == 400);
  }
  CHECK(f.now("POST", "/cluster/tickets", {}, R"({"a":1})").status == 400);
  CHECK(f.now("DELETE", "/cluster/tickets/n4").status == 400);
  CHECK(f.now("DELETE", "/cluster/tickets/0").status == 400);
  CHECK(f.now("PUT", "/cluster/tickets/4").status == 405);
}

TEST_CASE("tickets that wait are listed without their tokens, and can be taken back") {
  TicketFixture f;
  f.apply(kv::ReserveMember{std::string(kv::kTokenHashBytes, 'h'), "n4", false, 0, 65'000});
  const std::string ticket = R"({"id":1,"name":"n4","role":"learner","expires_in_ms":60000})";
  const auto listed = [&](std::string_view target) {
    return f.with(node::Done{{12}, {3}, false, std::make_unique<kv::GetReply>()}, "GET", target);
  };
  CHECK(listed("/cluster/tickets").body == "{\"tickets\":[" + ticket + "]}\n");
  CHECK(contains(listed("/cluster").body, "\"tickets\":[" + ticket + "]}"));
  CHECK(contains(listed("/cluster").body, "\"max_id\":1,"));
  auto reply = std::make_unique<kv::MemberReply>();
  reply->dropped = 1;
  CHECK(f.with(done(std::move(reply)), "DELETE", "/cluster/tickets/1").body == "{\"deleted\":1}\n");
  CHECK(f.last_command<kv::DropTickets>().id == 1);
}

}  // namespace raftd::api
