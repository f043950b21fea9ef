// Goal: a request with an idempotency key takes effect once and has one answer, on every node and
// after a restore; and the table of answers stays small, the same way everywhere. Method: commands
// on terms, fed to stores beside each other of which some are restored from snapshots on the way.
#include "kv/retries.h"

#include <functional>

#include "base/rng.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;

struct Asking : Fed {
  // As a node where somebody waits for the answer, or nobody does.
  std::unique_ptr<machine::Reply> ask(const Command& command, std::string_view key,
                                      std::uint64_t hash = 1, bool reply_wanted = true) {
    machine::Outcome outcome = start(command, reply_wanted, {key, hash, {}});
    while (!outcome.finished) {
      CHECK(outcome.reply == nullptr);
      outcome = store.apply_slice();
    }
    return std::move(outcome.reply);
  }
  WriteReply write(const Command& command, std::string_view key, std::uint64_t hash = 1) {
    const auto reply = ask(command, key, hash);
    const auto* found = dynamic_cast<const WriteReply*>(reply.get());
    REQUIRE(found != nullptr);
    return *found;
  }
  void nothing() { start(ByteView(), false); }
  std::size_t kept() const { return store.stats().replies; }

  // Goes on as a node that has got this state as a snapshot.
  void restore_from(Asking& other) {
    const auto writer = other.store.snapshot();
    const auto reader = store.restore();
    for (bool last = false; !last;) {
      Bytes piece;
      last = writer->write_slice(piece, 100);
      REQUIRE(reader->feed(piece));
    }
    REQUIRE(writer->intact());
    REQUIRE(reader->complete());
    index = other.index;
    time = other.time;
    reader->commit({index}, {time});
    tidy();
  }
};

void check_equal(Asking& a, Asking& b) {
  CHECK(a.store.state_hash() == b.store.state_hash());
  CHECK(a.store.digest() == b.store.digest());
  a.store.check_invariants();
  b.store.check_invariants();
}

Put put_of(std::string_view key, std::string_view value) {
  return {key, value, {}, true};
}

}  // namespace

TEST_CASE("a request that is sent again gets the answer of the first time, and changes nothing") {
  Asking store;
  store.put("a", "0");
  const WriteReply first = store.write(put_of("a", "1"), "k");
  CHECK_FALSE(first.replayed);
  CHECK(first.revision == 3);
  const std::uint64_t index = store.index;
  store.put("a", "2");
  for (int i = 0; i < 3; ++i) {
    store.time += 1000;
    const WriteReply again = store.write(put_of("a", "1"), "k");
    CHECK(again.replayed);
    CHECK(again.index == index);
    CHECK(again.result == Result::kDone);
    CHECK(again.revision == 3);
    CHECK_FALSE(again.created);
    REQUIRE(again.prev);
    CHECK(again.prev->value == "0");
  }
  CHECK(store.get("a").item.value == "2");
  CHECK(store.revision() == 4);
  CHECK(store.kept() == 1);
  store.store.check_invariants();
}

TEST_CASE("the answer is kept also where nobody waits for it") {
  Asking silent;
  Asking waiting;
  for (Asking* store : {&silent, &waiting}) {
    for (int i = 0; i < 5000; ++i)
      store->put("key" + std::to_string(i), "v");
    const bool wanted = store == &waiting;
    CHECK((store->ask(put_of("a", "1"), "put", 1, wanted) != nullptr) == wanted);
    CHECK((store->ask(put_of("a", "1"), "put", 1, wanted) != nullptr) == wanted);
    // Of many slices.
    CHECK((store->ask(DeletePrefix{"key", 0}, "delete", 2, wanted) != nullptr) == wanted);
  }
  check_equal(silent, waiting);
  const WriteReply put = silent.write(put_of("a", "1"), "put");
  CHECK(put.replayed);
  CHECK(put.created);
  const WriteReply deleted = silent.write(DeletePrefix{"key", 0}, "delete", 2);
  CHECK(deleted.replayed);
  CHECK(deleted.deleted == 5000);
}

