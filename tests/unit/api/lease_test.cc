// Leases over HTTP: the contract's answers byte for byte, and beats of many in few log entries.
#include "base/limits.h"
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Result = kv::StoreReply::Result;

kv::LeaseReply lease_reply(kv::LeaseId id, std::uint64_t ttl_ms, Result result = Result::kDone) {
  kv::LeaseReply reply;
  reply.result = result;
  reply.revision = 52;
  reply.id = id;
  reply.ttl_ms = ttl_ms;
  return reply;
}
node::ClientResult granted(kv::LeaseReply reply) {
  return done(std::make_unique<kv::LeaseReply>(std::move(reply)));
}
node::ClientResult kept(std::vector<std::uint64_t> ttls_ms) {
  auto reply = std::make_unique<kv::KeepLeasesReply>();
  reply->revision = 52;
  reply->ttls_ms = std::move(ttls_ms);
  return done(std::move(reply));
}
node::ClientResult looked(kv::LeaseRow row, std::vector<std::string> keys = {},
                          std::string next = "") {
  auto reply = std::make_unique<kv::LeaseQueryReply>();
  reply->found = row.id != 0;
  reply->revision = 50;
  reply->lease = row;
  reply->keys = std::move(keys);
  reply->more = !next.empty();
  reply->next = std::move(next);
  return done(std::move(reply));
}
node::ClientResult listed(std::vector<kv::LeaseRow> rows, kv::LeaseId next = 0) {
  auto reply = std::make_unique<kv::LeasesReply>();
  reply->revision = 50;
  reply->rows = std::move(rows);
  reply->next = next;
  return done(std::move(reply));
}

// All of a stream; more answers the questions that it asks.
template <class Fn>
std::string read_all(Fixture& f, http::Response& response, Fn&& more) {
  REQUIRE(response.stream);
  std::string text;
  while (true) {
    const auto next = response.stream->next(text);
    if (next == http::BodySource::Next::kEnd) return text;
    if (next == http::BodySource::Next::kBroken) return text + "(broken)";
    if (next == http::BodySource::Next::kLater) f.answer(more());
  }
}

std::vector<kv::LeaseId> beaten(Fixture& f) {
  return f.last_command<kv::KeepLeases>().ids;
}

}  // namespace

