// Goal: a join goes on wherever an earlier one stopped, and changes nothing where it must not.
// Method: a directory on the real disk, a script in place of the cluster.
#include "cli/join.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "cli/offline.h"
#include "cli/ticket.h"
#include "storage/data_dir.h"
#include "storage/format.h"
#include "storage/journal.h"
#include "storage/removal.h"
#include "unit/cli/fake_transport.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::cli {
namespace {

constexpr std::string_view kMembers =
    R"("members":[{"id":1,"name":"n1","role":"voter","peer":"10.0.0.1:2380",)"
    R"("client":"http://10.0.0.1:2379"},{"id":2,"peer":"10.0.0.2:2380"}])";

std::string ticket_json(int id, const std::string& token, const std::string& more = "") {
  return R"({"id":)" + std::to_string(id) + R"(,"name":"n)" + std::to_string(id) +
         R"(","role":"voter","token":")" + token +
         R"(","expires_in_ms":600000,"cluster_id":"0102030405060708","cluster_name":"c",)" + more +
         std::string(kMembers) + "}\n";
}

std::string error_json(const std::string& error) {
  return R"({"error":")" + error + R"(","message":"it says )" + error + R"(","outcome":"none"})";
}

const std::string kTaken = R"({"id":4,"role":"learner","config_index":91})";

struct Ran {
  Joined joined;
  std::string error;
  std::vector<std::string> asked;  // Without what follows ?timeout=.
  std::string last_body;
};

struct Scene {
  TemporaryDirectory parent;
  FakeTransport net;
  config::Config config;
  std::string input;

  Scene() {
    config.data_dir = parent.path() + "/data";
    config.cluster.name = "c";
    config.peer.advertise = "10.0.0.4:2380";
    config.client.advertise = "http://10.0.0.4:2379";
  }

  Ran run(const std::vector<std::string>& more = {}, bool with_run = false) {
    std::vector<std::string> typed{"join", "u:1", "--config", "f"};
    if (with_run) typed = {"--config", "f", "--join", "u:1"};
    typed.insert(typed.end(), more.begin(), more.end());
    const Result<Arguments> arguments = parse_arguments(typed);
    REQUIRE_MESSAGE(static_cast<bool>(arguments), arguments.error().message);
    Ran ran;
    Output output;
    output.out = [](std::string_view) { FAIL("nothing is for standard output"); };
    output.error = [&](std::string_view text) { ran.error += std::string(text) + "\n"; };
    net.asked.clear();
    const JoinWays ways{net,
                        {*parse_endpoints("u:1"), std::chrono::seconds(5), ""},
                        [&]() -> Result<std::string> { return input; }};
    ran.joined = join_directory(*arguments, config, ways, output);
    for (std::string& line : net.lines()) {
      const std::size_t timeout = line.find("timeout=");
      if (timeout != std::string::npos) line.resize(timeout - 1);
      ran.asked.push_back(line);
    }
    if (!net.asked.empty()) {
      const std::string& last = net.asked.back().request;
      ran.last_body = last.substr(last.find("\r\n\r\n") + 4);
    }
    return ran;
  }
  bool there(const std::string& name) const {
    return std::filesystem::exists(config.data_dir + "/" + name);
  }
  Ticket stored() const {
    const auto reader = storage::PosixDirectoryReader::open(config.data_dir);
    REQUIRE(reader);
    const auto ticket = stored_ticket(**reader);
    REQUIRE_MESSAGE(ticket, ticket.error().message);
    REQUIRE(*ticket);
    return **ticket;
  }
  storage::Identity identity() const {
    const auto reader = storage::PosixDirectoryReader::open(config.data_dir);
    REQUIRE(reader);
    const auto identity = storage::read_identity(**reader);
    REQUIRE(identity);
    REQUIRE(*identity);
    return **identity;
  }
  std::string file(const std::string& text) const {
    const std::string path = parent.path() + "/ticket.json";
    std::ofstream(path) << text;
    return path;
  }
  void join_once() {
    net.answer(201, ticket_json(4, "T4"));
    net.answer(201, kTaken);
    REQUIRE(run().joined.run);
  }
  // The leader has sent the configuration that names this node.
  void hear_of_it() const {
    const auto reader = storage::PosixDirectoryReader::open(config.data_dir);
    REQUIRE(reader);
    storage::RecoverOptions options;
    options.identity = identity();
    options.incarnation = raft::Incarnation{9};
    auto recovered = storage::recover(**reader, options);
    REQUIRE(recovered);
    storage::PosixFiles files(config.data_dir, false);
    storage::DiskPlan plan;
    plan.ops = recovered->repairs;
    files.run(plan);
    storage::Journal journal({options.identity, limits::kSegmentBytesMin, 0, 0},
                             recovered->position);
    while (auto prepared = journal.prepare_next_segment())
      journal.finish(files.run(*prepared));
    raft::Configuration members;
    members.voters = {raft::NodeId{1}};
    members.learners = {raft::NodeId{4}};
    members.addresses = {{raft::NodeId{1}, "10.0.0.1:2380"}, {raft::NodeId{4}, "10.0.0.4:2380"}};
    const raft::Entry entry{raft::Index{1}, raft::Term{1}, raft::EntryKind::kConfiguration,
                            share(raft::encode(members))};
    const storage::DiskPlan written = journal.begin({raft::PersistSeq{1},
                                                     raft::HardState{raft::Term{1}, raft::NodeId{}},
                                                     std::nullopt,
                                                     {entry}});
    REQUIRE(journal.finish(files.run(written)));
  }
};

}  // namespace