TEST_CASE("the key of another request is refused, whatever the command is") {
  Asking store;
  store.write(put_of("a", "1"), "k");
  const WriteReply other = store.write(put_of("a", "2"), "k", 2);
  CHECK(other.result == Result::kMismatch);
  CHECK_FALSE(other.replayed);
  CHECK(other.revision == 2);
  // As if hashes had met.
  const auto lease = store.ask(GrantLease{5, 1000}, "k", 1);
  const auto* refused = dynamic_cast<const LeaseReply*>(lease.get());
  REQUIRE(refused != nullptr);
  CHECK(refused->result == Result::kMismatch);
  CHECK(store.get("a").item.value == "1");
  CHECK(store.revision() == 2);
  CHECK(store.kept() == 1);
}

TEST_CASE("a refusal by the state is an answer like any other") {
  Asking store;
  const Put absent{"a", "1", {Condition::Kind::kExists, 0}, false};
  CHECK(store.write(absent, "k").result == Result::kAbsent);
  store.put("a", "0");
  const WriteReply again = store.write(absent, "k");
  CHECK(again.replayed);
  CHECK(again.result == Result::kAbsent);
  CHECK(store.get("a").item.value == "0");
}

TEST_CASE("a fence that is not held is an answer that is kept, of the kind of its command") {
  Asking store;
  for (const bool replayed : {false, true}) {
    machine::Outcome outcome =
        store.start(GrantLease{5, 1000}, true, {"k", 1, {{Space::kKeys, "lock", 42}}});
    const auto* reply = dynamic_cast<const LeaseReply*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    CHECK(reply->result == Result::kFenced);
    CHECK(reply->message == "lock");
    CHECK(reply->number == 42);
    CHECK(reply->revision == 1);
    CHECK(reply->replayed == replayed);
  }
  // Without a key it is an answer, too, and not kept.
  const Terms fence{{}, 0, {{Space::kElections, "lock", 42}}};
  CHECK(store.start(Put{"a", "1", {}, false}, true, fence).reply != nullptr);
  CHECK(store.start(Put{"a", "1", {}, false}, false, fence).reply == nullptr);
  CHECK(store.revision() == 1);
  CHECK(store.kept() == 1);
}

TEST_CASE("commands that do not know terms are applied, and nothing is kept of them") {
  Asking store;
  const std::string hash(kTokenHashBytes, 'h');
  const ReserveMember reserve{hash, "n4", true, 0, 1000};
  CHECK(dynamic_cast<const MemberReply*>(store.ask(reserve, "k").get()) != nullptr);
  CHECK(dynamic_cast<const MemberReply*>(store.ask(DropTickets{}, "k").get()) != nullptr);
  CHECK(store.kept() == 0);
}

TEST_CASE("which results are answers for good, and which may be asked for again") {
  CHECK(is_final(Result::kDone));
  CHECK(is_final(Result::kFenced));
  CHECK(is_final(Result::kWaiting));
  CHECK_FALSE(is_final(Result::kMismatch));
  CHECK_FALSE(is_final(Result::kBadCommand));
  CHECK_FALSE(is_final(Result::kTooManyLeases));
  CHECK_FALSE(is_final(Result::kTooLarge));
  CHECK(is_final(Result::kCompacted));
  CHECK_FALSE(is_final(Result::kFuture));
}

TEST_CASE("an answer that was long comes back without what is long") {
  Asking store;
  store.put("a", std::string(2000, 'x'));
  CHECK_FALSE(store.write(put_of("a", "1"), "k").truncated);
  const WriteReply again = store.write(put_of("a", "1"), "k");
  CHECK(again.replayed);
  CHECK(again.truncated);
  REQUIRE(again.prev);
  CHECK(again.prev->value.empty());
  CHECK(again.prev->mod == 2);
  CHECK(again.revision == 3);
}

TEST_CASE("what was answered can be asked for without writing") {
  Asking store;
  store.write(put_of("a", "1"), "k");
  const auto ask = [&](std::string key, std::uint64_t hash) {
    RetryQuery query;
    query.idempotency_key = std::move(key);
    query.request_hash = hash;
    query.kind = ReplyKind::kWrite;
    auto reply = store.store.query(query, {store.time});
    return std::move(dynamic_cast<RetryReply&>(*reply).reply);
  };
  CHECK(ask("other", 1) == nullptr);
  REQUIRE(ask("k", 1) != nullptr);
  CHECK(ask("k", 1)->replayed);
  CHECK(ask("k", 2)->result == Result::kMismatch);
}

