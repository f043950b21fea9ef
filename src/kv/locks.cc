// Locks and elections: names that one owner at a time holds, and the queues of those who want them.
//
// The happy path is: Acquire finds the name free and writes it, with a lease of its own; the
// revision of that write is the token. Whoever finds it held may wait: in a queue, by the revision
// at which they came, each place with a short lease that the node of the waiting client keeps
// alive. When a lock ends (release; its lease ended), the same command gives it to the first in the
// queue, in the revision after: a free lock never has waiters. Their leases become that of the
// lock, so that there is always room for it.
//
// Possible failure modes are: the owner goes away (the lease ends, and with it the lock); a waiter
// or its node goes away (its lease ends, and with it its place); there are too many leases (the
// lock is not taken, nor a place).
#include <algorithm>

#include "base/limits.h"
#include "kv/lock_record.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;

// Values of these spaces were made by encode(), and a restore looks at each.
LockRecord record_of(const Version& version) {
  std::optional<LockRecord> record = decode_lock_record(version.value());
  ASSERT(record);
  return *std::move(record);
}

}  // namespace

const Version* Store::State::held_lock(Space space, std::string_view name) const {
  const Keys& keys = in(space);
  return live(known(keys, name));
}

// With this very token; reply says otherwise.
const Version* Store::State::held_with(Space space, std::string_view name, Revision token,
                                       LockReply& reply) const {
  const Version* version = held_lock(space, name);
  if (version != nullptr && version->create() == token) return version;
  reply.result = Result::kLockLost;
  return nullptr;
}

bool Store::State::holds(const Fence& fence, Revision at) const {
  const auto holds_in = [&](Space space) {
    const Keys& keys = in(space);
    const auto found = keys.find(fence.name);
    const Version* version = found == keys.end() ? nullptr : found->at(at);
    return version != nullptr && version->create() == fence.token;
  };
  if (fence.space != Space::kKeys) return holds_in(fence.space);
  return holds_in(Space::kLocks) || holds_in(Space::kElections);
}

std::uint64_t Store::State::waiters(Space space, std::string_view name) const {
  const auto queue = queues.find(queue_key(space, name));
  return queue == queues.end() ? 0 : queue->second.size();
}

// Who holds it now, if anybody does.
void Store::State::describe_lock(Space space, std::string_view name, LockReply& reply) const {
  reply.waiters = waiters(space, name);
  const Version* version = held_lock(space, name);
  if (version == nullptr) return;
  LockRecord record = record_of(*version);
  reply.token = version->create();
  reply.lease = version->lease();
  reply.owner = std::move(record.owner);
  reply.value = std::move(record.value);
  const Lease* lease = find_lease(reply.lease);
  ASSERT(lease != nullptr);
  reply.remaining_ms = remaining_ms(*lease, now);
}

LockReply Store::State::acquire(const Acquire& acquire, std::string_view idempotency_key) {
  LockReply reply;
  const bool is_held = held_lock(acquire.space, acquire.name) != nullptr;
  if (is_held && !acquire.wait) {
    reply.result = Result::kLocked;
    describe_lock(acquire.space, acquire.name, reply);
    return reply;
  }
  if (leases.size() >= limits::kLeasesMax) {
    reply.result = Result::kTooManyLeases;
    return reply;
  }
  LockRecord record;
  record.owner = acquire.owner;
  record.value = acquire.value;
  record.since = now;
  record.ttl_ms = acquire.ttl_ms;
  if (is_held) {
    record.place = next_revision();
    record.idempotency_key = idempotency_key;
    const std::string key = waiter_key(queue_key(acquire.space, acquire.name), record.place);
    const LeaseId lease = make_lease(kWaiterTtlMs, true);
    Keys& keys = in(Space::kWaiters);
    write(Space::kWaiters, keys.lower_bound(key), key, encode(record), lease);
    raise_revision();
    describe_lock(acquire.space, acquire.name, reply);
    reply.result = Result::kWaiting;
    reply.place = record.place;
    reply.lease = lease;
    return reply;
  }
  ASSERT_CMP(waiters(acquire.space, acquire.name), ==, 0U);
  const LeaseId lease = make_lease(acquire.ttl_ms, true);
  Keys& keys = in(acquire.space);
  write(acquire.space, keys.lower_bound(acquire.name), acquire.name, encode(record), lease);
  raise_revision();
  describe_lock(acquire.space, acquire.name, reply);
  return reply;
}

LockReply Store::State::keep_lock(const KeepLock& keep) {
  LockReply reply;
  const Version* version = held_with(keep.space, keep.name, keep.token, reply);
  if (version == nullptr) return reply;
  const LeaseId id = version->lease();
  Lease* lease = find_lease(id);
  ASSERT(lease != nullptr);
  set_deadline(id, *lease, keep.ttl_ms == 0 ? lease->ttl_ms : keep.ttl_ms);
  describe_lock(keep.space, keep.name, reply);
  return reply;
}

LockReply Store::State::release(const Release& release) {
  LockReply reply;
  const Version* version = held_lock(release.space, release.name);
  if (version == nullptr || (release.token != 0 && version->create() != release.token)) {
    reply.result = Result::kLockLost;
    return reply;
  }
  reply.token = version->create();
  Keys& keys = in(release.space);
  erase(*keys.find(release.name), 0);
  raise_revision();
  reply.revision = stats.revision;  // Not that of a grant.
  grant_ended_locks();
  return reply;
}

LockReply Store::State::proclaim(const Proclaim& proclaim) {
  LockReply reply;
  const Version* version = held_with(Space::kElections, proclaim.name, proclaim.token, reply);
  if (version == nullptr) return reply;
  LockRecord record = record_of(*version);
  record.value = proclaim.value;
  write(*in(Space::kElections).find(proclaim.name), encode(record), version->lease());
  raise_revision();
  describe_lock(Space::kElections, proclaim.name, reply);
  return reply;
}

