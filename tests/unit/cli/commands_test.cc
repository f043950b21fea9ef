// Goal: what each command asks, prints and ends with. Method: typed words and scripted answers in;
// requests, output and exit status out.
#include "cli/commands.h"

#include <doctest/doctest.h>

#include <set>

#include "cli/cli.h"
#include "unit/cli/scene.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::cli {
namespace {

const char* const kStatus =
    R"({"id":1,"name":"n1","cluster_id":"00","role":"leader","term":3,"leader":{"id":1,)"
    R"("client":"c"},)"
    R"("commit_index":10,"applied_index":9,"revision":7,"keys":2,"version":"0.1.0",)"
    R"("warnings":["quota"]})"
    "\n";

}  // namespace

TEST_CASE("get prints the raw value in a pipe, and ends the line on a terminal") {
  const std::string binary("a\0\xff\n", 4);
  const Ran ran = run_one({"get", "a b/%"}, 200, binary);
  CHECK(ran.out == binary);
  CHECK(ran.status == 0);
  CHECK(ran.asked[0] == "GET /kv/a%20b/%25");
  CHECK(run_one({"get", "k"}, 200, "v", true).out == "v\n");
  CHECK(run_one({"get", "k"}, 200, "v\n", true).out == "v\n");
  const Ran meta =
      run_one({"get", "k", "--output", "json", "--rev", "3"}, 200, "{\"key\":\"k\"}\n");
  CHECK(meta.out == "{\"key\":\"k\"}\n");
  CHECK(meta.asked[0] == "GET /kv/k?meta&rev=3");
}

TEST_CASE("a key that is not there is exit status 1 and one line") {
  const Ran ran =
      run_one({"get", "k"}, 404, R"({"error":"not_found","message":"there is no key k"})");
  CHECK(ran.status == kExitNo);
  CHECK(ran.out.empty());
  CHECK(ran.error == "there is no key k\n");
}

TEST_CASE("put prints the revision, takes its value from standard input, sends the condition") {
  const Ran ran =
      run_one({"put", "k", "v", "--cas", "0"}, 201, R"({"revision":43,"created":true})");
  CHECK(ran.out == "43\n");
  CHECK(ran.asked[0] == "PUT /kv/k?cas=0");
  Scene scene;
  scene.input = std::string("x\0y\n", 4);
  scene.net.answer(200, R"({"revision":44,"created":false})");
  const Ran from_input = scene.run({"put", "k", "-", "--if-exists", "--output=json"});
  CHECK(from_input.out == "{\"revision\":44,\"created\":false}\n");
  CHECK(from_input.asked[0] == "PUT /kv/k?if=exists");
  CHECK(scene.net.asked[0].request.ends_with("\r\n\r\n" + scene.input));
  const Ran lost = run_one({"put", "k", "v", "--if-absent"}, 412, R"({"message":"key k exists"})");
  CHECK(lost.status == kExitNo);
  CHECK(lost.error == "key k exists\n");
}

TEST_CASE("an unknown outcome is exit status 2, and said in words") {
  Scene scene;
  scene.net.lose();
  const Ran ran = scene.run({"member", "promote", "4"});
  CHECK(ran.status == kExitCannotAsk);
  CHECK(ran.error.starts_with("the outcome is unknown"));
  CHECK(ran.out.empty());

  // A write with a key is tried until the time is up, but then it is the same.
  Scene keyed;
  keyed.net.lose();
  for (int i = 0; i < 50; ++i)
    keyed.net.refuse();
  const Ran put = keyed.run({"put", "k", "v"});
  CHECK(put.status == kExitCannotAsk);
  CHECK(put.error ==
        "the outcome is unknown, the change may or may not be made: http://a:1: refused\n");
  CHECK(keyed.net.now().since_origin == std::chrono::seconds(5));
}

