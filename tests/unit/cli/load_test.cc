// Goal: a load generator asks what it should, when it should, and counts what came as it came.
// Method: times, requests and answers as values; the loop around them runs in tests/e2e.
#include <doctest/doctest.h>
#include "cli/load_answers.h"
#include "cli/load_pace.h"
#include "cli/load_requests.h"
#include "cli/load_tally.h"

#include <set>

#include "base/text.h"
#include "unit/cli/scene.h"

namespace raftd::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(Duration duration) {
  return Instant{seconds(100) + duration};
}

std::string next_text(RequestMaker& maker) {
  const std::optional<LoadRequest> request = maker.next(at({}));
  REQUIRE(request);
  return std::string(request->text);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string event(std::uint64_t ns) {
  return strf(R"({"type":"put","revision":7,"last":true,"item":{"key":"bench/1","value":"%020llu)",
              static_cast<unsigned long long>(ns)) +
         "vvv\",\"mod\":7}}\n";
}

}  // namespace

TEST_CASE("in a closed loop a request begins when somebody is free for it, until the end") {
  Pace pace(at({}), seconds(2), 0);
  CHECK(pace.next() == at({}));
  CHECK(pace.take(at(seconds(1))) == at(seconds(1)));
  CHECK(pace.take(at(seconds(1))) == at(seconds(1)));
  CHECK_FALSE(pace.take(at(seconds(2))));
  CHECK(pace.over(at(seconds(2))));
}

TEST_CASE("in an open loop a request begins when it is due, however late somebody is free") {
  Pace pace(at({}), seconds(2), 1000);
  CHECK(pace.take(at({})) == at({}));
  CHECK_FALSE(pace.take(at(microseconds(999))));
  CHECK(pace.next() == at(milliseconds(1)));
  // Everybody is busy for half a second: what was due meanwhile has waited since then.
  Duration waited{};
  int late = 0;
  for (auto due = pace.take(at(milliseconds(500))); due; due = pace.take(at(milliseconds(500)))) {
    ++late;
    waited += at(milliseconds(500)) - *due;
  }
  CHECK(late == 500);
  CHECK(waited == milliseconds(499 * 500 / 2));
}

TEST_CASE("an open loop gives as many requests as are due before its end, and no more") {
  for (const std::uint64_t rate : {std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{1'000'000}}) {
    CAPTURE(rate);
    Pace pace(at({}), seconds(2), rate);
    std::uint64_t taken = 0;
    Instant last;
    for (auto due = pace.take(at(seconds(9))); due; due = pace.take(at(seconds(9)))) {
      ++taken;
      last = *due;
    }
    CHECK(taken == 2 * rate);
    CHECK(last < pace.end());
  }
}

TEST_CASE("each workload asks what it says, with the length that it has") {
  LoadPlan plan;
  plan.keys = 1;
  plan.value_bytes = 3;
  plan.token = "t0";
  const auto text_of = [&](Workload workload) {
    plan.workload = workload;
    RequestMaker maker(plan, 1);
    return next_text(maker);
  };
  const std::string head = " HTTP/1.1\r\nHost: raftd\r\nAuthorization: Bearer t0\r\n";
  CHECK(text_of(Workload::kPut) ==
        "PUT /kv/bench/00000000" + head + "Content-Length: 3\r\n\r\nvvv");
  CHECK(text_of(Workload::kGet) == "GET /kv/bench/00000000" + head + "\r\n");
  const std::string body = R"({"if":[{"key":"bench/00000000","version":{"!=":999999999}}],"then":[)"
                           R"({"put":"bench/00000000","value":"vvv"},)"
                           R"({"put":"bench/pair/00000000","value":"vvv"}]})";
  CHECK(text_of(Workload::kTransaction) ==
        "POST /txn" + head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  plan.consistency = "stale";
  CHECK(text_of(Workload::kGet).starts_with("GET /kv/bench/00000000?consistency=stale HTTP/1.1"));
  CHECK(text_of(Workload::kList)
            .starts_with("GET /kv/bench/000000?list&limit=100&consistency=stale HTTP/1.1"));
}

TEST_CASE("keys are chosen from all there are, and filling writes each once, in order") {
  LoadPlan plan;
  plan.keys = 20;
  plan.workload = Workload::kGet;
  RequestMaker maker(plan, 1);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i)
    seen.insert(next_text(maker));
  CHECK(seen.size() == 20);
  CHECK(contains(*seen.rbegin(), "/kv/bench/00000019 "));
  RequestMaker filling = RequestMaker::filling(plan);
  for (int i = 0; i < 20; ++i)
    CHECK(next_text(filling).starts_with(strf("PUT /kv/bench/%08d ", i)));
  CHECK_FALSE(filling.next(at({})));
}

