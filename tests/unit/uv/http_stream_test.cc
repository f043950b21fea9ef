// Bodies that are made while they are sent: pulled when there is room, never more than that.
#include <doctest/doctest.h>

#include "unit/uv/http_fixture.h"

namespace raftd::uv {

namespace {

// What the test and the stream share; it outlives the stream.
struct Script {
  std::vector<http::BodySource::Next> steps;  // After the last one: kLater.
  std::string piece = "piece;";
  std::size_t pulled = 0;
  bool endless = false;
  bool destroyed = false;
  bool lasting = false;
  std::string trailers;
};

class ScriptedSource final : public http::BodySource {
 public:
  explicit ScriptedSource(Script& script) : script_(script) {}
  ~ScriptedSource() override { script_.destroyed = true; }
  Next next(std::string& out) override {
    if (script_.endless) {
      ++script_.pulled;
      out += script_.piece;
      return Next::kMore;
    }
    if (script_.pulled == script_.steps.size()) return Next::kLater;
    const Next step = script_.steps[script_.pulled++];
    if (step == Next::kMore) out += script_.piece;
    return step;
  }
  std::string trailers() override { return script_.trailers; }
  bool lasting() const override { return script_.lasting; }

 private:
  Script& script_;
};

using Next = http::BodySource::Next;

// Asks for a stream and answers with the script.
struct StreamFixture : HttpFixture {
  StreamFixture() { front.manual = true; }
  TestClient& open(const std::string& request) {
    const std::size_t before = front.asked.size();
    TestClient& one = client();
    one.send(request);
    REQUIRE(until([&] { return front.asked.size() == before + 1; }));
    return one;
  }
  void stream(Script& script) {
    http::Response response;
    response.stream = std::make_unique<ScriptedSource>(script);
    server->respond(front.asked.back().id, std::move(response));
  }
};

}  // namespace

TEST_CASE("a stream is sent in chunks as it is made, and the connection goes on after it") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  script.steps = {Next::kMore, Next::kLater};
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "Transfer-Encoding: chunked\r\n\r\n6\r\npiece;\r\n"));
  fixture.settle();
  CHECK(script.pulled == 2);
  script.steps.push_back(Next::kMore);
  fixture.settle();
  CHECK(script.pulled == 2);  // Nobody has said that there is more.
  fixture.server->wake(fixture.front.asked[0].id);
  REQUIRE(fixture.until([&] { return count_of(client.got, "piece;") == 2; }));
  script.steps.push_back(Next::kEnd);
  client.send(get_request("/next"));
  fixture.settle();
  REQUIRE(fixture.front.asked.size() == 2);
  fixture.respond(1, "next");
  fixture.settle();
  CHECK(client.got.find("next") == std::string::npos);
  fixture.server->wake(fixture.front.asked[0].id);
  REQUIRE(fixture.until_got(client, "next"));
  CHECK(script.destroyed);
  CHECK(client.got.find("6\r\npiece;\r\n0\r\n\r\nHTTP/1.1 200 OK") != std::string::npos);
  CHECK(fixture.front.gone.empty());
}

TEST_CASE("a stream to a client that does not read is not pulled without end") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  client.reads = false;
  script.endless = true;
  script.piece = std::string(limits::kHttpStreamBytes / 4 * 3, 'x');
  fixture.stream(script);
  fixture.server->flush(test_clock());
  CHECK(script.pulled == 2);  // The second one fills it up.
  std::size_t before = 1;
  while (before != script.pulled) {  // Until the kernel's buffers are full.
    before = script.pulled;
    for (int i = 0; i < 20; ++i)
      fixture.settle();
  }
  const std::size_t stuck_at = script.pulled;
  CHECK(stuck_at * script.piece.size() < 20'000'000);
  client.reads = true;
  CHECK(fixture.until([&] { return script.pulled > 2 * stuck_at; }));
  CHECK(client.got.size() > stuck_at * script.piece.size());
}

TEST_CASE("an endless stream does not keep others from being served") {
  Script script;
  StreamFixture fixture;
  fixture.open(get_request("/stream"));
  script.endless = true;
  script.piece = "x";
  fixture.stream(script);
  TestClient& other = fixture.open(get_request("/other"));
  fixture.respond(1, "served");
  CHECK(fixture.until_got(other, "served"));
}

