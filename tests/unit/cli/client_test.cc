// Goal: a question goes where it can be answered, and nothing that may have had its effect is asked
// twice, but under the same key. Method: a script of exchanges in place of the network, and a clock
// that only it moves.
#include "cli/client.h"

#include <doctest/doctest.h>

#include <functional>

#include "unit/cli/fake_transport.h"

namespace raftd::cli {
namespace {

const Question kRead = {.method = "GET", .target = "/kv/a", .body = {}};
const Question kWrite = {.method = "PUT", .target = "/kv/a", .body = "v", .changes = true};

const char* const kNoLeader =
    R"({"error":"no_leader","message":"no leader","status":503,"outcome":"none"})";
const char* const kLeaderLost =
    R"({"error":"leader_lost","message":"lost","status":504,"outcome":"unknown"})";

}  // namespace

TEST_CASE("endpoints are URLs, addresses and sockets; anything else is named") {
  const auto urls = [](std::string_view text) {
    std::string out;
    const Result<std::vector<Endpoint>> endpoints = parse_endpoints(text);
    if (!endpoints) return endpoints.error().message;
    for (const Endpoint& endpoint : *endpoints)
      out += endpoint.url + " ";
    return out;
  };
  CHECK(urls("http://h:1,h:2,unix:/run/x,[::1]:3,http://h:4/") ==
        "http://h:1 http://h:2 unix:/run/x http://[::1]:3 http://h:4 ");
  CHECK(urls("h:1,,h:2").find("found \"\"") != std::string::npos);
  CHECK(urls("https://h:1").find("found \"https://h:1\"") != std::string::npos);
  CHECK(urls("h").find("found \"h\"") != std::string::npos);
  CHECK(urls("").find("found none") != std::string::npos);
}

TEST_CASE("a request is whole: target, host, length, token, the time that is left") {
  FakeTransport net;
  net.answer(200, "");
  Client client = net.client("h:1", "secret");
  Question question = kWrite;
  question.takes_timeout = true;
  CHECK(static_cast<bool>(client.ask(question)));
  REQUIRE(net.asked.size() == 1);
  CHECK(net.asked[0].request ==
        "PUT /kv/a?timeout=4500ms HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\nUser-Agent: raftd"
        "\r\nAuthorization: Bearer secret\r\nContent-Length: 1\r\n\r\nv");
}

TEST_CASE("where nobody listens the next endpoint is asked; a round of those is the end") {
  FakeTransport net;
  net.refuse();
  net.answer(200, "x");
  CHECK(static_cast<bool>(net.client("a:1,b:1").ask(kWrite)));
  CHECK(net.hosts() == "a b ");

  FakeTransport dead;
  dead.refuse();
  dead.refuse();
  const Result<Answer> answer = dead.client("a:1,b:1").ask(kRead);
  REQUIRE_FALSE(static_cast<bool>(answer));
  CHECK(answer.error().message == "http://b:1: refused");
  CHECK(dead.hosts() == "a b ");
}

TEST_CASE("no leader and overload are asked again until the timeout, writes too") {
  FakeTransport net;
  for (int i = 0; i < 7; ++i)
    net.answer(i % 2 == 0 ? 503 : 429, kNoLeader);
  net.answer(200, "x");
  CHECK(static_cast<bool>(net.client("a:1,b:1").ask(kWrite)));
  CHECK(net.hosts() == "a b a b a b a b ");
  CHECK(net.pauses == 3);

  FakeTransport never;
  never.forever(503, kNoLeader);
  const Result<Answer> answer = never.client("a:1").ask(kWrite);
  REQUIRE_FALSE(static_cast<bool>(answer));
  CHECK(answer.error().message == "http://a:1: no leader");
  CHECK(never.now().since_origin >= std::chrono::seconds(5));
}

TEST_CASE("a write whose outcome is unknown is asked once, and that is said") {
  const auto message = [](const std::function<void(FakeTransport&)>& script) {
    FakeTransport net;
    script(net);
    net.answer(200, "x");
    const Result<Answer> answer = net.client("a:1,b:1").ask(kWrite);
    CHECK(net.asked.size() == 1);
    return answer ? "" : answer.error().message;
  };
  const std::string begin = "the outcome is unknown, the change may or may not be made: ";
  CHECK(message([](FakeTransport& net) { net.lose(); }) == begin + "http://a:1: no answer");
  CHECK(message([](FakeTransport& net) { net.answer(504, kLeaderLost); }) ==
        begin + "http://a:1: lost");
  CHECK(message([](FakeTransport& net) { net.answer(503, "a proxy's page"); }) ==
        begin + "http://a:1: HTTP status 503");
  CHECK(message([](FakeTransport& net) { net.answer(500, ""); }).starts_with(begin));
}

TEST_CASE("a write with a key is asked again after everything, under the same key") {
  FakeTransport net;
  net.lose();
  net.answer(504, kLeaderLost);
  net.answer(503, "a proxy's page");
  net.refuse();
  net.refuse();
  net.refuse();
  net.answer(429, kNoLeader);
  net.answer(502, "another");
  net.answer(201, "x");
  const Result<Answer> answer =
      net.client("a:1,b:1").write({.method = "PUT", .target = "/kv/a", .body = "v", .key = "k1"});
  REQUIRE(static_cast<bool>(answer));
  CHECK((*answer).http.status == 201);
  CHECK(net.hosts() == "a b a b a b a b a ");
  for (const FakeTransport::Asked& one : net.asked)
    CHECK(one.request.find("\r\nIdempotency-Key: k1\r\n") != std::string::npos);

  // One key a write, drawn once.
  FakeTransport drawn;
  drawn.lose();
  drawn.answer(201, "x");
  REQUIRE(drawn.client("a:1").write({.method = "PUT", .target = "/kv/a", .body = {}}));
  const auto key = [&](std::size_t i) {
    const std::string& request = drawn.asked[i].request;
    return request.substr(request.find("Idempotency-Key: "), 17 + 32);
  };
  CHECK(key(0) == key(1));
}

TEST_CASE(
    "a write that was not heard of is unknown when the time is up, and at an internal error") {
  const auto message = [](const std::function<void(FakeTransport&)>& script) {
    FakeTransport net;
    script(net);
    const Result<Answer> answer =
        net.client("a:1").write({.method = "PUT", .target = "/kv/a", .body = {}});
    return answer ? "" : answer.error().message;
  };
  const std::string begin = "the outcome is unknown, the change may or may not be made: ";
  CHECK(message([](FakeTransport& net) {
          net.lose();
          for (int i = 0; i < 50; ++i)
            net.answer(503, kNoLeader);
        }) == begin + "http://a:1: no leader");
  CHECK(message([](FakeTransport& net) { net.answer(500, ""); }).starts_with(begin));
  CHECK(message([](FakeTransport& net) { net.forever(503, kNoLeader); }) ==
        "http://a:1: no leader");
}

TEST_CASE("one silent endpoint does not get all the time of a write with a key") {
  const auto timeout_of = [](const Question& question) {
    FakeTransport net;
    net.answer(200, "x");
    REQUIRE(net.client("a:1,b:1").ask(question));
    const std::string& request = net.asked[0].request;
    const std::size_t at = request.find("timeout=") + 8;
    return request.substr(at, request.find(' ', at) - at);
  };
  Question question = kWrite;
  question.takes_timeout = true;
  CHECK(timeout_of(question) == "4500ms");
  question.key = "k1";
  CHECK(timeout_of(question) == "2250ms");
}

TEST_CASE("a read that got no answer is asked elsewhere") {
  FakeTransport net;
  net.lose();
  net.answer(504, kLeaderLost);
  net.answer(200, "x");
  const Result<Answer> answer = net.client("a:1,b:1").ask(kRead);
  REQUIRE(static_cast<bool>(answer));
  CHECK((*answer).endpoint.url == "http://a:1");
  CHECK(net.hosts() == "a b a ");
}

TEST_CASE("the leader is followed, but not in circles") {
  FakeTransport net;
  net.redirect("http://leader:9/kv/a");
  net.answer(200, "x");
  const Result<Answer> answer = net.client("a:1").ask(kWrite);
  REQUIRE(static_cast<bool>(answer));
  CHECK((*answer).endpoint.url == "http://leader:9");

  FakeTransport circle;
  for (int i = 0; i < 100; ++i)
    circle.redirect("http://b:1/kv/a");
  const Result<Answer> lost = circle.client("a:1").ask(kWrite);
  REQUIRE(static_cast<bool>(lost));
  CHECK((*lost).http.status == 307);
  CHECK(circle.asked.size() == 6);
}

TEST_CASE("an answer of no is an answer") {
  for (const int status : {404, 412, 400, 413, 507}) {
    FakeTransport net;
    net.answer(status, "");
    const Result<Answer> answer = net.client("a:1,b:1").ask(kWrite);
    REQUIRE(static_cast<bool>(answer));
    CHECK((*answer).http.status == status);
    CHECK(net.asked.size() == 1);
  }
}

}  // namespace raftd::cli
