// Bodies that are read while the answer is sent: each piece reaches the stream that is the answer,
// and the rules of HTTP hold around it.
#include <doctest/doctest.h>

#include "unit/uv/http_fixture.h"

namespace raftd::uv {

namespace {

// What the test and the stream share; it outlives the stream.
struct Script {
  std::string body;  // That came.
  std::string say;
  bool echo = true;
  bool ended = false;  // The body.
  bool finish = false;
  bool finish_with_body = false;
  bool lasting = false;
  bool destroyed = false;
};

// Says what it is told.
class EchoSource final : public http::BodySource {
 public:
  explicit EchoSource(Script& script) : script_(script) {}
  ~EchoSource() override { script_.destroyed = true; }
  Next next(std::string& out) override {
    out += std::exchange(script_.say, {});
    if (!out.empty()) return Next::kMore;
    return script_.finish ? Next::kEnd : Next::kLater;
  }
  void on_body(std::string_view bytes) override {
    CHECK_FALSE(script_.ended);
    CHECK(!bytes.empty());
    script_.body += bytes;
    if (script_.echo) script_.say += bytes;
  }
  void on_body_end() override {
    CHECK_FALSE(script_.ended);
    script_.ended = true;
    if (script_.finish_with_body) script_.finish = true;
  }
  bool lasting() const override { return script_.lasting; }

