// Goal: every form of a guard and an operation, every refusal, and every answer of POST /txn, POST
// ?incr and POST ?touch. Method: requests to a service whose replica is a store that applies at
// once; answers that need leases are given by hand.
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

struct Played : Fixture {
  // What a replica would do with the one thing that is asked.
  http::Response run(std::string_view method, std::string_view target, std::string body,
                     std::vector<http::Header> headers = {}) {
    const RequestId id = send(make(method, target, std::move(headers), std::move(body)));
    if (answered(id)) return take(id);
    REQUIRE(backend.asked.size() == 1);
    const node::ClientOp& op = backend.asked.front().op;
    if (const auto* read = std::get_if<node::Read>(&op)) {
      answer(done(store.query(*read->query, {0})));
    } else {
      const auto& propose = std::get<node::Propose>(std::get<node::Write>(op).op);
      ++applied;
      machine::Outcome outcome =
          store.apply({{applied}, {1}, {0}, ByteView(propose.command).subspan(8)}, true);
      REQUIRE(outcome.finished);
      answer(done(std::move(outcome.reply), applied));
    }
    return take(id);
  }
  http::Response txn(std::string body, std::string_view query = "") {
    return run("POST", "/txn" + std::string(query), std::move(body));
  }
  std::string body_of(std::string body, std::string_view query = "") {
    const http::Response response = txn(std::move(body), query);
    CHECK(response.status == 200);
    return response.body;
  }
  void lock(std::string_view name) {
    kv::Acquire acquire;
    acquire.name = name;
    acquire.ttl_ms = 60'000;
    const Bytes command = kv::encode(acquire);
    ++applied;
    store.apply({{applied}, {1}, {0}, ByteView(command).subspan(machine::kStampBytes)}, false);
  }
  bool wrote() const { return std::holds_alternative<node::Write>(last_asked.op); }
};

std::string nested(int levels) {
  std::string body = R"({"then":[{"put":"a","value":"1"}]})";
  for (int i = 0; i < levels; ++i)
    body = R"({"then":[{"txn":)" + body + "}]}";
  return body;
}

void check_refused(Fixture& f, const std::string& body, const char* named) {
  CAPTURE(body);
  const auto response = f.now("POST", "/txn", {}, body);
  CHECK(response.status == 400);
  CHECK(field(response, "Raftd-Error") == "bad_json");
  CHECK_MESSAGE(contains(response.body, named), response.body);
}

}  // namespace

TEST_CASE("each operation answers with its own fields, at one revision") {
  Played f;
  f.put("tmp/1", "x");
  f.put("old", "before");
  const auto response = f.txn(R"({"then":[
      {"put":"a","value":"1"}, {"put":"old","value":"2","prev":true},
      {"put64":"/w==","value64":"/wA="},
      {"get":"a"}, {"get":"none"}, {"delete_prefix":"tmp/"}, {"delete":"none"},
      {"incr":"n","by":-7}, {"incr":"m"}, {"list":"","limit":2,"keys":true},
      {"txn":{"if":[{"key":"a","value":"1"}],"then":[{"delete":"never","prev":true}]}}]})");
  CHECK(response.status == 200);
  CHECK(field(response, "Raftd-Revision") == "4");
  CHECK(field(response, "Raftd-Index") == "3");
  CHECK(field(response, "Content-Type") == "application/json");
  CHECK(response.body ==
        R"({"succeeded":true,"revision":4,"results":[{"revision":4,"created":true},)"
        R"({"revision":4,"created":false,"prev":{)"
        R"("key":"old","value":"before","mod":3,"create":3,"version":1}},)"
        R"({"revision":4,"created":true},)"
        R"({"item":{"key":"a","value":"1","mod":4,"create":4,"version":1}},{"item":null},)"
        R"({"deleted":1,"revision":4},{"deleted":0,"revision":4},)"
        R"({"revision":4,"created":true,"value":-7},{"revision":4,"created":true,"value":1},)"
        R"({"items":[{"key":"a","mod":4,"create":4,"version":1},)"
        R"({"key":"m","mod":4,"create":4,"version":1}],"more":true},)"
        R"({"succeeded":true,"results":[{"deleted":0,"revision":4,"prev":null}]}]})"
        "\n");
}

