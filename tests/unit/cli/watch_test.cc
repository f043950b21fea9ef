// Goal: each event once, in order, over broken streams; CMD once for each; an end that says why.
// Method: scripted streams, cut anywhere.
#include <doctest/doctest.h>

#include "cli/cli.h"
#include "unit/cli/scene.h"

namespace raftd::cli {
namespace {

using std::chrono::seconds;

std::string put(int revision, const std::string& key, const std::string& value, bool last = true) {
  return "{\"type\":\"put\",\"revision\":" + std::to_string(revision) +
         (last ? ",\"last\":true" : "") + ",\"item\":{\"key\":\"" + key + "\",\"value\":\"" +
         value + "\",\"mod\":" + std::to_string(revision) + "}}\n";
}

const std::string kHeartbeat = "{\"type\":\"hb\"}\n";
const std::string kCompacted = "{\"type\":\"compacted\",\"compact_revision\":45}\n";

using Typed = std::vector<std::string>;

// The one variable of that name; "(none)" if it is taken away.
std::string variable(const FakeProcesses::Started& started, const std::string& name) {
  for (const auto& [key, value] : started.environment)
    if (key == name) return value.value_or("(none)");
  return "(not said)";
}

}  // namespace

TEST_CASE("watch prints a line per event, encoded, and nothing for heartbeats and progress") {
  Scene scene;
  scene.net.stream({{"raftd-revision", "6"}},
                   put(7, "a\\tb", "1%\\n") + kHeartbeat + "{\"type\":\"new\",\"x\":1}\n" +
                       R"({"type":"progress","revision":8})" + "\n" +
                       R"({"type":"delete","revision":9,"last":false,"item":{"key":"k","mod":9}})" +
                       "\n" + R"({"type":"expire","revision":9,"last":true,)" +
                       R"("item":{"key64":"/w==","mod":9}})" + "\r\n\n" + kCompacted);
  const Ran ran = scene.run({"watch", "x/ y", "--prefix"});
  CHECK(ran.out == "put\t7\ta%09b\t1%25%0A\ndelete\t9\tk\t\nexpire\t9\t%FF\t\n");
  CHECK(ran.status == kExitNo);
  CHECK(ran.error ==
        "events were missed: the history up to revision 45 is forgotten; read what is there, and "
        "watch again\n");
  CHECK(ran.asked[0] == "GET /watch/x/%20y?prefix");
  CHECK(scene.net.asked[0].request.find("\r\nAccept: application/x-ndjson\r\n") !=
        std::string::npos);

  Scene json;
  json.net.stream({}, kHeartbeat + put(7, "a", "1") + kCompacted);
  CHECK(json.run({"watch", "a", "--output=json"}).out == put(7, "a", "1"));
}

TEST_CASE("a broken stream goes on at the next endpoint behind the last whole revision") {
  Scene scene;
  scene.endpoints = "a:1,b:1,c:1";
  scene.net.stream({{"raftd-revision", "6"}, {"raftd-cluster", "8f"}},
                   put(7, "a", "1") + put(8, "b", "2", false) + put(8, "c", "3", false) +
                       put(8, "d", "4").substr(0, 20));
  scene.net.refuse();
  scene.net.stream({{"raftd-revision", "9"}},
                   put(8, "b", "2", false) + put(8, "c", "3", false) + put(8, "d", "4", false) +
                       put(8, "e", "5") + put(9, "f", "6"),
                   false);
  scene.net.stream({}, kHeartbeat);
  scene.net.answer(410, R"({"error":"compacted","message":"revision 10 is forgotten"})");
  const Ran ran = scene.run({"watch", "", "--prefix"});
  CHECK(ran.out ==
        "put\t7\ta\t1\nput\t8\tb\t2\nput\t8\tc\t3\nput\t8\td\t4\nput\t8\te\t5\n"
        "put\t9\tf\t6\n");
  CHECK(ran.asked == Typed{"GET /watch/?prefix", "GET /watch/?prefix&after=7",
                           "GET /watch/?prefix&after=7", "GET /watch/?prefix&after=9",
                           "GET /watch/?prefix&after=9"});
  CHECK(scene.net.hosts() == "a b c a b ");
  CHECK(scene.net.asked[1].request.find("\r\nRaftd-Cluster: 8f\r\n") != std::string::npos);
  CHECK(ran.status == kExitNo);
  CHECK(ran.error == "revision 10 is forgotten\n");
}

TEST_CASE("a revision that breaks off twice is neither lost nor repeated") {
  Scene scene;
  const std::string a = put(8, "a", "1", false);
  const std::string b = put(8, "b", "2", false);
  const std::string c = put(8, "c", "3");
  scene.net.stream({{"raftd-revision", "7"}}, a + b);
  scene.net.stream({}, a);
  scene.net.stream({}, a + b + c + kCompacted);
  CHECK(scene.run({"watch", "", "--prefix"}).out == "put\t8\ta\t1\nput\t8\tb\t2\nput\t8\tc\t3\n");
}

TEST_CASE(
    "a stream that broke before its first event goes on where it began, or where it has got") {
  Scene scene;
  scene.net.stream({{"raftd-revision", "6"}}, kHeartbeat);
  scene.net.stream({{"raftd-revision", "20"}}, R"({"type":"progress","revision":15})"
                                               "\n");
  scene.net.stream({}, kCompacted);
  CHECK(scene.run({"watch", "k"}).asked ==
        Typed{"GET /watch/k", "GET /watch/k?after=6", "GET /watch/k?after=15"});
}

TEST_CASE("nobody who serves a stream within the timeout is exit status 2") {
  Scene dead;
  dead.endpoints = "a:1,b:1";
  dead.net.refuse();
  dead.net.refuse();
  const Ran refused = dead.run({"watch", "k"});
  CHECK(refused.status == kExitCannotAsk);
  CHECK(refused.error == "http://b:1: refused\n");

  // One that has served is waited for, all of the timeout.
  Scene restarting;
  restarting.net.stream({}, kHeartbeat);
  for (int i = 0; i < 1000; ++i)
    restarting.net.refuse();
  CHECK(restarting.run({"watch", "k"}).status == kExitCannotAsk);
  CHECK(restarting.net.now().since_origin == seconds(5));

  Scene busy;
  busy.net.answer(429, R"({"message":"too many watchers"})");
  busy.net.answer(503, R"({"message":"it stops"})");
  busy.net.stream({}, kCompacted);
  CHECK(busy.run({"watch", "k"}).status == kExitNo);

  // An empty stream again and again is none.
  Scene empty;
  empty.net.forever(200, "");
  CHECK(empty.run({"watch", "k"}).status == kExitCannotAsk);
  CHECK(empty.net.now().since_origin == seconds(5));
}

TEST_CASE("a stream that says nothing is believed for three heartbeats, however long the timeout") {
  Scene scene;
  scene.net.timeout = seconds(3600);
  scene.net.stream({}, kHeartbeat + kCompacted);
  CHECK(scene.run({"watch", "k"}).status == kExitNo);
  CHECK(scene.net.asked[0].deadline == Instant{seconds(45)});
}

TEST_CASE("what is no stream of events is said, and ends it") {
  const auto error = [](const std::string& body) {
    Scene scene;
    scene.net.stream({}, body);
    const Ran ran = scene.run({"watch", "k"});
    CHECK(ran.status == kExitCannotAsk);
    CHECK(ran.out.empty());
    return ran.error;
  };
  CHECK(error("<html>\n").starts_with("the answer was not understood: "));
  CHECK(error("{}\n") == "the answer was not understood: a line has no type\n");
  CHECK(error("{\"type\":\"put\",\"item\":{}}\n").find("no revision") != std::string::npos);
  CHECK(error("{\"type\":\"put\",\"revision\":3}\n").find("no key") != std::string::npos);
  CHECK(error("{\"type\":\"put\",\"revision\":3,\"item\":{\"key\":\"a\"}}\n").find("no value") !=
        std::string::npos);
  CHECK(error(std::string(10 * limits::kMiB, 'x')).find("longer than any event") !=
        std::string::npos);
  Scene denied;
  denied.net.answer(403, R"({"message":"not for you"})");
  CHECK(denied.run({"watch", "k"}).status == kExitNo);
}

TEST_CASE("watch ends when nobody reads what it prints") {
  Scene scene;
  scene.writable = false;
  scene.net.stream({}, put(7, "a", "1") + put(8, "b", "2"));
  CHECK(scene.run({"watch", "", "--prefix"}).status == kExitIo);
  CHECK(scene.net.asked.size() == 1);
}

TEST_CASE("CMD runs once for each event, with what happened in its environment and input") {
  Scene scene;
  const std::string large(65537, 'v');
  scene.net.stream({}, put(7, "a", "one") + put(8, "a", "") + put(9, "a\\u0000", "x\\u0000y") +
                           put(10, "a", large) +
                           R"({"type":"delete","revision":11,"last":true,"item":{"key":"a"}})" +
                           "\n" + kCompacted);
  for (int i = 0; i < 5; ++i)
    scene.processes.end_after(seconds(100), i == 1 ? 4 : 0);
  const Ran ran = scene.run({"watch", "a", "--", "job", "--flag"});
  CHECK(ran.out.empty());
  CHECK(ran.error.starts_with("job ended with status 4 (put, revision 8)\nevents were missed"));
  const std::vector<FakeProcesses::Started>& started = scene.processes.started;
  REQUIRE(started.size() == 5);
  CHECK(started[0].words == Typed{"job", "--flag"});
  CHECK(variable(started[0], "RAFTD_EVENT") == "put");
  CHECK(variable(started[0], "RAFTD_KEY") == "a");
  CHECK(variable(started[0], "RAFTD_REVISION") == "7");
  CHECK(variable(started[0], "RAFTD_VALUE") == "one");
  CHECK(started[0].input == "one");
  CHECK(variable(started[1], "RAFTD_VALUE") == "");
  CHECK(variable(started[2], "RAFTD_KEY") == "(none)");
  CHECK(variable(started[2], "RAFTD_VALUE") == "(none)");
  CHECK(started[2].input == std::string("x\0y", 3));
  CHECK(variable(started[3], "RAFTD_VALUE") == "(none)");
  CHECK(started[3].input == large);
  CHECK(variable(started[4], "RAFTD_EVENT") == "delete");
  CHECK(variable(started[4], "RAFTD_VALUE") == "(none)");
  CHECK(started[4].input.empty());
  CHECK_FALSE(scene.processes.held);
}

TEST_CASE("a signal is CMD's, and the end of the watch once CMD has ended") {
  Scene scene;
  scene.net.stream({}, put(7, "a", "1") + put(8, "a", "2"));
  scene.processes.signal_after(seconds(1), SIGTERM);
  scene.processes.end_after(seconds(1), 0);
  CHECK(scene.run({"watch", "a", "--", "job"}).status == kExitSignal + SIGTERM);
  CHECK(scene.processes.sent == std::vector<int>{SIGTERM});
  CHECK(scene.processes.started.size() == 1);
}

TEST_CASE("a CMD that cannot be run ends the watch at its first event") {
  Scene scene;
  scene.net.stream({}, put(7, "a", "1") + put(8, "a", "2"));
  scene.processes.refusal = {kExitNotFound, "job: it cannot be run: not there"};
  const Ran ran = scene.run({"watch", "a", "--", "job"});
  CHECK(ran.status == kExitNotFound);
  CHECK(ran.error == "job: it cannot be run: not there\n");
}

}  // namespace raftd::cli