 private:
  Script& script_;
};

std::string post_head(std::string_view target, std::string_view fields) {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}
const std::string kChunkedHead = post_head("/open", "Transfer-Encoding: chunked\r\n");

std::string chunk(std::string_view bytes) {
  return strf("%zx\r\n", bytes.size()) + std::string(bytes) + "\r\n";
}

struct BodyFixture : HttpFixture {
  explicit BodyFixture(HttpServerOptions with = defaults()) : HttpFixture(with) {
    front.manual = true;
  }
  TestClient& open(const std::string& request) {
    const std::size_t before = front.asked.size();
    TestClient& one = client();
    one.send(request);
    REQUIRE(until([&] { return front.asked.size() == before + 1; }));
    return one;
  }
  void stream(Script& script, std::size_t asked = 0) {
    http::Response response;
    response.stream = std::make_unique<EchoSource>(script);
    server->respond(front.asked.at(asked).id, std::move(response));
  }
  void refuse() {
    http::Response response = ScriptedFront::answer("no\n");
    response.status = 503;
    server->respond(front.asked.back().id, std::move(response));
  }
  bool until_closed(const TestClient& one) {
    return until([&] { return one.closed; });
  }
};

// Of a chunked answer; what follows it is left as it is.
std::string unchunked(std::string_view answer) {
  std::string body;
  std::size_t at = answer.find("\r\n\r\n") + 4;
  for (;;) {
    const std::size_t bytes = std::stoul(std::string(answer.substr(at)), nullptr, 16);
    at = answer.find("\r\n", at) + 2;
    if (bytes == 0) return body + std::string(answer.substr(at + 2));
    body += answer.substr(at, bytes);
    at += bytes + 2;
  }
}

}  // namespace

TEST_CASE("a stream is given the body of its request piece by piece while it is sent") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead);
  CHECK(fixture.front.asked[0].text == "POST /open");
  CHECK(fixture.front.heads.empty());
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "200 OK\r\n"));
  client.send(chunk("first;"));
  REQUIRE(fixture.until_got(client, "\r\n\r\n6\r\nfirst;\r\n"));
  client.send(chunk("second;"));
  REQUIRE(fixture.until_got(client, "7\r\nsecond;\r\n"));
  CHECK_FALSE(script.ended);
  client.send("0\r\n\r\n");
  REQUIRE(fixture.until([&] { return script.ended; }));
  // The end of the body is not the end of the answer.
  script.say = "third;";
  fixture.server->wake(fixture.front.asked[0].id);
  REQUIRE(fixture.until_got(client, "6\r\nthird;\r\n"));
  script.finish = true;
  fixture.server->wake(fixture.front.asked[0].id);
  REQUIRE(fixture.until_got(client, "\r\n0\r\n\r\n"));
  client.send(get_request("/next"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.respond(1, "next");
  CHECK(fixture.until_got(client, "next"));
  CHECK(fixture.front.gone.empty());
  CHECK(script.destroyed);
}

TEST_CASE("a body that came with its head goes the same way, and so does none at all") {
  for (const std::string& request :
       {post_head("/open?a", "Content-Length: 5\r\n") + "hello",
        post_head("/open", "Transfer-Encoding: chunked\r\n") + chunk("hello") + "0\r\n\r\n",
        post_head("/open", ""), post_head("/open", "Content-Length: 0\r\n")}) {
    Script script;
    BodyFixture fixture;
    TestClient& client = fixture.open(request + get_request("/next"));
    fixture.settle();
    CHECK(fixture.front.asked.size() == 1);
    CHECK(fixture.front.asked[0].text.find("hello") == std::string::npos);
    fixture.stream(script);
    REQUIRE(fixture.until([&] { return script.ended; }));
    CHECK(script.body == (request.find("hello") == std::string::npos ? "" : "hello"));
    REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
    fixture.respond(1, "next");
    fixture.settle();
    CHECK(client.got.find("next") == std::string::npos);
    script.finish = true;
    fixture.server->wake(fixture.front.asked[0].id);
    CHECK(fixture.until_got(client, "next"));
    CHECK(unchunked(client.got).starts_with(script.body + "HTTP/1.1 200 OK\r\n"));
  }
}

TEST_CASE("a streamed body cut in two anywhere is the same body, and the next request the same") {
  const std::string chunked = kChunkedHead + chunk("some") + chunk("more") + "0\r\n\r\n";
  const std::string counted = post_head("/open", "Content-Length: 8\r\n") + "somemore";
  for (const std::string& request : {chunked, counted}) {
    const std::string all = request + get_request("/next");
    for (std::size_t cut = 1; cut < all.size(); cut += 3) {
      CAPTURE(cut);
      Script script;
      script.finish_with_body = true;
      BodyFixture fixture;
      TestClient& client = fixture.client();
      client.send(all.substr(0, cut));
      fixture.settle();
      if (!fixture.front.asked.empty()) fixture.stream(script);
      fixture.settle();
      client.send(all.substr(cut));
      REQUIRE(fixture.until([&] { return !fixture.front.asked.empty(); }));
      if (!script.ended) fixture.stream(script);
      REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
      fixture.respond(1, "next");
      REQUIRE(fixture.until_got(client, "next"));
      CHECK(script.body == "somemore");
      CHECK(fixture.front.asked[1].text == "GET /next");
    }
  }
}

TEST_CASE("a streamed request waits for its turn, and so does its body") {
  Script script;
  script.finish_with_body = true;
  BodyFixture fixture;
  TestClient& client = fixture.open(get_request("/first") + kChunkedHead + chunk("body"));
  fixture.settle();
  REQUIRE(fixture.front.asked.size() == 1);
  fixture.respond(0, "first");
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  CHECK(fixture.front.asked[1].text == "POST /open");
  fixture.stream(script, 1);
  REQUIRE(fixture.until_got(client, "4\r\nbody\r\n"));
  CHECK(client.got.find("first") < client.got.find("body"));
  client.send("0\r\n\r\n");
  CHECK(fixture.until_got(client, "\r\n0\r\n\r\n"));
}

TEST_CASE("a streamed body is bounded neither by the size of a request nor by time") {
  HttpServerOptions options = HttpFixture::defaults();
  options.request_bytes = 4;
  options.body_timeout = std::chrono::milliseconds(50);
  Script script;
  script.echo = false;
  BodyFixture fixture(options);
  const std::string piece(100'000, 'x');
  TestClient& client = fixture.open(post_head("/open", "Content-Length: 8000001\r\n") + piece);
  fixture.stream(script);
  REQUIRE(fixture.until([&] { return script.body.size() == piece.size(); }));
  TestClient& slow = fixture.client();
  slow.send(post_head("/closed", "Content-Length: 4\r\n"));
  REQUIRE(fixture.until_got(slow, "408"));
  for (int i = 1; i < 80; ++i)
    client.send(piece);
  REQUIRE(fixture.until([&] { return script.body.size() == 80 * piece.size(); }));
  CHECK_FALSE(script.ended);
  client.send("x");
  REQUIRE(fixture.until([&] { return script.ended; }));
  CHECK_FALSE(script.destroyed);
}

TEST_CASE("a client that closes its side in the middle of a streamed body ends the answer") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + chunk("body"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "body"));
  client.half_close();
  REQUIRE(fixture.until_closed(client));
  CHECK(script.destroyed);
  CHECK_FALSE(script.ended);
  REQUIRE(fixture.front.gone.size() == 1);
  CHECK(fixture.front.gone[0] == fixture.front.asked[0].id);
}

