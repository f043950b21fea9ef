// Goal: what incr, put with a life, txn and lease ask, print and end with. Method: typed words and
// scripted answers in; requests, output and exit status out.
#include <doctest/doctest.h>

#include <fstream>

#include "cli/cli.h"
#include "unit/cli/scene.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::cli {
namespace {

using std::chrono::seconds;

}  // namespace

TEST_CASE("incr prints the new value, takes negative steps and conditions") {
  const Ran ran = run_one({"incr", "n"}, 201, R"({"revision":3,"created":true,"value":1})");
  CHECK(ran.out == "1\n");
  CHECK(ran.asked[0] == "POST /kv/n?incr=1");
  const Ran down = run_one({"incr", "n", "-5", "--cas", "3", "--ttl", "1m"}, 200,
                           R"({"revision":4,"created":false,"value":-4})");
  CHECK(down.out == "-4\n");
  CHECK(down.asked[0] == "POST /kv/n?incr=-5&ttl=1m&cas=3");
  const Ran wrong = run_one({"incr", "n"}, 409, R"({"message":"n holds no number"})");
  CHECK(wrong.status == kExitNo);
  CHECK(wrong.error == "n holds no number\n");
}

TEST_CASE("put sends a ttl or a lease") {
  CHECK(run_one({"put", "k", "v", "--ttl", "30s"}, 201, R"({"revision":3})").asked[0] ==
        "PUT /kv/k?ttl=30s");
  CHECK(run_one({"put", "k", "v", "--lease", "6420", "--if-absent"}, 201, R"({"revision":3})")
            .asked[0] == "PUT /kv/k?lease=6420&if=absent");
}

TEST_CASE("what cannot be right is refused before anybody is asked") {
  Scene scene;
  for (const std::vector<std::string>& typed : {std::vector<std::string>{"incr", "n", "1.5"},
                                                {"incr", "n", "+1"},
                                                {"incr", "n", "9223372036854775808"},
                                                {"incr", "n", ""},
                                                {"incr", ""},
                                                {"incr", "n", "--cas", "1", "--if-exists"},
                                                {"put", "k", "v", "--ttl", "1s", "--lease", "1"},
                                                {"lease", "grant", "soon"},
                                                {"lease", "revoke", "0"},
                                                {"lease", "revoke", "a/b"},
                                                {"lease", "keepalive", "9223372036854775808"},
                                                {"lock", "", "--", "true"},
                                                {"lock", "l", "--ttl", "999ms", "--", "true"},
                                                {"lock", std::string(513, 'x'), "--", "true"},
                                                {"elect", "", "v"},
                                                {"watch", ""}}) {
    const Ran ran = scene.run(typed);
    CAPTURE(typed.back());
    CHECK(ran.status == kExitUsage);
    CHECK(ran.error.ends_with("\n"));
  }
  CHECK(scene.net.asked.empty());
}

TEST_CASE(
    "txn sends a file or standard input, prints the answer, and is 1 when it did not succeed") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/t.json";
  const std::string text = R"({"then":[{"put":"a","value":"1"}]})";
  std::ofstream(file) << text;
  Scene scene;
  scene.net.answer(200, "{\"succeeded\":true,\"revision\":5,\"results\":[]}\n");
  const Ran ran = scene.run({"txn", file});
  CHECK(ran.status == kExitDone);
  CHECK(ran.out == "{\"succeeded\":true,\"revision\":5,\"results\":[]}\n");
  CHECK(ran.asked[0] == "POST /txn");
  CHECK(scene.net.asked[0].request.ends_with("\r\n\r\n" + text));

  Scene from_input;
  from_input.input = text;
  from_input.net.answer(200, R"({"succeeded":false,"revision":5,"results":[]})");
  CHECK(from_input.run({"txn"}).status == kExitNo);
  CHECK(from_input.net.asked[0].request.ends_with("\r\n\r\n" + text));

  const Ran refused = run_one({"txn", "-"}, 400, R"({"message":"key a is written twice"})");
  CHECK(refused.status == kExitNo);
  CHECK(refused.out.empty());
  CHECK(refused.error == "key a is written twice\n");
  Scene none;
  CHECK(none.run({"txn", directory.path() + "/none"}).status == kExitNo);
  CHECK(none.run({"txn", directory.path()}).status == kExitNo);
  CHECK(none.net.asked.empty());
}

