// Everything that is refused: which check answers first, the error's form, and its outcome.
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

node::ClientResult created(std::uint64_t revision) {
  kv::WriteReply reply;
  reply.revision = revision;
  reply.created = true;
  return written(std::move(reply));
}

TEST_CASE(
    "[ZF-11] [CP-8] a redirect goes to the leader's client URL with path and query as they were") {
  Fixture f;
  f.follow(2);
  const char* targets[] = {"/kv/a?redirect", "/kv//a%2Fb%00?redirect=1&timeout=1s",
                           "/kv/..?redirect=true", "/kv/p?redirect&prefix&limit=3"};
  for (const char* target : targets) {
    for (const char* method : {"GET", "HEAD", "PUT", "POST", "DELETE"}) {
      const bool prefix = contains(target, "prefix");
      if (prefix && std::string(method) != "DELETE") continue;
      CAPTURE(target);
      CAPTURE(method);
      const auto response = f.now(method, target, {}, "x");
      CHECK(response.status == 307);
      CHECK(field(response, "Location") == std::string("http://10.0.0.2:2379") + target);
      CHECK(field(response, "Raftd-Error") == "redirect");
      CHECK(field(response, "Cache-Control") == "-");
    }
  }
  const auto listed = f.now("GET", "/kv/a?list&redirect");
  CHECK(field(listed, "Location") == "http://10.0.0.2:2379/kv/a?list&redirect");
  const auto transfer = f.now("POST", "/cluster/transfer?to=1&redirect");
  CHECK(field(transfer, "Location") == "http://10.0.0.2:2379/cluster/transfer?to=1&redirect");
}

TEST_CASE("a redirect's body is the contract's") {
  Fixture f;
  f.follow(2);
  f.publish(2, "n2", "http://10.0.0.9:2379/");  // Published wins over listed.
  CHECK(f.now("PUT", "/kv/a?redirect", {}, "x").body ==
        "{\"error\":\"redirect\",\"message\":\"the leader is node 2\",\"status\":307,"
        "\"outcome\":\"none\",\"leader\":\"http://10.0.0.9:2379\"}\n");
}

TEST_CASE("the file's follower = redirect is like the parameter, and redirect=0 overrides it") {
  Fixture f;
  f.follow(2);
  ServiceLimits limits = usual_limits();
  limits.redirect = true;
  f.service.set_limits(limits);
  CHECK(f.now("PUT", "/kv/a", {}, "x").status == 307);
  CHECK(f.with(created(5), "PUT", "/kv/a?redirect=0", {}, "x").status == 201);
}

TEST_CASE("the leader never redirects, and a leader of unknown URL is forwarded to") {
  Fixture f;
  CHECK(f.with(created(5), "PUT", "/kv/a?redirect", {}, "x").status == 201);
  f.follow(7);
  CHECK(f.with(created(5), "PUT", "/kv/a?redirect", {}, "x").status == 201);
  f.publish(7, "n7", "http://evil\r\nSet-Cookie: a");  // Would break a header line.
  const auto response = f.with(created(5), "PUT", "/kv/a?redirect", {}, "x");
  CHECK(response.status == 201);
  CHECK(field(response, "Raftd-Leader") == "-");
}

TEST_CASE("without a leader there is 503 at once") {
  Fixture f;
  f.follow(0);
  const char* body =
      "{\"error\":\"no_leader\",\"message\":\"no leader is known; an election is under way\","
      "\"status\":503,\"outcome\":\"none\",\"retry_after_ms\":1000}\n";
  for (const char* method : {"GET", "PUT", "POST", "DELETE"}) {
    const auto response = f.now(method, "/kv/a?redirect");
    CHECK(response.status == 503);
    CHECK(response.body == body);
    CHECK(field(response, "Retry-After") == "1");
    CHECK(field(response, "Raftd-Error") == "no_leader");
    CHECK(field(response, "Raftd-Leader") == "-");
  }
  CHECK(f.now("POST", "/cluster/stepdown").status == 503);
  CHECK(f.now("GET", "/cluster").status == 503);
}