TEST_CASE("a client that closes its side behind a streamed body loses a lasting answer only") {
  for (const bool lasting : {false, true}) {
    Script script;
    script.lasting = lasting;
    BodyFixture fixture;
    TestClient& client = fixture.open(kChunkedHead + chunk("body") + "0\r\n\r\n");
    fixture.stream(script);
    REQUIRE(fixture.until_got(client, "body"));
    client.half_close();
    fixture.settle();
    CHECK(script.ended);
    script.finish = true;
    fixture.server->wake(fixture.front.asked[0].id);
    REQUIRE(fixture.until_closed(client));
    CHECK(client.got.ends_with("\r\n0\r\n\r\n") == !lasting);
    CHECK(fixture.front.gone.size() == (lasting ? 1 : 0));
  }
}

TEST_CASE("a client that resets in the middle of a streamed body ends the answer") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + chunk("body"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "body"));
  client.reset();
  REQUIRE(fixture.until([&] { return fixture.vitals.clients == 0; }));
  CHECK(script.destroyed);
  CHECK(fixture.front.gone.size() == 1);
}

TEST_CASE(
    "a client that closes its side before its answer begins loses that when its body is wanted") {
  Script script;
  script.say = "said";
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead);
  fixture.stream(script);
  client.half_close();
  REQUIRE(fixture.until_closed(client));
  CHECK(script.destroyed);
  CHECK(fixture.front.gone.size() == 1);
}

TEST_CASE("a streamed body that is malformed ends the answer without its end mark") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + chunk("body"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "4\r\nbody\r\n"));
  client.send("not a size\r\n");
  REQUIRE(fixture.until_closed(client));
  CHECK(client.got.ends_with("4\r\nbody\r\n"));
  CHECK(script.destroyed);
  CHECK_FALSE(script.ended);
  CHECK(fixture.front.gone.size() == 1);
}

TEST_CASE("a malformed body that came before the answer closes the connection as well") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + "not a size\r\n");
  fixture.stream(script);
  REQUIRE(fixture.until_closed(client));
  CHECK(script.destroyed);
  CHECK(fixture.until([&] { return fixture.vitals.clients == 0; }));
}

TEST_CASE("who expects 100 gets it before a stream begins, and not before a refusal") {
  Script script;
  script.finish_with_body = true;
  BodyFixture fixture;
  const std::string head = post_head("/open", "Content-Length: 5\r\nExpect: 100-continue\r\n");
  TestClient& client = fixture.open(head);
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "200 OK"));
  CHECK(client.got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  client.send("hello");
  REQUIRE(fixture.until_got(client, "5\r\nhello\r\n0\r\n\r\n"));
  CHECK(count_of(client.got, "100 Continue") == 1);
  TestClient& refused = fixture.open(head);
  fixture.refuse();
  REQUIRE(fixture.until_closed(refused));
  CHECK(refused.got.starts_with("HTTP/1.1 503"));
  CHECK(refused.got.find("Connection: close\r\n") != std::string::npos);
}