TEST_CASE("leases of puts and touches are shown") {
  Fixture f;
  auto reply = std::make_unique<kv::TransactionReply>();
  reply->succeeded = true;
  reply->revision = 9;
  reply->results.resize(2);
  for (kv::OpReply& result : reply->results) {
    result.write.lease = 6417;
    result.write.ttl_ms = 14'001;
  }
  const auto response = f.with(done(std::move(reply)), "POST", "/txn", {},
                               R"({"then":[{"put":"a","value":"","ttl":"30s"},{"touch":"b"}]})");
  CHECK(contains(
      response.body,
      R"([{"revision":9,"created":false,"lease":"6417","ttl":15},{"lease":"6417","ttl":15}])"));
}

TEST_CASE("what a transaction says of leases reaches the store") {
  using Kind = kv::LeaseChoice::Kind;
  Fixture f;
  const auto lease_of = [&](const std::string& fields) {
    f.send(Fixture::make("POST", "/txn", {}, R"({"then":[{"put":"a","value":"")" + fields + "}]}"));
    f.answer(refused(Errc::kBusy));
    const auto& write = std::get<node::Write>(f.last_asked.op);
    const auto request = kv::decode(
        ByteView(std::get<node::Propose>(write.op).command).subspan(machine::kStampBytes));
    REQUIRE(request);
    return std::get<kv::Put>(std::get<kv::Transaction>((*request).command).then.at(0).op).lease;
  };
  CHECK(lease_of("").kind == Kind::kNone);
  CHECK(lease_of(R"(,"keep_lease":true)").kind == Kind::kKeep);
  CHECK(lease_of(R"(,"keep_lease":false)").kind == Kind::kNone);
  CHECK(lease_of(R"(,"ttl":"30s")").number == 30'000);
  CHECK(lease_of(R"(,"ttl":2)").number == 2000);
  CHECK(lease_of(R"(,"ttl":1.5)").number == 1500);
  CHECK(lease_of(R"(,"ttl":9000000000)").number == 9'000'000'000'000);
  CHECK(lease_of(R"(,"lease":"9223372036854775807")").number == INT64_MAX);
}

TEST_CASE("each guard holds or does not, alone and with others, in either form") {
  Played f;
  f.put("a", "m");
  f.put("a", "m");  // mod 3, create 2, version 2
  f.lock("job");    // 4.
  f.lock("\xff");   // 5.
  const std::pair<const char*, bool> guards[] = {
      {R"({"key":"a","mod":3})", true},
      {R"({"key":"a","mod":{"=":3}})", true},
      {R"({"key":"a","mod":{"!=":3}})", false},
      {R"({"key":"a","mod":{">":2,"<":4}})", true},
      {R"({"key":"a","mod":{">":2,"<":3}})", false},
      {R"({"key":"a","mod":{">=":3,"<=":3}})", true},
      {R"({"key":"a","mod":{">":5,"<":3}})", false},
      {R"({"key":"a","create":2,"version":2,"value":"m","lease":"0","exists":true})", true},
      {R"({"key":"a","create":2,"version":3})", false},
      {R"({"key64":"YQ==","value64":"bQ=="})", true},
      {R"({"key":"a","value64":{"!=":"bQ=="}})", false},
      {R"({"key":"a","value":{"<":"n",">":"l"}})", true},
      {R"({"key":"a","lease":{">":"0"}})", false},
      {R"({"key":"none","mod":0,"create":0,"version":0,"lease":"0","exists":false})", true},
      {R"({"key":"none","value":""})", false},
      {R"({"key":"none","value":{"!=":"m"}})", false},
      {R"({"prefix":"","exists":true})", true},
      {R"({"prefix64":"YQ==","exists":true})", true},
      {R"({"prefix":"b","exists":false})", true},
      {R"({"prefix":"b","exists":true})", false},
      {R"({"fence":"job","token":17})", false},
      {R"({"fence":"election:job","token":17})", false},
      {R"({"fence":"job","token":4})", true},
      {R"({"fence":"election:job","token":4})", false},
      {R"({"fence64":"am9i","token":4})", true},
      {R"({"fence64":"/w==","token":5})", true},
      {R"({"fence64":"/w==","token":4})", false},
      {R"({"fence64":"ZWxlY3Rpb246am9i","token":4})", false},
  };
  for (const auto& row : guards) {
    const auto& guard = row.first;
    const bool held = row.second;
    CAPTURE(guard);
    const std::string body = R"({"if":[{"key":"a","exists":true},)" + std::string(guard) +
                             R"(],"then":[{"get":"a"}],"else":[]})";
    CHECK(contains(f.body_of(body), held ? R"({"succeeded":true,)" : R"({"succeeded":false,)"));
    const auto strict = f.txn(body, "?strict");
    CHECK(strict.status == (held ? 200 : 412));
    if (!held) CHECK(contains(strict.body, R"("failed_guard":1)"));
  }
}

TEST_CASE("a strict transaction says which guard failed, with the results of else") {
  Played f;
  const auto response =
      f.txn(R"({"if":[{"key":"a","mod":{">=":0,"<=":5}},{"key":"a","exists":true}],)"
            R"("else":[{"put":"b","value":"1"},{"get":"a"}]})",
            "?strict");
  CHECK(response.status == 412);
  CHECK(field(response, "Raftd-Error") == "guard_failed");
  CHECK(field(response, "Raftd-Revision") == "2");
  CHECK(contains(response.body, R"("outcome":"none","revision":2)"));
  CHECK(contains(response.body,
                 R"("failed_guard":1,"results":[{"revision":2,"created":true},{"item":null}])"));
}

TEST_CASE("a transaction without a write is a read, with a read's parameters") {
  Played f;
  f.put("a", "1");
  f.put("a", "2");
  const char* body = R"({"then":[{"get":"a"},{"txn":{"then":[{"list":"a"}]}}]})";
  http::Response response = f.txn(body);
  CHECK_FALSE(f.wrote());
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  CHECK(field(response, "Raftd-Consistency") == "linearizable");
  CHECK(field(response, "Raftd-Revision") == "3");
  CHECK(contains(f.body_of(body, "?rev=2"), R"("value":"1")"));
  CHECK(contains(f.body_of("", ""), R"({"succeeded":true,"revision":3,"results":[]})"));
  CHECK(f.txn(body, "?rev=4").status == 400);
  CHECK(contains(f.txn(body, "?rev=4").body, "future_revision"));
  f.follow(2);
  CHECK(contains(f.body_of(body, "?consistency=stale"), R"("value":"2")"));
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  f.follow(0);
  CHECK(f.txn(body, "?consistency=stale").status == 200);
  CHECK(f.txn(body).status == 503);
  CHECK(f.txn(R"({"then":[{"delete":"a"}]})").status == 503);
}

TEST_CASE("a transaction that writes goes to the leader, and takes no read parameters") {
  Played f;
  const char* body = R"({"then":[{"put":"a","value":"1"}]})";
  for (const char* query : {"?rev=1", "?consistency=stale", "?min_revision=1"}) {
    const auto response = f.txn(body, query);
    CHECK(response.status == 400);
    CHECK(contains(response.body, "only reads"));
  }
  const auto minimal = f.run("POST", "/txn", body, {{"prefer", "return=minimal"}});
  CHECK(minimal.status == 204);
  CHECK(minimal.body.empty());
  CHECK(field(minimal, "Raftd-Revision") == "2");
  f.publish(2, "n2", "http://10.0.0.2:2379");
  f.follow(2);
  CHECK(f.txn(body, "?redirect").status == 307);
  CHECK(f.txn(body).status == 200);
  for (const char* condition : {"?cas=1", "?if=exists"})
    CHECK(f.txn(body, condition).status == 400);
  CHECK(f.run("POST", "/txn", body, {{"if-match", "1"}}).status == 400);
  CHECK(f.run("GET", "/txn", "").status == 405);
}

TEST_CASE("what is no transaction is refused by name, and nothing is asked of the store") {
  Fixture f;
  const std::pair<std::string, const char*> rows[] = {
      {"{", "no JSON at byte"},
      {"[]", "a transaction is an object"},
      {R"({"then":[]}x)", "no JSON at byte"},
      {R"({"thn":[]})", R"("field":"thn")"},
      {R"({"then":[],"then":[]})", "field then is there twice"},
      {R"({"then":{}})", R"("field":"then")"},
      {R"({"if":1})", R"("field":"if")"},
      {R"({"then":[1]})", "then[0]: an operation is an object"},
      {R"({"then":[{}]})", "an operation is put"},
      {R"({"then":[{"set":"a"}]})", R"("field":"set")"},
      {R"({"then":[{"put":"a"}]})", R"("field":"value")"},
      {R"({"then":[{"get":"a"},{"put":"a","value":1}]})", "then[1]: field value"},
      {R"({"then":[{"put":1,"value":"1"}]})", R"("field":"put")"},
      {R"({"then":[{"put":"a","put64":"YQ==","value":"1"}]})", R"("field":"put64")"},
      {R"({"then":[{"put":"a","value":"1","value64":""}]})", R"("field":"value64")"},
      {R"({"then":[{"put":"a","value64":"?"}]})", R"("field":"value64")"},
      {R"({"then":[{"put":"a","value":"1","get":"a"}]})", R"("field":"get")"},
      {R"({"then":[{"put":"a","value":"1","prev":1}]})", R"("field":"prev")"},
      {R"({"then":[{"put":"a","value":"1","ttl":"1x"}]})", R"("field":"ttl")"},
      {R"({"then":[{"put":"a","value":"1","ttl":0.5}]})", R"("field":"ttl")"},
      {R"({"then":[{"put":"a","value":"1","ttl":9000000001}]})", R"("field":"ttl")"},
      {R"({"then":[{"put":"a","value":"1","ttl":true}]})", R"("field":"ttl")"},
      {R"({"then":[{"put":"a","value":"1","lease":5}]})", R"("field":"lease")"},
      {R"({"then":[{"put":"a","value":"1","lease":"0"}]})", R"("field":"lease")"},
      {R"({"then":[{"put":"a","value":"1","lease":"9223372036854775808"}]})", R"("field":"lease")"},
      {R"({"then":[{"put":"a","value":"1","lease":"5","ttl":5}]})", R"("field":"lease")"},
      {R"({"then":[{"put":"a","value":"1","keep_lease":true,"ttl":5}]})", R"("field":"ttl")"},
      {R"({"then":[{"delete":"a","value":"1"}]})", R"("field":"value")"},
      {R"({"then":[{"delete_prefix":"a","prev":true}]})", R"("field":"prev")"},
      {R"({"then":[{"list":"a","limit":0}]})", R"("field":"limit")"},
      {R"({"then":[{"list":"a","limit":10001}]})", R"("field":"limit")"},
      {R"({"then":[{"list":"a","keys":"x"}]})", R"("field":"keys")"},
      {R"({"then":[{"incr":"a","by":1.5}]})", R"("field":"by")"},
      {R"({"then":[{"incr":"a","by":9223372036854775808}]})", R"("field":"by")"},
      {R"({"then":[{"incr":"a","ttl":5}]})", R"("field":"ttl")"},
      {R"({"then":[{"touch":"a","ttl":0}]})", R"("field":"ttl")"},
      {R"({"then":[{"txn":[]}]})", "a transaction is an object"},
      {R"({"else":[{"txn":{"if":[{"key":1}]}}]})", "else[0].txn.if[0]: field key"},
      {nested(4), R"("field":"txn")"},
      {nested(40), "deeper than"},
      {"{\"then\":[{\"get\":\"\xff\"}]}", "no JSON at byte"},
  };
  for (const auto& [body, named] : rows)
    check_refused(f, body, named);
  const auto empty = f.now("POST", "/txn", {}, R"({"then":[{"get":""}]})");
  CHECK(empty.status == 400);
  CHECK(field(empty, "Raftd-Error") == "bad_request");
}

TEST_CASE("what is no guard is refused by name") {
  Fixture f;
  const std::pair<std::string, const char*> rows[] = {
      {R"({"if":[5]})", "a guard is an object"},
      {R"({"if":[{}]})", "a guard has a key"},
      {R"({"if":[{"key":"a"}]})", "a guard says"},
      {R"({"if":[{"key":"a","mode":1}]})", R"("field":"mode")"},
      {R"({"if":[{"key":"a","mod":-1}]})", R"("field":"mod")"},
      {R"({"if":[{"key":"a","mod":"1"}]})", R"("field":"mod")"},
      {R"({"if":[{"key":"a","mod":{}}]})", R"("field":"mod")"},
      {R"({"if":[{"key":"a","mod":{"==":1}}]})", R"("field":"==")"},
      {R"({"if":[{"key":"a","value":"","value64":""}]})", R"("field":"value64")"},
      {R"({"if":[{"key":"a","lease":0}]})", R"("field":"lease")"},
      {R"({"if":[{"key":"a","exists":1}]})", R"("field":"exists")"},
      {R"({"if":[{"prefix":"a"}]})", R"("field":"exists")"},
      {R"({"if":[{"prefix":"a","mod":1}]})", R"("field":"mod")"},
      {R"({"if":[{"fence":"a"}]})", R"("field":"token")"},
      {R"({"if":[{"fence":"","token":1}]})", R"("field":"fence")"},
      {R"({"if":[{"fence64":"?","token":1}]})", R"("field":"fence64")"},
      {R"({"if":[{"fence":"a","fence64":"YQ==","token":1}]})", R"("field":"fence64")"},
      {R"({"if":[{"fence":"a","token":0}]})", R"("field":"token")"},
      {R"({"if":[{"fence":"a","token":1,"key":"b"}]})", R"("field":"key")"},
  };
  for (const auto& [body, named] : rows)
    check_refused(f, body, named);
}

TEST_CASE("three levels inside the outermost are done") {
  Played f;
  CHECK(f.txn(nested(3)).status == 200);
}

TEST_CASE("a key that would be written twice on one path is named") {
  Played f;
  const struct {
    const char* ops;
    const char* key;  // Null: it is allowed.
  } rows[] = {
      {R"({"put":"a","value":"1"},{"put":"a","value":"2"})", "a"},
      {R"({"put":"a","value":"1"},{"put64":"YQ==","value":"2"})", "a"},
      {R"({"put":"a","value":"1"},{"delete":"a"})", "a"},
      {R"({"delete":"a"},{"delete":"a"})", "a"},
      {R"({"incr":"a"},{"put":"b","value":""},{"incr":"a"})", "a"},
      {R"({"touch":"a"},{"put":"a","value":"1"})", "a"},
      {R"({"put":"a/b","value":"1"},{"delete_prefix":"a/"})", "a/b"},
      {R"({"delete_prefix":""},{"put":"z","value":"1"})", "z"},
      {R"({"put":"a","value":"1"},{"txn":{"then":[{"put":"a","value":"2"}]}})", "a"},
      {R"({"txn":{"else":[{"put":"a","value":"2"}]}},{"delete_prefix":"a"})", "a"},
      {R"({"txn":{"then":[{"delete_prefix":"a"}]}},{"txn":{"then":[{"incr":"ab"}]}})", "ab"},
      {R"({"txn":{"then":[{"put":"a","value":"1"}],"else":[{"put":"a","value":"2"}]}})", nullptr},
      {R"({"put":"a","value":"1"},{"get":"a"},{"list":"a"})", nullptr},
      {R"({"put":"a","value":"1"},{"delete_prefix":"a/"})", nullptr},
      {R"({"delete_prefix":"a"},{"delete_prefix":"ab"})", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.ops);
    const auto response = f.txn(R"({"then":[)" + std::string(row.ops) + "]}");
    CHECK(response.status == (row.key == nullptr ? 200 : 400));
    if (row.key == nullptr) continue;
    CHECK(field(response, "Raftd-Error") == "duplicate_key");
    CHECK(contains(response.body, "\"key\":\"" + std::string(row.key) + "\""));
  }
  // One branch or the other: never both.
  CHECK(f.txn(R"({"then":[{"incr":"x"}],"else":[{"incr":"x"}]})").status == 200);
}

TEST_CASE("what is too large or too much is 413 with its limit") {
  Played f;
  const std::string key(2049, 'k');
  const std::string value((1 << 20) + 1, 'v');
  const auto check = [&](const std::string& body, const char* limit, const char* max,
                         const char* got) {
    const auto response = f.txn(body);
    CHECK(response.status == 413);
    CHECK(contains(response.body, "\"limit\":\"" + std::string(limit) + "\""));
    CHECK(contains(response.body, "\"max\":" + std::string(max)));
    CHECK(contains(response.body, "\"got\":" + std::string(got)));
  };
  check(R"({"then":[{"get":")" + key + "\"}]}", "limits.key_bytes", "2048", "2049");
  check(R"({"then":[{"delete_prefix":")" + key + "\"}]}", "limits.key_bytes", "2048", "2049");
  check(R"({"if":[{"key":")" + key + "\",\"mod\":1}]}", "limits.key_bytes", "2048", "2049");
  check(R"({"then":[{"put":"a","value":")" + value + "\"}]}", "limits.value_bytes", "1048576",
        "1048577");
  std::string ops = R"({"get":"a"})";
  for (int i = 0; i < 509; ++i)
    ops += R"(,{"get":"a"})";
  const std::string guard = R"({"if":[{"key":"a","mod":{">":1,"<":3}}],"then":[)";
  CHECK(f.txn(guard + ops + "]}").status == 200);
  check(guard + ops + R"(],"else":[{"txn":{}}]})", "limits.txn_ops", "512", "513");

  f.put("big", std::string(1 << 20, 'v'));
  const auto reads = f.txn(R"({"then":[{"get":"big"},{"get":"big"},{"get":"big"},{"get":"big"}]})");
  CHECK(reads.status == 413);
  CHECK(field(reads, "Raftd-Error") == "too_large");
}