TEST_CASE("an answer is kept for ten minutes of cluster time, and the key is free again then") {
  Asking store;
  store.time = 1000;
  store.write(put_of("a", "1"), "k");
  store.time += kReplyKeptMs - 1;
  CHECK(store.write(put_of("a", "1"), "k").replayed);
  store.time += 1;
  CHECK_FALSE(store.write(put_of("a", "2"), "k", 2).replayed);
  CHECK(store.get("a").item.value == "2");
  CHECK(store.write(put_of("a", "2"), "k", 2).replayed);
  CHECK(store.kept() == 1);
  store.time += kReplyKeptMs;
  store.nothing();
  CHECK(store.kept() == 0);
  CHECK(store.store.stats().reply_bytes == 0);
}

TEST_CASE("after a long pause entries drop what is old, each a few, and none of it is found") {
  Asking store;
  for (int i = 0; i < 1000; ++i)
    store.write(put_of("a", "1"), "k" + std::to_string(i));
  store.time += kReplyKeptMs;
  // The last of them is still there, but too old; then a new one.
  CHECK_FALSE(store.write(put_of("a", "1"), "k999").replayed);
  CHECK(store.kept() > 900);
  store.store.check_invariants();
  for (int i = 0; i < 100; ++i)
    store.nothing();
  CHECK(store.kept() == 1);
  CHECK(store.write(put_of("a", "1"), "k999").replayed);
  store.store.check_invariants();
}

TEST_CASE("the table is full at its bound: the oldest answer goes") {
  Asking store;
  for (std::size_t i = 0; i < limits::kRepliesKeptMax; ++i)
    store.ask(Delete{"none", {}, false}, "k" + std::to_string(i), 1, false);
  CHECK(store.kept() == limits::kRepliesKeptMax);
  CHECK(store.write(Delete{"none", {}, false}, "k0").replayed);
  store.ask(Delete{"none", {}, false}, "one more", 1, false);
  CHECK(store.kept() == limits::kRepliesKeptMax);
  CHECK(store.write(Delete{"none", {}, false}, "k1").replayed);
  CHECK_FALSE(store.write(Delete{"none", {}, false}, "k0").replayed);
  Asking other;
  other.restore_from(store);
  check_equal(store, other);
}

TEST_CASE("a node that was restored answers, and forgets, as the one that was not") {
  Rng rng(3);
  Asking from;
  Asking to;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "k" + std::to_string(rng.below(400));
    const std::string name = "a" + std::to_string(rng.below(5));
    const std::uint64_t hash = rng.below(10) == 0 ? 2 : 1;
    const std::uint64_t later = rng.below(50) == 0 ? rng.below(kReplyKeptMs) : rng.below(500);
    std::vector<WriteReply> replies;
    for (Asking* store : {&from, &to}) {
      store->time += later;
      replies.push_back(store->write(put_of(name, key), key, hash));
    }
    CHECK(replies[0].replayed == replies[1].replayed);
    CHECK(replies[0].result == replies[1].result);
    CHECK(replies[0].index == replies[1].index);
    CHECK(replies[0].revision == replies[1].revision);
    CHECK(from.store.state_hash() == to.store.state_hash());
    if (rng.below(100) != 0) continue;
    to.restore_from(from);
    check_equal(from, to);
  }
}

TEST_CASE("a snapshot has the answers as they were at its cut, while they change") {
  Asking store;
  for (int i = 0; i < 500; ++i)
    store.write(put_of("a", "1"), "k" + std::to_string(i));
  const std::uint64_t hash = store.store.state_hash();
  const std::uint64_t at = store.index;
  const auto writer = store.store.snapshot();
  Asking other;
  const auto reader = other.store.restore();
  for (bool last = false; !last;) {
    store.time += 20'000;
    store.write(put_of("b", "1"), "n" + std::to_string(store.index));
    Bytes piece;
    last = writer->write_slice(piece, 100);
    REQUIRE(reader->feed(piece));
  }
  REQUIRE(writer->intact());
  REQUIRE(reader->complete());
  reader->commit({at}, {0});
  CHECK(other.store.state_hash() == hash);
  CHECK(other.kept() == 500);
}