TEST_CASE("a join asks for a ticket, keeps it, tells who it is, and makes the node's directory") {
  Scene scene;
  scene.config.name = "db4";
  scene.net.answer(201, ticket_json(4, "T4", "\"replaces\":2,"));
  scene.net.answer(201, kTaken);
  const Ran ran = scene.run({"--replaces", "2", "--learner"});
  REQUIRE(ran.joined.run);
  CHECK(ran.joined.name == "db4");
  CHECK(ran.error == "node 4 joins cluster 0102030405060708\n");
  CHECK(ran.asked ==
        std::vector<std::string>{"POST /cluster/tickets?name=db4&role=learner&replaces=2",
                                 "PUT /cluster/members/4"});
  const storage::Identity identity = scene.identity();
  CHECK(ran.last_body == R"({"name":"db4","peer":"10.0.0.4:2380","client":"http://10.0.0.4:2379",)"
                         R"("role":"learner","ticket":"T4","replaces":2,"instance":")" +
                             instance_text(identity.instance) + "\"}");
  CHECK(identity.node_id == raft::NodeId{4});
  CHECK(identity.instance != 0);
  CHECK(cluster_text(identity.cluster_id) == "0102030405060708");
  CHECK(storage::is_cluster_name(identity.cluster_id, "c"));
  const auto listed = ticket_members(scene.config.data_dir);
  REQUIRE(listed);
  REQUIRE(listed->size() == 2);
  CHECK((*listed)[1].peer == "10.0.0.2:2380");
}

TEST_CASE("a ticket from a file or standard input is not asked for, and --name goes before it") {
  Scene scene;
  scene.net.answer(201, kTaken);
  Ran ran = scene.run({"--ticket", scene.file(ticket_json(4, "T4")), "--name", "other"});
  CHECK(ran.joined.run);
  CHECK(ran.joined.name == "other");
  CHECK(ran.asked == std::vector<std::string>{"PUT /cluster/members/4"});
  Scene piped;
  piped.input = ticket_json(5, "T5");
  piped.net.answer(201, kTaken);
  ran = piped.run({"--ticket", "-"});
  CHECK(ran.joined.name == "n5");
  CHECK(piped.identity().node_id == raft::NodeId{5});
  Scene bad;
  for (const std::string& text : {std::string("no JSON"), std::string("{\"id\":4}")}) {
    ran = bad.run({"--ticket", bad.file(text)});
    CHECK(ran.joined.exit_status == kExitUsage);
    CHECK(ran.error.starts_with("--ticket: a ticket"));
  }
  CHECK(bad.run({"--ticket", "/no/such/file"}).joined.exit_status == kExitUsage);
  CHECK_FALSE(std::filesystem::exists(bad.config.data_dir));
}