// kDone: it has got the lock. kLocked: it has not, and waits no longer.
LockReply Store::State::leave_queue(const LeaveQueue& leave) {
  const std::string queue = queue_key(leave.space, leave.name);
  const std::string key = waiter_key(queue, leave.place);
  Keys& keys = in(Space::kWaiters);
  Key* place = known(keys, key);
  if (live(place) != nullptr) {
    erase(*place, 0);
    raise_revision();
  }
  LockReply reply;
  const Version* version = held_lock(leave.space, leave.name);
  const bool granted = version != nullptr && record_of(*version).place == leave.place;
  reply.result = granted ? Result::kDone : Result::kLocked;
  describe_lock(leave.space, leave.name, reply);
  return reply;
}

// A waiter's key has a new version.
void Store::State::note_waiter(const Key& waiter, bool waits) {
  const std::optional<WaiterKey> key = parse_waiter_key(waiter.text());
  ASSERT(key);
  if (waits) {
    queues[std::string(key->queue)].insert(key->place);
    return;
  }
  const auto queue = queues.find(key->queue);
  ASSERT(queue != queues.end());
  queue->second.erase(key->place);
  if (queue->second.empty()) queues.erase(queue);
}

// What erase() ends is no key but a lock, or the place of somebody who waits.
void Store::State::note_end(Key& ended) {
  if (ended.space() != Space::kWaiters) {
    ended_locks.push_back(&ended);
    return;
  }
  const LockRecord record = record_of(ended.newest());
  if (record.idempotency_key.empty()) return;
  const std::optional<WaiterKey> key = parse_waiter_key(ended.text());
  const Version* lock = held_lock(key->space, key->name);
  const bool granted = lock != nullptr && record_of(*lock).place == key->place;
  if (!granted) retries.erase(record.idempotency_key, key->place);
}

// After each raise_revision() of a command that may have erased a lock. Each grant has a revision
// of its own: it is the token.
void Store::State::grant_ended_locks() {
  for (Key* ended : ended_locks) {
    if (ended->newest().live()) continue;
    const std::string queue = queue_key(ended->space(), ended->text());
    const bool passed_over = leave_overslept(queue);
    const auto waiting = queues.find(queue);
    if (waiting != queues.end()) {
      grant_lock(*ended, waiter_key(queue, *waiting->second.begin()));
    } else if (passed_over) {
      raise_revision();
    }
  }
  ended_locks.clear();
}

// Those at the head of a queue whose lease is over by now: nobody keeps them alive, so the lock
// would be held by nobody. True: there were some.
bool Store::State::leave_overslept(const std::string& queue) {
  Keys& waiting = in(Space::kWaiters);
  for (bool any = false;; any = true) {
    const auto found = queues.find(queue);
    if (found == queues.end()) return any;
    const auto waiter = waiting.find(waiter_key(queue, *found->second.begin()));
    ASSERT(waiter != waiting.end());
    const LeaseId id = waiter->newest().lease();
    const Lease* lease = find_lease(id);
    ASSERT(lease != nullptr);
    if (lease->deadline > now) return any;
    erase(*waiter, id);
  }
}

void Store::State::grant_lock(Key& lock, const std::string& key) {
  Keys& waiting = in(Space::kWaiters);
  const auto waiter = waiting.find(key);
  ASSERT(waiter != waiting.end());
  const Version& version = waiter->newest();
  ASSERT(version.live());
  const LeaseId id = version.lease();
  Lease* lease = find_lease(id);
  ASSERT(lease != nullptr);
  LockRecord record = record_of(version);
  const std::string idempotency_key = std::exchange(record.idempotency_key, {});
  set_deadline(id, *lease, record.ttl_ms);
  // First the lock: a lease without a key would end.
  write(lock, encode(record), id);
  erase(*waiter, 0);
  raise_revision();
  if (idempotency_key.empty()) return;
  LockReply reply;
  describe_lock(lock.space(), lock.text(), reply);
  reply.revision = reply.token;
  retries.replace(idempotency_key, record.place, reply);
}

bool Store::State::waiters_have_locks() const {
  return std::ranges::all_of(queues, [this](const auto& queue) {
    const std::string waiter = waiter_key(queue.first, *queue.second.begin());
    const std::optional<WaiterKey> key = parse_waiter_key(waiter);
    ASSERT(key);
    return held_lock(key->space, key->name) != nullptr;
  });
}

// A free lock has no waiters, and each waiter that is there is in its queue.
void Store::State::check_locks() const {
  ASSERT(ended_locks.empty());
  ASSERT(waiters_have_locks());
  std::size_t waiting = 0;
  for (const Key& key : in(Space::kWaiters)) {
    if (!key.newest().live()) continue;
    ++waiting;
    const std::optional<WaiterKey> parsed = parse_waiter_key(key.text());
    ASSERT(parsed);
    const auto queue = queues.find(parsed->queue);
    ASSERT(queue != queues.end());
    ASSERT(queue->second.contains(parsed->place));
  }
  std::size_t places = 0;
  for (const auto& queue : queues) {
    ASSERT(!queue.second.empty());
    places += queue.second.size();
  }
  ASSERT_CMP(places, ==, waiting);
  for (const Space space : {Space::kLocks, Space::kElections}) {
    for (const Key& lock : in(space)) {
      const Version& newest = lock.newest();
      if (newest.live()) ASSERT(find_lease(newest.lease()) != nullptr);
    }
  }
}

}  // namespace raftd::kv
