// Goal: a reply that is kept comes back as it was, or without what is long, and nothing else is
// taken for one. Method: replies of every kind with all their fields set, and random bytes.
#include "kv/reply_codec.h"

#include <doctest/doctest.h>

#include "base/rng.h"

namespace raftd::kv {
namespace {

Item item(std::string key, std::string value) {
  return {std::move(key), std::move(value), 7, 5, 3, 9, 1500};
}

template <class T>
T common(T reply) {
  reply.result = StoreReply::Result::kFenced;
  reply.revision = UINT64_MAX;
  reply.message = std::string("na\0me", 5);
  reply.number = 300;
  return reply;
}

WriteReply write_reply(std::string value) {
  auto reply = common(WriteReply());
  reply.created = true;
  reply.deleted = 12;
  reply.more = true;
  reply.prev = item("key", std::move(value));
  reply.value = INT64_MIN;
  reply.lease = 77;
  reply.ttl_ms = 30'000;
  return reply;
}

TransactionReply transaction_reply(std::size_t results) {
  auto reply = common(TransactionReply());
  reply.succeeded = true;
  reply.failed_guard = 2;
  reply.failed_key = "bad";
  for (std::size_t i = 0; i < results; ++i) {
    OpReply op;
    op.write = write_reply("v");
    op.items = {item("a", "1"), item("b", "")};
    op.more = true;
    op.count = 1'000'000;
    op.transaction = std::make_unique<TransactionReply>();
    op.transaction->failed_guard = 1;
    op.transaction->results.emplace_back().items = {item("c", "3")};
    reply.results.push_back(std::move(op));
  }
  return reply;
}

LockReply lock_reply(std::string value) {
  auto reply = common(LockReply());
  reply.token = 4;
  reply.lease = 5;
  reply.owner = "me";
  reply.value = std::move(value);
  reply.remaining_ms = 6;
  reply.waiters = 7;
  reply.place = 8;
  return reply;
}

template <class T>
std::unique_ptr<T> there_and_back(const T& reply) {
  const Bytes bytes = encode_reply(reply);
  CHECK(bytes.size() <= kEncodedReplyBytesMax);
  std::unique_ptr<StoreReply> back = decode_reply(bytes);
  REQUIRE(back != nullptr);
  CHECK(kind_of(*back) == kind_of(reply));
  CHECK(back->result == reply.result);
  CHECK(back->revision == reply.revision);
  CHECK(back->message == reply.message);
  CHECK(back->number == reply.number);
  CHECK_FALSE(back->replayed);
  CHECK(encode_reply(*back) == bytes);
  auto* wanted = dynamic_cast<T*>(back.get());
  REQUIRE(wanted != nullptr);
  back.release();
  return std::unique_ptr<T>(wanted);
}

void check_same(const Item& a, const Item& b) {
  CHECK(a.key == b.key);
  CHECK(a.value == b.value);
  CHECK(a.mod == b.mod);
  CHECK(a.create == b.create);
  CHECK(a.version == b.version);
  CHECK(a.lease == b.lease);
  CHECK(a.ttl_ms == b.ttl_ms);
}

}  // namespace

TEST_CASE("the reply to a write comes back whole") {
  const WriteReply reply = write_reply("before");
  const auto back = there_and_back(reply);
  CHECK_FALSE(back->truncated);
  CHECK(back->created);
  CHECK(back->deleted == 12);
  CHECK(back->more);
  CHECK(back->value == INT64_MIN);
  CHECK(back->lease == 77);
  CHECK(back->ttl_ms == 30'000);
  REQUIRE(back->prev);
  check_same(*back->prev, *reply.prev);
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX}) {
    WriteReply sum;
    sum.value = value;
    CHECK(there_and_back(sum)->value == value);
  }
}

TEST_CASE("the reply to a transaction comes back with what is nested in it") {
  const auto back = there_and_back(transaction_reply(2));
  CHECK_FALSE(back->truncated);
  CHECK(back->succeeded);
  CHECK(back->failed_guard == 2);
  CHECK(back->failed_key == "bad");
  REQUIRE(back->results.size() == 2);
  const OpReply& op = back->results[1];
  CHECK(op.more);
  CHECK(op.count == 1'000'000);
  CHECK(op.write.value == INT64_MIN);
  REQUIRE(op.items.size() == 2);
  check_same(op.items[0], item("a", "1"));
  REQUIRE(op.transaction != nullptr);
  CHECK(op.transaction->failed_guard == 1);
  REQUIRE(op.transaction->results.size() == 1);
  check_same(op.transaction->results[0].items.at(0), item("c", "3"));
}