TEST_CASE("after a crash before IDENTITY the same ticket is used, from the same instance") {
  Scene scene;
  scene.net.answer(201, ticket_json(4, "T4"));
  scene.net.lose();  // Whether it was taken is not known: it is asked again.
  scene.net.refuse();
  Ran ran = scene.run({"--name", "db4"});
  CHECK_FALSE(ran.joined.run);
  CHECK(ran.joined.exit_status == kExitCannotAsk);
  CHECK_FALSE(scene.there("IDENTITY"));
  const Ticket kept = scene.stored();
  CHECK(kept.token == "T4");
  scene.net.answer(200, kTaken);
  ran = scene.run();
  CHECK(ran.joined.run);
  CHECK(ran.joined.name == "db4");
  CHECK(ran.asked == std::vector<std::string>{"PUT /cluster/members/4"});
  CHECK(ran.last_body.find("\"name\":\"db4\"") != std::string::npos);
  CHECK(scene.identity().instance == kept.instance);
}

TEST_CASE("a crash between the log and IDENTITY is a join begun again, under the same name") {
  Scene scene;
  scene.join_once();
  const std::uint64_t instance = scene.identity().instance;
  scene.config.name = "later";  // The cluster compares what it is told with what it was told.
  std::filesystem::remove(scene.config.data_dir + "/IDENTITY");
  scene.net.answer(200, kTaken);
  const Ran ran = scene.run();
  CHECK(ran.joined.run);
  CHECK(ran.joined.name == "n4");
  CHECK(ran.last_body.find("\"name\":\"n4\"") != std::string::npos);
  CHECK(scene.identity().instance == instance);
}

TEST_CASE("a kept ticket that is not taken any more is replaced by another, once") {
  for (const char* error : {"bad_ticket", "id_used"}) {
    Scene scene;
    scene.net.answer(201, ticket_json(4, "T4"));
    scene.net.refuse();
    REQUIRE_FALSE(scene.run().joined.run);
    scene.net.answer(403, error_json(error));
    scene.net.answer(201, ticket_json(5, "T5"));
    scene.net.answer(201, kTaken);
    const Ran ran = scene.run();
    CHECK(ran.joined.run);
    CHECK(ran.asked.size() == 3);
    CHECK(scene.identity().node_id == raft::NodeId{5});
    CHECK(scene.stored().token == "T5");
  }
  Scene scene;
  scene.net.answer(201, ticket_json(4, "T4"));
  scene.net.answer(403, error_json("bad_ticket"));
  Ran ran = scene.run();  // A new one is not replaced,
  CHECK(ran.joined.exit_status == kExitNo);
  CHECK(ran.error == "it says bad_ticket\n");
  scene.net.answer(403, error_json("bad_ticket"));
  ran = scene.run({"--ticket", scene.file(ticket_json(6, "T6"))});  // nor one that was given.
  CHECK(ran.joined.exit_status == kExitNo);
  CHECK_FALSE(scene.there("IDENTITY"));
}

TEST_CASE("a ticket is shown to its own cluster only") {
  Scene scene;
  scene.net.answer(421, error_json("wrong_cluster"));
  const Ran ran = scene.run({"--ticket", scene.file(ticket_json(4, "T4"))});
  CHECK(ran.joined.exit_status == kExitCannotRead);
  CHECK(ran.error.find("has a ticket of cluster 0102030405060708, and http://u:1 is of another") !=
        std::string::npos);
  CHECK(scene.net.asked[0].request.find("Raftd-Cluster: 0102030405060708\r\n") !=
        std::string::npos);
  CHECK_FALSE(scene.there("IDENTITY"));
  scene.net.answer(421, error_json("wrong_cluster"));  // Nor is another one asked for there.
  CHECK(scene.run().joined.exit_status == kExitCannotRead);
  scene.net.answer(201, kTaken);
  CHECK(scene.run().joined.run);
}

TEST_CASE("a voter whose directory was lost does not vote again with an empty one") {
  Scene scene;
  scene.join_once();
  std::filesystem::remove(scene.config.data_dir + "/IDENTITY");
  scene.net.answer(200, R"({"id":4,"role":"voter","config_index":95})");
  const Ran ran = scene.run();
  CHECK(ran.joined.exit_status == kExitNotTaken);
  CHECK(ran.error.find("node 4 votes already") != std::string::npos);
  CHECK_FALSE(scene.there("IDENTITY"));
}

