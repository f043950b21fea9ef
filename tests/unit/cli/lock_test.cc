// Goal: CMD runs only while its lock is held, hears of its loss, and its end is ours. Method: a
// script of answers, of CMD's end and of signals, on one clock.
#include <doctest/doctest.h>

#include "cli/cli.h"
#include "unit/cli/scene.h"

namespace raftd::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const char* const kHeld =
    R"({"name":"l","token":57,"lease":"6421","owner":"h","expires_in_ms":30000})";
const char* const kRenewed = R"({"name":"l","token":57,"expires_in_ms":30000})";
const char* const kReleased = R"({"released":true,"revision":60})";
const char* const kLocked =
    R"({"error":"locked","message":"lock l is held by h","status":409,"outcome":"none"})";
const char* const kLost =
    R"({"error":"lock_lost","message":"lock l is not held with 57","status":409})";

using Typed = std::vector<std::string>;

}  // namespace

TEST_CASE("CMD runs under the lock with its fence, and its status is the end of it") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(200, kReleased);
  scene.processes.end_after(seconds(1), 3);
  const Ran ran = scene.run({"lock", "a/b c", "--wait", "0s", "--", "job", "-x", "--", "y"});
  CHECK(ran.status == 3);
  CHECK(ran.out.empty());
  CHECK(ran.error.empty());
  CHECK(ran.asked ==
        Typed{"POST /lock/a%2Fb%20c?ttl=30s&wait=0s", "DELETE /lock/a%2Fb%20c?token=57"});
  REQUIRE(scene.processes.started.size() == 1);
  CHECK(scene.processes.started[0].words == Typed{"job", "-x", "--", "y"});
  REQUIRE(scene.processes.started[0].environment.size() == 1);
  CHECK(scene.processes.started[0].environment[0].first == "RAFTD_FENCE");
  CHECK(scene.processes.started[0].environment[0].second == "a%2Fb%20c=57");
  CHECK_FALSE(scene.processes.held);
}

TEST_CASE("the lock is renewed every third of its ttl beside CMD") {
  Scene scene;
  scene.net.answer(200, kHeld);
  for (int i = 0; i < 3; ++i)
    scene.net.answer(200, kRenewed);
  scene.net.answer(200, kReleased);
  scene.processes.end_after(seconds(35), 0);
  const Ran ran = scene.run({"lock", "l", "--ttl=30s", "--", "job"});
  CHECK(ran.status == 0);
  CHECK(ran.asked[1] == "POST /lock/l/keepalive?token=57");
  CHECK(ran.asked.size() == 5);
  CHECK(ran.asked[4] == "DELETE /lock/l?token=57");
}

TEST_CASE("somebody else's lock is exit status 1, and CMD does not run") {
  Scene scene;
  scene.net.answer(409, kLocked);
  const Ran ran = scene.run({"lock", "l", "--wait", "5s", "--", "job"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.error == "lock l is held by h\n");
  CHECK(scene.processes.started.empty());
  Scene nobody;
  nobody.net.refuse();
  CHECK(nobody.run({"lock", "l", "--", "job"}).status == kExitCannotAsk);
  Scene odd;
  odd.net.answer(200, "{}");
  const Ran not_understood = odd.run({"lock", "l", "--", "job"});
  CHECK(not_understood.status == kExitCannotAsk);
  CHECK(not_understood.error.find("may be held for 30s") != std::string::npos);
}

TEST_CASE("a long wait is several of ten minutes; for ever is as many as it takes") {
  Scene scene;
  scene.net.answer(409, kLocked);
  scene.net.answer(409, kLocked);
  scene.net.answer(409, kLocked);
  const Ran ran = scene.run({"lock", "l", "--wait", "25m", "--", "job"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.asked == Typed{"POST /lock/l?ttl=30s&wait=10m", "POST /lock/l?ttl=30s&wait=10m",
                           "POST /lock/l?ttl=30s&wait=5m"});
  Scene ever;
  for (int i = 0; i < 20; ++i)
    ever.net.answer(409, kLocked);
  ever.net.answer(200, kHeld);
  ever.net.answer(200, kReleased);
  ever.processes.end_after(seconds(1), 0);
  CHECK(ever.run({"lock", "l", "--", "job"}).status == 0);
  CHECK(ever.net.asked.size() == 22);
}

TEST_CASE("the time that a node waits for the lock is not time in which nobody helped") {
  Scene scene;
  scene.net.delay = minutes(9);
  scene.net.answer(503, R"({"error":"no_leader","message":"no leader","outcome":"none"})");
  scene.net.answer(503, R"({"error":"no_leader","message":"no leader","outcome":"none"})");
  scene.net.answer(409, kLocked);
  const Ran ran = scene.run({"lock", "l", "--wait", "10m", "--", "job"});
  CHECK(ran.status == kExitNo);
  CHECK(scene.net.asked.size() == 3);
  // It waits ten minutes, and answers within the five seconds of the timeout.
  CHECK(scene.net.asked[0].request.find("wait=10m&owner=") != std::string::npos);
  CHECK(scene.net.asked[0].request.find("&timeout=4500ms ") != std::string::npos);
}

TEST_CASE(
    "when a node says that the lock is lost CMD is told, waited for, and nothing is released") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(409, kLost);
  scene.processes.end_after(seconds(500), 128 + SIGTERM);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 128 + SIGTERM);
  CHECK(scene.processes.sent == std::vector<int>{SIGTERM});
  CHECK(ran.error == "lock l is lost (lock l is not held with 57); job is told to end\n");
  CHECK(scene.net.asked.size() == 2);
  CHECK(scene.processes.waited == seconds(500));
}

