// Goal: puts, ranges, deletes and compactions answer as etcd does. Method: a store of its own
// behind the gateway; answers are compared to the byte, but for their header, of which only the
// revision is shown ("@5").
#include "unit/etcd/fixture.h"

namespace raftd::etcd {
namespace {

std::string put_body(std::string_view key, std::string_view value, const std::string& more = "") {
  return "{\"key\":" + b64(key) + ",\"value\":" + b64(value) + more + "}";
}
std::string range_body(std::string_view key, std::string_view end, const std::string& more = "") {
  return "{\"key\":" + b64(key) + ",\"range_end\":" + b64(end) + more + "}";
}
std::string one(std::string_view key, const std::string& more = "") {
  return "{\"key\":" + b64(key) + more + "}";
}
// A row as answers have it.
std::string row(std::string_view key, int create, int mod, int version, std::string_view value) {
  return "{\"key\":" + b64(key) + ",\"create_revision\":\"" + std::to_string(create) +
         "\",\"mod_revision\":\"" + std::to_string(mod) + "\",\"version\":\"" +
         std::to_string(version) + "\"" + (value.empty() ? "" : ",\"value\":" + b64(value)) + "}";
}

struct Fruits : EtcdFixture {
  // Revisions 2 to 6.
  Fruits() {
    for (const char* key : {"a", "c", "b", "d"})
      ask("/v3/kv/put", put_body(key, std::string(key) + key));
    ask("/v3/kv/put", put_body("c", "x"));
  }
  std::string range(const std::string& body) { return ask("/v3/kv/range", body); }
};

const std::string kA = row("a", 2, 2, 1, "aa");
const std::string kB = row("b", 4, 4, 1, "bb");
const std::string kC = row("c", 3, 6, 2, "x");
const std::string kD = row("d", 5, 5, 1, "dd");

}  // namespace

TEST_CASE("the first put of a store has revision 2, and every answer names cluster, member, term") {
  EtcdFixture f;
  const http::Response put = f.post("/v3/kv/put", "{\"key\":\"Zm9v\",\"value\":\"YmFy\"}");
  CHECK(put.status == 200);
  CHECK(put.body ==
        "{\"header\":{\"cluster_id\":\"10312128876783761221\",\"member_id\":\"1\","
        "\"revision\":\"2\",\"raft_term\":\"3\"}}");
  CHECK(api::field(put, "Content-Type") == "application/json");
  CHECK(api::field(put, "Grpc-Metadata-Content-Type") == "application/grpc");
  CHECK(api::field(put, "Access-Control-Allow-Origin") == "*");
  CHECK(f.ask("/v3/kv/range", "{\"key\":\"Zm9v\"}") ==
        "{@2,\"kvs\":[" + row("foo", 2, 2, 1, "bar") + "],\"count\":\"1\"}");
  CHECK(f.ask("/v3beta/kv/range", "{\"key\":\"bm8=\"}") == "{@2}");
  CHECK(f.ask("/v3alpha/kv/range", "{\"key\":\"bm8=\"}") == "{@2}");
}

TEST_CASE("what is written through one API is read through the other one") {
  EtcdFixture f;
  f.ask("/v3/kv/put", put_body("k", "v"));
  const api::RequestId id = f.send(api::Fixture::make("GET", "/kv/k"));
  f.run();
  CHECK(f.take(id).body == "v");
}

TEST_CASE("a range is one key, all from a key on, or all between two") {
  Fruits f;
  CHECK(f.range(one("c")) == "{@6,\"kvs\":[" + kC + "],\"count\":\"1\"}");
  CHECK(f.range(range_body("b", "d")) == "{@6,\"kvs\":[" + kB + "," + kC + "],\"count\":\"2\"}");
  CHECK(f.range(range_body("c", std::string(1, '\0'))) ==
        "{@6,\"kvs\":[" + kC + "," + kD + "],\"count\":\"2\"}");
  CHECK(f.range(range_body(std::string(1, '\0'), std::string(1, '\0'))) ==
        "{@6,\"kvs\":[" + kA + "," + kB + "," + kC + "," + kD + "],\"count\":\"4\"}");
  CHECK(f.range(range_body("d", "b")) == "{@6}");
  CHECK(f.range(range_body("b", "b")) == "{@6}");
}

TEST_CASE("a limit cuts rows, never the count") {
  Fruits f;
  CHECK(f.range(range_body("a", "z", ",\"limit\":2")) ==
        "{@6,\"kvs\":[" + kA + "," + kB + "],\"more\":true,\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"limit\":\"4\"")) ==
        "{@6,\"kvs\":[" + kA + "," + kB + "," + kC + "," + kD + "],\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"count_only\":true,\"limit\":1")) ==
        "{@6,\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "c", ",\"keys_only\":true")) ==
        "{@6,\"kvs\":[" + row("a", 2, 2, 1, "") + "," + row("b", 4, 4, 1, "") +
            "],\"count\":\"2\"}");
}