TEST_CASE("another change of members is waited for, until the time is up") {
  Scene scene;
  scene.net.answer(201, ticket_json(4, "T4"));
  scene.net.answer(409, error_json("change_pending"));
  scene.net.answer(503, error_json("no_leader"));
  scene.net.answer(201, kTaken);
  CHECK(scene.run().joined.run);
  CHECK(scene.net.pauses >= 2);
  Scene never;
  never.net.forever(409, error_json("change_pending"));
  const Ran ran = never.run({"--ticket", never.file(ticket_json(4, "T4"))});
  CHECK(ran.joined.exit_status == kExitNo);
  CHECK(ran.error == "it says change_pending\n");
}

TEST_CASE("nobody answers, or says no: one sentence, and nothing that would be in the way") {
  Scene scene;
  scene.net.refuse();
  Ran ran = scene.run();
  CHECK(ran.joined.exit_status == kExitCannotAsk);
  CHECK(ran.error == "http://u:1: refused\n");
  CHECK_FALSE(scene.there("TICKET"));
  scene.net.answer(409, error_json("name_taken"));
  CHECK(scene.run().joined.exit_status == kExitNo);
  scene.net.answer(201, "{}");
  CHECK(scene.run().joined.exit_status == kExitCannotAsk);
  scene.join_once();
}

TEST_CASE("a ticket of a cluster of another name, or for another id, is a wrong configuration") {
  Scene scene;
  scene.config.cluster.name = "other";
  scene.net.answer(201, ticket_json(4, "T4"));
  Ran ran = scene.run();
  CHECK(ran.joined.exit_status == kExitConfig);
  CHECK(ran.error == "the cluster is named \"c\", and [cluster] name is \"other\"\n");
  CHECK_FALSE(scene.there("TICKET"));
  scene.config.cluster.name = "c";
  scene.config.id = 7;
  scene.net.answer(201, ticket_json(4, "T4"));
  ran = scene.run();
  CHECK(ran.joined.exit_status == kExitConfig);
  CHECK(ran.error.starts_with("the ticket is for node 4, and id is 7"));
  CHECK_FALSE(scene.there("TICKET"));
  scene.config.id = 4;
  scene.join_once();
}

TEST_CASE("with IDENTITY it tells the cluster again, and runs though nobody answers") {
  Scene scene;
  scene.join_once();
  scene.net.answer(200, R"({"cluster_id":"0102030405060708","members":[{"id":4,"peer":)"
                        R"("10.0.0.4:2380"},{"id":3,"peer":"10.0.0.3:2380"}]})");
  scene.net.answer(200, kTaken);
  Ran ran = scene.run();
  CHECK(ran.joined.run);
  CHECK(ran.asked ==
        std::vector<std::string>{"GET /cluster?consistency=stale", "PUT /cluster/members/4"});
  const auto listed = ticket_members(scene.config.data_dir);
  REQUIRE(listed);
  CHECK(*listed == std::vector<raft::MemberAddress>{{raft::NodeId{3}, "10.0.0.3:2380"}});
  scene.net.refuse();
  scene.net.refuse();
  ran = scene.run();
  CHECK(ran.joined.run);
  CHECK(ran.error.starts_with("http://u:1: refused; the node is run, and waits for its cluster\n"));
  scene.net.refuse();
  scene.net.answer(409, error_json("id_used"));
  ran = scene.run();
  CHECK(ran.joined.exit_status == kExitNo);
  CHECK(scene.there("IDENTITY"));
}

TEST_CASE("a node that has heard of its membership has joined: join does nothing, --join runs it") {
  Scene scene;
  scene.join_once();
  scene.hear_of_it();
  for (const bool ticket : {true, false}) {
    if (!ticket) std::filesystem::remove(scene.config.data_dir + "/TICKET");
    scene.net.refuse();
    Ran ran = scene.run();
    CHECK_FALSE(ran.joined.run);
    CHECK(ran.joined.exit_status == kExitDone);
    CHECK(ran.error ==
          "node 4 has joined cluster 0102030405060708 already; raftd --config FILE runs it\n");
    ran = scene.run({}, true);
    CHECK(ran.joined.run);
    CHECK(ran.joined.name.empty());
    CHECK(ran.asked.empty());
    CHECK(ran.error.empty());
  }
}

