// Goal: a write with an Idempotency-Key says in its command which request it is, and what was
// answered before is answered again as it was. Method: the replica is played by the test.
#include "api/retries.h"

#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Result = kv::StoreReply::Result;

const std::vector<http::Header> kKeyed{{"idempotency-key", "order-7"}};

kv::WriteReply replay(kv::WriteReply reply) {
  reply.replayed = true;
  reply.index = 97;
  return reply;
}

kv::WriteReply wrote(std::uint64_t revision, bool created) {
  kv::WriteReply reply;
  reply.revision = revision;
  reply.created = created;
  return reply;
}

node::ClientResult retried(std::unique_ptr<kv::StoreReply> reply) {
  auto found = std::make_unique<kv::RetryReply>();
  found->reply = std::move(reply);
  return done(std::move(found), 120);
}

// The terms of the command that the last request became.
struct Sent {
  std::string key;
  std::uint64_t hash = 0;
};
Sent sent_by(Fixture& f, std::string_view method, std::string_view target, std::string body = "",
             const std::vector<http::Header>& headers = kKeyed) {
  f.with(written(wrote(5, false)), method, target, headers, std::move(body));
  const auto& propose = std::get<node::Propose>(std::get<node::Write>(f.last_asked.op).op);
  const auto request = kv::decode(ByteView(propose.command).subspan(machine::kStampBytes));
  REQUIRE(request);
  return {std::string(request->terms.idempotency_key), request->terms.request_hash};
}

TEST_CASE("the key of a request is in its command, with a hash of what makes it this request") {
  Fixture f;
  const Sent first = sent_by(f, "PUT", "/kv/a?prev", "v");
  CHECK(first.key == "order-7");
  CHECK(sent_by(f, "PUT", "/kv/a?prev", "v").hash == first.hash);
  // Sent to another node, and with more patience.
  CHECK(sent_by(f, "PUT", "/kv/a?timeout=7s&prev", "v").hash == first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a?prev&redirect=0&timeout=1", "v").hash == first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a?%74imeout=1&prev", "v").hash == first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a?prev", "w").hash != first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a?prev", "").hash != first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a", "v").hash != first.hash);
  CHECK(sent_by(f, "PUT", "/kv/a?prev=0", "v").hash != first.hash);
  CHECK(sent_by(f, "PUT", "/kv/b?prev", "v").hash != first.hash);
  CHECK(sent_by(f, "POST", "/kv/a?prev", "v").hash != first.hash);
  CHECK(sent_by(f, "DELETE", "/kv/a?prev").key == "order-7");
  CHECK(sent_by(f, "DELETE", "/kv/a?prefix").key == "order-7");
  CHECK(sent_by(f, "PUT", "/kv/a?prev", "v", {}).key.empty());
}

TEST_CASE("a key is 1 to 128 characters of printable ASCII on every write, and ignored on reads") {
  Fixture f;
  for (const std::string& good :
       {std::string("a"), std::string("a b~!\"\\"), std::string(128, 'x')}) {
    CHECK(sent_by(f, "PUT", "/kv/a", "v", {{"idempotency-key", good}}).key == good);
  }
  for (const std::string& bad :
       {std::string(), std::string(129, 'x'), std::string("\x7f"), std::string("\xc3\xa4"),
        std::string("a\tb"), std::string("a\0b", 3)}) {
    const std::vector<http::Header> headers{{"idempotency-key", bad}};
    struct Write {
      const char* method;
      const char* target;
    };
    for (const Write& write :
         {Write{"PUT", "/kv/a"}, Write{"POST", "/kv/a"}, Write{"DELETE", "/kv/a"},
          Write{"DELETE", "/kv/a?prefix"}, Write{"POST", "/cluster/tickets"}}) {
      CAPTURE(write.method);
      CAPTURE(write.target);
      const auto refused = f.now(write.method, write.target, headers);
      CHECK(refused.status == 400);
      CHECK(contains(refused.body, "\"parameter\":\"Idempotency-Key\""));
    }
    CHECK(f.with(got(item("a", "", 2, 2, 1), 2), "GET", "/kv/a", headers).status == 200);
  }
  const std::vector<http::Header> twice{{"idempotency-key", "a"}, {"idempotency-key", "a"}};
  CHECK(f.now("PUT", "/kv/a", twice).status == 400);
}

TEST_CASE("a key is refused where it would not keep a write from being done twice") {
  Fixture f;
  struct Write {
    const char* method;
    const char* target;
  };
  for (const Write& write :
       {Write{"POST", "/cluster/members"}, Write{"PUT", "/cluster/members/4"},
        Write{"DELETE", "/cluster/members/2"}, Write{"POST", "/cluster/members/2/promote"},
        Write{"POST", "/cluster/transfer"}, Write{"POST", "/cluster/leave"},
        Write{"POST", "/admin/snapshot"}}) {
    CAPTURE(write.target);
    const auto refused = f.now(write.method, write.target, kKeyed);
    CHECK(refused.status == 400);
    CHECK(contains(refused.body, "\"parameter\":\"Idempotency-Key\""));
    CHECK(contains(refused.body, "does not go with this call"));
  }
  // Not kept, for its answer is a secret: the contract has the key ignored.
  f.send(Fixture::make("POST", "/cluster/tickets", kKeyed));
  CHECK(f.backend.asked.size() == 1);
}

TEST_CASE("a request without its body yet is refused for its key alone") {
  Fixture f;
  const auto refused =
      f.service.on_head(at_ms(1000), Fixture::make("PUT", "/kv/a", {{"idempotency-key", ""}}));
  REQUIRE(refused);
  CHECK(refused->status == 400);
  CHECK_FALSE(f.service.on_head(at_ms(1000), Fixture::make("PUT", "/kv/a", kKeyed)));
}