TEST_CASE("a snapshot whose answers are twice the same, or out of order, is refused") {
  const auto record = [](std::string key, std::uint64_t time) {
    Bytes out;
    append_record(out, {std::move(key), 1, {time}, 5, encode_reply(WriteReply())});
    return out;
  };
  Retries retries;
  const Bytes one = record("a", 10);
  for (std::size_t size = 0; size < one.size(); ++size)
    CHECK(*retries.take_record(ByteView(one).first(size)) == 0);
  CHECK(*retries.take_record(one) == one.size());
  CHECK_FALSE(retries.take_record(one));
  CHECK_FALSE(retries.take_record(record("b", 9)));
  CHECK_FALSE(retries.take_record(record("", 10)));
  CHECK_FALSE(retries.take_record(record(std::string(129, 'x'), 10)));
  Bytes bad = record("c", 10);
  bad.back() = std::byte{0xff};
  CHECK_FALSE(retries.take_record(bad));
  CHECK(*retries.take_record(record("c", 10)) != 0);
  CHECK(retries.size() == 2);
  retries.check_invariants();
}

TEST_CASE("the answer to who waits is changed once, by its place, and nobody else's") {
  Retries retries;
  LockReply waits;
  waits.result = Result::kWaiting;
  waits.place = 7;
  retries.keep({"w", 1, {10}, 5, encode_reply(waits)});
  retries.keep({"d", 1, {11}, 6, encode_reply(WriteReply())});
  LockReply held;
  held.token = 9;
  const auto token_of = [&](std::string_view key) {
    const auto reply = decode_reply(retries.find(key, {20})->reply);
    const auto* lock = dynamic_cast<const LockReply*>(reply.get());
    return lock == nullptr ? 0 : lock->token;
  };
  retries.replace("w", 8, held);
  retries.replace("d", 7, held);
  retries.replace("none", 7, held);
  CHECK(token_of("w") == 0);
  CHECK(token_of("d") == 0);
  retries.check_invariants();
  retries.replace("w", 7, held);
  CHECK(token_of("w") == 9);
  retries.check_invariants();
  retries.erase("w", 7);  // It waits no longer.
  CHECK(retries.size() == 2);
  retries.keep({"x", 1, {12}, 7, encode_reply(waits)});
  retries.erase("x", 6);
  CHECK(retries.size() == 3);
  retries.erase("x", 7);
  CHECK(retries.size() == 2);
  CHECK(retries.find("x", {20}) == nullptr);
  retries.check_invariants();
}

TEST_CASE("answers that are erased in between leave no room that grows") {
  Retries retries;
  LockReply waits;
  waits.result = Result::kWaiting;
  waits.place = 7;
  retries.keep({"first", 1, {10}, 1, encode_reply(waits)});
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "k" + std::to_string(i);
    retries.keep({key, 1, {10}, 1, encode_reply(waits)});
    if (i % 5 != 0) retries.erase(key, 7);
    if (i % 100 == 0) retries.check_invariants();
  }
  CHECK(retries.size() == 2001);
  retries.check_invariants();
}

TEST_CASE("whether requests come once or five times, the state is the same") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Asking once;
    Asking often;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const std::string id = "request" + std::to_string(i);
      const std::string key = "a" + std::to_string(rng.below(8));
      const std::string value = std::to_string(rng.below(1000));
      const auto condition = static_cast<Condition::Kind>(rng.below(4));
      const Condition when{condition,
                           condition == Condition::Kind::kModIs ? 1 + rng.below(i + 2) : 0};
      Command command = Put{key, value, when, rng.below(2) == 0};
      if (rng.below(4) == 0) command = Delete{key, when, true};
      if (rng.below(20) == 0) command = DeletePrefix{"a", rng.below(4)};
      const Bytes answer = encode_reply(once.write(command, id, i));
      CHECK(encode_reply(often.write(command, id, i)) == answer);
      for (std::uint64_t again = rng.below(5); again > 0; --again) {
        once.nothing();
        CHECK(encode_reply(often.write(command, id, i)) == answer);
      }
    }
    check_equal(once, often);
  }
}

}  // namespace raftd::kv