TEST_CASE("a lease is granted, with an id of the store's choice or one's own") {
  Fixture f;
  auto response = f.with(granted(lease_reply(6420, 30'000)), "POST", "/lease?ttl=30s");
  CHECK(response.status == 201);
  CHECK(response.body == "{\"id\":\"6420\",\"ttl\":30}\n");
  CHECK(field(response, "Raftd-Revision") == "52");
  CHECK(field(response, "Raftd-Index") == "88");
  CHECK(f.last_command<kv::GrantLease>().id == 0);
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == 30'000);
  response = f.with(granted(lease_reply(9, 1500)), "POST", "/lease?ttl=1.5&id=9");
  CHECK(response.body == "{\"id\":\"9\",\"ttl\":2}\n");  // Rounded up.
  CHECK(f.last_command<kv::GrantLease>().id == 9);
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == 1500);
  auto taken = lease_reply(9, 1500, Result::kLeaseExists);
  taken.number = 9;
  response = f.with(granted(std::move(taken)), "POST", "/lease?ttl=2s&id=9");
  CHECK(response.status == 409);
  CHECK(field(response, "Raftd-Error") == "lease_exists");
  CHECK(contains(response.body, "\"outcome\":\"none\""));
  CHECK(contains(response.body, "\"id\":\"9\""));
  response = f.with(granted(lease_reply(0, 1500, Result::kTooManyLeases)), "POST", "/lease?ttl=2s");
  CHECK(response.status == 507);
  CHECK(contains(response.body, "\"error\":\"quota\""));
  CHECK(contains(response.body, "\"limit\":\"leases\",\"max\":2000000"));
  f.with(granted(lease_reply(9, 1)), "POST", "/lease?ttl=9000000000s&id=9223372036854775807");
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == limits::kLeaseTtlMsMax);
}

TEST_CASE("who wants no body of a lease's write gets none, with the same header lines") {
  Fixture f;
  const std::vector<http::Header> minimal{{"prefer", "return=minimal"}};
  for (const auto& response :
       {f.with(granted(lease_reply(9, 30'000)), "POST", "/lease?ttl=30s&id=9", minimal),
        f.with(kept({30'000}), "POST", "/lease/9/keepalive", minimal),
        f.with(granted(lease_reply(9, 0)), "DELETE", "/lease/9", minimal)}) {
    CHECK(response.status == 204);
    CHECK(response.body.empty());
    CHECK(field(response, "Preference-Applied") == "return=minimal");
    CHECK(field(response, "Raftd-Revision") == "52");
    CHECK(field(response, "Raftd-Index") == "88");
  }
  CHECK(f.with(kept({0}), "POST", "/lease/9/keepalive", minimal).status == 404);
}

TEST_CASE("what is no lease is refused before anybody is asked") {
  Fixture f;
  for (const char* target :
       {"/lease", "/lease?ttl=0.999", "/lease?ttl=9000000001s", "/lease?ttl=x", "/lease?ttl=-1",
        "/lease?ttl=1s&id=0", "/lease?ttl=1s&id=9223372036854775808", "/lease?ttl=1s&id=x",
        "/lease?ttl=1s&keys", "/lease?ttl=1s&ttl=2s", "/lease/0/keepalive", "/lease/x/keepalive",
        "/lease/-1/keepalive", "/lease/9223372036854775808/keepalive", "/lease/%31/keepalive",
        "/lease/1/keepalive?ttl=3s"}) {
    CAPTURE(target);
    CHECK(f.now("POST", target).status == 400);
  }
  CHECK(f.now("POST", "/lease?ttl=1s", {}, "{\"x\":1}").status == 400);
  CHECK(f.now("POST", "/lease?ttl=1s", {{"if-match", "\"1\""}}).status == 400);
  CHECK(f.now("GET", "/lease/1?keys=2").status == 400);
  CHECK(f.now("GET", "/lease?keys").status == 400);
  CHECK(f.now("DELETE", "/lease/1?keys").status == 400);
  CHECK(f.now("GET", "/lease/").status == 404);
  CHECK(f.now("GET", "/lease/1/2").status == 404);
  CHECK(f.now("POST", "/lease/1").status == 405);
  CHECK(f.now("GET", "/lease/1/keepalive").status == 405);
  CHECK(f.now("DELETE", "/lease").status == 405);
  CHECK(field(f.now("OPTIONS", "/lease/1"), "Allow") == "GET, HEAD, DELETE, OPTIONS");
  f.follow(0);
  CHECK(f.now("POST", "/lease/1/keepalive").status == 503);
  CHECK(f.now("GET", "/lease").status == 503);
}

TEST_CASE("a lease is revoked, and one that is gone is no error") {
  Fixture f;
  kv::LeaseReply reply = lease_reply(7, 0);
  reply.deleted = 2;
  auto response = f.with(granted(reply), "DELETE", "/lease/7");
  CHECK(response.status == 200);
  CHECK(response.body == "{\"revoked\":true,\"deleted\":2,\"revision\":52}\n");
  CHECK(f.last_command<kv::RevokeLease>().id == 7);
  response = f.with(granted(lease_reply(7, 0, Result::kLeaseNotFound)), "DELETE", "/lease/7");
  CHECK(response.status == 200);
  CHECK(response.body == "{\"revoked\":false,\"deleted\":0,\"revision\":52}\n");
}

TEST_CASE("one lease is shown with the number of its keys, or with its keys, however many") {
  Fixture f;
  auto response = f.with(looked({6420, 30'000, 17'250, 2}), "GET", "/lease/6420");
  CHECK(response.body == "{\"id\":\"6420\",\"ttl\":30,\"remaining_ms\":17250,\"keys\":2}\n");
  CHECK(field(response, "Raftd-Revision") == "50");
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  CHECK_FALSE(f.last_query<kv::LeaseQuery>().with_keys);
  response =
      f.with(looked({6420, 30'000, 17'250, 3}, {"a", "\xff"}, "b"), "GET", "/lease/6420?keys");
  CHECK(f.last_query<kv::LeaseQuery>().with_keys);
  CHECK(f.last_query<kv::LeaseQuery>().bytes_max == limits::kHttpStreamBytes);
  CHECK(read_all(f, response,
                 [] {
                   return looked({6420, 30'000, 17'000, 3}, {"b"});
                 }) ==
        "{\"id\":\"6420\",\"ttl\":30,\"remaining_ms\":17250,\"keys\":[{\"key\":\"a\"},"
        "{\"key64\":\"/w==\"},{\"key\":\"b\"}]}\n");
  CHECK(f.last_query<kv::LeaseQuery>().start == "b");
  response = f.with(looked({6420, 30'000, 17'250, 3}, {"a"}, "b"), "GET", "/lease/6420?keys");
  const std::string broken = read_all(f, response, [] { return looked({}); });  // It ended.
  CHECK(broken.ends_with("{\"key\":\"a\"}(broken)"));
  response = f.with(looked({}), "GET", "/lease/6420");
  CHECK(response.status == 404);
  CHECK(contains(response.body, "\"error\":\"lease_not_found\""));
  CHECK(contains(response.body, "\"id\":\"6420\""));
}

TEST_CASE("all leases are a list that comes in pieces") {
  Fixture f;
  auto response = f.with(listed({}), "GET", "/lease");
  CHECK(read_all(f, response, [] { return listed({}); }) == "{\"revision\":50,\"leases\":[]}\n");
  response = f.with(listed({{1, 30'000, 17'250, 2}}, 4), "GET", "/lease");
  CHECK(read_all(f, response,
                 [] {
                   return listed({{4, 1000, 1, 0}});
                 }) ==
        "{\"revision\":50,\"leases\":["
        "{\"id\":\"1\",\"ttl\":30,\"remaining_ms\":17250,\"keys\":2},"
        "{\"id\":\"4\",\"ttl\":1,\"remaining_ms\":1,\"keys\":0}]}\n");
  CHECK(f.last_query<kv::LeasesQuery>().start == 4);
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  response = f.with(listed({{1, 30'000, 17'250, 2}}, 4), "GET", "/lease");
  CHECK(read_all(f, response, [] { return refused(Errc::kShuttingDown); }).ends_with("(broken)"));
}

TEST_CASE("beats that come while one is under way go out together, and each gets its own answer") {
  Fixture f;
  const auto beat = [&](const char* id) {
    return f.send(f.make("POST", std::string("/lease/") + id + "/keepalive"));
  };
  const RequestId first = beat("5");
  REQUIRE(f.backend.asked.size() == 1);  // Nothing was under way: at once.
  const RequestId second = beat("6");
  const RequestId third = beat("7");
  const RequestId fourth = beat("6");
  REQUIRE(f.backend.asked.size() == 1);
  f.answer(kept({30'000}));
  CHECK(beaten(f) == std::vector<kv::LeaseId>{5});
  CHECK(f.take(first).body == "{\"id\":\"5\",\"ttl\":30}\n");
  REQUIRE(f.backend.asked.size() == 1);
  f.answer(kept({2000, 0, 2000}));
  CHECK(beaten(f) == std::vector<kv::LeaseId>{6, 7, 6});
  CHECK(f.take(second).body == "{\"id\":\"6\",\"ttl\":2}\n");
  const auto gone = f.take(third);
  CHECK(gone.status == 404);
  CHECK(contains(gone.body, "\"error\":\"lease_not_found\""));
  CHECK(field(gone, "Raftd-Index") == "88");
  CHECK(f.take(fourth).status == 200);
  CHECK(f.backend.asked.empty());
}

TEST_CASE("what became of a command of beats all that were in it hear, and the next goes out") {
  Fixture f;
  const auto beat = [&] { return f.send(f.make("POST", "/lease/5/keepalive")); };
  const RequestId first = beat();
  const RequestId second = beat();
  f.answer(node::Unknown{.leader_lost = true});
  const auto lost = f.take(first);
  CHECK(lost.status == 504);
  CHECK(contains(lost.body, "\"error\":\"leader_lost\""));
  CHECK(contains(lost.body, "\"outcome\":\"unknown\""));
  const RequestId third = beat();
  f.answer(refused(Errc::kNotLeader));
  CHECK(f.take(second).status == 503);
  f.answer(kept({1000}));
  CHECK(f.take(third).status == 200);
}

TEST_CASE("a beat whose client is gone is answered to nobody, and holds up none") {
  Fixture f;
  const RequestId first = f.send(f.make("POST", "/lease/5/keepalive"));
  const RequestId second = f.send(f.make("POST", "/lease/6/keepalive"));
  const RequestId third = f.send(f.make("POST", "/lease/7/keepalive"));
  f.service.on_gone(first);
  f.service.on_gone(second);
  CHECK(f.backend.gone.empty());  // The replica does not know them.
  f.answer(kept({1000}));
  CHECK_FALSE(f.answered(first));
  f.answer(kept({1000}));
  CHECK(beaten(f) == std::vector<kv::LeaseId>{7});
  CHECK(f.take(third).status == 200);
}

TEST_CASE("a beat whose time is over hears so, whether it was sent or not; the others wait on") {
  Fixture f;
  const RequestId sent = f.send(f.make("POST", "/lease/5/keepalive?timeout=200ms"));
  const RequestId waits = f.send(f.make("POST", "/lease/6/keepalive?timeout=300ms"));
  const RequestId patient = f.send(f.make("POST", "/lease/7/keepalive"));
  f.service.on_turn(at_ms(1199));
  CHECK_FALSE(f.answered(sent));
  f.service.on_turn(at_ms(1200));
  CHECK(contains(f.take(sent).body, "\"outcome\":\"unknown\""));
  CHECK_FALSE(f.answered(waits));
  f.service.on_turn(at_ms(1300));
  const auto unsent = f.take(waits);
  CHECK(unsent.status == 504);
  CHECK(contains(unsent.body, "\"outcome\":\"none\""));
  f.answer(kept({1000}));
  f.answer(kept({1000}));
  CHECK(beaten(f) == std::vector<kv::LeaseId>{7});
  CHECK(f.take(patient).status == 200);
}

TEST_CASE("no more beats go into one command than one may hold") {
  Fixture f;
  std::vector<RequestId> all;
  for (std::size_t i = 0; i < limits::kLeasesKeptMax + 3; ++i)
    all.push_back(f.send(f.make("POST", "/lease/5/keepalive")));
  f.answer(kept({1000}));
  f.answer(kept(std::vector<std::uint64_t>(limits::kLeasesKeptMax, 1000)));
  CHECK(beaten(f).size() == limits::kLeasesKeptMax);
  f.answer(kept({1000, 1000}));
  for (const RequestId id : all)
    CHECK(f.take(id).status == 200);
}

TEST_CASE("a PUT may give a key a time to live, a lease, or keep the one that it has") {
  Fixture f;
  kv::WriteReply reply;
  reply.revision = 43;
  reply.created = true;
  reply.lease = 6417;
  reply.ttl_ms = 15'000;
  const auto choice = [&] { return f.last_command<kv::Put>().lease; };
  using Kind = kv::LeaseChoice::Kind;
  auto response = f.with(written(reply), "PUT", "/kv/a?ttl=15s", {}, "x");
  CHECK(response.status == 201);
  CHECK(response.body == "{\"revision\":43,\"created\":true,\"lease\":\"6417\",\"ttl\":15}\n");
  CHECK(choice().kind == Kind::kPrivate);
  CHECK(choice().number == 15'000);
  f.with(written(reply), "PUT", "/kv/a?lease=6417", {}, "x");
  CHECK(choice().kind == Kind::kAttach);
  CHECK(choice().number == 6417);
  f.with(written(reply), "PUT", "/kv/a?keep_lease", {}, "x");
  CHECK(choice().kind == Kind::kKeep);
  f.with(written(reply), "PUT", "/kv/a", {}, "x");
  CHECK(choice().kind == Kind::kNone);
  reply.result = Result::kLeaseNotFound;
  reply.number = 6417;
  response = f.with(written(reply), "PUT", "/kv/a?lease=6417", {}, "x");
  CHECK(response.status == 404);
  CHECK(contains(response.body, "\"error\":\"lease_not_found\""));
  CHECK(contains(response.body, "\"revision\":43"));
  reply.result = Result::kTooManyLeases;
  CHECK(f.with(written(reply), "PUT", "/kv/a?ttl=15s", {}, "x").status == 507);
  for (const char* target :
       {"/kv/a?ttl=1s&lease=1", "/kv/a?ttl=1s&keep_lease", "/kv/a?lease=1&keep_lease",
        "/kv/a?lease=0", "/kv/a?lease=x", "/kv/a?ttl=0", "/kv/a?ttl=999ms", "/kv/a?keep_lease=2"}) {
    CAPTURE(target);
    CHECK(f.now("PUT", target, {}, "x").status == 400);
  }
  CHECK(f.now("DELETE", "/kv/a?ttl=1s").status == 400);
}

TEST_CASE("what is shown of a key with a lease: its id as text, whole seconds rounded up") {
  Fixture f;
  kv::Item leased = item("app/a", "hello", 42, 7, 3);
  leased.lease = 9'223'372'036'854'775'807;
  leased.ttl_ms = 16'001;
  auto response = f.with(got(leased, 50), "GET", "/kv/app/a");
  CHECK(field(response, "Raftd-Lease") == "9223372036854775807");
  CHECK(field(response, "Raftd-Ttl") == "17");
  response = f.with(got(leased, 50), "GET", "/kv/app/a?meta");
  CHECK(response.body ==
        "{\"key\":\"app/a\",\"value\":\"hello\",\"mod\":42,\"create\":7,\"version\":3,"
        "\"lease\":\"9223372036854775807\",\"ttl\":17}\n");
  response = f.with(got(item("app/a", "hello", 42, 7, 3), 50), "GET", "/kv/app/a");
  CHECK(field(response, "Raftd-Lease") == "-");
  CHECK(field(response, "Raftd-Ttl") == "-");
}

}  // namespace raftd::api