TEST_CASE("a stream that works in turns is asked again by itself, and what follows it is sent") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  script.steps.assign(300, Next::kWork);
  script.steps.push_back(Next::kMore);
  script.steps.push_back(Next::kEnd);
  script.trailers = "Sum: 7\r\n";
  fixture.stream(script);
  fixture.server->flush(test_clock());
  CHECK(script.pulled == 1);  // Others have their turn.
  REQUIRE(fixture.until_got(client, "6\r\npiece;\r\n0\r\nSum: 7\r\n\r\n"));
  CHECK(script.destroyed);
}

TEST_CASE("a stream that breaks is cut off without the end mark") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  script.steps = {Next::kMore, Next::kBroken};
  fixture.stream(script);
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.substr(client.got.size() - 11) == "6\r\npiece;\r\n");
  CHECK(script.destroyed);
}

TEST_CASE("HTTP/1.0 gets a stream unchunked and ended by the close") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open("GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  script.steps = {Next::kMore, Next::kMore, Next::kEnd};
  fixture.stream(script);
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("Connection: close\r\n\r\npiece;piece;") != std::string::npos);
  CHECK(client.got.find("chunked") == std::string::npos);
}

TEST_CASE("a HEAD of a stream ends at once and pulls nothing") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open("HEAD /s HTTP/1.1\r\nHost: h\r\n\r\n");
  script.endless = true;
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "Transfer-Encoding: chunked\r\n\r\n"));
  fixture.settle();
  CHECK(script.pulled == 0);
  CHECK(script.destroyed);
  CHECK(!client.closed);
}

TEST_CASE("a lasting stream whose client does not read is left alone, until the server stops") {
  StreamFixture fixture;
  HttpServerOptions options = HttpFixture::defaults();
  options.idle_timeout = std::chrono::milliseconds(200);
  fixture.server->set_options(options);
  Script lasting;
  Script other;  // Begins later, and is given up on all the same.
  lasting.lasting = true;
  for (Script* script : {&lasting, &other}) {
    script->endless = true;
    script->piece = std::string(50'000, 'x');
    fixture.open(get_request("/stream")).reads = false;
    fixture.stream(*script);
  }
  REQUIRE(fixture.until([&] { return other.destroyed; }));
  CHECK_FALSE(lasting.destroyed);
  fixture.server->stop();
  REQUIRE(fixture.until([&] { return fixture.server->stopped(); }));
  CHECK(lasting.destroyed);
}

TEST_CASE("a client that closes its side ends its lasting stream, and is told to have done so") {
  Script script;
  script.lasting = true;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "Transfer-Encoding"));
  client.half_close();
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(script.destroyed);
  CHECK(fixture.front.gone.size() == 1);
  TestClient& waiting = fixture.client();
  waiting.send(get_request("/poll"));
  waiting.half_close();
  REQUIRE(fixture.until([&] { return fixture.front.input_ended.size() == 1; }));
  CHECK(fixture.front.input_ended[0] == fixture.front.asked[1].id);
  fixture.respond(1, "nothing");
  REQUIRE(fixture.until_got(waiting, "nothing"));
}

TEST_CASE(
    "a client that has closed its side before its lasting stream begins gets its head alone") {
  Script script;
  script.lasting = true;
  script.endless = true;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  client.half_close();
  REQUIRE(fixture.until([&] { return fixture.front.input_ended.size() == 1; }));
  fixture.stream(script);
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(script.destroyed);
  CHECK(script.pulled == 0);
  CHECK(client.got.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(client.got.ends_with("\r\n\r\n"));
  CHECK(fixture.front.gone.size() == 1);
}

TEST_CASE("[RF-11] when a client leaves its stream, the stream dies and the front end is told") {
  Script script;
  StreamFixture fixture;
  TestClient& client = fixture.open(get_request("/stream"));
  script.steps = {Next::kMore};
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "piece;"));
  client.reset();
  REQUIRE(fixture.until([&] { return fixture.vitals.clients == 0; }));
  CHECK(script.destroyed);
  REQUIRE(fixture.front.gone.size() == 1);
  CHECK(fixture.front.gone[0] == fixture.front.asked[0].id);
}

}  // namespace raftd::uv