TEST_CASE("a request that a proxy forwarded already is not forwarded again") {
  Fixture f;
  f.follow(2);
  const auto response = f.now("PUT", "/kv/a", {{"raftd-forwarded", "3"}}, "x");
  CHECK(response.status == 503);
  CHECK(contains(response.body, "\"error\":\"no_leader\""));
  f.lead();
  CHECK(f.with(created(5), "PUT", "/kv/a", {{"raftd-forwarded", "3"}}, "x").status == 201);
}

TEST_CASE("[F72] an outcome is none only where the write certainly did not happen") {
  struct Case {
    node::ClientResult result;
    int status;
    const char* error;
    const char* outcome;
    bool retry_after;
  };
  const auto cases = [] {
    std::vector<Case> all;
    all.push_back({refused(Errc::kNotLeader), 503, "no_leader", "none", true});
    all.push_back({refused(Errc::kBusy), 429, "overloaded", "none", true});
    all.push_back({refused(Errc::kTransferring), 503, "transferring", "none", true});
    all.push_back({refused(Errc::kNotReady, "why"), 503, "not_ready", "none", true});
    all.push_back({refused(Errc::kDiskFull), 507, "disk_full", "none", false});
    all.push_back({refused(Errc::kSuperseded), 503, "superseded", "none", true});
    all.push_back({refused(Errc::kTimeout), 504, "timeout", "none", false});
    all.push_back({refused(Errc::kShuttingDown), 503, "shutting_down", "none", true});
    all.push_back({refused(Errc::kTooBig), 413, "too_large", "none", false});
    all.push_back({refused(Errc::kIo), 500, "internal", "unknown", false});
    all.push_back({refused(Errc::kBadInput), 500, "internal", "unknown", false});
    all.push_back({node::Unknown{false}, 504, "timeout", "unknown", false});
    all.push_back({node::Unknown{true}, 504, "leader_lost", "unknown", false});
    return all;
  };
  Fixture f;
  for (const char* method : {"PUT", "POST", "DELETE"}) {
    for (Case& each : cases()) {
      CAPTURE(each.error);
      const auto response = f.with(std::move(each.result), method, "/kv/a", {}, "v");
      CHECK(response.status == each.status);
      CHECK(field(response, "Raftd-Error") == each.error);
      CHECK(contains(response.body, std::string("{\"error\":\"") + each.error + "\""));
      CHECK(contains(response.body, std::string("\"outcome\":\"") + each.outcome + "\""));
      CHECK((field(response, "Retry-After") == "1") == each.retry_after);
    }
  }
  for (Case& each : cases()) {  // A read does nothing, whatever becomes of it.
    const auto response = f.with(std::move(each.result), "GET", "/kv/a");
    CHECK(response.status == each.status);
    CHECK(contains(response.body, "\"outcome\":\"none\""));
  }
}

