// What is shown of locks and their queues, as it is at the store's revision: while leases are ended
// slice by slice, the newest versions are not to be seen yet, and some leases are gone already.
#include "base/limits.h"
#include "kv/lock_record.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

std::uint64_t since(machine::ClusterTime then, machine::ClusterTime at) {
  return at <= then ? 0 : at.value - then.value;
}

}  // namespace

// Counts what it looks at.
LockView Store::State::view_lock(Space space, std::string_view name, const Version* version,
                                 machine::ClusterTime at, std::size_t& visited) const {
  LockView view;
  view.name = name;
  if (version != nullptr) {
    std::optional<LockRecord> record = decode_lock_record(version->value());
    ASSERT(record);
    view.token = version->create();
    view.mod = version->mod();
    view.lease = version->lease();
    view.owner = std::move(record->owner);
    view.value = std::move(record->value);
    view.place = record->place;
    if (const Lease* lease = find_lease(view.lease)) view.remaining_ms = remaining_ms(*lease, at);
  }
  const auto queue = queues.find(queue_key(space, name));
  if (queue == queues.end()) return view;
  view.waiting = queue->second.size();
  if (space == Space::kElections) return view;  // Its candidates, with their values, are not shown.
  for (const Revision place : queue->second) {
    if (view.waiters.size() == limits::kLockWaitersShownMax) break;
    ++visited;
    const std::string key = waiter_key(queue->first, place);
    const Version* waiter = in(Space::kWaiters).find(key)->at(stats.revision);
    if (waiter == nullptr) continue;
    std::optional<LockRecord> record = decode_lock_record(waiter->value());
    ASSERT(record);
    view.waiters.push_back({std::move(record->owner), since(record->since, at)});
  }
  return view;
}

std::unique_ptr<machine::Reply> Store::State::lock(const LockQuery& query,
                                                   machine::ClusterTime at) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<LockQueryReply>();
  reply->revision = stats.revision;
  const Keys& keys = in(query.space);
  const auto found = keys.find(query.name);
  const Version* version = found == keys.end() ? nullptr : found->at(stats.revision);
  std::size_t visited = 0;
  reply->lock = view_lock(query.space, query.name, version, at, visited);
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::list_locks(const LocksQuery& query,
                                                         machine::ClusterTime at) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<LocksReply>();
  reply->revision = stats.revision;
  const Keys& keys = in(query.space);
  std::size_t visited = 0;
  for (auto it = keys.lower_bound(query.start); it != keys.end(); ++it) {
    if (visited++ >= limits::kLocksPerSliceMax) {
      reply->next = it->text();
      break;
    }
    const Version* version = it->at(stats.revision);
    if (version == nullptr) continue;
    reply->locks.push_back(view_lock(query.space, it->text(), version, at, visited));
  }
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::place(const PlaceQuery& query) const {
  const std::string queue = queue_key(query.space, query.name);
  const auto waiting = in(Space::kWaiters).find(waiter_key(queue, query.place));
  auto reply = std::make_unique<PlaceReply>();
  reply->revision = stats.revision;
  reply->waits = waiting != in(Space::kWaiters).end() && waiting->at(stats.revision) != nullptr;
  if (reply->waits) return reply;
  const Keys& keys = in(query.space);
  const auto found = keys.find(query.name);
  const Version* lock = found == keys.end() ? nullptr : found->at(stats.revision);
  if (lock == nullptr) return reply;
  const std::optional<LockRecord> record = decode_lock_record(lock->value());
  ASSERT(record);
  if (record->place == query.place) reply->token = lock->create();
  return reply;
}

}  // namespace raftd::kv