TEST_CASE("lease grant, revoke and list print an id, a number and a line per lease") {
  const Ran grant = run_one({"lease", "grant", "30s"}, 201, R"({"id":"6420","ttl":30})");
  CHECK(grant.out == "6420\n");
  CHECK(grant.asked[0] == "POST /lease?ttl=30s");
  const Ran revoke =
      run_one({"lease", "revoke", "6420"}, 200, R"({"revoked":true,"deleted":2,"revision":52})");
  CHECK(revoke.out == "2\n");
  CHECK(revoke.asked[0] == "DELETE /lease/6420");
  const char* const leases =
      R"({"revision":50,"leases":[{"id":"6420","ttl":30,"remaining_ms":17250,"keys":2},)"
      R"({"id":"7","ttl":5,"remaining_ms":1,"keys":0}]})";
  const Ran list = run_one({"lease", "list"}, 200, leases);
  CHECK(list.out == "6420\t30\t2\n7\t5\t0\n");
  CHECK(list.asked[0] == "GET /lease");
  CHECK(run_one({"lease", "list", "--output=json"}, 200, leases).out == leases + std::string("\n"));
  CHECK(run_one({"lease", "list"}, 200, leases, true).out.find("| 6420 |") != std::string::npos);
  CHECK(run_one({"lease", "list"}, 200, "{}").status == kExitCannotAsk);
}

TEST_CASE("lease keepalive renews every third of the ttl until a signal, which is a good end") {
  const char* const renewed = R"({"id":"6420","ttl":30})";
  const Ran once = run_one({"lease", "keepalive", "6420", "--once"}, 200, renewed);
  CHECK(once.out == "30\n");
  CHECK(once.asked[0] == "POST /lease/6420/keepalive");
  Scene scene;
  scene.net.forever(200, renewed);
  scene.processes.signal_after(seconds(35), SIGTERM);
  const Ran ran = scene.run({"lease", "keepalive", "6420"});
  CHECK(ran.status == kExitDone);
  CHECK(ran.out == "30\n30\n30\n30\n");
  CHECK(scene.processes.waited == seconds(35));
}

TEST_CASE("lease keepalive ends when the lease is gone, or was not renewed for its whole time") {
  Scene gone;
  gone.net.answer(200, R"({"id":"6420","ttl":30})");
  gone.net.answer(404, R"({"error":"lease_not_found","message":"there is no lease 6420"})");
  gone.processes.signal_after(seconds(1000), SIGTERM);
  const Ran ran = gone.run({"lease", "keepalive", "6420"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.error == "there is no lease 6420\n");
  CHECK(run_one({"lease", "keepalive", "1"}, 404, R"({"message":"m"})").status == kExitNo);

  Scene silent;
  silent.net.answer(200, R"({"id":"6420","ttl":30})");
  for (int i = 0; i < 100; ++i)
    silent.net.refuse();
  silent.processes.signal_after(seconds(1000), SIGTERM);
  const Ran lost = silent.run({"lease", "keepalive", "6420"});
  CHECK(lost.status == kExitCannotAsk);
  CHECK(lost.error == "it was not renewed for 30s: http://a:1: refused\n");
  CHECK(silent.net.now().since_origin == seconds(30));

  Scene closed;
  closed.writable = false;
  closed.net.answer(200, R"({"id":"6420","ttl":30})");
  closed.processes.signal_after(seconds(1000), SIGTERM);
  CHECK(closed.run({"lease", "keepalive", "6420"}).status == kExitIo);
}

}  // namespace raftd::cli