TEST_CASE("an operation that cannot be done is told with its key") {
  Played f;
  f.put("text", "x");
  f.put("max", "9223372036854775807");
  auto response = f.txn(R"({"then":[{"put":"a","value":"1"},{"incr":"text"}]})");
  CHECK(response.status == 409);
  CHECK(field(response, "Raftd-Error") == "not_a_number");
  CHECK(field(response, "Raftd-Index") == "3");
  CHECK(contains(response.body, R"("key":"text")"));
  CHECK(contains(response.body, R"("outcome":"none","revision":3)"));
  response = f.txn(R"({"then":[{"txn":{"then":[{"incr":"max"}]}}]})");
  CHECK(field(response, "Raftd-Error") == "overflow");
  response = f.txn(R"({"then":[{"put":"a","value":"1","lease":"77"}]})");
  CHECK(response.status == 404);
  CHECK(field(response, "Raftd-Error") == "lease_not_found");
  CHECK(contains(response.body, R"("key":"a","id":"77")"));
  CHECK(f.store.stats().revision == 3);

  using Result = kv::StoreReply::Result;
  const std::tuple<Result, int, const char*> rows[] = {
      {Result::kNotFound, 404, "not_found"},       {Result::kNoLease, 409, "no_lease"},
      {Result::kSharedLease, 409, "shared_lease"}, {Result::kTooManyLeases, 507, "quota"},
      {Result::kBadCommand, 500, "internal"},
  };
  for (const auto& [result, status, code] : rows) {
    auto reply = std::make_unique<kv::TransactionReply>();
    reply->result = result;
    reply->failed_key = "k";
    const auto told = static_cast<Fixture&>(f).with(done(std::move(reply)), "POST", "/txn", {},
                                                    R"({"then":[{"touch":"k"}]})");
    CHECK(told.status == status);
    CHECK(field(told, "Raftd-Error") == code);
  }
}