TEST_CASE("every write of the store carries a key of its own, and nothing else does") {
  const auto key_of = [](const std::vector<std::string>& typed) {
    Scene scene;
    scene.net.forever(200, R"({"revision":1,"value":1,"deleted":0,"ttl":1,"succeeded":true,)"
                           R"("items":[],"members":[]})");
    const Ran ran = scene.run(typed);
    REQUIRE_FALSE(scene.net.asked.empty());
    const std::string& request = scene.net.asked[0].request;
    const std::size_t at = request.find("\r\nIdempotency-Key: ");
    return at == std::string::npos ? ""
                                   : request.substr(at + 19, request.find('\r', at + 2) - at - 19);
  };
  std::set<std::string> keys;
  for (const std::vector<std::string>& typed : {std::vector<std::string>{"put", "k", "v"},
                                                {"put", "k", "v"},
                                                {"del", "k"},
                                                {"incr", "k"},
                                                {"txn", "-"},
                                                {"lease", "grant", "1s"},
                                                {"lease", "revoke", "1"},
                                                {"lease", "keepalive", "1", "--once"},
                                                {"lock", "l", "--wait=0s", "--", "job"},
                                                {"elect", "l", "v", "--wait=0s"}}) {
    const std::string key = key_of(typed);
    CAPTURE(typed[0]);
    CHECK(key.size() == 32);
    CHECK(key.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(keys.insert(key).second);
  }
  for (const std::vector<std::string>& typed : {std::vector<std::string>{"get", "k"},
                                                {"ls"},
                                                {"lease", "list"},
                                                {"members"},
                                                {"member", "add", "--ticket"}}) {
    CAPTURE(typed[0]);
    CHECK(key_of(typed).empty());
  }
}

TEST_CASE("del prints how many, and every key only after --all") {
  CHECK(run_one({"del", "k"}, 200, R"({"deleted":0,"revision":4})").out == "0\n");
  const Ran prefix =
      run_one({"del", "--prefix", "a/", "--limit", "5"}, 200, R"({"deleted":5,"more":true})");
  CHECK(prefix.out == "5\n");
  CHECK(prefix.asked[0] == "DELETE /kv/a/?prefix&limit=5");
  CHECK(run_one({"del", "--prefix", "", "--all"}, 200, R"({"deleted":9})").asked[0] ==
        "DELETE /kv/?prefix&all");
  Scene scene;
  for (const std::vector<std::string>& typed : {std::vector<std::string>{"del", "--prefix", ""},
                                                {"del", ""},
                                                {"del", "k", "--all"},
                                                {"del", "k", "--limit", "1"},
                                                {"del", "k", "--prefix", "--cas", "1"},
                                                {"put", "k", "v", "--cas", "1", "--if-absent"},
                                                {"put", "k", "v", "--cas", "x"},
                                                {"get", ""},
                                                {"ls", "--limit", "0"},
                                                {"get", "k", "--rev", "-1"}}) {
    const Ran ran = scene.run(typed);
    CAPTURE(typed.back());
    CHECK(ran.status == kExitUsage);
    CHECK(ran.error.ends_with("\n"));
  }
  CHECK(scene.net.asked.empty());
}

TEST_CASE("ls prints keys and values line by line, over all pages, encoded") {
  Scene scene;
  scene.net.answer(200, R"({"revision":5,"items":[{"key":"a\tb","value":"1%\n"},)"
                        R"({"key64":"/w==","value64":"AP8="}],"more":true,"cursor":"C-1"})");
  scene.net.answer(200, R"({"revision":5,"items":[{"key":"é","value":""}],"more":false})");
  const Ran ran = scene.run({"ls", "x/", "--consistency", "stale"});
  CHECK(ran.out == "a%09b\t1%25%0A\n%FF\t%00%FF\né\t\n");
  CHECK(ran.asked ==
        std::vector<std::string>{"GET /kv/x/?list&consistency=stale&limit=1000",
                                 "GET /kv/x/?list&consistency=stale&limit=1000&cursor=C-1"});
  CHECK(run_one({"ls", "--keys"}, 200, R"({"items":[{"key":"a"},{"key":"b"}]})").out == "a\nb\n");
}

TEST_CASE("ls stops at its limit, and draws a table on a terminal") {
  const Ran ran = run_one({"ls", "--limit", "1"}, 200,
                          R"({"items":[{"key":"a","value":"1"}],"more":true,"cursor":"C"})", true);
  CHECK(ran.asked.size() == 1);
  CHECK(ran.asked[0] == "GET /kv/?list&limit=1");
  CHECK(ran.out ==
        "+-----+-------+\n| KEY | VALUE |\n+=====+=======+\n| a   | 1     |\n+-----+-------+\n");
  CHECK(run_one({"ls"}, 200, R"({"items":[{"value":"1"}]})").status == kExitCannotAsk);
  CHECK(run_one({"ls"}, 200, "nonsense").status == kExitCannotAsk);
}

TEST_CASE("status asks every endpoint, says which is silent, and is 1 then") {
  Scene scene;
  scene.endpoints = "a:1,b:1";
  scene.net.answer(200, kStatus);
  scene.net.refuse();
  const Ran ran = scene.run({"status"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.error == "http://b:1: refused\n");
  CHECK(
      ran.out ==
      "ENDPOINT    ID  NAME  ROLE         TERM  LEADER  COMMIT  APPLIED  REVISION  KEYS  VERSION  "
      "WARNINGS\n"
      "http://a:1  1   n1    leader       3     1       10      9        7         2     0.1.0    "
      "quota\n"
      "http://b:1  -   -     unreachable  -     -       -       -        -         -     -        "
      "-\n");
  Scene json;
  json.endpoints = "a:1,b:1";
  json.net.answer(200, kStatus);
  json.net.refuse();
  CHECK(json.run({"status", "--output", "json"}).out ==
        "[{\"endpoint\":\"http://a:1\",\"status\":" +
            std::string(kStatus).substr(0, std::string(kStatus).size() - 1) +
            "},{\"endpoint\":\"http://b:1\",\"error\":\"refused\"}]\n");
  Scene dead;
  dead.net.refuse();
  CHECK(dead.run({"status"}).status == kExitCannotAsk);
}

TEST_CASE("health is 0 only when every endpoint is ready, and says what is missing") {
  Scene scene;
  scene.endpoints = "a:1,b:1,c:1";
  scene.net.answer(200, "ok\n");
  scene.net.answer(503, R"({"error":"not_ready","message":"m","checks":{"recovered":true,)"
                        R"("leader":false,"lag":false}})");
  scene.net.refuse();
  const Ran ran = scene.run({"health"});
  CHECK(ran.status == kExitNo);
  CHECK(ran.out == "http://a:1\tok\nhttp://b:1\tnot ready: leader, lag\nhttp://c:1\trefused\n");
  CHECK(run_one({"health"}, 200, "ok\n").status == 0);
  CHECK(run_one({"health", "--output=json"}, 200, "ok\n").out ==
        "[{\"endpoint\":\"http://a:1\",\"status\":{\"ready\":true}}]\n");
}

TEST_CASE("members and transfer print a table and the new leader") {
  const Ran members = run_one(
      {"members"}, 200,
      R"({"leader":{"id":2,"client":"x"},"members":[{"id":1,"name":"n1","role":"voter",)"
      R"("peer":"p:1","client":"http://c:1"},{"id":2,"name":"n2","role":"voter","peer":"p:2"}]})");
  CHECK(members.out ==
        "ID  NAME  ROLE   PEER  CLIENT      LEADER\n"
        "1   n1    voter  p:1   http://c:1  -\n"
        "2   n2    voter  p:2   -           yes\n");
  const Ran transfer = run_one({"transfer", "n 2"}, 200, R"({"leader":2,"term":4})");
  CHECK(transfer.out == "2\n");
  CHECK(transfer.asked[0] == "POST /cluster/transfer?to=n%202");
  CHECK(run_one({"transfer"}, 409, R"({"message":"node 3 is a learner"})").status == kExitNo);
}

TEST_CASE("member add makes a ticket, or the member itself, and says what it is") {
  const char* const ticket = R"({"id":4,"token":"T"})";
  const Ran made = run_one(
      {"member", "add", "--ticket", "--name", "n 4", "--learner", "--replaces", "2", "--ttl", "1h"},
      201, std::string(ticket) + "\n");
  CHECK(made.out == std::string(ticket) + "\n");
  CHECK(made.asked[0] == "POST /cluster/tickets?name=n%204&role=learner&replaces=2&ttl=1h");
  CHECK(run_one({"member", "add", "--ticket"}, 409, R"({"message":"taken"})").status == kExitNo);

  Scene scene;
  const char* const answer = R"({"id":4,"role":"learner","config_index":91})";
  scene.net.answer(201, answer);
  const Ran added = scene.run({"member", "add", "4", "--peer", "h:2380", "--client",
                               "http://h:2379", "--name", "n4", "--replaces", "2"});
  CHECK(added.out == "learner\n");
  CHECK(added.status == kExitDone);
  CHECK(added.asked[0] == "PUT /cluster/members/4");
  CHECK(scene.net.asked[0].request.ends_with(
      "\r\n\r\n"
      R"({"name":"n4","peer":"h:2380","client":"http://h:2379","role":"voter","replaces":2})"));
  CHECK(run_one({"member", "add", "4", "--peer", "h:1", "--client", "http://h:2", "--output=json"},
                200, answer)
            .out == std::string(answer) + "\n");
}

TEST_CASE("member add without all that it needs asks nobody") {
  Scene scene;
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{},
        {"4"},
        {"4", "--peer", "h:1"},
        {"4", "--client", "http://h:1"},
        {"n4", "--peer", "h:1", "--client", "http://h:1"},
        {"4", "--peer", "h:1", "--client", "http://h:1", "--ttl", "1h"},
        {"4", "--ticket"},
        {"--ticket", "--peer", "h:1"}}) {
    std::vector<std::string> typed{"member", "add"};
    typed.insert(typed.end(), more.begin(), more.end());
    const Ran ran = scene.run(typed);
    CHECK(ran.status == kExitUsage);
    CHECK(ran.error.starts_with("member add: "));
  }
  CHECK(scene.net.asked.empty());
}

TEST_CASE("leave asks one node and waits until nobody listens there") {
  Scene scene;
  scene.net.answer(202, "{\"leaving\":true}\n");
  scene.net.answer(200, "ok\n");
  scene.net.lose();
  scene.net.refuse();
  const Ran left = scene.run({"leave"});
  CHECK(left.status == kExitDone);
  CHECK(left.out == "left\n");
  CHECK(left.asked[0] == "POST /cluster/leave");
  CHECK(left.asked[3] == "GET /livez");
  const Ran last = run_one({"leave"}, 409, R"({"message":"nobody would be left"})");
  CHECK(last.status == kExitNo);
  Scene stays;
  stays.net.forever(202, "{}");
  CHECK(stays.run({"leave"}).status == kExitCannotAsk);
  Scene two;
  two.endpoints = "a:1,b:1";
  CHECK(two.run({"leave"}).status == kExitUsage);
}

TEST_CASE("member remove and promote say what became of it") {
  const Ran removed = run_one({"member", "remove", "n 3"}, 200, R"({"removed":true})");
  CHECK(removed.out == "removed\n");
  CHECK(removed.asked[0] == "DELETE /cluster/members/n%203");
  const Ran absent = run_one({"member", "remove", "9", "--force"}, 200, R"({"removed":false})");
  CHECK(absent.out == "there is no such member\n");
  CHECK(absent.asked[0] == "DELETE /cluster/members/9?force");
  const Ran promoted = run_one({"member", "promote", "4"}, 200, R"({"id":4,"role":"voter"})");
  CHECK(promoted.out == "voter\n");
  CHECK(promoted.asked[0] == "POST /cluster/members/4/promote");
  const Ran pending = run_one({"member", "remove", "3"}, 409, R"({"message":"under way"})");
  CHECK(pending.status == kExitNo);
}

TEST_CASE("describe node prints blocks with plain numbers, names in order of the alphabet") {
  const char* const body =
      R"({"node_id":1,"leader_id":1,"term":1,"storage":{"hard_state":{"term":1,)"
      R"("vote":1,"commit":3},)"
      R"("conf_state":{"voters":[1,2],"learners":[],"voters_outgoing":[],"learners_next":[],)"
      R"("auto_leave":false},"snapshot":{"index":0,"term":0,"bytes":0},"last_index":3},)"
      R"("progress":{"2":{"next_idx":4,"matched":3}},"raft_log":{"committed":3,"applied":3,)"
      R"("persisted":3},"connections":[],"fsync":{"p50_us":1,"p99_us":2}})";
  CHECK(run_one({"describe", "node", "http://a:1"}, 200, body).out ==
        "========= Outline =========\n"
        "node_id: 1\n"
        "leader_id: 1\n"
        "term: 1\n"
        "\n"
        "========= Persistence Info =========\n"
        "hard_state: {\"commit\": 3, \"term\": 1, \"vote\": 1}\n"
        "conf_state: {\"auto_leave\": false, \"learners\": [], \"learners_next\": [], \"voters\": "
        "[1, 2], \"voters_outgoing\": []}\n"
        "last_index: 3\n"
        "snapshot: {\"bytes\": 0, \"index\": 0, \"term\": 0}\n"
        "\n"
        "========= Progress Info =========\n"
        "{\"2\": {\"matched\": 3, \"next_idx\": 4}}\n"
        "\n"
        "========= RaftLog Info =========\n"
        "{\"applied\": 3, \"committed\": 3, \"persisted\": 3}\n"
        "\n"
        "========= Connections =========\n"
        "[]\n"
        "\n"
        "========= Disk =========\n"
        "{\"p50_us\": 1, \"p99_us\": 2}\n");
  CHECK(run_one({"describe", "node", "a:1", "--json"}, 200, "{\"node_id\":1}\n").out ==
        "{\"node_id\":1}\n");
}

TEST_CASE("export prints an item a line, page by page at one revision") {
  Scene scene;
  scene.net.answer(200, R"({"revision":9,"items":[{"key":"a","value":"1","mod":2,"create":2,)"
                        R"("version":1}],"more":true,"cursor":"C/1"})");
  scene.net.answer(200, R"({"revision":9,"items":[{"key64":"/w==","value64":"AP8=","mod":3,)"
                        R"("create":3,"version":1}],"more":false})");
  const Ran ran = scene.run({"export", "p q"});
  CHECK(ran.status == 0);
  CHECK(ran.out ==
        "{\"key\":\"a\",\"value\":\"1\",\"mod\":2,\"create\":2,\"version\":1}\n"
        "{\"key64\":\"/w==\",\"value64\":\"AP8=\",\"mod\":3,\"create\":3,\"version\":1}\n");
  CHECK(ran.asked == std::vector<std::string>{"GET /kv/p%20q?list&limit=1000",
                                              "GET /kv/p%20q?list&limit=1000&cursor=C%2F1"});
  CHECK(run_one({"export"}, 410, R"({"error":"compacted","message":"gone"})").status == 1);
}

TEST_CASE("ls and export ask for no more pages than somebody reads") {
  for (const char* const command : {"ls", "export"}) {
    CAPTURE(command);
    Scene scene;
    scene.writable = false;
    scene.net.answer(200, R"({"revision":9,"items":[{"key":"a","value":"1","mod":2,"create":2,)"
                          R"("version":1}],"more":true,"cursor":"C"})");
    const Ran ran = scene.run({command});
    CHECK(ran.status == kExitIo);
    CHECK(ran.asked.size() == 1);
  }
}

TEST_CASE("a snapshot that is not one is not saved") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/b.snap";
  const Ran refused = run_one({"snapshot", "save", file}, 404, R"({"message":"no such path"})");
  CHECK(refused.status == 1);
  CHECK(refused.error == "no such path\n");
  const Ran not_one = run_one({"snapshot", "save", file}, 200, "<html>");
  CHECK(not_one.status == 65);
  CHECK(not_one.error.find("it ends at offset") != std::string::npos);
  CHECK(run_one({"snapshot", "save", directory.path()}, 200, "").status == 64);
}

}  // namespace raftd::cli
