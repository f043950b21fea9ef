// Goal: the lock and election services give each their turn, in the order in which they came.
// Method: as in kv_test.cc; who waits is looked at while others act.
#include "unit/etcd/fixture.h"

namespace raftd::etcd {
namespace {

struct Queues : EtcdFixture {
  // Leases 10 and 11.
  Queues() {
    for (const kv::LeaseId id : {kv::LeaseId{10}, kv::LeaseId{11}})
      apply(kv::encode(kv::GrantLease{id, 60'000}));
  }
  // Lets those who wait look again.
  void turn() {
    for (int i = 0; i < 10; ++i) {
      service.pump(time);
      run();
    }
  }
  std::string body(api::RequestId id) {
    const http::Response response = take(id);
    if (response.status != 200) return std::to_string(response.status) + " " + response.body;
    return without_header(response.body);
  }
  api::RequestId lock(std::string_view name, int lease) {
    return begin("/v3/lock/lock",
                 "{\"name\":" + b64(name) + ",\"lease\":" + std::to_string(lease) + "}");
  }
  api::RequestId campaign(std::string_view name, int lease, std::string_view value) {
    return begin("/v3/election/campaign", "{\"name\":" + b64(name) + ",\"lease\":\"" +
                                              std::to_string(lease) + "\",\"value\":" + b64(value) +
                                              "}");
  }
  std::string unlock(std::string_view key) {
    return ask("/v3/lock/unlock", "{\"key\":" + b64(key) + "}");
  }
  std::string leader(std::string_view name) {
    return ask("/v3/election/leader", "{\"name\":" + b64(name) + "}");
  }
};

// {"name":...,"key":...,"rev":...,"lease":...}
std::string leader_key(std::string_view name, std::string_view key, int rev, int lease) {
  return "{\"name\":" + b64(name) + ",\"key\":" + b64(key) + ",\"rev\":\"" + std::to_string(rev) +
         "\",\"lease\":\"" + std::to_string(lease) + "\"}";
}

std::string leader_row(std::string_view key, int create, int mod, int version,
                       std::string_view value, int lease) {
  return "{\"key\":" + b64(key) + ",\"create_revision\":\"" + std::to_string(create) +
         "\",\"mod_revision\":\"" + std::to_string(mod) + "\",\"version\":\"" +
         std::to_string(version) + "\",\"value\":" + b64(value) + ",\"lease\":\"" +
         std::to_string(lease) + "\"}";
}

std::string error_2(const std::string& message) {
  return error_text(500, 2, message);
}

}  // namespace

TEST_CASE("a free lock is got at once, and its key is named after the lease") {
  Queues f;
  CHECK(f.body(f.lock("l", 10)) == "{@2,\"key\":" + b64("l/a") + "}");
  CHECK(f.body(f.lock("l", 10)) == "{@2,\"key\":" + b64("l/a") + "}");
}

TEST_CASE("who comes second has the lock when the first one gives it up") {
  Queues f;
  f.body(f.lock("l", 10));
  const api::RequestId second = f.lock("l", 11);
  f.turn();
  CHECK_FALSE(f.answered(second));
  CHECK(f.unlock("l/a") == "{@4}");
  f.turn();
  CHECK(f.body(second) == "{@4,\"key\":" + b64("l/b") + "}");
  CHECK(f.unlock("l/a") == "{@4}");
}

TEST_CASE("a lock follows when the lease of its holder ends") {
  Queues f;
  f.body(f.lock("l", 10));
  const api::RequestId second = f.lock("l", 11);
  f.apply(kv::encode(kv::RevokeLease{10}));
  f.turn();
  CHECK(f.body(second) == "{@4,\"key\":" + b64("l/b") + "}");
}

TEST_CASE("without a lease a lock has one of its own") {
  Queues f;
  const std::string answer = f.body(f.begin("/v3/lock/lock", "{\"name\":" + b64("l") + "}"));
  CHECK(answer.starts_with("{@2,\"key\":"));
  CHECK(f.ask("/v3/kv/range", "{\"key\":\"AA==\",\"range_end\":\"AA==\"}").find("\"lease\":") !=
        std::string::npos);
}

TEST_CASE("who goes away while he waits gives his place up") {
  Queues f;
  f.body(f.lock("l", 10));
  const api::RequestId second = f.lock("l", 11);
  f.turn();
  f.service.on_gone(second);
  f.run();
  CHECK(f.ask("/v3/kv/range", "{\"key\":" + b64("l/b") + "}") == "{@4}");
}

TEST_CASE("who asks once more for what he holds, and goes away, holds it still") {
  Queues f;
  f.body(f.lock("l", 10));
  const api::RequestId again = f.send(
      api::Fixture::make("POST", "/v3/lock/lock", {}, "{\"name\":" + b64("l") + ",\"lease\":10}"));
  // The key has been found; that it is the first one is still being confirmed.
  auto& write = std::get<node::Write>(f.backend.asked.front().op);
  f.answer(api::done(f.apply_wanted(std::get<node::Propose>(write.op).command), f.applied));
  f.service.on_gone(again);
  REQUIRE(f.backend.gone.size() == 1);
  f.backend.asked.pop_front();  // A replica forgets what was asked for who is gone.
  f.run();
  CHECK(f.ask("/v3/kv/range", "{\"key\":" + b64("l/a") + ",\"keys_only\":true}")
            .ends_with("\"count\":\"1\"}"));
}

TEST_CASE("whose lease ends while he waits does not get the lock") {
  Queues f;
  f.body(f.lock("l", 10));
  const api::RequestId second = f.lock("l", 11);
  f.turn();
  f.apply(kv::encode(kv::RevokeLease{11}));
  f.unlock("l/a");
  f.turn();
  CHECK(f.body(second) == error_2("etcdserver: requested lease not found"));
}

TEST_CASE("a lock of a lease that does not exist, and a key that is none, are refused") {
  Queues f;
  CHECK(f.body(f.lock("l", 99)) == error_2("etcdserver: requested lease not found"));
  CHECK(f.body(f.lock("l", -1)) == error_2("etcdserver: requested lease not found"));
  CHECK(f.ask("/v3/lock/unlock", "{}") == error_2("etcdserver: key is not provided"));
}

TEST_CASE("who campaigns is told when he leads, and the leader may say something else or resign") {
  Queues f;
  CHECK(f.leader("e") == error_2("election: no leader"));
  const std::string first = leader_key("e", "e/a", 2, 10);
  CHECK(f.body(f.campaign("e", 10, "v")) == "{@2,\"leader\":" + first + "}");
  const api::RequestId second = f.campaign("e", 11, "w");
  f.turn();
  CHECK_FALSE(f.answered(second));
  CHECK(f.leader("e") == "{@3,\"kv\":" + leader_row("e/a", 2, 2, 1, "v", 10) + "}");
  CHECK(f.ask("/v3/election/proclaim", "{\"leader\":" + first + ",\"value\":" + b64("x") + "}") ==
        "{@4}");
  CHECK(f.leader("e") == "{@4,\"kv\":" + leader_row("e/a", 2, 4, 2, "x", 10) + "}");
  CHECK(f.ask("/v3/election/resign", "{\"leader\":" + first + "}") == "{@5}");
  f.turn();
  CHECK(f.body(second) == "{@3,\"leader\":" + leader_key("e", "e/b", 3, 11) + "}");
  CHECK(f.leader("e") == "{@5,\"kv\":" + leader_row("e/b", 3, 3, 1, "w", 11) + "}");
  CHECK(f.ask("/v3/election/resign", "{\"leader\":" + first + "}") == "{@5}");
  CHECK(f.ask("/v3/election/proclaim", "{\"leader\":" + first + ",\"value\":" + b64("x") + "}") ==
        error_2("election: not leader"));
  CHECK(f.ask("/v3/election/proclaim", "{}").find("field must be provided") != std::string::npos);
}

TEST_CASE("who campaigns again with another value has that value") {
  Queues f;
  f.body(f.campaign("e", 10, "v"));
  CHECK(f.body(f.campaign("e", 10, "w")) ==
        "{@2,\"leader\":" + leader_key("e", "e/a", 2, 10) + "}");
  CHECK(f.leader("e") == "{@3,\"kv\":" + leader_row("e/a", 2, 3, 2, "w", 10) + "}");
}

TEST_CASE("whoever observes an election is told each leader and each of his values") {
  Queues f;
  f.body(f.campaign("e", 10, "v"));
  const api::RequestId id = f.begin("/v3/election/observe", "{\"name\":" + b64("e") + "}");
  const http::Response response = f.take(id);
  REQUIRE(response.stream != nullptr);
  const auto read = [&] {
    f.turn();
    std::string piece;
    response.stream->next(piece);
    return EtcdFixture::without_header(piece);
  };
  CHECK(read() == "{\"result\":{@2,\"kv\":" + leader_row("e/a", 2, 2, 1, "v", 10) + "}}\n");
  CHECK(read().empty());
  f.campaign("e", 11, "w");
  CHECK(read().empty());
  f.apply(kv::encode(kv::RevokeLease{10}));
  CHECK(read() == "{\"result\":{@4,\"kv\":" + leader_row("e/b", 3, 3, 1, "w", 11) + "}}\n");
}

}  // namespace raftd::etcd
