// The model's leases, and locks, which live as long as theirs.
#include <algorithm>

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

unsigned long long number(std::uint64_t value) {
  return value;
}

std::string lock_text(const kv::LockView& lock) {
  std::string text = strf(
      "%s has token %llu, mod %llu, lease %llu, owner %s, value %s, place %llu, "
      "%llu ms left, %llu wait",
      lock.name.c_str(), number(lock.token), number(lock.mod), number(lock.lease),
      lock.owner.c_str(), shortened(lock.value).c_str(), number(lock.place),
      number(lock.remaining_ms), number(lock.waiting));
  for (const kv::LockView::Waiter& waiter : lock.waiters)
    text += strf(", %s for %llu ms", waiter.owner.c_str(), number(waiter.waiting_ms));
  return text;
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
  std::vector<kv::LeaseId> batch;
  std::size_t keys = 0;
  for (const auto& [deadline, id] : due) {
    if (batch.size() == limits::kLeasesPerExpiryMax || keys >= limits::kApplyKeysPerSliceMax) break;
    keys += state_.keys_of(id).size();
    batch.push_back(id);
  }
  for (const kv::LeaseId id : batch) {
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
  // Whose own lease is over is passed over. Keys that have it, too, end when it does.
  while (!waiters.empty()) {
    const kv::LeaseId lease = state_.find(kv::Space::kWaiters, waiters.front())->lease;
    if (state_.lease(lease)->deadline > now_) break;
    forget_waiter(waiters.front());
    state_.erase(kv::Space::kWaiters, waiters.front(), true);
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
  record.since = now_;
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

std::string StoreModel::check_leases(const kv::Store& store) const {
  auto expected = state_.leases().begin();
  const auto text = [](kv::LeaseId id, std::uint64_t ttl_ms, std::uint64_t left_ms,
                       std::size_t keys) {
    return strf("lease %llu of %llu ms has %llu left and %zu keys", number(id), number(ttl_ms),
                number(left_ms), keys);
  };
  kv::LeasesQuery page;
  do {
    const auto answer = store.query(page, now_);
    const auto& reply = dynamic_cast<const kv::LeasesReply&>(*answer);
    for (const kv::LeaseRow& row : reply.rows) {
      const std::string got = text(row.id, row.ttl_ms, row.remaining_ms, row.keys);
      if (expected == state_.leases().end()) return got + ", and is not there";
      const auto& [id, lease] = *expected++;
      const auto keys =
          std::ranges::count(state_.keys_of(id), kv::Space::kKeys, &ModelState::Name::first);
      const std::string wanted =
          text(id, lease.ttl_ms, remaining_ms(id), static_cast<std::size_t>(keys));
      if (got != wanted) return got + "; expected: " + wanted;
    }
    page.start = reply.next;
  } while (page.start != 0);
  if (expected == state_.leases().end()) return {};
  return strf("lease %llu is not listed", number(expected->first));
}

std::string StoreModel::check_locks(const kv::Store& store, kv::Space space) const {
  auto expected = state_.live(space).begin();
  kv::LocksQuery page;
  page.space = space;
  do {
    const auto answer = store.query(page, now_);
    const auto& reply = dynamic_cast<const kv::LocksReply&>(*answer);
    for (const kv::LockView& lock : reply.locks) {
      const std::string got = lock_text(lock);
      if (expected == state_.live(space).end()) return got + ", and is not held";
      const auto& [name, key] = *expected++;
      const std::string wanted = lock_text(view(space, name, key));
      if (got != wanted) return got + "; expected: " + wanted;
    }
    page.start = reply.next;
  } while (!page.start.empty());
  if (expected == state_.live(space).end()) return {};
  return expected->first + " is held, and not listed";
}

// As the store shows it.
kv::LockView StoreModel::view(kv::Space space, const std::string& name, const ModelKey& key) const {
  kv::LockView view;
  view.name = name;
  view.token = key.create;
  view.mod = key.mod;
  view.lease = key.lease;
  view.owner = key.record->owner;
  view.value = key.record->value;
  view.place = key.record->place;
  view.remaining_ms = remaining_ms(key.lease);
  for (const std::string& waiter : queue(space, name)) {
    ++view.waiting;
    if (space == kv::Space::kElections) continue;
    const kv::LockRecord& record = *state_.find(kv::Space::kWaiters, waiter)->record;
    view.waiters.push_back({record.owner, now_.value - record.since.value});
  }
  return view;
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
