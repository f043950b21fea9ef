// Locks, elections, queues and fences, entry by entry.
#include <deque>
#include <random>

#include "base/limits.h"
#include "kv/lock_record.h"
#include "unit/kv/locks_fed.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;

TEST_CASE("who comes first holds the lock, with the revision of the acquisition as the token") {
  LocksFed fed;
  fed.put("a", "1");
  const LockReply first = fed.acquire("job", "host1", false, 60'000);
  CHECK(first.result == Result::kDone);
  CHECK(first.token == 3);
  CHECK(first.revision == 3);
  CHECK(first.owner == "host1");
  CHECK(first.remaining_ms == 60'000);
  CHECK(first.lease != 0);
  fed.time += 1500;
  const LockReply second = fed.acquire("job", "host2");
  CHECK(second.result == Result::kLocked);
  CHECK(second.token == 3);
  CHECK(second.owner == "host1");
  CHECK(second.remaining_ms == 58'500);
  CHECK(second.waiters == 0);
  CHECK(second.revision == 3);
  CHECK(fed.store.stats().leases == 1);
  CHECK(fed.store.stats().keys == 1);
  fed.store.check_invariants();
}

TEST_CASE("locks and elections of one name are two, and neither is a key") {
  LocksFed fed;
  CHECK(fed.acquire("db", "one").result == Result::kDone);
  CHECK(fed.campaign("db", "two", "10.0.0.5").result == Result::kDone);
  CHECK(fed.get("db").result == GetReply::Result::kNotFound);
  CHECK(fed.store.stats().keys == 0);
  CHECK(fed.view("db").owner == "one");
  CHECK(fed.view("db", Space::kElections).value == "10.0.0.5");
}

TEST_CASE("what locks and those who wait for them take is counted for as long as they are there") {
  LocksFed fed;
  const auto bytes = [&] { return fed.store.stats().lock_bytes; };
  const LockReply holder = fed.campaign("db", "one", std::string(1000, 'v'));
  const std::uint64_t held = bytes();
  CHECK(held > 1000);
  fed.campaign("db", "two", std::string(5000, 'w'), true);
  CHECK(bytes() > held + 5000);
  fed.ask<LockReply>(Proclaim{"db", holder.token, "x"});
  CHECK(bytes() > 5000);
  CHECK(bytes() < held + 5000);
  fed.release("db", holder.token, Space::kElections);
  CHECK(fed.view("db", Space::kElections).owner == "two");
  CHECK(bytes() > 5000);
  CHECK(bytes() < held + 5000);
  fed.revoke(fed.view("db", Space::kElections).lease);
  CHECK(bytes() == 0);
  CHECK(fed.store.stats().bytes == 0);
  fed.store.check_invariants();
}

TEST_CASE("a released lock is free, and the next token is larger, for ever") {
  LocksFed fed;
  Revision last = 0;
  for (int i = 0; i < 20; ++i) {
    const LockReply got = fed.acquire("job", "h");
    REQUIRE(got.result == Result::kDone);
    CHECK(got.token > last);
    last = got.token;
    const LockReply released = fed.release("job", got.token);
    CHECK(released.result == Result::kDone);
    CHECK(released.revision == got.token + 1);
    CHECK(fed.view("job").token == 0);
    fed.apply(Compact{fed.revision()});
    fed.tidy();
  }
  CHECK(fed.store.stats().leases == 0);
  fed.store.check_invariants();
}

TEST_CASE(
    "only the token releases, keeps and proclaims; without one it is whoever holds the lock") {
  LocksFed fed;
  const LockReply got = fed.campaign("db", "h", "v1");
  for (const Revision wrong : {got.token - 1, got.token + 1}) {
    CHECK(fed.release("db", wrong, Space::kElections).result == Result::kLockLost);
    CHECK(fed.ask<LockReply>(KeepLock{Space::kElections, "db", wrong, 0}).result ==
          Result::kLockLost);
    CHECK(fed.ask<LockReply>(Proclaim{"db", wrong, "x"}).result == Result::kLockLost);
  }
  CHECK(fed.release("db", got.token, Space::kLocks).result == Result::kLockLost);
  CHECK(fed.release("other", 0).result == Result::kLockLost);
  const Revision before = fed.revision();
  fed.time += 10'000;
  const LockReply kept = fed.ask<LockReply>(KeepLock{Space::kElections, "db", got.token, 0});
  CHECK(kept.remaining_ms == 30'000);
  CHECK(fed.ask<LockReply>(KeepLock{Space::kElections, "db", got.token, 90'000}).remaining_ms ==
        90'000);
  CHECK(fed.revision() == before);
  const LockReply said = fed.ask<LockReply>(Proclaim{"db", got.token, "v2"});
  CHECK(said.result == Result::kDone);
  CHECK(said.revision == before + 1);
  CHECK(said.token == got.token);
  CHECK(said.lease == got.lease);
  CHECK(fed.view("db", Space::kElections).value == "v2");
  CHECK(fed.view("db", Space::kElections).mod == before + 1);
  CHECK(fed.release("db", 0, Space::kElections).result == Result::kDone);
  CHECK(fed.store.stats().leases == 0);
}

TEST_CASE("waiters get the lock in the order in which they came, each with the next revision") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0");
  std::vector<LockReply> waiting;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    fed.time += 100;
    waiting.push_back(fed.acquire("job", "h" + std::to_string(i), true, 1000 * i));
    CHECK(waiting.back().result == Result::kWaiting);
    CHECK(waiting.back().place == fed.revision());
    CHECK(waiting.back().token == holder.token);
    CHECK_FALSE(fed.came_of("job", waiting.back().place));
  }
  const LockView view = fed.view("job");
  REQUIRE(view.waiters.size() == 3);
  CHECK(view.waiting == 3);
  CHECK(view.waiters[0].owner == "h1");
  CHECK(view.waiters[0].waiting_ms == 200);
  CHECK(view.waiters[2].waiting_ms == 0);
  Revision token = holder.token;
  for (const LockReply& next : waiting) {
    const LockReply released = fed.release("job", token);
    CHECK(released.result == Result::kDone);
    const std::optional<Revision> got = fed.came_of("job", next.place);
    REQUIRE(got);
    CHECK(*got == released.revision + 1);
    CHECK(*got == fed.revision());
    CHECK(fed.view("job").lease == next.lease);
    token = *got;
    fed.store.check_invariants();
  }
  CHECK(fed.view("job").owner == "h3");
  CHECK(fed.view("job").remaining_ms == 3000);
  CHECK(fed.view("job").waiters.empty());
  fed.release("job", token);
  CHECK(fed.store.stats().leases == 0);
}

TEST_CASE("who leaves the queue is passed over, and whoever got the lock meanwhile hears so") {
  LocksFed fed;
  const LockReply holder = fed.acquire("job", "h0");
  const Revision first = fed.acquire("job", "h1", true).place;
  const Revision second = fed.acquire("job", "h2", true).place;
  const LockReply left = fed.leave("job", first);
  CHECK(left.result == Result::kLocked);
  CHECK(left.owner == "h0");
  CHECK(left.waiters == 1);
  CHECK(fed.came_of("job", first) == Revision{0});
  CHECK(fed.leave("job", first).result == Result::kLocked);
  CHECK(fed.leave("job", 999).result == Result::kLocked);
  fed.release("job", holder.token);
  const LockReply has = fed.leave("job", second);
  CHECK(has.result == Result::kDone);
  CHECK(has.token == fed.came_of("job", second));
  CHECK(has.owner == "h2");
  CHECK(fed.view("job").token == has.token);
  CHECK(fed.leave("nobody", 1).result == Result::kLocked);
  fed.store.check_invariants();
}

TEST_CASE("a fence holds while exactly that acquisition does, and never again after it") {
  LocksFed fed;
  const Revision lock = fed.acquire("job", "h").token;
  const Revision election = fed.campaign("job", "h", "v").token;
  CHECK(fed.fence_holds(Space::kKeys, "job", lock));
  CHECK(fed.fence_holds(Space::kKeys, "job", election));
  CHECK(fed.fence_holds(Space::kElections, "job", election));
  CHECK_FALSE(fed.fence_holds(Space::kElections, "job", lock));
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", lock + 7));
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "jo", lock));
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", 0));
  const Revision waits = fed.acquire("job", "h2", true).place;
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", waits));
  fed.release("job", lock);
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", lock));
  const Revision next = *fed.came_of("job", waits);
  CHECK(fed.fence_holds(Space::kKeys, "job", next));
  fed.release("job", next);
  CHECK_FALSE(fed.fence_holds(Space::kKeys, "job", next));
}

TEST_CASE("a fenced write says which fence is not held, and changes nothing") {
  LocksFed fed;
  const Revision token = fed.acquire("a", "h").token;
  const Terms terms{"", 0, {{Space::kKeys, "a", token}, {Space::kKeys, "b", 17}}};
  const Revision before = fed.revision();
  const Command commands[] = {Put{"k", "v", {}, false},
                              Delete{"k", {}, false},
                              DeletePrefix{"", 0},
                              Increment{"n"},
                              Transaction{},
                              GrantLease{0, 1000},
                              Acquire{Space::kLocks, "c", 1000, "", "", false},
                              Release{Space::kLocks, "a", token},
                              Proclaim{"a", token, "v"}};
  for (const Command& command : commands) {
    const auto reply = fed.ask<StoreReply>(command, terms);
    CHECK(reply.result == Result::kFenced);
    CHECK(reply.message == "b");
    CHECK(reply.number == 17);
    CHECK(reply.revision == before);
  }
  CHECK(fed.revision() == before);
  CHECK(fed.view("a").token == token);
}

TEST_CASE("a record and a place are read as they were written, and nothing else is") {
  LockRecord record;
  record.owner = "host";
  record.value = std::string("\0v", 2);
  record.place = 7;
  record.ttl_ms = 1000;
  record.since = {12};
  record.idempotency_key = "order-7";
  const std::string bytes = encode(record);
  const auto read = decode_lock_record(bytes);
  REQUIRE(read);
  CHECK(read->owner == record.owner);
  CHECK(read->value == record.value);
  CHECK(read->place == 7);
  CHECK(read->ttl_ms == 1000);
  CHECK(read->since.value == 12);
  CHECK(read->idempotency_key == "order-7");
  for (std::size_t size = 0; size < bytes.size() - record.value.size(); ++size)
    CHECK_FALSE(decode_lock_record(std::string_view(bytes).substr(0, size)));
  const std::string key = waiter_key(queue_key(Space::kElections, "a/b"), 300);
  const auto parsed = parse_waiter_key(key);
  REQUIRE(parsed);
  CHECK(parsed->space == Space::kElections);
  CHECK(parsed->name == "a/b");
  CHECK(parsed->place == 300);
  for (std::size_t size = 0; size < key.size(); ++size)
    CHECK_FALSE(parse_waiter_key(std::string_view(key).substr(0, size)));
  std::string other_space = key;
  other_space[0] = 3;
  CHECK_FALSE(parse_waiter_key(other_space));
}

TEST_CASE("all locks that are held are listed in pieces, with who waits") {
  LocksFed fed;
  constexpr std::size_t kLocks = limits::kLocksPerSliceMax + 100;
  for (std::size_t i = 0; i < kLocks; ++i)
    fed.acquire("l" + std::to_string(10'000 + i), "h");
  fed.acquire("l10000", "w", true);
  fed.release("l10001", 0);
  LocksQuery query;
  std::size_t seen = 0;
  std::size_t pieces = 0;
  std::string last;
  do {
    const auto reply = fed.store.query(query, {fed.time});
    const auto& piece = dynamic_cast<const LocksReply&>(*reply);
    for (const LockView& lock : piece.locks) {
      CHECK(lock.name > last);
      CHECK(lock.name != "l10001");
      CHECK(lock.waiters.size() == (lock.name == "l10000" ? 1 : 0));
      last = lock.name;
    }
    seen += piece.locks.size();
    query.start = piece.next;
    ++pieces;
  } while (!query.start.empty());
  CHECK(seen == kLocks - 1);
  CHECK(pieces == 2);
}

// What a lock is: who holds it, and who waits.
struct NaiveLock {
  Revision token = 0;
  std::string owner;
  std::deque<std::pair<Revision, std::string>> queue;
};

// A store and a naive model of its locks, which do the same at random.
struct Both {
  explicit Both(unsigned seed) : random(seed) {}
  std::size_t pick(std::size_t n) { return random() % n; }

  void acquire(const std::string& name, const std::string& owner) {
    NaiveLock& lock = model[name];
    const bool wait = pick(4) != 0;
    const Result result = fed.acquire(name, owner, wait).result;
    if (lock.token == 0) {
      CHECK(result == Result::kDone);
      lock.token = ++revision;
      lock.owner = owner;
    } else if (wait) {
      CHECK(result == Result::kWaiting);
      lock.queue.emplace_back(++revision, owner);
    } else {
      CHECK(result == Result::kLocked);
    }
  }
  void release(const std::string& name) {
    NaiveLock& lock = model[name];
    const bool right = pick(4) != 0;
    const bool does = lock.token != 0 && right;
    const Revision token = right ? std::max<Revision>(1, lock.token) : lock.token + 1;
    CHECK(fed.release(name, token).result == (does ? Result::kDone : Result::kLockLost));
    if (!does) return;
    ++revision;
    lock.token = 0;
    if (lock.queue.empty()) return;
    lock.token = ++revision;
    lock.owner = lock.queue.front().second;
    lock.queue.pop_front();
  }
  void leave(const std::string& name) {
    NaiveLock& lock = model[name];
    if (lock.queue.empty()) return;
    const std::size_t at = pick(lock.queue.size());
    CHECK(fed.leave(name, lock.queue[at].first).result == Result::kLocked);
    lock.queue.erase(lock.queue.begin() + static_cast<std::ptrdiff_t>(at));
    ++revision;
  }
  void compare(const std::string& name) {
    const NaiveLock& lock = model[name];
    REQUIRE(fed.revision() == revision);
    const LockView view = fed.view(name);
    REQUIRE(view.token == lock.token);
    if (lock.token != 0) REQUIRE(view.owner == lock.owner);
    REQUIRE(view.waiters.size() == lock.queue.size());
    for (std::size_t i = 0; i < lock.queue.size(); ++i)
      REQUIRE(view.waiters[i].owner == lock.queue[i].second);
  }

  std::mt19937 random;
  LocksFed fed;
  std::map<std::string, NaiveLock> model;
  Revision revision = 1;
};

TEST_CASE("any sequence of commands does what a naive model does") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    Both both(seed);
    for (int i = 0; i < 400; ++i) {
      both.fed.time += both.pick(10);
      const std::string name = "l" + std::to_string(both.pick(3));
      const std::size_t what = both.pick(5);
      if (what <= 1) both.acquire(name, "h" + std::to_string(i));
      if (what == 2) both.release(name);
      if (what == 3) both.leave(name);
      if (what == 4) {
        both.fed.put("k", "v");
        ++both.revision;
      }
      both.compare(name);
      if (i % 50 == 0) both.fed.store.check_invariants();
      if (i % 97 == 0) {
        both.fed.apply(Compact{both.fed.revision()});
        both.fed.tidy();
      }
    }
    both.fed.store.check_invariants();
  }
}

}  // namespace
}  // namespace raftd::kv
