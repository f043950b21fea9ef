// The HTTP server against slow, greedy and hostile clients. Timeouts are set short and the test
// waits for what they cause; nothing depends on how fast the machine is.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/rng.h"
#include "unit/uv/http_fixture.h"

namespace raftd::uv {

namespace {

constexpr Duration kShort = std::chrono::milliseconds(50);

HttpServerOptions with(Duration HttpServerOptions::*timeout) {
  HttpServerOptions options = HttpFixture::defaults();
  options.*timeout = kShort;
  return options;
}

}  // namespace

TEST_CASE("a head that drips in gets 408, however steadily it drips") {
  HttpFixture fixture(with(&HttpServerOptions::header_timeout));
  TestClient& slow = fixture.client();
  const std::string head = "GET /a HTTP/1.1\r\nX: " + std::string(1'000'000, 'x');
  std::size_t sent = 0;
  Instant next{};
  REQUIRE(fixture.until([&] {
    if (test_clock() >= next && sent < head.size()) {
      slow.send(head.substr(sent++, 1));
      next = test_clock() + std::chrono::milliseconds(2);
    }
    return slow.closed;
  }));
  CHECK(slow.got.find("HTTP/1.1 408 Request Timeout\r\n") == 0);
  CHECK(slow.got.find("Connection: close\r\n") != std::string::npos);
  CHECK(fixture.front.asked.empty());
}

TEST_CASE("a body that stops gets 408 and no effect") {
  HttpFixture fixture(with(&HttpServerOptions::body_timeout));
  TestClient& slow = fixture.client();
  slow.send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell");
  TestClient& chunks = fixture.client();
  chunks.send("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  REQUIRE(fixture.until([&] { return slow.closed && chunks.closed; }));
  CHECK(slow.got.find("HTTP/1.1 408 ") == 0);
  CHECK(chunks.got.find("HTTP/1.1 408 ") == 0);
  CHECK(fixture.front.asked.empty());
}

TEST_CASE("an idle connection is closed without a word, one that waits for its answer is not") {
  HttpFixture fixture(with(&HttpServerOptions::idle_timeout));
  fixture.front.manual = true;
  TestClient& waiting = fixture.client();
  waiting.send(get_request("/long-poll"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 1; }));
  TestClient& silent = fixture.client();
  REQUIRE(fixture.until([&] { return silent.closed; }));
  CHECK(silent.got.empty());
  CHECK(!waiting.closed);
  fixture.respond(0, "at last");
  REQUIRE(fixture.until_got(waiting, "at last"));
  CHECK(fixture.until([&] { return waiting.closed; }));
}

TEST_CASE("[ZF-7] a client that never reads is held at the limits, is closed, and blocks nobody") {
  HttpServerOptions options = with(&HttpServerOptions::idle_timeout);
  options.idle_timeout = std::chrono::milliseconds(300);
  HttpFixture fixture(options);
  fixture.front.manual = true;
  TestClient& deaf = fixture.client();
  deaf.reads = false;
  for (int i = 0; i < 2000; ++i)
    deaf.send(get_request("/" + std::string(1000, 'x')));
  TestClient& good = fixture.client();
  std::size_t answered = 0;
  std::size_t answered_good = 0;
  const bool closed = fixture.until([&] {
    for (; answered < fixture.front.asked.size(); ++answered) {
      const bool is_good = fixture.front.asked[answered].text == "GET /good";
      fixture.respond(answered, is_good ? "good" : std::string(1'000'000, 'x'));
      if (is_good) ++answered_good;
    }
    if (count_of(good.got, "HTTP/1.1 200") == answered_good) good.send(get_request("/good"));
    return fixture.vitals.clients == 1;
  });
  REQUIRE(closed);
  CHECK(answered_good > 10);
  // What the kernel took, the output's bound, and 16 in progress; not 2000.
  CHECK(answered - answered_good < 100);
}

TEST_CASE("where answers that nobody reads hold too much, those for whom most is held are closed") {
  HttpServerOptions options = HttpFixture::defaults();
  options.held_bytes_max = 64 * limits::kMiB;
  HttpFixture fixture(options);
  fixture.front.manual = true;
  constexpr std::size_t kGreedy = 6;
  constexpr std::size_t kRequests = 5;
  std::vector<TestClient*> deaf;
  for (std::size_t i = 0; i < kGreedy + 1; ++i) {
    deaf.push_back(&fixture.client());
    deaf.back()->reads = false;
    const std::size_t requests = i < kGreedy ? kRequests : 1;
    for (std::size_t k = 0; k < requests; ++k)
      deaf.back()->send(get_request("/" + std::to_string(i)));
  }
  TestClient& modest = *deaf.back();
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == kGreedy * kRequests + 1; }));
  const std::string large(8 * limits::kMiB, 'x');  // More than the kernel takes.
  for (std::size_t i = 0; i < fixture.front.asked.size(); ++i)
    fixture.respond(i, large);
  REQUIRE(fixture.until([&] { return fixture.vitals.clients < kGreedy + 1; }));
  // At most three quarters of the bound are held now: four whole answers, and parts of others.
  CHECK(fixture.vitals.clients <= 4);
  TestClient& good = fixture.client();
  good.send(get_request("/good"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.back().text == "GET /good"; }));
  fixture.respond(fixture.front.asked.size() - 1, "good");
  CHECK(fixture.until_got(good, "good"));
  for (TestClient* each : deaf)
    each->reads = true;
  CHECK(fixture.until([&] { return modest.got.size() > large.size(); }));
  CHECK_FALSE(modest.closed);  // Less is held for it than for anybody else.
}