TEST_CASE("an unknown, repeated, misread or later parameter is refused by name") {
  Fixture f;
  const std::pair<const char*, const char*> cases[] = {
      {"caz=1", "caz"},
      {"cas=1&cas=1", "cas"},
      {"timeout=0", "timeout"},
      {"timeout=61s", "timeout"},
      {"timeout=-1", "timeout"},
      {"timeout=1d", "timeout"},
      {"timeout=1m30s", "timeout"},
      {"timeout=", "timeout"},
      {"timeout=.5", "timeout"},
      {"redirect=yes", "redirect"},
      {"prev=2", "prev"},
      {"list", "list"},
      {"meta", "meta"},
      {"rev=1", "rev"},
      {"consistency=stale", "consistency"},
      {"Cas=1", "Cas"},
      {"%63as=x", "cas"},
      {"to=1", "to"},
  };
  for (const auto& each : cases) {
    const auto& query = each.first;
    const auto& name = each.second;
    CAPTURE(query);
    const auto response = f.now("PUT", std::string("/kv/a?") + query, {}, "v");
    CHECK(response.status == 400);
    CHECK(contains(response.body, "\"error\":\"bad_request\""));
    CHECK(contains(response.body, std::string("\"parameter\":\"") + name + "\""));
    CHECK(contains(response.body, "\"outcome\":\"none\""));
  }
  for (const char* method : {"GET", "PUT", "POST", "DELETE"}) {
    const auto response = f.now(method, std::string("/kv/a?watch"));
    CHECK(response.status == 400);
  }
  CHECK(contains(f.now("GET", "/kv/a?ttl=15s").body, "takes no parameter ttl"));
  CHECK(contains(f.now("GET", "/status?watch").body, "takes no parameter watch"));
  for (const char* bad : {"/kv/a?=1", "/kv/a?%zz", "/kv/a?cas=%4", "/kv/a?a b"}) {
    CAPTURE(bad);
    CHECK(f.now("PUT", bad).status == 400);
  }
}

