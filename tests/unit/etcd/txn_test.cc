// Goal: transactions answer as etcd does. Method: as in kv_test.cc.
#include "unit/etcd/fixture.h"

namespace raftd::etcd {
namespace {

std::string put_op(std::string_view key, std::string_view value) {
  return "{\"request_put\":{\"key\":" + b64(key) + ",\"value\":" + b64(value) + "}}";
}
std::string get_op(std::string_view key, const std::string& more = "") {
  return "{\"request_range\":{\"key\":" + b64(key) + more + "}}";
}
std::string delete_op(std::string_view key, std::string_view end = "") {
  return "{\"request_delete_range\":{\"key\":" + b64(key) +
         (end.empty() ? "" : ",\"range_end\":" + b64(end)) + "}}";
}
std::string txn_body(const std::string& compare, const std::string& success,
                     const std::string& failure) {
  return "{\"compare\":[" + compare + "],\"success\":[" + success + "],\"failure\":[" + failure +
         "]}";
}
std::string txn_op(const std::string& body) {
  return "{\"request_txn\":" + body + "}";
}
std::string compare(std::string_view key, const std::string& rest) {
  return "{\"key\":" + b64(key) + "," + rest + "}";
}
// What an operation answers has a header with the revision alone.
std::string response(const std::string& kind, int revision, const std::string& rest = "") {
  return "{\"response_" + kind + "\":{\"header\":{\"revision\":\"" + std::to_string(revision) +
         "\"}" + rest + "}}";
}

struct Txns : EtcdFixture {
  Txns() {
    ask("/v3/kv/put", "{\"key\":" + b64("a") + ",\"value\":" + b64("5") + "}");
    ask("/v3/kv/put", "{\"key\":" + b64("b") + ",\"value\":" + b64("7") + "}");
    ask("/v3/kv/put", "{\"key\":" + b64("b") + ",\"value\":" + b64("8") + "}");
  }
  std::string txn(const std::string& body) { return ask("/v3/kv/txn", body); }
  bool holds(const std::string& compares) {
    const std::string answer = txn(txn_body(compares, "", ""));
    const bool yes = answer == "{@4,\"succeeded\":true}";
    if (!yes) CHECK(answer == "{@4}");
    return yes;
  }
};

const std::string kDuplicate = error_text(400, 3, "etcdserver: duplicate key given in txn request");
const std::string kTooMany = error_text(400, 3, "etcdserver: too many operations in txn request");

}  // namespace

TEST_CASE("a transaction takes the branch that its compares choose, at one revision") {
  Txns f;
  const std::string body =
      txn_body(compare("a", "\"target\":\"CREATE\",\"result\":\"EQUAL\",\"create_revision\":\"2\""),
               put_op("a", "6") + "," + put_op("c", "9") + "," + get_op("c"), get_op("a"));
  CHECK(f.txn(body) ==
        "{@5,\"succeeded\":true,\"responses\":[" + response("put", 5) + "," + response("put", 5) +
            "," +
            response("range", 5,
                     ",\"kvs\":[{\"key\":" + b64("c") +
                         ",\"create_revision\":\"5\",\"mod_revision\":\"5\",\"version\":\"1\","
                         "\"value\":" +
                         b64("9") + "}],\"count\":\"1\"") +
            "]}");
  const std::string other =
      txn_body(compare("a", "\"target\":\"MOD\",\"mod_revision\":\"2\""), "", get_op("x"));
  CHECK(f.txn(other) == "{@5,\"responses\":[" + response("range", 5) + "]}");
}

TEST_CASE("each target is compared in each way, and an absent key counts as 0") {
  Txns f;
  CHECK(f.holds(""));
  CHECK(f.holds(compare("a", "\"target\":\"VERSION\",\"version\":1")));
  CHECK(f.holds(compare("b", "\"target\":0,\"result\":\"GREATER\",\"version\":\"1\"")));
  CHECK_FALSE(f.holds(compare("b", "\"result\":\"LESS\",\"version\":\"2\"")));
  CHECK(f.holds(compare("b", "\"result\":\"NOT_EQUAL\",\"target\":\"CREATE\"")));
  CHECK(f.holds(compare("no", "\"target\":\"CREATE\",\"create_revision\":0")));
  CHECK(f.holds(compare("no", "\"target\":\"MOD\"")));
  CHECK(f.holds(compare("a", "\"target\":\"VALUE\",\"value\":" + b64("5"))));
  CHECK(f.holds(compare("a", "\"target\":\"VALUE\",\"result\":2,\"value\":" + b64("6"))));
  CHECK(f.holds(compare("a", "\"target\":\"LEASE\",\"lease\":0")));
  CHECK(f.holds(compare("a", "\"target\":\"MOD\",\"result\":\"GREATER\",\"mod_revision\":-1")));
  CHECK_FALSE(f.holds(compare("a", "\"target\":\"MOD\",\"result\":\"LESS\",\"mod_revision\":-1")));
  // A value that is not the target's is none.
  CHECK(f.holds(compare("no", "\"target\":\"MOD\",\"version\":7")));
}

TEST_CASE("no comparison with the value of an absent key is true") {
  Txns f;
  for (const char* result : {"EQUAL", "NOT_EQUAL", "LESS", "GREATER"}) {
    CHECK_FALSE(f.holds(compare(
        "no", "\"target\":\"VALUE\",\"value\":\"\",\"result\":\"" + std::string(result) + "\"")));
  }
}

TEST_CASE("a compare with a range must hold for each of its keys") {
  Txns f;
  const std::string all = ",\"range_end\":" + b64("z");
  CHECK(f.holds(compare("a", "\"target\":\"MOD\",\"result\":\"LESS\",\"mod_revision\":5" + all)));
  CHECK_FALSE(
      f.holds(compare("a", "\"target\":\"MOD\",\"result\":\"LESS\",\"mod_revision\":4" + all)));
  CHECK(f.holds(compare("x", "\"target\":\"VERSION\",\"version\":0" + all)));
  CHECK_FALSE(f.holds(compare("x", "\"target\":\"VALUE\",\"value\":\"\"" + all)));
}

TEST_CASE("a transaction within another one answers within it") {
  Txns f;
  const std::string inner =
      txn_body(compare("a", "\"target\":\"VERSION\",\"version\":1"), put_op("n", "1"), "");
  CHECK(f.txn(txn_body("", put_op("m", "1") + "," + txn_op(inner), "")) ==
        "{@5,\"succeeded\":true,\"responses\":[" + response("put", 5) +
            ",{\"response_txn\":{\"header\":{},\"succeeded\":true,\"responses\":[" +
            response("put", 5) + "]}}]}");
}

TEST_CASE("each operation tells the revision that the store had after it") {
  Txns f;
  CHECK(f.txn(txn_body("", delete_op("no") + "," + put_op("m", "1") + "," + delete_op("no"), "")) ==
        "{@5,\"succeeded\":true,\"responses\":[" + response("delete_range", 4) + "," +
            response("put", 5) + "," + response("delete_range", 5) + "]}");
}

TEST_CASE("a key is written once on each path through a transaction") {
  Txns f;
  const auto success = [&](const std::string& ops) { return f.txn(txn_body("", ops, "")); };
  CHECK(success(put_op("k", "1") + "," + put_op("k", "2")) == kDuplicate);
  CHECK(success(put_op("k", "1") + "," + delete_op("k")) == kDuplicate);
  CHECK(success(delete_op("a", "z") + "," + put_op("k", "1")) == kDuplicate);
  CHECK(success(delete_op("a", "c") + "," + delete_op("b", "k") + "," + put_op("d", "1")) ==
        kDuplicate);
  CHECK(success(put_op("k", "1") + "," + txn_op(txn_body("", put_op("k", "2"), ""))) == kDuplicate);
  CHECK(success(txn_op(txn_body("", "", delete_op("k"))) + "," + put_op("k", "2")) == kDuplicate);
  CHECK(success(txn_op(txn_body("", put_op("k", "1"), "")) + "," +
                txn_op(txn_body("", delete_op("a", "z"), ""))) == kDuplicate);
  CHECK(f.txn(txn_body(compare("no", "\"target\":\"VERSION\",\"version\":1"),
                       put_op("k", "1") + "," + put_op("k", "2"), "")) == kDuplicate);
  CHECK(success(delete_op("a", "k") + "," + put_op("k", "1")).starts_with("{@5,"));
  CHECK(success(delete_op("k") + "," + delete_op("k")).starts_with("{@6,"));
  // Only one of the branches is taken.
  CHECK(success(txn_op(txn_body("", put_op("k", "1"), put_op("k", "2")))).starts_with("{@7,"));
}

TEST_CASE("a transaction that cannot be done does nothing") {
  Txns f;
  const auto success = [&](const std::string& ops) { return f.txn(txn_body("", ops, "")); };
  const std::string put_kept =
      "{\"request_put\":{\"key\":" + b64("no") + ",\"ignore_value\":true}}";
  CHECK(success(put_op("k", "1") + "," + put_kept) ==
        error_text(400, 3, "etcdserver: key not found"));
  const std::string leased = "{\"request_put\":{\"key\":" + b64("l") + ",\"lease\":\"77\"}}";
  CHECK(success(put_op("k", "1") + "," + leased) ==
        error_text(404, 5, "etcdserver: requested lease not found"));
  CHECK(success(put_op("k", "1") + "," + get_op("a", ",\"revision\":9")) ==
        error_text(400, 11, "etcdserver: mvcc: required revision is a future revision"));
  CHECK(f.ask("/v3/kv/range", "{\"key\":" + b64("k") + "}") == "{@4}");
}

TEST_CASE("operations without a request, without a key, or too many are refused") {
  Txns f;
  const std::string none = error_text(400, 3, "etcdserver: key not found");
  const std::string no_key = error_text(400, 3, "etcdserver: key is not provided");
  CHECK(f.txn("{\"success\":[{}]}") == none);
  CHECK(f.txn("{\"failure\":[{\"request_put\":null}]}") == none);
  CHECK(f.txn("{\"success\":[{\"requestPut\":{}}]}") == no_key);
  CHECK(f.txn("{\"compare\":[{}]}") == no_key);
  std::string compares;
  std::string puts;
  for (int i = 0; i < 128; ++i) {
    compares += (i == 0 ? "" : ",") + compare("no", "\"target\":\"MOD\"");
    puts += (i == 0 ? "" : ",") + put_op("k" + std::to_string(i), "");
  }
  CHECK(f.txn(txn_body(compares, puts, "")).starts_with("{@5,\"succeeded\":true,"));
  CHECK(f.txn(txn_body(compares + "," + compare("no", "\"target\":\"MOD\""), "", "")) == kTooMany);
  CHECK(f.txn(txn_body("", puts + "," + put_op("x", ""), "")) == kTooMany);
  std::string nested = "{}";
  for (int i = 0; i < 300; ++i)
    nested = "{\"success\":[" + txn_op(nested) + "]}";
  CHECK(f.txn(nested).starts_with("400 "));
  CHECK(f.txn(txn_body(compare("a", "\"target\":7"), "", "")).starts_with("400 "));
}

TEST_CASE(
    "a transaction that only reads goes past the log, and any node may answer it if all is "
    "serializable") {
  Txns f;
  const std::uint64_t before = f.applied;
  CHECK(f.txn(txn_body("", get_op("a", ",\"count_only\":true"), "")) ==
        "{@4,\"succeeded\":true,\"responses\":[" + response("range", 4, ",\"count\":\"1\"") + "]}");
  CHECK(f.applied == before);
  f.stand(raft::Role::kFollower, 0);
  CHECK(f.txn(txn_body("", get_op("a", ",\"count_only\":true"), "")) ==
        error_text(503, 14, "etcdserver: no leader"));
  CHECK(f.txn(txn_body("", get_op("a", ",\"count_only\":true,\"serializable\":true"), ""))
            .starts_with("{@4,"));
}

TEST_CASE("keys that are longer than any are refused, wherever they stand") {
  Txns f;
  const std::string large = error_text(400, 3, "etcdserver: request is too large");
  const std::string key(limits::kKeyBytesMax + 1, 'k');
  CHECK(f.txn(txn_body("", get_op(key), "")) == large);
  CHECK(f.txn(txn_body("", get_op("a", ",\"range_end\":" + b64(key)), "")) == large);
  CHECK(f.txn(txn_body("", "", delete_op(key))) == large);
  CHECK(f.txn(txn_body("", "", put_op(key, ""))) == large);
  CHECK(f.txn(txn_body(compare(key, "\"target\":\"MOD\""), "", "")) == large);
  CHECK(f.ask("/v3/kv/range", "{\"key\":" + b64(key) + "}") == large);
}

TEST_CASE("compares alone are never answered from a state that may be out of date") {
  Txns f;
  f.stand(raft::Role::kFollower, 0);
  CHECK(f.txn(txn_body(compare("a", "\"target\":\"VERSION\",\"version\":1"), "", "")) ==
        error_text(503, 14, "etcdserver: no leader"));
  CHECK(f.txn("{}") == error_text(503, 14, "etcdserver: no leader"));
}

}  // namespace raftd::etcd
