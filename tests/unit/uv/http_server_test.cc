// The HTTP server over loopback: order, pipelining, bodies, the ends of connections.
#include "uv/http_server.h"

#include <doctest/doctest.h>

#include "unit/uv/http_fixture.h"

namespace raftd::uv {

TEST_CASE("a request is answered and the connection stays open") {
  HttpFixture fixture;
  CHECK(fixture.address.find("127.0.0.1:") == 0);
  CHECK(fixture.address != "127.0.0.1:0");
  TestClient& client = fixture.client();
  client.send(get_request("/a"));
  REQUIRE(fixture.until_got(client, "GET /a\n"));
  CHECK(client.got.find("HTTP/1.1 200 OK\r\nDate: ") == 0);
  CHECK(client.got.find(" GMT\r\nContent-Length: 7\r\n\r\nGET /a\n") != std::string::npos);
  client.send(put_request("/b", "hello"));
  REQUIRE(fixture.until_got(client, "PUT /b hello\n"));
  CHECK(!client.closed);
  CHECK(fixture.front.back == "GET /a\nPUT /b hello\n");
  CHECK(fixture.vitals.clients == 1);
  client.close();
  CHECK(fixture.until([&] { return fixture.vitals.clients == 0; }));
  CHECK(fixture.front.gone.empty());
}

TEST_CASE("it listens on IPv6 and on unix sockets, too") {
  const std::string path = strf("/tmp/raftd-unit-uv-%d.sock", static_cast<int>(getpid()));
  for (const std::string& address : {std::string("[::1]:0"), "unix:" + path}) {
    INFO(address);
    HttpFixture fixture(HttpFixture::defaults(), address);
    REQUIRE(!fixture.address.empty());
    TestClient& client = fixture.client();
    client.send(get_request("/a"));
    CHECK(fixture.until_got(client, "GET /a\n"));
  }
  CHECK(::access(path.c_str(), F_OK) != 0);  // Nothing is left behind.
}

TEST_CASE("a socket file that a dead process left behind is taken over, one in use is not") {
  const std::string path = strf("/tmp/raftd-unit-uv-stale-%d.sock", static_cast<int>(getpid()));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(::bind(dead, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  ::close(dead);
  HttpFixture fixture(HttpFixture::defaults(), "unix:" + path);
  CHECK(fixture.address == "unix:" + path);
  const auto second = fixture.server->listen("unix:" + path);
  REQUIRE(!second);
  CHECK(second.error().message.find("address already in use") != std::string::npos);
  TestClient& client = fixture.client();
  client.send(get_request("/a"));
  CHECK(fixture.until_got(client, "GET /a\n"));
}

TEST_CASE("an address that cannot be listened on is an error that names it") {
  HttpFixture fixture;
  for (const std::string& address :
       {fixture.address, std::string("127.0.0.1"), std::string("127.0.0.1:99999"),
        std::string("192.0.2.1:0"), std::string("unix:"), "unix:/" + std::string(200, 'x'),
        std::string("unix:/nowhere/at/all.sock")}) {
    INFO(address);
    const auto result = fixture.server->listen(address);
    REQUIRE(!result);
    CHECK(result.error().code == Errc::kIo);
    CHECK(result.error().message.find("cannot listen on " + address + ": ") == 0);
  }
}

TEST_CASE("pipelined reads are asked together and answered in order") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a") + get_request("/b") + get_request("/c"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 3; }));
  fixture.respond(2, "third");
  fixture.respond(1, "second");
  fixture.settle();
  CHECK(client.got.empty());
  fixture.respond(0, "first");
  REQUIRE(fixture.until_got(client, "third"));
  CHECK(client.got.find("first") < client.got.find("second"));
  CHECK(client.got.find("second") < client.got.find("third"));
}

TEST_CASE("pipelined requests take effect in order: a change of kind waits for the earlier ones") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(put_request("/1", "a") + put_request("/2", "b") + get_request("/3") +
              "HEAD /4 HTTP/1.1\r\nHost: h\r\n\r\n" + put_request("/5", "c") + get_request("/6"));
  const std::string writes = "PUT /1 a;PUT /2 b;";
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.settle();
  CHECK(fixture.front.asked_texts() == writes);
  fixture.respond(1, "2");
  fixture.settle();
  CHECK(fixture.front.asked_texts() == writes);
  fixture.respond(0, "1");
  fixture.settle();
  CHECK(fixture.front.asked_texts() == writes + "GET /3;HEAD /4;");
  fixture.respond(2, "3");
  fixture.respond(3, "4");
  fixture.settle();
  CHECK(fixture.front.asked_texts() == writes + "GET /3;HEAD /4;PUT /5 c;");
  fixture.respond(4, "5");
  fixture.settle();
  fixture.respond(5, "6");
  CHECK(fixture.until_got(client, "\r\n\r\n6"));
}

TEST_CASE("a request handed over while answers are written keeps the loop from sleeping") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/1") + put_request("/2", "b"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 1; }));
  fixture.settle();
  CHECK(uv_backend_timeout(fixture.loop.get()) != 0);
  fixture.respond(0, "1");
  fixture.server->flush(test_clock());
  REQUIRE(fixture.front.asked.size() == 2);
  uv_update_time(fixture.loop.get());
  CHECK(uv_backend_timeout(fixture.loop.get()) == 0);
}