TEST_CASE("after an answer that is no stream a short rest of the body is skipped") {
  for (const std::string& body : {std::string("hello"), std::string()}) {
    BodyFixture fixture;
    TestClient& client =
        fixture.open(post_head("/open", strf("Content-Length: %zu\r\n", body.size())));
    fixture.refuse();
    REQUIRE(fixture.until_got(client, "no\n"));
    CHECK(client.got.find("Connection: close") == std::string::npos);
    client.send(body + get_request("/next"));
    REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
    CHECK(fixture.front.asked[1].text == "GET /next");
    fixture.respond(1, "next");
    CHECK(fixture.until_got(client, "next"));
    CHECK(fixture.front.gone.empty());
  }
}

TEST_CASE("after an answer that is no stream a long or endless body closes the connection") {
  BodyFixture fixture;
  TestClient& large = fixture.open(post_head("/open", "Content-Length: 70000\r\n"));
  fixture.refuse();
  REQUIRE(fixture.until_closed(large));
  CHECK(large.got.find("Connection: close\r\n") != std::string::npos);
  CHECK_FALSE(large.broken);
  TestClient& endless = fixture.open(kChunkedHead);
  fixture.refuse();
  REQUIRE(fixture.until_got(endless, "no\n"));
  for (int i = 0; i < 8; ++i)
    endless.send(chunk(std::string(10'000, 'x')));
  REQUIRE(fixture.until_closed(endless));
  CHECK_FALSE(endless.broken);
}

TEST_CASE("a stream that ends before the body is the last answer of its connection") {
  Script script;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + chunk("body"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "body"));
  script.finish = true;
  fixture.server->wake(fixture.front.asked[0].id);
  client.send(chunk(std::string(200'000, 'x')));
  REQUIRE(fixture.until_closed(client));
  CHECK_FALSE(client.broken);
  CHECK(client.got.ends_with("0\r\n\r\n"));
  CHECK(fixture.front.gone.empty());
}

TEST_CASE("a stop waits for a stream with an open body to end, and for nothing else") {
  Script script;
  script.lasting = true;
  BodyFixture fixture;
  TestClient& client = fixture.open(kChunkedHead + chunk("body"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "body"));
  fixture.server->stop();
  fixture.settle();
  CHECK_FALSE(fixture.server->stopped());
  CHECK_FALSE(client.closed);
  script.finish = true;
  fixture.server->wake(fixture.front.asked[0].id);
  REQUIRE(fixture.until_closed(client));
  CHECK(client.got.ends_with("\r\n0\r\n\r\n"));
  client.close();
  CHECK(fixture.until([&] { return fixture.server->stopped(); }));
}

TEST_CASE("HTTP/1.0 can send a body while it reads the answer, too") {
  Script script;
  script.finish_with_body = true;
  BodyFixture fixture;
  TestClient& client = fixture.open("POST /open HTTP/1.0\r\nContent-Length: 8\r\n\r\nsome");
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "\r\n\r\nsome"));
  client.send("more");
  REQUIRE(fixture.until_closed(client));
  CHECK(client.got.ends_with("\r\n\r\nsomemore"));
}

TEST_CASE("a client that asked to close is heard until its body ends") {
  Script script;
  script.finish_with_body = true;
  BodyFixture fixture;
  TestClient& client = fixture.open(
      post_head("/open", "Connection: close\r\nTransfer-Encoding: chunked\r\n") + chunk("some"));
  fixture.stream(script);
  REQUIRE(fixture.until_got(client, "some"));
  client.send(chunk("more") + "0\r\n\r\n" + get_request("/next"));
  REQUIRE(fixture.until_closed(client));
  CHECK(unchunked(client.got) == "somemore");
  CHECK(fixture.front.asked.size() == 1);
}

}  // namespace raftd::uv