TEST_CASE("POST ?incr adds a signed number, on a condition") {
  Played f;
  auto response = f.run("POST", "/kv/n?incr", "");
  CHECK(response.status == 201);
  CHECK(response.body == "{\"revision\":2,\"created\":true,\"value\":1}\n");
  CHECK(field(response, "Raftd-Revision") == "2");
  response = f.run("POST", "/kv/n?incr=-9", "");
  CHECK(response.status == 200);
  CHECK(response.body == "{\"revision\":3,\"created\":false,\"value\":-8}\n");
  CHECK(f.run("POST", "/kv/n?incr&cas=2", "").status == 412);
  CHECK(f.run("POST", "/kv/n?incr&cas=3", "").status == 200);
  CHECK(f.run("POST", "/kv/n?incr&if=absent", "").status == 412);
  CHECK(f.run("POST", "/kv/n?incr", "", {{"if-match", "4"}}).status == 200);
  response = f.run("POST", "/kv/t?incr&ttl=30s", "");
  CHECK(contains(response.body, R"("value":1,"lease":"1","ttl":30})"));
  response = f.run("POST", "/kv/t?incr&lease=9", "");
  CHECK(response.status == 404);
  CHECK(contains(response.body, R"("id":"9")"));
  f.put("text", "x");
  response = f.run("POST", "/kv/text?incr", "");
  CHECK(response.status == 409);
  CHECK(field(response, "Raftd-Error") == "not_a_number");
  for (const char* bad : {"incr=x", "incr=1.5", "incr=+1", "incr=9223372036854775808", "incr&prev",
                          "incr&touch", "incr&ttl=5&lease=5", "incr&ttl=0", "incr&lease=0"}) {
    CAPTURE(bad);
    CHECK(f.now("POST", "/kv/n?" + std::string(bad)).status == 400);
  }
  CHECK(f.now("POST", "/kv/n?incr", {}, "body").status == 400);
  CHECK(f.now("POST", "/kv/?incr").status == 400);
  for (const char* method : {"GET", "PUT", "DELETE"})
    CHECK(f.now(method, "/kv/n?incr").status == 400);
}

