// Locks that end because their leases do, and queues that lose places the same way.
#include "unit/kv/locks_fed.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;

// As the leader's chore does it.
void expire(LocksFed& fed) {
  machine::Outcome outcome = fed.start(ExpireLeases{}, false);
  while (!outcome.finished)
    outcome = fed.store.apply_slice();
}

TEST_CASE("a lock ends with its lease, its fence with it, and the first in the queue has it next") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0", false, 2000);
  const LockReply first = fed.acquire("job", "h1", true, 60'000);
  const LockReply second = fed.acquire("job", "h2", true);
  fed.time += 1999;
  expire(fed);
  CHECK(fed.fence_holds(Space::kKeys, "job", holder.token));
  fed.time += 1;
  expire(fed);
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", holder.token));
  const std::optional<Revision> token = fed.came_of("job", first.place);
  REQUIRE(token);
  CHECK(*token > holder.token);
  CHECK(fed.fence_holds(Space::kKeys, "job", *token));
  CHECK(fed.view("job").owner == "h1");
  CHECK(fed.view("job").remaining_ms == 60'000);
  CHECK_FALSE(fed.came_of("job", second.place));
  fed.store.check_invariants();
}

TEST_CASE("a lock that nobody waits for is free after its time, and a fence does not hold either") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0", false, 2000);
  fed.time += 2000;
  expire(fed);
  CHECK(fed.view("job").token == 0);
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", holder.token));
  CHECK(fed.release("job", holder.token).result == Result::kLockLost);
  CHECK(fed.ask<LockReply>(KeepLock{Space::kLocks, "job", holder.token, 0}).result ==
        Result::kLockLost);
  CHECK(fed.acquire("job", "h1").token > holder.token);
  fed.store.check_invariants();
}

TEST_CASE("a keepalive is what keeps a lock") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0", false, 2000);
  for (int i = 0; i < 5; ++i) {
    fed.time += 1500;
    expire(fed);
    CHECK(fed.ask<LockReply>(KeepLock{Space::kLocks, "job", holder.token, 0}).result ==
          Result::kDone);
  }
  CHECK(fed.view("job").token == holder.token);
}

TEST_CASE("who waits and is not kept alive vanishes from the queue; who is, stays") {
  LocksFed fed;
  fed.acquire("job", "h0", false, 600'000);
  const LockReply gone = fed.acquire("job", "h1", true);
  const LockReply stays = fed.acquire("job", "h2", true);
  for (int i = 0; i < 4; ++i) {
    fed.time += 5000;
    fed.start(KeepLeases{{stays.lease}});
    expire(fed);
    fed.store.check_invariants();
  }
  CHECK(fed.came_of("job", gone.place) == Revision{0});
  CHECK_FALSE(fed.came_of("job", stays.place));
  CHECK(fed.view("job").waiters.size() == 1);
  fed.release("job", 0);
  CHECK(fed.view("job").owner == "h2");
}

TEST_CASE("when a holder and those who wait are gone together, the lock passes over all of them") {
  LocksFed fed;
  fed.acquire("job", "h0", false, 1000);
  for (int i = 0; i < 10; ++i)
    fed.acquire("job", "dead", true, 1000);
  fed.time += 16'000;
  const LockReply alive = fed.acquire("job", "alive", true, 1000);
  expire(fed);
  CHECK(fed.view("job").owner == "alive");
  CHECK(fed.came_of("job", alive.place) == fed.view("job").token);
  CHECK(fed.store.stats().leases == 1);
  fed.store.check_invariants();
}

TEST_CASE("a lock whose lease is revoked goes to the next, keys of the same lease or not") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0");
  fed.apply(Put{"mine", "v", {}, false, {LeaseChoice::Kind::kAttach, holder.lease}});
  const LockReply next = fed.acquire("job", "h1", true);
  CHECK(fed.revoke(holder.lease).result == Result::kDone);
  CHECK(fed.get("mine").result == GetReply::Result::kNotFound);
  const std::optional<Revision> token = fed.came_of("job", next.place);
  REQUIRE(token);
  CHECK(*token == fed.revision());
  CHECK(fed.view("job").owner == "h1");
  CHECK(fed.revoke(fed.view("job").lease).result == Result::kDone);
  CHECK(fed.view("job").token == 0);
  fed.store.check_invariants();
}

TEST_CASE("locks, waiters and their order survive a snapshot") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0");
  fed.acquire("job", "h1", true);
  fed.apply(Compact{fed.revision()});
  fed.acquire("job", "h2", true);
  fed.campaign("db", "h3", std::string(100'000, 'v'));
  Bytes bytes;
  {
    const auto writer = fed.store.snapshot();
    while (!writer->write_slice(bytes, 1000)) {
    }
    CHECK(writer->intact());
  }
  LocksFed other;
  {
    const auto reader = other.store.restore();
    REQUIRE(reader->feed(bytes));
    REQUIRE(reader->complete());
    reader->commit({fed.index}, {fed.time});
  }
  other.index = fed.index;
  other.store.check_invariants();
  CHECK(other.store.state_hash() == fed.store.state_hash());
  CHECK(other.store.stats().lock_bytes == fed.store.stats().lock_bytes);
  other.release("job", holder.token);
  CHECK(other.view("job").owner == "h1");
  REQUIRE(other.view("job").waiters.size() == 1);
  CHECK(other.view("job").waiters[0].owner == "h2");
  CHECK(other.view("db", Space::kElections).value.size() == 100'000);
}

}  // namespace
}  // namespace raftd::kv