TEST_CASE("when nobody has renewed the lock for its ttl it is lost, and not before") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(200, kRenewed);
  for (int i = 0; i < 100; ++i)
    scene.net.refuse();
  scene.processes.end_after(seconds(60), 0);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 0);
  CHECK(scene.processes.sent == std::vector<int>{SIGTERM});
  CHECK(ran.error ==
        "lock l is lost (it was not renewed for 30s: http://a:1: refused); job is told to end\n");
  // Asked every second from the 20th on: the renewal of the 10th is good until the 40th.
  CHECK(scene.net.asked.size() == 2 + 21);
}

TEST_CASE("a lock that is renewed in time by another endpoint is not lost") {
  Scene scene;
  scene.endpoints = "a:1,b:1";
  scene.net.answer(200, kHeld);
  for (int i = 0; i < 4; ++i)
    scene.net.refuse();
  scene.net.answer(200, kRenewed);
  scene.net.answer(200, kReleased);
  scene.processes.end_after(seconds(15), 0);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 0);
  CHECK(ran.error.empty());
  CHECK(scene.processes.sent.empty());
}

TEST_CASE("an answer of the past does not count as a lock until it is renewed") {
  Scene scene;
  scene.net.replay(200, kHeld);
  scene.net.answer(409, kLost);
  scene.net.replay(200, kHeld);
  scene.net.answer(200, kRenewed);
  scene.net.answer(200, kReleased);
  scene.processes.end_after(seconds(1), 0);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 0);
  CHECK(scene.net.asked.size() == 5);
  CHECK(scene.processes.started.size() == 1);
}

TEST_CASE("signals are CMD's, but those that a terminal has sent it already") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(200, kReleased);
  scene.processes.signal_after(seconds(1), SIGTERM);
  scene.processes.signal_after(seconds(1), SIGINT, true);
  scene.processes.signal_after(seconds(1), SIGHUP);
  scene.processes.end_after(seconds(1), 128 + SIGHUP);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 128 + SIGHUP);
  CHECK(scene.processes.sent == std::vector<int>{SIGTERM, SIGHUP});
}

TEST_CASE("a CMD that cannot be run releases the lock") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(200, kReleased);
  scene.processes.refusal = {kExitNotFound, "job: it cannot be run: not there"};
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == kExitNotFound);
  CHECK(ran.error == "job: it cannot be run: not there\n");
  CHECK(ran.asked[1] == "DELETE /lock/l?token=57");
}

TEST_CASE("a lock that cannot be released is said, and CMD's status stays") {
  Scene scene;
  scene.net.answer(200, kHeld);
  scene.net.answer(409, kLost);
  scene.processes.end_after(seconds(1), 0);
  const Ran ran = scene.run({"lock", "l", "--", "job"});
  CHECK(ran.status == 0);
  CHECK(ran.error == "lock l was not released: lock l is not held with 57\n");
}

TEST_CASE("elect prints its token, stays until a signal, and resigns") {
  const char* const elected =
      R"({"name":"db","token":70,"lease":"1","owner":"h","value":"v 1","expires_in_ms":3000})";
  Scene scene;
  scene.net.answer(200, elected);
  scene.net.answer(200, kRenewed);
  scene.net.answer(200, kRenewed);
  scene.net.answer(200, kReleased);
  scene.processes.signal_after(milliseconds(2500), SIGINT, true);
  const Ran ran = scene.run({"elect", "db", "v 1", "--ttl", "3s"});
  CHECK(ran.status == kExitDone);
  CHECK(ran.out == "70\n");
  CHECK(ran.asked == Typed{"POST /election/db?ttl=3s&wait=10m",
                           "POST /election/db/keepalive?token=70",
                           "POST /election/db/keepalive?token=70", "DELETE /election/db?token=70"});
  CHECK(scene.net.asked[0].request.ends_with("\r\n\r\nv 1"));
}

TEST_CASE("an election that is lost, held by another, or that nobody can read of is no good end") {
  Scene lost;
  lost.net.answer(200, kHeld);
  lost.net.answer(409, kLost);
  lost.processes.signal_after(seconds(1000), SIGTERM);
  const Ran ran = lost.run({"elect", "l", "v", "--output", "json"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.out == kHeld + std::string("\n"));
  CHECK(ran.error == "election l is lost: lock l is not held with 57\n");
  Scene locked;
  locked.net.answer(409, kLocked);
  CHECK(locked.run({"elect", "l", "v", "--wait=0s"}).status == kExitNo);
  Scene unheard;
  unheard.writable = false;
  unheard.net.answer(200, kHeld);
  unheard.net.answer(200, kReleased);
  const Ran silent = unheard.run({"elect", "l", "v"});
  CHECK(silent.status == kExitIo);
  CHECK(silent.asked[1] == "DELETE /election/l?token=57");
  Scene stuck;
  stuck.net.answer(200, kHeld);
  stuck.net.refuse();
  stuck.processes.signal_after(seconds(1), SIGTERM);
  CHECK(stuck.run({"elect", "l", "v"}).status == kExitCannotAsk);
}

}  // namespace raftd::cli