TEST_CASE("where bodies that never end hold too much, those that hold most are closed") {
  HttpServerOptions options = HttpFixture::defaults();
  options.held_bytes_max = 4 * limits::kMiB;
  HttpFixture fixture(options);
  TestClient& modest = fixture.client();
  modest.send("PUT /modest HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nnearly");
  const std::string most(1'000'000, 'x');
  std::vector<TestClient*> greedy;
  for (int i = 0; i < 8; ++i) {
    greedy.push_back(&fixture.client());
    greedy.back()->send("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n" + most);
  }
  const auto closed = [&] { return std::ranges::count_if(greedy, &TestClient::closed); };
  // Four are too many: three are left then, and the next one is again too many.
  REQUIRE(fixture.until([&] { return closed() == 5; }));
  fixture.settle();
  CHECK(closed() == 5);
  CHECK(fixture.front.asked.empty());
  modest.send("!");
  CHECK(fixture.until_got(modest, "PUT /modest nearly!"));
}

TEST_CASE("requests that wait their turn are bounded in bytes") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/first"));
  for (int i = 0; i < 15; ++i)
    client.send(put_request("/big", std::string(1'500'000, 'x')));
  REQUIRE(fixture.until([&] { return fixture.front.heads.size() == 3; }));
  std::size_t unsent = client.unsent();
  fixture.settle();
  fixture.settle();
  CHECK(client.unsent() > 0);
  CHECK(fixture.front.heads.size() <= 4);
  CHECK(unsent >= client.unsent());
  fixture.respond(0, "one");
  std::size_t answered = 1;
  CHECK(fixture.until([&] {
    for (; answered < fixture.front.asked.size(); ++answered)
      fixture.respond(answered, "ok");
    return count_of(client.got, "HTTP/1.1 200") == 16;
  }));
}

TEST_CASE("clients over the limit hear why and are closed, and there is room again later") {
  HttpServerOptions options = HttpFixture::defaults();
  options.connections_max = 2;
  HttpFixture fixture(options);
  TestClient& first = fixture.client();
  fixture.client();
  REQUIRE(fixture.until([&] { return fixture.vitals.clients == 2; }));
  TestClient& third = fixture.client();
  third.send(get_request("/a"));
  REQUIRE(fixture.until([&] { return third.closed; }));
  CHECK(third.got.find("HTTP/1.1 503 Service Unavailable\r\n") == 0);
  CHECK(third.got.find("too_many_clients") != std::string::npos);
  CHECK(!third.broken);
  CHECK(fixture.front.asked.empty());
  first.send(get_request("/still"));
  CHECK(fixture.until_got(first, "GET /still\n"));
  first.close();
  third.close();
  REQUIRE(fixture.until([&] { return fixture.vitals.clients == 1; }));
  TestClient& fourth = fixture.client();
  fourth.send(get_request("/a"));
  CHECK(fixture.until_got(fourth, "GET /a\n"));
}

