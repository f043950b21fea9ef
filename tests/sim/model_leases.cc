// The model's leases, and locks, which live as long as theirs.
#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"
#include "sim/store_model.h"

namespace raftd::sim {
namespace {

using Result = kv::StoreReply::Result;

constexpr std::uint64_t kWaiterTtlMs = 15'000;

// Waiters stand in the order of their places.
std::string waiter_name(kv::Space space, std::string_view name, std::uint64_t place) {
  return strf("%d %s %020llu", static_cast<int>(space), std::string(name).c_str(),
              static_cast<unsigned long long>(place));
}

}  // namespace

std::uint64_t StoreModel::remaining_ms(kv::LeaseId id) const {
  const ModelLease* lease = state_.lease(id);
  return lease == nullptr || lease->deadline <= now_ ? 0 : lease->deadline.value - now_.value;
}

kv::LeaseReply StoreModel::grant(const kv::GrantLease& grant) {
  kv::LeaseReply reply;
  const ModelLease lease{grant.ttl_ms, now_ + grant.ttl_ms, false};
  reply.id = grant.id;
  reply.ttl_ms = grant.ttl_ms;
  if (grant.id != 0 && state_.lease(grant.id) != nullptr) {
    reply.result = Result::kLeaseExists;
    return reply;
  }
  if (grant.id != 0) {
    state_.set_lease(grant.id, lease);
  } else {
    reply.id = state_.new_lease(lease);
  }
  return reply;
}

kv::KeepLeasesReply StoreModel::keep(const kv::KeepLeases& keep) {
  kv::KeepLeasesReply reply;
  for (const kv::LeaseId id : keep.ids) {
    const ModelLease* lease = state_.lease(id);
    reply.ttls_ms.push_back(lease == nullptr ? 0 : lease->ttl_ms);
    if (lease == nullptr) continue;
    ModelLease kept = *lease;
    kept.deadline = now_ + kept.ttl_ms;
    state_.set_lease(id, kept);
  }
  return reply;
}

kv::LeaseReply StoreModel::revoke(const kv::RevokeLease& revoke) {
  kv::LeaseReply reply;
  reply.id = revoke.id;
  if (state_.lease(revoke.id) == nullptr) {
    reply.result = Result::kLeaseNotFound;
    reply.number = revoke.id;
    return reply;
  }
  reply.deleted = end_lease(revoke.id);
  return reply;
}

kv::WriteReply StoreModel::expire() {
  std::set<std::pair<machine::ClusterTime, kv::LeaseId>> due;
  for (const auto& [id, lease] : state_.leases()) {
    if (lease.deadline <= now_) due.emplace(lease.deadline, id);
  }
  std::size_t ended = 0;
  for (const auto& [deadline, id] : due) {
    if (ended++ == limits::kLeasesPerExpiryMax) break;
    if (state_.lease(id) == nullptr) continue;  // It has ended with what kept it.
    expired_.push_back({id, state_.lease(id)->ttl_ms});
    end_lease(id);
  }
  return {};
}

std::uint64_t StoreModel::end_lease(kv::LeaseId id) {
  std::uint64_t deleted = 0;
  std::vector<ModelState::Name> locks;
  const std::set<ModelState::Name> keys = state_.keys_of(id);
  std::size_t in_part = 0;
  for (const auto& [space, key] : keys) {
    if (space == kv::Space::kWaiters) forget_waiter(key);
    if (in_part++ == limits::kLeaseKeysPerRevokeMax) {
      state_.end_revision();
      in_part = 1;
    }
    state_.erase(space, key, true);
    if (space == kv::Space::kKeys) ++deleted;
    if (space == kv::Space::kLocks || space == kv::Space::kElections) locks.push_back({space, key});
  }
  state_.set_lease(id, std::nullopt);
  state_.end_revision();
  for (const auto& [space, name] : locks)
    grant_next(space, name);
  return deleted;
}

std::vector<std::string> StoreModel::queue(kv::Space space, std::string_view name) const {
  std::vector<std::string> waiters;
  for (const auto& [waiter, key] : state_.live(kv::Space::kWaiters)) {
    if (waiter == waiter_name(space, name, key.create)) waiters.push_back(waiter);
  }
  return waiters;
}

kv::LockReply StoreModel::lock_reply(kv::Space space, const std::string& name) const {
  kv::LockReply reply;
  const ModelKey* held = state_.find(space, name);
  if (held == nullptr) return reply;
  reply.token = held->create;
  reply.lease = held->lease;
  reply.owner = held->record->owner;
  reply.value = shortened(held->record->value);
  reply.remaining_ms = remaining_ms(held->lease);
  reply.waiters = queue(space, name).size();
  return reply;
}

// A lock has become free: who came first, and is still there, has it from the next revision on, and
// the lease of the place in the queue becomes that of the lock.
void StoreModel::grant_next(kv::Space space, const std::string& name) {
  ASSERT(state_.find(space, name) == nullptr);
  std::vector<std::string> waiters = queue(space, name);
  // Whose own lease is over is passed over.
  while (!waiters.empty()) {
    const kv::LeaseId lease = state_.find(kv::Space::kWaiters, waiters.front())->lease;
    if (state_.lease(lease)->deadline > now_) break;
    forget_waiter(waiters.front());
    state_.erase(kv::Space::kWaiters, waiters.front(), true);
    state_.set_lease(lease, std::nullopt);
    waiters.erase(waiters.begin());
  }
  if (waiters.empty()) return state_.end_revision();
  const ModelKey* first = state_.find(kv::Space::kWaiters, waiters.front());
  kv::LockRecord record = *first->record;
  record.place = first->create;
  const kv::LeaseId lease = first->lease;
  state_.set_lease(lease, ModelLease{record.ttl_ms, now_ + record.ttl_ms, true});
  state_.put(space, name, {}, lease, std::make_shared<kv::LockRecord>(record));
  state_.erase(kv::Space::kWaiters, waiters.front(), false);
  state_.end_revision();
  const auto kept = kept_.find(record.idempotency_key);
  if (kept == kept_.end()) return;
  kv::LockReply reply = lock_reply(space, name);
  reply.revision = state_.revision();
  kept->second.answer = std::make_shared<kv::LockReply>(reply);
}

kv::LockReply StoreModel::acquire(const kv::Acquire& acquire, std::string_view idempotency_key) {
  const std::string name(acquire.name);
  kv::LockRecord record;
  record.owner = acquire.owner;
  record.value = acquire.value;
  record.ttl_ms = acquire.ttl_ms;
  record.idempotency_key = idempotency_key;
  if (state_.find(acquire.space, name) == nullptr) {
    ASSERT(queue(acquire.space, name).empty());
    const kv::LeaseId lease = state_.new_lease({record.ttl_ms, now_ + record.ttl_ms, true});
    state_.put(acquire.space, name, {}, lease, std::make_shared<kv::LockRecord>(record));
    state_.end_revision();
    return lock_reply(acquire.space, name);
  }
  kv::LockReply reply = lock_reply(acquire.space, name);
  reply.result = Result::kLocked;
  if (!acquire.wait) return reply;
  reply.result = Result::kWaiting;
  reply.place = state_.revision() + 1;
  reply.lease = state_.new_lease({kWaiterTtlMs, now_ + kWaiterTtlMs, true});
  state_.put(kv::Space::kWaiters, waiter_name(acquire.space, name, reply.place), {}, reply.lease,
             std::make_shared<kv::LockRecord>(record));
  ++reply.waiters;
  return reply;
}

kv::LockReply StoreModel::keep_lock(const kv::KeepLock& keep) {
  const std::string name(keep.name);
  kv::LockReply reply;
  reply.result = Result::kLockLost;
  const ModelKey* held = state_.find(keep.space, name);
  if (held == nullptr || held->create != keep.token) return reply;
  ModelLease lease = *state_.lease(held->lease);
  if (keep.ttl_ms != 0) lease.ttl_ms = keep.ttl_ms;
  lease.deadline = now_ + lease.ttl_ms;
  state_.set_lease(held->lease, lease);
  return lock_reply(keep.space, name);
}

kv::LockReply StoreModel::release(const kv::Release& release) {
  const std::string name(release.name);
  kv::LockReply reply;
  reply.result = Result::kLockLost;
  const ModelKey* held = state_.find(release.space, name);
  if (held == nullptr || (release.token != 0 && held->create != release.token)) return reply;
  reply.result = Result::kDone;
  reply.token = held->create;
  state_.erase(release.space, name, false);
  state_.end_revision();
  reply.revision = state_.revision();
  grant_next(release.space, name);
  return reply;
}

kv::LockReply StoreModel::proclaim(const kv::Proclaim& proclaim) {
  const std::string name(proclaim.name);
  kv::LockReply reply;
  reply.result = Result::kLockLost;
  const ModelKey* held = state_.find(kv::Space::kElections, name);
  if (held == nullptr || held->create != proclaim.token) return reply;
  kv::LockRecord record = *held->record;
  record.value = proclaim.value;
  state_.put(kv::Space::kElections, name, {}, held->lease,
             std::make_shared<kv::LockRecord>(record));
  return lock_reply(kv::Space::kElections, name);
}

// Whoever asks again begins anew.
void StoreModel::forget_waiter(const std::string& waiter) {
  const ModelKey* waits = state_.find(kv::Space::kWaiters, waiter);
  const auto kept = kept_.find(waits->record->idempotency_key);
  if (kept != kept_.end()) kept_.erase(kept);
}

kv::LockReply StoreModel::leave_queue(const kv::LeaveQueue& leave) {
  const std::string waiter = waiter_name(leave.space, leave.name, leave.place);
  if (state_.find(kv::Space::kWaiters, waiter) != nullptr) {
    forget_waiter(waiter);
    state_.erase(kv::Space::kWaiters, waiter, false);
    state_.end_revision();
  }
  const std::string name(leave.name);
  const ModelKey* held = state_.find(leave.space, name);
  kv::LockReply reply = lock_reply(leave.space, name);
  const bool granted = held != nullptr && held->record->place == leave.place;
  reply.result = granted ? Result::kDone : Result::kLocked;
  return reply;
}

bool StoreModel::holds(const kv::Fence& fence) const {
  const auto is_held = [&](kv::Space space) {
    const ModelKey* held = state_.find(space, fence.name);
    return held != nullptr && held->create == fence.token;
  };
  if (fence.space != kv::Space::kKeys) return is_held(fence.space);
  return is_held(kv::Space::kLocks) || is_held(kv::Space::kElections);
}

}  // namespace raftd::sim