TEST_CASE("rows are sorted by what is asked for, and a limit takes the first of them") {
  Fruits f;
  CHECK(f.range(range_body("a", "z", ",\"sort_order\":\"DESCEND\",\"limit\":2")) ==
        "{@6,\"kvs\":[" + kD + "," + kC + "],\"more\":true,\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"sort_target\":\"CREATE\",\"limit\":2")) ==
        "{@6,\"kvs\":[" + kA + "," + kC + "],\"more\":true,\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"sort_target\":3,\"sort_order\":2")) ==
        "{@6,\"kvs\":[" + kC + "," + kD + "," + kB + "," + kA + "],\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"sort_target\":9")) ==
        error_text(400, 3, "etcdserver: invalid sort option"));
}

TEST_CASE("without an order a limit takes the first rows by key and one more, and sorts those") {
  Fruits f;
  for (const char* key : {"k3", "k2", "k1"})
    f.ask("/v3/kv/put", put_body(key, "v"));
  const std::string k2 = row("k2", 8, 8, 1, "v");
  const std::string k3 = row("k3", 7, 7, 1, "v");
  CHECK(f.range(range_body("k", "l", ",\"sort_target\":\"CREATE\",\"limit\":1")) ==
        "{@9,\"kvs\":[" + k2 + "],\"more\":true,\"count\":\"3\"}");
  CHECK(f.range(range_body("k", "l", ",\"sort_target\":\"MOD\",\"limit\":1,\"keys_only\":true")) ==
        "{@9,\"kvs\":[" + row("k2", 8, 8, 1, "") + "],\"more\":true,\"count\":\"3\"}");
  CHECK(f.range(range_body("k2", "l", ",\"sort_target\":\"MOD\",\"limit\":2")) ==
        "{@9,\"kvs\":[" + k3 + "," + k2 + "],\"count\":\"2\"}");
  CHECK(f.range(range_body("k", "l",
                           ",\"sort_target\":\"MOD\",\"sort_order\":\"ASCEND\",\"limit\":1")) ==
        "{@9,\"kvs\":[" + k3 + "],\"more\":true,\"count\":\"3\"}");
  CHECK(f.range(
            range_body("k", "l", ",\"sort_target\":\"MOD\",\"min_mod_revision\":1,\"limit\":1")) ==
        "{@9,\"kvs\":[" + k3 + "],\"more\":true,\"count\":\"3\"}");
}

TEST_CASE("bounds of revisions choose among rows, not among what is counted") {
  Fruits f;
  CHECK(f.range(range_body("a", "z", ",\"min_mod_revision\":5")) ==
        "{@6,\"kvs\":[" + kC + "," + kD + "],\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"max_create_revision\":3,\"limit\":1")) ==
        "{@6,\"kvs\":[" + kA + "],\"more\":true,\"count\":\"4\"}");
  CHECK(f.range(range_body("a", "z", ",\"max_create_revision\":2,\"limit\":1")) ==
        "{@6,\"kvs\":[" + kA + "],\"count\":\"4\"}");
  CHECK(f.range(one("c", ",\"max_mod_revision\":\"5\"")) == "{@6,\"count\":\"1\"}");
}

TEST_CASE("a range at a revision shows what was there, and the header the present revision") {
  Fruits f;
  CHECK(f.range(one("c", ",\"revision\":5")) ==
        "{@6,\"kvs\":[" + row("c", 3, 3, 1, "cc") + "],\"count\":\"1\"}");
  CHECK(f.range(range_body("a", "z", ",\"revision\":3")) ==
        "{@6,\"kvs\":[" + kA + "," + row("c", 3, 3, 1, "cc") + "],\"count\":\"2\"}");
  CHECK(f.range(range_body("a", "z",
                           ",\"revision\":3,\"sort_target\":\"MOD\",\"sort_order\":"
                           "\"DESCEND\"")) ==
        "{@6,\"kvs\":[" + row("c", 3, 3, 1, "cc") + "," + kA + "],\"count\":\"2\"}");
  const std::string future =
      error_text(400, 11, "etcdserver: mvcc: required revision is a future revision");
  CHECK(f.range(one("c", ",\"revision\":7")) == future);
  CHECK(f.range(range_body("a", "z", ",\"revision\":7")) == future);
  CHECK(f.range(range_body("a", "z", ",\"revision\":7,\"sort_target\":\"MOD\"")) == future);
}

