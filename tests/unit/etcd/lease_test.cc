// Leases as clients of etcd see them: the contract's answers byte for byte.
#include "base/limits.h"
#include "unit/etcd/played_fixture.h"

namespace raftd::etcd {
namespace {

using Result = kv::StoreReply::Result;
using api::done;

node::ClientResult granted(kv::LeaseId id, std::uint64_t ttl_ms, Result result = Result::kDone) {
  auto reply = std::make_unique<kv::LeaseReply>();
  reply->result = result;
  reply->revision = 52;
  reply->id = id;
  reply->ttl_ms = ttl_ms;
  return done(std::move(reply));
}
node::ClientResult kept(std::uint64_t ttl_ms) {
  auto reply = std::make_unique<kv::KeepLeasesReply>();
  reply->revision = 52;
  reply->ttls_ms = {ttl_ms};
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
node::ClientResult listed(std::vector<kv::LeaseId> ids, kv::LeaseId next = 0) {
  auto reply = std::make_unique<kv::LeasesReply>();
  reply->revision = 50;
  for (const kv::LeaseId id : ids)
    reply->rows.push_back({id, 1000, 1000, 0});
  reply->next = next;
  return done(std::move(reply));
}

}  // namespace

TEST_CASE("a lease is granted, with an id that nobody hits or one's own") {
  PlayedFixture f;
  auto response = f.post("/lease/grant", R"({"TTL":"20","ID":0})", granted(6420, 20'000));
  CHECK(PlayedFixture::outcome(response) ==
        "200 {" + header_at(52) + R"(,"ID":"6420","TTL":"20"})");
  CHECK(f.last_command<kv::GrantLease>().id > 1'000'000);
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == 20'000);
  response = f.post("/lease/grant", R"({"TTL":60,"ID":"7"})", granted(7, 60'000));
  CHECK(f.last_command<kv::GrantLease>().id == 7);
  response =
      f.post("/lease/grant", R"({"TTL":60,"ID":"7"})", granted(7, 60'000, Result::kLeaseExists));
  CHECK(PlayedFixture::outcome(response) == "400 9 etcdserver: lease already exists");
}

TEST_CASE("an id that was chosen and is taken is chosen anew") {
  PlayedFixture f;
  const api::RequestId id = f.ask("/lease/grant", R"({"TTL":20})");
  f.answer(granted(0, 0, Result::kLeaseExists));
  const kv::LeaseId first = f.last_command<kv::GrantLease>().id;
  CHECK_FALSE(f.answered(id));
  f.answer(granted(6420, 20'000));
  CHECK(f.last_command<kv::GrantLease>().id != first);
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == 20'000);
  CHECK(f.take(id).status == 200);
}

TEST_CASE("a short time to live is made two seconds, and one that is too long is refused") {
  PlayedFixture f;
  for (const char* body : {R"({"TTL":"1"})", R"({"TTL":0})", R"({"TTL":-5})", "{}"}) {
    CAPTURE(body);
    (void)f.post("/lease/grant", body, granted(1, 2000));
    CHECK(f.last_command<kv::GrantLease>().ttl_ms == 2000);
  }
  (void)f.post("/lease/grant", R"({"TTL":"9000000000"})", granted(1, 9'000'000'000'000));
  CHECK(f.last_command<kv::GrantLease>().ttl_ms == limits::kLeaseTtlMsMax);
  CHECK(PlayedFixture::outcome(f.post("/lease/grant", R"({"TTL":"9000000001"})")) ==
        "400 11 etcdserver: too large lease TTL");
  CHECK(PlayedFixture::outcome(f.post("/lease/grant", R"({"TTL":"20","ID":"-1"})")) ==
        "400 3 etcdserver: lease IDs are not negative");
}

TEST_CASE("a lease is revoked once") {
  PlayedFixture f;
  CHECK(PlayedFixture::outcome(f.post("/lease/revoke", R"({"ID":"5"})", granted(5, 0))) ==
        "200 {" + header_at(52) + "}");
  CHECK(f.last_command<kv::RevokeLease>().id == 5);
  CHECK(PlayedFixture::outcome(
            f.post("/kv/lease/revoke", R"({"ID":"5"})", granted(5, 0, Result::kLeaseNotFound))) ==
        "404 5 etcdserver: requested lease not found");
  CHECK(PlayedFixture::outcome(f.post("/lease/revoke", R"({"ID":"-5"})")) ==
        "404 5 etcdserver: requested lease not found");
}

TEST_CASE("a keepalive is answered by a stream of one message") {
  PlayedFixture f;
  auto response = f.post("/lease/keepalive", R"({"ID":"5"})", kept(20'000));
  CHECK(response.status == 200);
  CHECK(read_all(response) == "{\"result\":{" + header_at(52) + ",\"ID\":\"5\",\"TTL\":\"20\"}}\n");
  CHECK(f.last_command<kv::KeepLeases>().ids == std::vector<kv::LeaseId>{5});
}

TEST_CASE("a keepalive of a lease that is not there has no time to live") {
  PlayedFixture f;
  auto response = f.post("/lease/keepalive", R"({"ID":"5"})", kept(0));
  CHECK(read_all(response) == "{\"result\":{" + header_at(52) + ",\"ID\":\"5\"}}\n");
  response = f.post("/lease/keepalive", R"({"ID":"-5"})");
  CHECK(read_all(response) == "{\"result\":{" + header_at(1) + ",\"ID\":\"-5\"}}\n");
  response = f.post("/lease/keepalive", "{}");
  CHECK(read_all(response) == "{\"result\":{" + header_at(1) + "}}\n");
}

TEST_CASE("keepalives of many clients share a command") {
  PlayedFixture f;
  const api::RequestId first = f.ask("/lease/keepalive", R"({"ID":"1"})");
  const api::RequestId second = f.ask("/lease/keepalive", R"({"ID":"2"})");
  const api::RequestId third = f.ask("/lease/keepalive", R"({"ID":"3"})");
  f.answer(kept(3000));
  auto reply = std::make_unique<kv::KeepLeasesReply>();
  reply->ttls_ms = {4000, 0};
  f.answer(done(std::move(reply)));
  CHECK(f.last_command<kv::KeepLeases>().ids == std::vector<kv::LeaseId>{2, 3});
  http::Response answers[] = {f.take(first), f.take(second), f.take(third)};
  CHECK(api::contains(read_all(answers[0]), R"("ID":"1","TTL":"3")"));
  CHECK(api::contains(read_all(answers[1]), R"("ID":"2","TTL":"4")"));
  CHECK(api::contains(read_all(answers[2]), R"("ID":"3"}})"));
}

TEST_CASE("a leader that is lost is something to try again") {
  PlayedFixture f;
  auto response =
      f.post("/lease/keepalive", R"({"ID":"5"})", node::ClientResult(node::Unknown{true}));
  CHECK(PlayedFixture::outcome(response) == "503 14 etcdserver: leader changed");
  f.follow(0);
  for (const char* path : {"/lease/keepalive", "/lease/grant", "/lease/revoke", "/lease/leases",
                           "/lease/timetolive"}) {
    CAPTURE(path);
    CHECK(PlayedFixture::outcome(f.post(path, R"({"ID":"5","TTL":"5"})")) ==
          "503 14 etcdserver: no leader");
  }
}

TEST_CASE("what is left of a lease is told in whole seconds") {
  PlayedFixture f;
  auto response = f.post("/lease/timetolive", R"({"ID":"5"})", looked({5, 20'000, 19'999, 2}));
  CHECK(PlayedFixture::outcome(response) ==
        "200 {" + header_at(50) + R"(,"ID":"5","TTL":"19","grantedTTL":"20"})");
  CHECK(!f.last_query<kv::LeaseQuery>().with_keys);
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  response = f.post("/kv/lease/timetolive", R"({"ID":"777"})", looked({}));
  CHECK(PlayedFixture::outcome(response) == "200 {" + header_at(50) + R"(,"ID":"777","TTL":"-1"})");
  response = f.post("/lease/timetolive", R"({"ID":"-7"})", looked({}));
  CHECK(PlayedFixture::outcome(response) == "200 {" + header_at(50) + R"(,"ID":"-7","TTL":"-1"})");
  CHECK(f.last_query<kv::LeaseQuery>().id == 0);
}

TEST_CASE("the keys of a lease are listed, many of them in pieces") {
  PlayedFixture f;
  constexpr const char* kBody = R"({"ID":"5","keys":true})";
  auto response = f.post("/lease/timetolive", kBody, looked({5, 9000, 9000, 2}, {"a", "b"}));
  CHECK(PlayedFixture::outcome(response) ==
        "200 {" + header_at(50) +
            R"(,"ID":"5","TTL":"9","grantedTTL":"9","keys":["YQ==","Yg=="]})");
  response = f.post("/lease/timetolive", kBody, looked({5, 9000, 9000, 3}, {"a", "b"}, "c"));
  CHECK(read_all(f, response,
                 [] {
                   return looked({5, 9000, 8000, 3}, {"c"});
                 }) ==
        "{" + header_at(50) +
            R"(,"ID":"5","TTL":"9","grantedTTL":"9","keys":["YQ==","Yg==","Yw=="]})");
  CHECK(f.last_query<kv::LeaseQuery>().start == "c");
  response = f.post("/lease/timetolive", kBody, looked({5, 9000, 9000, 3}, {"a", "b"}, "c"));
  CHECK(read_all(f, response, [] { return looked({}); }).ends_with("(broken)"));
}

TEST_CASE("all leases are listed, many of them in pieces") {
  PlayedFixture f;
  auto response = f.post("/lease/leases", "{}", listed({7, 9}));
  CHECK(PlayedFixture::outcome(response) ==
        "200 {" + header_at(50) + R"(,"leases":[{"ID":"7"},{"ID":"9"}]})");
  CHECK(PlayedFixture::outcome(f.post("/kv/lease/leases", "", listed({}))) ==
        "200 {" + header_at(50) + "}");
  response = f.post("/lease/leases", "{}", listed({7, 9}, 11));
  CHECK(read_all(f, response, [] { return listed({11}); }) ==
        "{" + header_at(50) + R"(,"leases":[{"ID":"7"},{"ID":"9"},{"ID":"11"}]})");
  CHECK(f.last_query<kv::LeasesQuery>().start == 11);
}

}  // namespace raftd::etcd