TEST_CASE("the replies to leases and locks come back whole") {
  auto lease = common(LeaseReply());
  lease.id = INT64_MAX;
  lease.ttl_ms = 2;
  lease.deleted = 3;
  const auto lease_back = there_and_back(lease);
  CHECK(lease_back->id == INT64_MAX);
  CHECK(lease_back->ttl_ms == 2);
  CHECK(lease_back->deleted == 3);
  auto kept = common(KeepLeasesReply());
  kept.ttls_ms = {0, 30'000, 5};
  CHECK(there_and_back(kept)->ttls_ms == kept.ttls_ms);
  const auto lock = there_and_back(lock_reply("leader"));
  CHECK(lock->token == 4);
  CHECK(lock->lease == 5);
  CHECK(lock->owner == "me");
  CHECK(lock->value == "leader");
  CHECK(lock->remaining_ms == 6);
  CHECK(lock->waiters == 7);
  CHECK(lock->place == 8);
}

TEST_CASE("a reply that is too long is kept without what is long, and says so") {
  const auto write = there_and_back(write_reply(std::string(2 << 20, 'x')));
  CHECK(write->truncated);
  REQUIRE(write->prev);
  CHECK(write->prev->key.empty());
  CHECK(write->prev->value.empty());
  CHECK(write->prev->mod == 7);  // What a refusal names.
  CHECK(write->created);
  CHECK(write->lease == 77);
  const auto transaction = there_and_back(transaction_reply(512));
  CHECK(transaction->truncated);
  CHECK(transaction->results.empty());
  CHECK(transaction->succeeded);
  CHECK(transaction->failed_key == "bad");
  const auto lock = there_and_back(lock_reply(std::string(5000, 'x')));
  CHECK(lock->truncated);
  CHECK(lock->value.empty());
  CHECK(lock->owner == "me");
  CHECK(lock->token == 4);
  KeepLeasesReply kept;
  kept.ttls_ms.assign(limits::kLeasesKeptMax, 30'000);
  CHECK(there_and_back(kept)->truncated);
  TransactionReply failed;
  failed.failed_key = std::string(limits::kKeyBytesMax, 'k');
  CHECK(there_and_back(failed)->failed_key == failed.failed_key);
}

TEST_CASE("exactly kReplyKeptBytesMax bytes are kept, one more is not") {
  const std::size_t other = encode_reply(write_reply(std::string(800, 'x'))).size() - 800;
  const std::size_t fits = limits::kReplyKeptBytesMax - other;
  CHECK_FALSE(there_and_back(write_reply(std::string(fits, 'x')))->truncated);
  CHECK(there_and_back(write_reply(std::string(fits + 1, 'x')))->truncated);
}

TEST_CASE("what nobody encoded is refused: cut, longer, changed, or random") {
  Rng rng(7);
  std::vector<Bytes> good{encode_reply(write_reply("v")), encode_reply(transaction_reply(2)),
                          encode_reply(lock_reply("v"))};
  for (const Bytes& bytes : good) {
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(decode_reply(ByteView(bytes).first(size)) == nullptr);
    Bytes longer = bytes;
    longer.push_back(std::byte{0});
    CHECK(decode_reply(longer) == nullptr);
    for (int i = 0; i < 2000; ++i) {
      Bytes changed = bytes;
      changed[rng.below(changed.size())] = static_cast<std::byte>(rng.below(256));
      const auto reply = decode_reply(changed);
      if (reply != nullptr) CHECK(decode_reply(encode_reply(*reply)) != nullptr);
    }
  }
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(rng.below(64));
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(rng.below(256));
    if (!bytes.empty()) bytes[0] = static_cast<std::byte>(1 + rng.below(5));
    const auto reply = decode_reply(bytes);
    if (reply != nullptr) CHECK(decode_reply(encode_reply(*reply)) != nullptr);
  }
  // Nested deeper than a transaction may be.
  TransactionReply deep;
  TransactionReply* innermost = &deep;
  for (std::size_t i = 1; i < limits::kTransactionDepthMax; ++i) {
    innermost->results.emplace_back().transaction = std::make_unique<TransactionReply>();
    innermost = innermost->results[0].transaction.get();
  }
  CHECK(decode_reply(encode_reply(deep)) != nullptr);
  innermost->results.emplace_back().transaction = std::make_unique<TransactionReply>();
  CHECK(decode_reply(encode_reply(deep)) == nullptr);
}

}  // namespace raftd::kv