TEST_CASE("of a thousand pipelined requests at most 16 are in progress, and all are answered") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  std::string all;
  for (int i = 0; i < 1000; ++i)
    all += get_request("/" + std::to_string(i));
  client.send(all);
  std::size_t answered = 0;
  std::size_t most = 0;
  const bool done = fixture.until([&] {
    most = std::max(most, fixture.front.asked.size() - answered);
    for (int n = 0; n < 3 && answered < fixture.front.asked.size(); ++n, ++answered) {
      fixture.respond(answered, fixture.front.asked[answered].text + "\n");
    }
    return answered == 1000;
  });
  REQUIRE(done);
  CHECK(most == limits::kHttpPipelineMax);
  REQUIRE(fixture.until([&] { return count_of(client.got, "HTTP/1.1 200 OK") == 1000; }));
  std::size_t at = 0;
  for (int i = 0; i < 1000; ++i) {
    at = client.got.find(strf("GET /%d\n", i), at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("a thousand pipelined requests answered at once come back in order") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  std::string all;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    all += i % 3 == 0 ? put_request("/" + std::to_string(i), "x")
                      : get_request("/" + std::to_string(i));
    expected += strf(i % 3 == 0 ? "PUT /%d x;" : "GET /%d;", i);
  }
  client.send(all);
  REQUIRE(fixture.until([&] { return count_of(client.got, "HTTP/1.1 200 OK") == 1000; }));
  CHECK(fixture.front.asked_texts() == expected);
}

TEST_CASE("HEAD has the length and no body, and errors of HEAD neither") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n" + get_request("/next"));
  REQUIRE(fixture.until_got(client, "GET /next\n"));
  CHECK(client.got.find("Content-Length: 10\r\n\r\nHTTP/1.1 200 OK") != std::string::npos);
  TestClient& other = fixture.client();
  other.send("HEAD /abc HTTP/1.1\r\n\r\n");
  REQUIRE(fixture.until([&] { return other.closed; }));
  CHECK(other.got.find("HTTP/1.1 400 Bad Request") == 0);
  CHECK(other.got.substr(other.got.size() - 4) == "\r\n\r\n");
}

TEST_CASE("HTTP/1.0 is closed after the answer unless it asks otherwise") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send("GET /a HTTP/1.0\r\n\r\n");
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("Connection: close\r\n") != std::string::npos);
  CHECK(client.got.find("GET /a\n") != std::string::npos);
  TestClient& other = fixture.client();
  for (int i = 1; i <= 2; ++i) {
    other.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    REQUIRE(fixture.until(
        [&] { return count_of(other.got, "GET /a\n") == static_cast<std::size_t>(i); }));
  }
  CHECK(count_of(other.got, "Connection: keep-alive\r\n") == 2);
  CHECK(!other.closed);
}