TEST_CASE("a compaction ends history, and is refused where there is none any more or not yet") {
  Fruits f;
  const std::string compacted =
      error_text(400, 11, "etcdserver: mvcc: required revision has been compacted");
  CHECK(f.ask("/v3/kv/compaction", "{\"revision\":\"4\",\"physical\":true}") == "{@6}");
  CHECK(f.range(one("c", ",\"revision\":3")) == compacted);
  CHECK(f.range(range_body("a", "z", ",\"revision\":3")) == compacted);
  CHECK(f.range(range_body("a", "z", ",\"revision\":4")) ==
        "{@6,\"kvs\":[" + kA + "," + kB + "," + row("c", 3, 3, 1, "cc") + "],\"count\":\"3\"}");
  CHECK(f.ask("/v3/kv/compaction", "{\"revision\":\"4\"}") == compacted);
  CHECK(f.ask("/v3/kv/compaction", "{\"revision\":-1}") == compacted);
  CHECK(f.ask("/v3/kv/compaction", "{\"revision\":\"7\"}") ==
        error_text(400, 11, "etcdserver: mvcc: required revision is a future revision"));
}

TEST_CASE("a long range comes in pieces that are one answer") {
  EtcdFixture f;
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "k" + std::to_string(1000 + i);
    const std::string value(1000, 'v');
    f.ask("/v3/kv/put", put_body(key, value));
    expected += (i == 0 ? "" : ",") + row(key, i + 2, i + 2, 1, value);
  }
  CHECK(f.ask("/v3/kv/range", range_body("k", "l")) ==
        "{@301,\"kvs\":[" + expected + "],\"count\":\"300\"}");
  const std::string limited = f.ask("/v3/kv/range", range_body("k", "l", ",\"limit\":250"));
  CHECK(limited.ends_with("],\"more\":true,\"count\":\"300\"}"));
  CHECK(limited.find("k1249") == std::string::npos);
  const std::string down =
      f.ask("/v3/kv/range", range_body("k", "l", ",\"sort_order\":\"DESCEND\""));
  CHECK(down.size() == expected.size() + std::string("{@301,\"kvs\":[],\"count\":\"300\"}").size());
  CHECK(down.starts_with("{@301,\"kvs\":[" + row("k1299", 301, 301, 1, std::string(1000, 'v'))));
}

TEST_CASE("a put says what was there before, and can leave value or lease as they are") {
  Fruits f;
  CHECK(f.ask("/v3/kv/put", put_body("c", "y", ",\"prev_kv\":true")) ==
        "{@7,\"prev_kv\":" + kC + "}");
  CHECK(f.ask("/v3/kv/put", put_body("n", "y", ",\"prevKv\":true")) == "{@8}");
  CHECK(f.ask("/v3/kv/put", one("c", ",\"ignore_value\":true")) == "{@9}");
  CHECK(f.range(one("c")) == "{@9,\"kvs\":[" + row("c", 3, 9, 4, "y") + "],\"count\":\"1\"}");
  CHECK(f.ask("/v3/kv/put", one("no", ",\"ignore_value\":true")) ==
        error_text(400, 3, "etcdserver: key not found"));
  CHECK(f.ask("/v3/kv/put", put_body("no", "v", ",\"ignore_lease\":true")) ==
        error_text(400, 3, "etcdserver: key not found"));
  CHECK(f.ask("/v3/kv/put", one("no", ",\"ignore_value\":true,\"lease\":77")) ==
        error_text(404, 5, "etcdserver: requested lease not found"));
  CHECK(f.ask("/v3/kv/put", put_body("c", "v", ",\"ignore_value\":true")) ==
        error_text(400, 3, "etcdserver: value is provided"));
  CHECK(f.ask("/v3/kv/put", put_body("c", "v", ",\"ignore_lease\":true,\"lease\":1")) ==
        error_text(400, 3, "etcdserver: lease is provided"));
}

TEST_CASE("a put needs a key, a lease that exists, and sizes within the limits") {
  EtcdFixture f;
  const std::string no_key = error_text(400, 3, "etcdserver: key is not provided");
  const std::string no_lease = error_text(404, 5, "etcdserver: requested lease not found");
  const std::string large = error_text(400, 3, "etcdserver: request is too large");
  CHECK(f.ask("/v3/kv/put", "") == no_key);
  CHECK(f.ask("/v3/kv/put", "{\"value\":\"YQ==\"}") == no_key);
  CHECK(f.ask("/v3/kv/put", put_body("a", "v", ",\"lease\":7")) == no_lease);
  CHECK(f.ask("/v3/kv/put", put_body("a", "v", ",\"lease\":\"-7\"")) == no_lease);
  CHECK(f.ask("/v3/kv/put", put_body(std::string(2049, 'k'), "v")) == large);
  CHECK(f.ask("/v3/kv/put", put_body("k", std::string((1 << 20) + 1, 'v'))) == large);
  CHECK(f.ask("/v3/kv/put", put_body(std::string(2048, 'k'), std::string(1 << 20, 'v'))) == "{@2}");
}