TEST_CASE("a mixed load puts once in ten requests") {
  LoadPlan plan;
  plan.workload = Workload::kMixed;
  RequestMaker maker(plan, 1);
  int puts = 0;
  for (int i = 0; i < 10'000; ++i)
    puts += next_text(maker).starts_with("PUT ") ? 1 : 0;
  CHECK(puts > 800);
  CHECK(puts < 1200);
}

TEST_CASE("an answer is complete when it is, in pieces of any size") {
  const std::string text =
      "HTTP/1.1 201 Created\r\nETag: \"7\"\r\ncontent-LENGTH: 5\r\n\r\nab\r\nc";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    CAPTURE(piece);
    AnswerScanner scanner;
    for (std::size_t i = 0; i < text.size(); i += piece) {
      CHECK_FALSE(scanner.complete());
      REQUIRE(scanner.feed(std::string_view(text).substr(i, piece)));
    }
    CHECK(scanner.complete());
    CHECK(scanner.status() == 201);
    scanner.begin();
    REQUIRE(scanner.feed("HTTP/1.1 304 Not Modified\r\n\r\n"));
    CHECK(scanner.complete());
  }
}

TEST_CASE("an error says whether it is the last answer of its connection") {
  AnswerScanner scanner;
  REQUIRE(scanner.feed("HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  CHECK(scanner.closes());
  scanner.begin();
  REQUIRE(scanner.feed("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(scanner.closes());
}

TEST_CASE("what is no answer to one request is said to be none") {
  for (const char* text :
       {"SSH-2.0\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"}) {
    CAPTURE(text);
    AnswerScanner scanner;
    CHECK_FALSE(scanner.feed(text));
  }
  AnswerScanner endless;
  CHECK_FALSE(endless.feed(std::string(kAnswerHeadBytesMax + 1, 'a')));
}

TEST_CASE("events of our own puts are counted from when their put was due") {
  const auto due_ns = static_cast<std::uint64_t>(at(seconds(1)).since_origin.count());
  const std::string text = "{\"type\":\"hb\"}\n" + event(due_ns) +
                           R"({"type":"put","item":{"key":"bench/x","value":"someone else's"}})" +
                           "\n" + event(1) + event(due_ns * 2) + event(due_ns);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{50}, text.size()}) {
    CAPTURE(piece);
    Tally tally;
    tally.begin = at({});
    EventLines lines;
    for (std::size_t i = 0; i < text.size(); i += piece) {
      REQUIRE(lines.take(std::string_view(text).substr(i, piece), at(seconds(3)), tally));
    }
    CHECK(tally.count(LoadKind::kEvent) == 2);
    CHECK(tally.latencies[static_cast<std::size_t>(LoadKind::kEvent)].max() == seconds(2));
  }
}

TEST_CASE("what was never sent is in the latencies, and neither in the count nor in the rate") {
  Tally tally;
  tally.begin = at({});
  for (int i = 0; i < 10; ++i)
    tally.add(LoadKind::kGet, at({}), at(milliseconds(1)));
  tally.add(LoadKind::kPut, at(seconds(1)), at(seconds(2)));
  for (int i = 0; i < 20; ++i)
    tally.add_never_sent(LoadKind::kGet, at({}), at(seconds(2)));
  tally.errors["status 503"] = 4;
  CHECK(tally.count() == 11);
  LoadPlan plan;
  plan.workload = Workload::kMixed;
  std::string text;
  Output output;
  output.out = [&](std::string_view part) { text += part; };
  print_tally(tally, plan, output);
  CHECK(contains(text, "get      10           5  2000000  2000000  2000000   2000000  2000000\n"));
  CHECK(contains(text, "put       1           0  1000000"));
  CHECK(contains(text, "both     11           5  2000000"));
  CHECK(contains(text, "errors: 4 status 503\nnever sent: 20, "));
  text.clear();
  print_tally_json(tally, plan, output);
  CHECK(contains(text, R"("seconds":2.000,"results":[{"kind":"get","count":10,"per_second":5,)"));
  CHECK(contains(text, R"("never_sent":20,"errors":{"status 503":4}})"));
}

TEST_CASE("bench refuses what it does not understand before it asks anybody") {
  for (const std::vector<std::string>& typed : {std::vector<std::string>{"bench", "puts"},
                                                {"bench", "--connections", "0"},
                                                {"bench", "--keys", "100000001"},
                                                {"bench", "--rate", "-1"},
                                                {"bench", "--value-size", "2MiB"},
                                                {"bench", "put", "--consistency", "stale"},
                                                {"bench", "get", "--consistency", "sequential"}}) {
    CAPTURE(typed.back());
    Scene scene;
    const Ran ran = scene.run(typed);
    CHECK(ran.status == kExitUsage);
    CHECK(contains(ran.error, "expected") == (typed[1] != "put"));
    CHECK(ran.asked.empty());
  }
}

TEST_CASE("bench asks for the leader, and where none is known says so") {
  Scene scene;
  scene.net.answer(200, R"({"leader":null})");
  const Ran ran = scene.run({"bench", "put"});
  CHECK(ran.status == kExitCannotAsk);
  CHECK(ran.error == "http://a:1 knows no leader\n");
  CHECK(ran.asked == std::vector<std::string>{"GET /status"});
}

}  // namespace raftd::cli