TEST_CASE("a directory of a node that was removed is refused, by join as by a start") {
  Scene scene;
  scene.join_once();
  REQUIRE(storage::write_removal(scene.config.data_dir, "node 1 said so"));
  for (const bool with_run : {false, true}) {
    const Ran ran = scene.run({}, with_run);
    CHECK_FALSE(ran.joined.run);
    CHECK(ran.joined.exit_status == kExitNotTaken);
    CHECK(ran.error.find("none any more (node 1 said so)") != std::string::npos);
    CHECK(ran.asked.empty());
  }
}

TEST_CASE("--join joins what has not joined, as join does") {
  Scene scene;
  scene.net.answer(201, ticket_json(4, "T4"));
  scene.net.answer(201, kTaken);
  const Ran ran = scene.run({}, true);
  CHECK(ran.joined.run);
  CHECK(ran.asked[0] == "POST /cluster/tickets");
  CHECK(scene.there("IDENTITY"));
}

TEST_CASE("a directory of another cluster, another node or somebody else is refused untouched") {
  Scene scene;
  scene.join_once();
  scene.net.answer(200, R"({"cluster_id":"ffffffffffffffff","members":[]})");
  Ran ran = scene.run();
  CHECK(ran.joined.exit_status == kExitCannotRead);
  CHECK(ran.error.find("belongs to cluster 0102030405060708, and http://u:1 is of cluster "
                       "ffffffffffffffff") != std::string::npos);
  ran = scene.run({"--ticket", scene.file(ticket_json(5, "T5"))});
  CHECK(ran.joined.exit_status == kExitCannotRead);
  CHECK(ran.error.find("and the ticket is for node 5") != std::string::npos);
  scene.config.cluster.name = "other";
  CHECK(scene.run().joined.exit_status == kExitCannotRead);
  Scene home;
  std::filesystem::create_directory(home.config.data_dir);
  std::ofstream(home.config.data_dir + "/letter.txt") << "dear";
  CHECK(home.run().joined.exit_status == kExitCannotRead);
  CHECK_FALSE(home.there("LOCK"));
  Scene locked;
  std::filesystem::create_directory(locked.config.data_dir);
  const auto lock = storage::DirectoryLock::take(locked.config.data_dir);
  REQUIRE(lock);
  CHECK(locked.run().joined.exit_status == kExitCannotRead);
}

TEST_CASE("a ticket is read back as it was written, and what is wrong with one is said") {
  const Result<Ticket> ticket = parse_ticket(ticket_json(4, "T4", "\"replaces\":2,"));
  REQUIRE(ticket);
  CHECK(ticket->replaces == raft::NodeId{2});
  CHECK(ticket->members.size() == 2);
  Ticket kept = *ticket;
  kept.instance = 0x00ab;
  kept.learner = true;
  const Result<Ticket> again = parse_ticket(ticket_text(kept));
  REQUIRE(again);
  CHECK(again->instance == 0x00ab);
  CHECK(again->learner);
  CHECK(ticket_text(*again) == ticket_text(kept));
  const std::string good = ticket_json(4, "T4");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"id\":4", "\"id\":0"},
           {"\"id\":4", "\"id\":\"4\""},
           {"\"n4\"", "\"44\""},
           {"\"role\":\"voter\",\"token\"", "\"role\":\"boss\",\"token\""},
           {"\"T4\"", "\"T 4\""},
           {"\"T4\"", "\"\""},
           {"0102030405060708", "010203040506070G"},
           {"0102030405060708", "01"},
           {"10.0.0.1:2380", "10.0.0.1"},
           {"\"members\"", "\"nobody\""}}) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    CAPTURE(text);
    const Result<Ticket> wrong = parse_ticket(text);
    REQUIRE(!wrong);
    CHECK(wrong.error().message.starts_with("a ticket's "));
  }
}

}  // namespace raftd::cli