TEST_CASE("a delete says how many keys it took, and changes no revision for none") {
  Fruits f;
  CHECK(f.ask("/v3/kv/deleterange", one("no")) == "{@6}");
  CHECK(f.ask("/v3/kv/deleterange", range_body("x", "z", ",\"prev_kv\":true")) == "{@6}");
  CHECK(f.ask("/v3/kv/deleterange", one("a", ",\"prev_kv\":true")) ==
        "{@7,\"deleted\":\"1\",\"prev_kvs\":[" + kA + "]}");
  CHECK(f.ask("/v3/kv/deleterange", range_body("b", "d", ",\"prev_kv\":true")) ==
        "{@8,\"deleted\":\"2\",\"prev_kvs\":[" + kB + "," + kC + "]}");
  CHECK(f.ask("/v3/kv/deleterange", range_body(std::string(1, '\0'), std::string(1, '\0'))) ==
        "{@9,\"deleted\":\"1\"}");
  CHECK(f.ask("/v3/kv/deleterange", "{}") == error_text(400, 3, "etcdserver: key is not provided"));
}

TEST_CASE("without a leader only what may be out of date is answered") {
  Fruits f;
  f.stand(raft::Role::kFollower, 0);
  const std::string none = error_text(503, 14, "etcdserver: no leader");
  CHECK(f.range(one("a")) == none);
  CHECK(f.ask("/v3/kv/put", put_body("a", "v")) == none);
  CHECK(f.ask("/v3/kv/deleterange", one("a")) == none);
  CHECK(f.ask("/v3/kv/compaction", "{\"revision\":3}") == none);
  CHECK(f.range(one("a", ",\"serializable\":true")) == "{@6,\"kvs\":[" + kA + "],\"count\":\"1\"}");
}

TEST_CASE("what the replica cannot do is said in etcd's words") {
  EtcdFixture f;
  const auto refusal = [&](Errc code) {
    const api::RequestId id = f.send(api::Fixture::make("POST", "/v3/kv/put", {}, one("a")));
    f.answer(api::refused(code));
    const http::Response response = f.take(id);
    return std::to_string(response.status) + " " + response.body;
  };
  CHECK(refusal(Errc::kNotLeader) == error_text(503, 14, "etcdserver: no leader"));
  CHECK(refusal(Errc::kSuperseded) == error_text(503, 14, "etcdserver: leader changed"));
  CHECK(refusal(Errc::kTimeout) == error_text(503, 14, "etcdserver: request timed out"));
  CHECK(refusal(Errc::kShuttingDown) == error_text(503, 14, "etcdserver: server stopped"));
  CHECK(refusal(Errc::kBusy) == error_text(429, 8, "etcdserver: too many requests"));
  CHECK(refusal(Errc::kDiskFull) ==
        error_text(429, 8, "etcdserver: mvcc: database space exceeded"));
}

TEST_CASE("other methods and other paths are refused as HTTP, and any page may ask") {
  EtcdFixture f;
  const http::Response get = f.now("GET", "/v3/kv/range");
  CHECK(get.status == 405);
  CHECK(get.body == "Method Not Allowed\n");
  const http::Response unknown = f.now("POST", "/v3/kv/nothing", {}, "{}");
  CHECK(unknown.status == 404);
  CHECK(unknown.body == "Not Found\n");
  const http::Response options = f.now("OPTIONS", "/v3/kv/range");
  CHECK(options.status == 200);
  CHECK(options.body.empty());
  CHECK(api::field(options, "Access-Control-Allow-Methods") == "POST, GET, OPTIONS, PUT, DELETE");
  CHECK(f.now("POST", "/v3", {}, "{}").status == 404);
}

TEST_CASE("malformed bodies are refused with the field that is wrong") {
  EtcdFixture f;
  const auto refused = [&](const std::string& body, const std::string& named) {
    const http::Response response = f.post("/v3/kv/put", body);
    CHECK_MESSAGE(response.status == 400, body);
    CHECK_MESSAGE(response.body.find("\"code\":3") != std::string::npos, body);
    CHECK_MESSAGE(response.body.find(named) != std::string::npos, response.body);
  };
  refused("{", "byte");
  refused("{\"key\":1}", "key");
  refused("{\"key\":\"a\"}", "key");
  refused("{\"key\":\"YQ==\",\"lease\":\"x\"}", "lease");
  refused("[]", "");
  refused("\xff", "byte");
}

}  // namespace raftd::etcd