TEST_CASE("Connection: close is honoured and what follows is not looked at") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send(get_request("/a", "Connection: close\r\n") + get_request("/b"));
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(!client.broken);
  CHECK(count_of(client.got, "HTTP/1.1") == 1);
  CHECK(fixture.front.asked_texts() == "GET /a;");
}

TEST_CASE("a response that says close ends the connection, and later requests are gone") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a") + get_request("/b"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  http::Response response = ScriptedFront::answer("bye");
  response.close = true;
  fixture.server->respond(fixture.front.asked[0].id, std::move(response));
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("bye") != std::string::npos);
  REQUIRE(fixture.front.gone.size() == 1);
  CHECK(fixture.front.gone[0] == fixture.front.asked[1].id);
}

TEST_CASE("a client that has closed its sending side still gets all its answers") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a") + put_request("/b", "x") + "GET /half");
  client.half_close();
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 1; }));
  fixture.settle();
  CHECK(!client.closed);
  fixture.respond(0, "one");
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.respond(1, "two");
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("one") != std::string::npos);
  CHECK(client.got.find("two") != std::string::npos);
  CHECK(fixture.front.gone.empty());
  CHECK(fixture.until([&] { return fixture.vitals.clients == 0; }));
}

TEST_CASE("half closed with more than 16 pipelined requests, every one is answered") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  for (int i = 0; i < 500; ++i)
    client.send(get_request("/" + std::to_string(i)));
  client.half_close();
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(count_of(client.got, "HTTP/1.1 200 OK") == 500);
}

TEST_CASE("[RF-11] a client that hangs up is told to the front end and harms nobody") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& other = fixture.client();
  for (int round = 0; round < 20; ++round) {
    fixture.front.asked.clear();
    fixture.front.gone.clear();
    TestClient& client = fixture.client();
    client.send(get_request("/a") + get_request("/b") + put_request("/c", "never asked"));
    REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
    if (round % 2 == 0) fixture.respond(0, "half an answer");
    client.reset();
    REQUIRE(fixture.until([&] { return fixture.vitals.clients == 1; }));
    CHECK(fixture.front.gone.size() >= 1);
    CHECK(fixture.front.gone.back() == fixture.front.asked[1].id);
    fixture.respond(1, "too late");  // Nobody is there; nothing happens.
    fixture.server->wake(fixture.front.asked[1].id);
  }
  fixture.front.manual = false;
  other.send(get_request("/still"));
  CHECK(fixture.until_got(other, "GET /still\n"));
}

TEST_CASE("[RF-11] a client that is gone when its answer is written is only closed") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 1; }));
  client.reset();
  fixture.respond(0, std::string(1'000'000, 'x'));
  CHECK(fixture.until([&] { return fixture.vitals.clients == 0; }));
}

TEST_CASE("answers larger than any socket buffer arrive whole and in order") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a") + get_request("/b"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.respond(0, std::string(12'000'000, 'a'));
  fixture.respond(1, "end");
  REQUIRE(fixture.until_got(client, "\r\n\r\nend"));
  CHECK(client.got.find("Content-Length: 12000000\r\n\r\n" + std::string(12'000'000, 'a') +
                        "HTTP") != std::string::npos);
}