TEST_CASE("what was answered before is answered as it was, and says so") {
  Fixture f;
  const auto first = f.with(written(wrote(52, true)), "PUT", "/kv/a", kKeyed, "v");
  CHECK(field(first, "Idempotency-Replayed") == "-");
  const auto again = f.with(written(replay(wrote(52, true))), "PUT", "/kv/a", kKeyed, "v");
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(field(again, "ETag") == "\"52\"");
  CHECK(field(again, "Raftd-Revision") == "52");
  CHECK(field(again, "Raftd-Index") == "97");
  CHECK(field(again, "Idempotency-Replayed") == "true");
  auto deleted = wrote(53, false);
  deleted.deleted = 3;
  for (const char* target : {"/kv/a", "/kv/a?prefix"}) {
    const auto response = f.with(written(replay(deleted)), "DELETE", target, kKeyed);
    CHECK(response.status == 200);
    CHECK(field(response, "Idempotency-Replayed") == "true");
    CHECK(contains(response.body, "\"deleted\":3"));
  }
  auto refusal = wrote(50, false);
  refusal.result = Result::kModDiffers;
  refusal.prev = item("a", "2", 44, 7, 4);
  const auto refused = f.with(written(replay(refusal)), "PUT", "/kv/a?cas=42", kKeyed, "v");
  CHECK(refused.status == 412);
  CHECK(field(refused, "Raftd-Error") == "cas_failed");
  CHECK(field(refused, "Raftd-Index") == "97");
  CHECK(field(refused, "Idempotency-Replayed") == "true");
  CHECK(contains(refused.body, "\"current\":44,\"item\":{"));
}

TEST_CASE("an answer that was too long to be kept comes without what was long") {
  Fixture f;
  auto reply = replay(wrote(52, false));
  reply.truncated = true;
  reply.prev = item("", "", 44, 7, 4);
  const auto again = f.with(written(reply), "PUT", "/kv/a?prev", kKeyed, "v");
  CHECK(again.body == "{\"revision\":52,\"created\":false,\"truncated\":true}\n");
  reply.result = Result::kModDiffers;
  const auto refused = f.with(written(reply), "PUT", "/kv/a?cas=42", kKeyed, "v");
  CHECK(field(refused, "ETag") == "\"44\"");
  CHECK(contains(refused.body, "is at revision 44, not 42"));
  CHECK(contains(refused.body, "\"current\":44,\"truncated\":true}"));
}

TEST_CASE("the key of another request is 422") {
  Fixture f;
  auto reply = wrote(52, false);
  reply.result = Result::kMismatch;
  for (const char* target : {"/kv/a", "/kv/a?prefix"}) {
    const auto refused = f.with(written(reply), "DELETE", target, kKeyed);
    CHECK(refused.status == 422);
    CHECK(field(refused, "Raftd-Error") == "idempotency_mismatch");
    CHECK(field(refused, "Raftd-Revision") == "52");
    CHECK(field(refused, "Idempotency-Replayed") == "-");
    CHECK(contains(refused.body, "\"outcome\":\"none\""));
  }
}

// A store that is full, and a growing write that is sent again.
struct FullFixture : Fixture {
  FullFixture() {
    ServiceLimits limits = usual_limits();
    limits.store_bytes = 100;
    service.set_limits(limits);
  }
  http::Request request() const { return make("PUT", "/kv/a", kKeyed, big); }
  // found: what is kept of the first time.
  http::Response send_again(std::unique_ptr<kv::StoreReply> found) {
    const RequestId id = send(request());
    answer(done(std::make_unique<kv::KeepLeasesReply>(), 119));
    CHECK(last_command<kv::KeepLeases>().ids.empty());
    REQUIRE(!answered(id));
    answer(retried(std::move(found)));
    return take(id);
  }
  const std::string big = std::string(200, 'v');
};

TEST_CASE("a full store refuses what is new, but has the answer to what it took before") {
  FullFixture f;
  CHECK(f.now("PUT", "/kv/a", {}, f.big).status == 507);
  const auto new_one = f.send_again(nullptr);
  CHECK(new_one.status == 507);
  CHECK(field(new_one, "Raftd-Error") == "quota");
  const auto& query = f.last_query<kv::RetryQuery>();
  CHECK(query.idempotency_key == "order-7");
  CHECK(query.kind == kv::ReplyKind::kWrite);
  CHECK(query.request_hash == request_hash(f.request()));
  const auto again = f.send_again(std::make_unique<kv::WriteReply>(replay(wrote(52, true))));
  CHECK(again.status == 201);
  CHECK(field(again, "Raftd-Index") == "97");
  CHECK(field(again, "Idempotency-Replayed") == "true");
  auto other = wrote(52, false);
  other.result = Result::kMismatch;
  CHECK(f.send_again(std::make_unique<kv::WriteReply>(other)).status == 422);
}

// The first try may be in the log still: no answer says "none" before an entry behind it is
// applied.
TEST_CASE("a full store does not say that a retry did nothing before it knows of the first try") {
  FullFixture f;
  const RequestId id = f.send(f.request());
  REQUIRE(f.backend.asked.size() == 1);
  CHECK(std::holds_alternative<node::Write>(f.backend.asked.front().op));
  f.answer(node::Unknown{true});
  const auto lost = f.take(id);
  CHECK(lost.status == 504);
  CHECK(contains(lost.body, "\"outcome\":\"unknown\""));
}

}  // namespace
}  // namespace raftd::api