TEST_CASE("[F75] whatever a stranger sends, it is refused and closed, and others are served") {
  HttpFixture fixture;
  const std::string hostile[] = {
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
      "\x82\xa4type\x01\xa4size\xdd\xff\xff\xff\xff",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n" +
          get_request("/smuggled"),
      "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
      "GET / HTTP/1.1\r\n X: folded\r\n\r\n" + get_request("/smuggled"),
      std::string(100'000, '\0'),
      std::string(100'000, '\n'),
      std::string(100'000, 'A')};
  for (const std::string& bytes : hostile) {
    INFO(percent_escape(bytes.substr(0, 60)));
    TestClient& client = fixture.client();
    client.send(bytes);
    REQUIRE(fixture.until([&] { return client.closed; }));
    CHECK(client.got.find("HTTP/1.1 ") == 0);
    CHECK(count_of(client.got, "HTTP/1.1 ") == 1);
  }
  CHECK(fixture.front.asked.empty());
  TestClient& good = fixture.client();
  good.send(get_request("/a"));
  CHECK(fixture.until_got(good, "GET /a\n"));
}

TEST_CASE("a refusal waits its turn behind the answers before it") {
  HttpFixture fixture;
  fixture.front.manual = true;
  TestClient& client = fixture.client();
  client.send(get_request("/a") + "nonsense\r\n" + get_request("/b"));
  REQUIRE(fixture.until([&] { return fixture.front.asked.size() == 1; }));
  fixture.settle();
  CHECK(client.got.empty());
  fixture.respond(0, "one");
  REQUIRE(fixture.until([&] { return client.closed; }));
  CHECK(client.got.find("one") < client.got.find("HTTP/1.1 400 Bad Request"));
  CHECK(fixture.front.asked_texts() == "GET /a;");
}

TEST_CASE("many clients that come, pipeline and vanish at random leave nothing behind") {
  HttpFixture fixture;
  Rng rng(3);
  for (int round = 0; round < 300; ++round) {
    TestClient& client = fixture.client();
    for (std::uint64_t n = rng.below(6); n > 0; --n) {
      client.send(rng.below(2) == 0 ? get_request("/a") : put_request("/b", std::string(300, 'x')));
    }
    if (rng.below(3) == 0) client.send("GET /part HTT");
    for (std::uint64_t n = rng.below(4); n > 0; --n)
      fixture.turn();
    if (rng.below(2) == 0) {
      client.reset();
    } else {
      client.half_close();
    }
    if (fixture.clients.size() > 20) fixture.clients.erase(fixture.clients.begin());
  }
  fixture.clients.clear();
  CHECK(fixture.until([&] { return fixture.vitals.clients == 0; }));
}

namespace {

// No new file descriptor can be had while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    const int next = ::dup(0);
    none.rlim_cur = static_cast<rlim_t>(next);
    ::close(next);
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("without file descriptors clients are turned away, and the loop does not spin") {
  for (const bool spare : {true, false}) {
    INFO((spare ? "libuv has its spare descriptor" : "the spare descriptor is lost, too"));
    HttpServerOptions options = HttpFixture::defaults();
    options.header_timeout = kShort;  // Sets how often it is tried again.
    HttpFixture fixture(options);
    TestClient& before = fixture.client();
    before.send(get_request("/a"));
    REQUIRE(fixture.until_got(before, "GET /a\n"));
    if (!spare) {
      ::close(fixture.loop.get()->emfile_fd);
      fixture.loop.get()->emfile_fd = -1;
    }
    TestClient late(AF_INET);
    {
      const NoDescriptors limit;
      late.connect_to(fixture.address);
      REQUIRE(fixture.until([&] {
        late.turn();
        return late.closed;
      }));
      fixture.settle();
      // Nothing is left that would wake the loop at once.
      uv_update_time(fixture.loop.get());
      pollfd loop_is_ready{.fd = uv_backend_fd(fixture.loop.get()), .events = POLLIN, .revents = 0};
      CHECK(::poll(&loop_is_ready, 1, 0) == 0);
      before.send(get_request("/b"));
      CHECK(fixture.until_got(before, "GET /b\n"));
    }
    CHECK(fixture.until([&] {  // It comes back by itself, on the same port.
      TestClient& again = fixture.client();
      again.send(get_request("/c"));
      fixture.until([&] { return again.closed || !again.got.empty(); });
      const bool served = again.got.find("GET /c\n") != std::string::npos;
      fixture.clients.pop_back();
      return served;
    }));
  }
}

}  // namespace raftd::uv