TEST_CASE(
    "small and large answers in one flush keep their order, whatever the socket takes at once") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  const std::vector<std::size_t> sizes = {3,    16'384,    20'000, 0,       16'383, 70'000,   5,
                                          9000, 6'000'000, 1,      100'000, 0,      4'000'000};
  std::string all;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    all += get_request("/a");
  client.send(all);
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == sizes.size(); }));
  for (std::size_t i = 0; i < sizes.size(); ++i)
    fixture.respond(i, std::string(sizes[i], static_cast<char>('a' + i)));
  std::size_t total = 0;
  REQUIRE(fixture.until([&] { return count_of(client.got, "HTTP/1.1 200 OK") == sizes.size(); }));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    CAPTURE(i);
    REQUIRE(fixture.until([&] { return client.got.find("\r\n\r\n", total) != std::string::npos; }));
    const std::size_t body = client.got.find("\r\n\r\n", total) + 4;
    const std::string head = client.got.substr(total, body - total);
    CHECK(head.find(strf("Content-Length: %zu\r\n", sizes[i])) != std::string::npos);
    total = body + sizes[i];
    REQUIRE(fixture.until([&] { return client.got.size() >= total; }));
    CHECK(client.got.substr(body, sizes[i]) == std::string(sizes[i], static_cast<char>('a' + i)));
  }
  CHECK(client.got.size() == total);
}

TEST_CASE("100 Continue comes once the head is accepted, and the request when the body is there") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  REQUIRE(fixture.until_got(client, "HTTP/1.1 100 Continue\r\n\r\n"));
  CHECK(fixture.front.heads.size() == 1);
  CHECK(fixture.front.asked.empty());
  client.send("hello");
  REQUIRE(fixture.until_got(client, "PUT /a hello\n"));
  CHECK(count_of(client.got, "100 Continue") == 1);
}

TEST_CASE("100 Continue waits for the answers before it, and is left out when the body is there") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/first") +
              "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  REQUIRE(fixture.until([&] { return fixture.front.heads.size() == 1; }));
  fixture.settle();
  CHECK(client.got.empty());
  fixture.respond(0, "one");
  REQUIRE(fixture.until_got(client, "HTTP/1.1 100 Continue\r\n\r\n"));
  CHECK(client.got.find("one") < client.got.find("100 Continue"));
  TestClient& eager = fixture.client();
  eager.send(put_request("/b", "x", "Expect: 100-continue\r\n"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.respond(1, "two");
  REQUIRE(fixture.until_got(eager, "two"));
  CHECK(eager.got.find("100 Continue") == std::string::npos);
}

TEST_CASE("an answer before the body comes instead of 100 Continue and closes") {
  HttpFixture fixture;
  fixture.front.answer_head = [](const http::Request&) {
    http::Response response = ScriptedFront::answer("elsewhere");
    response.status = 307;
    return response;
  };
  TestClient& client = fixture.client();
  client.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("HTTP/1.1 307 Temporary Redirect\r\n") == 0);
  CHECK(fixture.front.asked.empty());
}

TEST_CASE("an answer before a small body drops the body and keeps the connection") {
  HttpFixture fixture;
  fixture.front.answer_head = [](const http::Request& head) -> std::optional<http::Response> {
    if (head.target != "/early") return std::nullopt;
    http::Response response = ScriptedFront::answer("early\n");
    response.status = 405;
    return response;
  };
  TestClient& client = fixture.client();
  const std::string body = get_request("/never");  // Looks like a request, but is not one.
  client.send("PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
  REQUIRE(fixture.until_got(client, "early\n"));
  client.send(body + "PUT /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  REQUIRE(fixture.until([&] { return count_of(client.got, "early\n") == 2; }));
  client.send("5\r\nhello\r\n0\r\n\r\n" + put_request("/late", "x"));
  REQUIRE(fixture.until_got(client, "PUT /late x\n"));
  CHECK(fixture.front.asked_texts() == "PUT /late x;");
  CHECK(!client.closed);
}

TEST_CASE("the front end hears of a head once: with its body if that came with it") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send(put_request("/whole", "x"));
  REQUIRE(fixture.until_got(client, "PUT /whole x\n"));
  CHECK(fixture.front.heads.empty());
  client.send("PUT /parts HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
  REQUIRE(fixture.until([&] { return fixture.front.heads.size() == 1; }));
  client.send("y");
  REQUIRE(fixture.until_got(client, "PUT /parts y\n"));
  CHECK(fixture.front.heads == std::vector<std::string>{"PUT /parts"});
  CHECK(fixture.front.asked_texts() == "PUT /whole x;PUT /parts y;");
}

TEST_CASE("an answer before a body that is large, or turns out to be, ends the connection") {
  HttpFixture fixture;
  fixture.front.answer_head = [](const http::Request&) { return ScriptedFront::answer("early\n"); };
  TestClient& announced = fixture.client();
  announced.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  REQUIRE(fixture.until([&] { return announced.closed; }));
  CHECK(announced.got.find("Connection: close\r\n") != std::string::npos);
  CHECK(announced.got.find("early\n") != std::string::npos);
  TestClient& grown = fixture.client();
  grown.send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i)
    grown.send("1000\r\n" + std::string(4096, 'x') + "\r\n");
  grown.send("0\r\n\r\n" + get_request("/never"));
  REQUIRE(fixture.until([&] { return grown.closed; }));
  CHECK(count_of(grown.got, "HTTP/1.1") == 1);
  CHECK(fixture.front.asked.empty());
}

TEST_CASE("a client that sends all of a refused body before it reads hears why") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.reads = false;
  client.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12000000\r\n\r\n" +
              std::string(12'000'000, 'x'));
  CHECK(fixture.until([&] { return client.unsent() == 0; }));
  client.reads = true;
  REQUIRE(fixture.until_got(client, "too_large\n"));
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(!client.broken);
}