TEST_CASE("timeouts take one number and one unit") {
  Fixture f;
  const std::pair<const char*, int> cases[] = {{"1ms", 1},    {"500ms", 500},  {"2", 2000},
                                               {"1.5", 1500}, {"1.5s", 1500},  {"1m", 60'000},
                                               {"0.001", 1},  {"0.5m", 30'000}};
  for (const auto& [text, ms] : cases) {
    f.with(created(5), "PUT", std::string("/kv/a?timeout=") + text, {}, "v");
    CHECK(f.last_asked.deadline == at_ms(1000 + ms));
  }
  f.with(created(5), "PUT", "/kv/a", {}, "v");
  CHECK(f.last_asked.deadline == at_ms(6000));
  for (const char* bad :
       {"9999999999999999999h", "1e3", "1.", "1..5", "0x1", "1 s", "s", "inf", "1.1234567", "+1"}) {
    CAPTURE(bad);
    CHECK(f.now("PUT", std::string("/kv/a?timeout=") + bad).status == 400);
  }
}

TEST_CASE("headers that this release does not have are refused on writes") {
  Fixture f;
  CHECK(f.now("PUT", "/kv/a", {{"authorization", "Bearer abc"}}).status == 400);
  CHECK(f.now("GET", "/kv/a", {{"authorization", "Bearer abc"}}).status == 400);
}

TEST_CASE("another cluster, another API version and another expectation are refused") {
  Fixture f;
  const auto wrong = f.now("GET", "/kv/a", {{"raftd-cluster", "0000000000000000"}});
  CHECK(wrong.status == 421);
  CHECK(field(wrong, "Raftd-Error") == "wrong_cluster");
  CHECK(f.now("GET", "/status", {{"raftd-cluster", "8f1c0a93d2be7745"}}).status == 200);
  CHECK(f.now("GET", "/status", {{"raftd-api", "1"}}).status == 200);
  CHECK(f.now("GET", "/status", {{"raftd-api", "2"}}).status == 400);
  const auto expect = f.now("PUT", "/kv/a", {{"expect", "202-accepted"}});
  CHECK(expect.status == 417);
  CHECK(expect.close);
  CHECK(f.with(created(5), "PUT", "/kv/a", {{"expect", "100-Continue"}}, "v").status == 201);
}

TEST_CASE("a page of another origin cannot write") {
  Fixture f;
  for (const char* origin :
       {"http://evil.example", "null", "http://10.0.0.1:2380", "http://10.0.0.1",
        "ftp://10.0.0.1:2379", "", "http://", "http://10.0.0.1:2379.evil.example"}) {
    CAPTURE(origin);
    for (const char* method : {"PUT", "POST", "DELETE"}) {
      const auto response = f.now(method, "/kv/a", {{"origin", origin}});
      CHECK(response.status == 403);
      CHECK(field(response, "Raftd-Error") == "forbidden");
    }
    CHECK(f.now("GET", "/status", {{"origin", origin}}).status == 200);
  }
  CHECK(f.with(created(5), "PUT", "/kv/a", {{"origin", "http://10.0.0.1:2379"}}, "v").status ==
        201);
  http::Request request = Fixture::make("PUT", "/kv/a", {{"origin", "http://NODE"}});
  request.headers.back().value = "node:80";
  const RequestId id = f.send(std::move(request));
  CHECK_FALSE(f.answered(id));
}

TEST_CASE("paths that nothing serves are 404") {
  Fixture f;
  for (const char* path : {"/status/", "/kvx", "/KV/a", "/v3/kv/range", "/watchx/a", "/lock/a/b",
                           "/txn/", "/ui", "/cluster/", "/cluster/members/", "/cluster/members/1/2",
                           "/cluster/campaigns", "//kv/a", "/a\r\n", "/admin"}) {
    CAPTURE(path);
    for (const char* method : {"GET", "PUT", "OPTIONS", "PATCH"}) {
      const auto response = f.now(method, path);
      CHECK(response.status == 404);
      CHECK(field(response, "Raftd-Error") == "unknown_path");
    }
  }
}

TEST_CASE("OPTIONS says what is allowed, and what is not allowed is 405") {
  Fixture f;
  const auto options = f.now("OPTIONS", "/kv/a");
  CHECK(options.status == 204);
  CHECK(field(options, "Allow") == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  CHECK(field(options, "Raftd-Node") == "1");
  CHECK(field(f.now("OPTIONS", "*"), "Allow") == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  CHECK(field(f.now("OPTIONS", "/status"), "Allow") == "GET, HEAD, OPTIONS");
  const auto put = f.now("PUT", "/status");
  CHECK(put.status == 405);
  CHECK(field(put, "Allow") == "GET, HEAD, OPTIONS");
  CHECK(field(put, "Raftd-Error") == "method_not_allowed");
  CHECK(field(f.now("GET", "/cluster/transfer"), "Allow") == "POST, OPTIONS");
  CHECK(f.now("PATCH", "/kv/a").status == 405);
  CHECK(f.now("TRACE", "/nothing").status == 405);
  CHECK(f.now("CONNECT", "10.0.0.1:2379").status == 405);
  const auto unknown = f.now("BREW", "/kv/a");
  CHECK(unknown.status == 501);
  CHECK(unknown.close);
  CHECK(f.now("Brew", "/kv/a").status == 400);
}

TEST_CASE("the first failing check answers") {
  Fixture f;
  f.follow(0);
  CHECK(f.now("PUT", "/nothing?caz", {{"origin", "null"}, {"raftd-api", "2"}}).status == 404);
  CHECK(f.now("PUT", "/status?caz", {{"origin", "null"}}).status == 405);
  CHECK(f.now("PUT", "/kv/a?caz", {{"origin", "null"}, {"raftd-cluster", "x"}}).status == 403);
  CHECK(f.now("PUT", "/kv/a?caz", {{"raftd-cluster", "x"}}).status == 421);
  CHECK(f.now("PUT", "/kv/a?caz").status == 400);
  CHECK(f.now("PUT", "/kv/" + std::string(2049, 'k')).status == 413);
  CHECK(f.now("PUT", "/kv/a").status == 503);
}

TEST_CASE("a head is refused before its body comes") {
  Fixture f;
  const auto head = [&](const char* method, const char* target,
                        std::vector<http::Header> headers = {}) {
    const auto response =
        f.service.on_head(at_ms(1000), Fixture::make(method, target, std::move(headers)));
    return response ? response->status : 0;
  };
  CHECK(head("PUT", "/kv/a", {{"content-length", "1048576"}}) == 0);
  CHECK(head("PUT", "/kv/a", {{"content-length", "1048577"}}) == 413);
  CHECK(head("PUT", "/kv/a?caz") == 400);
  CHECK(head("PUT", "/status") == 405);
  CHECK(head("PUT", "/nothing") == 404);
  CHECK(head("GET", "/status") == 0);
  CHECK(head("GET", "/kv/a") == 0);
  CHECK(head("POST", "/cluster/stepdown") == 0);
  f.follow(2);
  CHECK(head("PUT", "/kv/a?redirect", {{"content-length", "5"}}) == 307);
  CHECK(head("PUT", "/kv/a", {{"content-length", "5"}}) == 0);
  CHECK(head("POST", "/cluster/stepdown?redirect") == 307);
  f.follow(0);
  CHECK(head("PUT", "/kv/a") == 503);
  CHECK(f.backend.asked.empty());
  const auto large = f.service.on_head(
      at_ms(1000), Fixture::make("PUT", "/kv/a", {{"content-length", "99999999"}}));
  REQUIRE(large);
  CHECK(large->close);
}

TEST_CASE("a refusal of the connection has the error's form and closes") {
  Fixture f;
  http::Refusal refusal;
  refusal.status = 431;
  refusal.error = "headers_too_large";
  refusal.message = "more than 64 header fields";
  refusal.limit = "limits.header_bytes";
  refusal.max = 16384;
  const auto response = f.service.refusal(at_ms(1000), refusal);
  CHECK(response.status == 431);
  CHECK(response.close);
  CHECK(response.body ==
        "{\"error\":\"headers_too_large\",\"message\":\"more than 64 header fields\","
        "\"status\":431,\"outcome\":\"none\",\"leader\":\"http://10.0.0.1:2379\","
        "\"limit\":\"limits.header_bytes\",\"max\":16384}\n");
  refusal = {503, "too_many_clients", "20000 connections are open", "client.max_connections",
             20000};
  CHECK(field(f.service.refusal(at_ms(1000), refusal), "Retry-After") == "1");
}

TEST_CASE("traceparent is echoed") {
  Fixture f;
  const std::vector<http::Header> trace = {{"traceparent", "00-aa-bb-01"}};
  CHECK(field(f.now("GET", "/status", trace), "traceparent") == "00-aa-bb-01");
  CHECK(field(f.with(created(5), "PUT", "/kv/a", trace, "v"), "traceparent") == "00-aa-bb-01");
}

TEST_CASE("a slow request is one log line with its traceparent, and at most one in a second") {
  Fixture f;
  std::vector<std::string> lines;
  f.log = Log(LogLevel::kWarn, [&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const auto put = [&] {
    return f.send(f.make("PUT", "/kv/secret", {{"traceparent", "00-aa-bb-01"}}, "v"));
  };
  const RequestId quick = put();
  f.service.on_turn(at_ms(1999));
  f.answer(created(5));
  CHECK(lines.empty());
  put();
  put();
  f.service.on_turn(at_ms(2500));
  f.answer(created(6));
  f.answer(created(7));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        "slow request: /kv took 1500 ms, status 201, traceparent 00-aa-bb-01; 0 more were not "
        "named");
  put();
  f.service.on_turn(at_ms(3500));
  f.answer(created(8));
  REQUIRE(lines.size() == 2);
  CHECK(contains(lines[1], "; 1 more were not named"));
  CHECK(f.take(quick).status == 201);
}

TEST_CASE("bytes in an error's message are escaped") {
  Fixture f;
  const auto response = f.with(got(kv::GetReply::Result::kNotFound, 5), "GET", "/kv/%0d%0aX%22");
  CHECK(contains(response.body, "\"message\":\"key %0D%0AX\\\" does not exist\""));
  CHECK(contains(response.body, "\"key\":\"\\r\\nX\\\"\""));
}

}  // namespace
}  // namespace raftd::api