TEST_CASE("POST ?touch renews a lease and changes no revision") {
  Fixture f;
  kv::WriteReply reply;
  reply.revision = 43;
  reply.lease = 6417;
  reply.ttl_ms = 15'000;
  const auto response = f.with(written(reply), "POST", "/kv/svc?touch&ttl=15s");
  CHECK(response.status == 200);
  CHECK(response.body == "{\"revision\":43,\"lease\":\"6417\",\"ttl\":15}\n");
  using Result = kv::WriteReply::Result;
  const std::tuple<Result, int, const char*> rows[] = {{Result::kNotFound, 404, "not_found"},
                                                       {Result::kNoLease, 409, "no_lease"},
                                                       {Result::kSharedLease, 409, "shared_lease"}};
  for (const auto& [result, status, code] : rows) {
    kv::WriteReply told;
    told.result = result;
    const auto refusal = f.with(written(told), "POST", "/kv/svc?touch");
    CHECK(refusal.status == status);
    CHECK(field(refusal, "Raftd-Error") == code);
    CHECK(contains(refusal.body, R"("key":"svc")"));
  }
  for (const char* bad : {"touch&prev", "touch&cas=1", "touch&ttl=0", "touch&lease=5", "touch=2"})
    CHECK(f.now("POST", "/kv/a?" + std::string(bad)).status == 400);
  CHECK(f.now("POST", "/kv/a?touch", {{"if-match", "*"}}).status == 400);
  CHECK(f.now("POST", "/kv/a?touch", {}, "body").status == 400);
}

}  // namespace raftd::api