TEST_CASE("a refused body is drained, so that the answer is not lost, but not for ever") {
  HttpFixture fixture;
  TestClient& client = fixture.client();
  client.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" +
              std::string(30'000, 'x'));
  REQUIRE(fixture.until_got(client, "too_large\n"));
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(!client.broken);
  CHECK(client.got.find("HTTP/1.1 413 Content Too Large\r\n") == 0);
  TestClient& endless = fixture.client();
  endless.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000000\r\n\r\n");
  endless.send(std::string(64'000'000, 'x'));
  REQUIRE(fixture.until([&] { return endless.closed || endless.broken; }));
  CHECK(endless.unsent() > 0);
  CHECK(fixture.until([&] { return fixture.vitals.clients <= 1; }));
}

TEST_CASE("stopping answers what is in progress and closes the rest") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& idle = fixture.client();
  TestClient& busy = fixture.client();
  TestClient& sending = fixture.client();
  busy.send(get_request("/a") + get_request("/b"));
  sending.send("PUT /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
  REQUIRE(fixture.until([&] {
    return fixture.vitals.clients == 3 && fixture.front.asked.size() == 2 &&
           fixture.front.heads.size() == 1;
  }));
  fixture.server->stop();
  REQUIRE(fixture.until([&] { return idle.closed; }));
  fixture.settle();
  CHECK(!busy.closed);
  CHECK(!sending.closed);
  CHECK(!fixture.server->stopped());
  fixture.respond(0, "one");
  fixture.respond(1, "two");
  sending.send("lo");
  REQUIRE(fixture.until([&] { return busy.closed && fixture.front.asked.size() == 3; }));
  CHECK(busy.got.find("one") != std::string::npos);
  CHECK(busy.got.find("two") != std::string::npos);
  CHECK(count_of(busy.got, "Connection: close") == 1);
  fixture.respond(2, "three");
  REQUIRE(fixture.until([&] { return sending.closed; }));
  CHECK(sending.got.find("three") != std::string::npos);
  for (const auto& client : fixture.clients)
    client->close();
  CHECK(fixture.until([&] { return fixture.server->stopped(); }));
}

TEST_CASE("a server that is destroyed in the middle of everything leaks nothing") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.reads = false;
  client.send(get_request("/a") + get_request("/b"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 2; }));
  fixture.respond(0, std::string(20'000'000, 'x'));
  fixture.settle();
  fixture.server.reset();  // The loop's destructor asserts that every handle is closed.
  CHECK(fixture.front.gone.empty());
}

}  // namespace raftd::uv
