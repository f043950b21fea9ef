// What operators ask a node in etcd's words, and that users and roles are not there.
#include "etcd/json.h"
#include "etcd/messages.h"
#include "node/backup.h"
#include "unit/etcd/played_fixture.h"

namespace raftd::etcd {

TEST_CASE("the status is this node's, errors are what an operator should know") {
  PlayedFixture f;
  f.put("a", "bcd");
  f.backend.now.commit = {90};
  f.backend.now.applied = {88};
  f.backend.now.role = {raft::Role::kLeader, {3}, {1}};
  CHECK(PlayedFixture::outcome(f.post("/maintenance/status", "{}")) ==
        "200 {" + header_at(2) +
            R"(,"version":"3.6.0","dbSize":"28","leader":"1","raftIndex":"90","raftTerm":"3",)"
            R"("raftAppliedIndex":"88","dbSizeInUse":"4","storageVersion":"3.6.0",)"
            R"("dbSizeQuota":"8589934592"})");
  f.follow(0);
  f.backend.now.disk_full = true;
  f.backend.now.configuration.configuration.learners = {{1}};
  const std::string status = PlayedFixture::outcome(f.post("/maintenance/status", "{}"));
  CHECK(api::contains(status, R"("errors":["etcdserver: no leader",)"
                              R"("etcdserver: mvcc: database space exceeded"])"));
  CHECK(api::contains(status, R"("isLearner":true)"));
  CHECK(!api::contains(status, R"("leader":)"));
}

TEST_CASE("there are no alarms, and nothing to defragment") {
  PlayedFixture f;
  const std::string nothing = "200 {}";
  CHECK(PlayedFixture::outcome(f.post("/maintenance/alarm", "{}")) == nothing);
  CHECK(PlayedFixture::outcome(f.post("/maintenance/alarm",
                                      R"({"action":"ACTIVATE","memberID":1,"alarm":"NOSPACE"})")) ==
        nothing);
  CHECK(PlayedFixture::outcome(f.post("/maintenance/alarm", R"({"action":5})")) ==
        "400 3 etcdserver: unknown alarm action");
  CHECK(PlayedFixture::outcome(f.post("/maintenance/defragment", "")) == nothing);
}

TEST_CASE("leadership is handed to a member, by the leader") {
  PlayedFixture f;
  f.backend.now.configuration.configuration.voters = {{1}, {2}};
  f.backend.now.configuration.configuration.addresses = {{{1}, "a:1"}, {{2}, "b:1"}};
  constexpr const char* kPath = "/maintenance/transfer-leadership";
  const std::string just_header = "200 {" + header_at(1) + "}";
  CHECK(PlayedFixture::outcome(f.post(kPath, R"({"targetID":"2"})",
                                      node::Done{{9}, {3}, false, nullptr})) == just_header);
  const auto& write = std::get<node::Write>(f.last_asked.op);
  CHECK(std::get<node::Transfer>(write.op).target.value == 2);
  CHECK(PlayedFixture::outcome(f.post(kPath, R"({"targetID":"1"})")) == just_header);
  for (const char* body : {"{}", R"({"targetID":"3"})"}) {
    CAPTURE(body);
    CHECK(PlayedFixture::outcome(f.post(kPath, body)) == "400 9 etcdserver: bad leader transferee");
  }
  CHECK(
      PlayedFixture::outcome(f.post(kPath, R"({"targetID":"2"})", api::refused(Errc::kConflict))) ==
      "400 9 etcdserver: bad leader transferee");
  f.follow(2);
  CHECK(PlayedFixture::outcome(f.post(kPath, R"({"targetID":"1"})")) ==
        "400 9 etcdserver: not leader");
  f.follow(0);
  CHECK(PlayedFixture::outcome(f.post(kPath, R"({"targetID":"1"})")) ==
        "503 14 etcdserver: no leader");
}

TEST_CASE("a hash is taken piece by piece, of one revision") {
  PlayedFixture f;
  const auto piece = [](std::uint64_t hash, std::string next) {
    auto reply = std::make_unique<kv::HashReply>();
    reply->revision = 40;
    reply->rev = 30;
    reply->compact_revision = 20;
    reply->hash = hash;
    reply->more = !next.empty();
    reply->next = std::move(next);
    return api::done(std::move(reply));
  };
  const api::RequestId id = f.ask("/maintenance/hashkv", R"({"revision":"30"})");
  f.answer(piece(77, "m"));
  CHECK(f.last_query<kv::HashQuery>().rev == 30);
  CHECK(f.last_query<kv::HashQuery>().seed == 0);
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  f.answer(piece(0x1'0000'0002, ""));
  CHECK(f.last_query<kv::HashQuery>().start == "m");
  CHECK(f.last_query<kv::HashQuery>().seed == 77);
  CHECK(f.last_query<kv::HashQuery>().rev == 30);
  CHECK(PlayedFixture::outcome(f.take(id)) ==
        "200 {" + header_at(40) + R"(,"hash":3,"compact_revision":"20","hash_revision":"30"})");
  CHECK(PlayedFixture::outcome(f.post("/maintenance/hash", "{}", piece(9, ""))) ==
        "200 {" + header_at(40) + R"(,"hash":9})");
  CHECK(f.last_query<kv::HashQuery>().rev == 0);
}

TEST_CASE("a hash of a revision that is not there is refused") {
  using Result = kv::HashReply::Result;
  const std::pair<Result, const char*> refusals[] = {
      {Result::kCompacted, "400 11 etcdserver: mvcc: required revision has been compacted"},
      {Result::kFuture, "400 11 etcdserver: mvcc: required revision is a future revision"}};
  for (const auto& [result, expected] : refusals) {
    PlayedFixture f;
    auto reply = std::make_unique<kv::HashReply>();
    reply->result = result;
    CHECK(PlayedFixture::outcome(f.post("/maintenance/hashkv", R"({"revision":3})",
                                        api::done(std::move(reply)))) == expected);
  }
}

TEST_CASE("users and roles are not there, and say so") {
  PlayedFixture f;
  const std::string just_header = "200 {" + header_at(1) + "}";
  CHECK(PlayedFixture::outcome(f.post("/auth/status", "{}")) == just_header);
  CHECK(PlayedFixture::outcome(f.post("/auth/disable", "{}")) == just_header);
  for (const char* path : {"authenticate", "enable", "user/add", "user/get", "user/list",
                           "user/delete", "user/changepw", "user/grant", "user/revoke", "role/add",
                           "role/get", "role/list", "role/delete", "role/grant", "role/revoke"}) {
    CAPTURE(path);
    CHECK(PlayedFixture::outcome(
              f.post("/auth/" + std::string(path), R"({"name":"root","password":"x"})")) ==
          "400 9 etcdserver: authentication is not enabled");
  }
  CHECK(f.post("/auth/user/nope", "{}").status == 404);
}

TEST_CASE("a snapshot is a stream of pieces of raftd's file, each with what is left") {
  PlayedFixture f;
  f.put("key", std::string(200'000, 'v'));
  node::Backups backups;
  storage::SnapshotCut cut;
  cut.last_index = {1};
  cut.last_term = {1};
  cut.configuration = {{1}, {{{1}}, {}, {}, {{{1}, "a:1"}}}};
  cut.machine_name = "kv/1";
  auto reply = std::make_unique<node::BackupReply>();
  reply->backup = std::make_unique<node::Backup>(backups, cut, f.store);
  auto response = f.post("/maintenance/snapshot", "", api::done(std::move(reply)));
  CHECK(response.status == 200);
  std::string file;
  std::uint64_t left = 0;
  int messages = 0;
  const std::string text = read_all(response);
  for (std::size_t begin = 0; begin < text.size(); ++messages) {
    const std::size_t end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    REQUIRE(text.substr(begin, 10) == "{\"result\":");
    const auto message = from_json<SnapshotResponse>(text.substr(begin + 10, end - begin - 11));
    REQUIRE(message);
    const auto& piece = *message;
    if (messages > 0) CHECK(piece.remaining_bytes <= left);
    left = piece.remaining_bytes;
    file += piece.blob;
    begin = end + 1;
  }
  CHECK(messages > 2);
  CHECK(left == 0);
  std::string body;
  storage::SnapshotFileReader reader([&](ByteView bytes) {
    body += as_text(bytes);
    return Status(Done{});
  });
  REQUIRE(reader.feed(as_bytes(file)));
  CHECK(reader.finish());
  CHECK(api::contains(body, std::string(60'000, 'v')));
}

}  // namespace raftd::etcd
