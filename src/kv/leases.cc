// Leases: keys that end by time. A lease has a deadline in cluster time, which the log alone moves;
// what is past it is ended by a chore of the leader (ExpireLeases), in the order of deadlines.
//
// A lease of its own, as a write with a time to live makes one, ends with the last key that uses
// it; others live until their time is over or somebody revokes them.
#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {

Lease* Store::State::find_lease(LeaseId id) {
  const auto found = leases.find(id);
  return found == leases.end() ? nullptr : &found->second;
}

const Lease* Store::State::find_lease(LeaseId id) const {
  const auto found = leases.find(id);
  return found == leases.end() ? nullptr : &found->second;
}

std::uint64_t Store::State::remaining_ms(const LeaseTimes& lease, machine::ClusterTime at) const {
  return lease.deadline <= at ? 0 : lease.deadline.value - at.value;
}

std::optional<LeaseId> Store::State::choose_lease(const LeaseChoice& choice, const Version* present,
                                                  WriteReply& reply) {
  LeaseId id = 0;
  switch (choice.kind) {
    case LeaseChoice::Kind::kNone:
      return LeaseId{0};
    case LeaseChoice::Kind::kKeep:
      id = present == nullptr ? 0 : present->lease();
      break;
    case LeaseChoice::Kind::kAttach:
      id = choice.number;
      if (find_lease(id) == nullptr) {
        reply.result = StoreReply::Result::kLeaseNotFound;
        reply.number = id;
        return std::nullopt;
      }
      break;
    case LeaseChoice::Kind::kPrivate:
      if (leases.size() >= limits::kLeasesMax) {
        reply.result = StoreReply::Result::kTooManyLeases;
        return std::nullopt;
      }
      id = make_lease(choice.number, true);
      break;
  }
  reply.lease = id;
  if (id != 0) reply.ttl_ms = find_lease(id)->ttl_ms;
  return id;
}

LeaseId Store::State::make_lease(std::uint64_t ttl_ms, bool owned) {
  ASSERT_CMP(leases.size(), <, limits::kLeasesMax);
  hash_sum -= hash_of_lease_counter(lease_counter);
  do {
    lease_counter = lease_counter == limits::kLeaseIdMax ? 1 : lease_counter + 1;
  } while (leases.contains(lease_counter));
  hash_sum += hash_of_lease_counter(lease_counter);
  Lease lease;
  lease.ttl_ms = ttl_ms;
  lease.deadline = now + ttl_ms;
  lease.owned = owned;
  add_lease(lease_counter, std::move(lease));
  return lease_counter;
}

// For every snapshot writer that has not come to it yet. Nobody writes one most of the time.
void Store::State::keep_for_cuts(LeaseId id, const LeaseTimes* before) {
  for (LeaseCut* cut : cuts) {
    if (id <= cut->written) continue;
    cut->before.try_emplace(id,
                            before == nullptr ? std::nullopt : std::optional<LeaseTimes>(*before));
  }
}

void Store::State::add_lease(LeaseId id, Lease lease) {
  keep_for_cuts(id, nullptr);
  hash_sum += hash_of(id, lease);
  deadlines.emplace(lease.deadline, id);
  const bool added = leases.emplace(id, std::move(lease)).second;
  ASSERT(added);
  stats.leases = leases.size();
}

void Store::State::set_deadline(LeaseId id, Lease& lease, std::uint64_t ttl_ms) {
  keep_for_cuts(id, &lease);
  hash_sum -= hash_of(id, lease);
  auto entry = deadlines.extract({lease.deadline, id});
  ASSERT(!entry.empty());
  lease.ttl_ms = ttl_ms;
  lease.deadline = now + ttl_ms;
  entry.value().first = lease.deadline;
  deadlines.insert(deadlines.end(), std::move(entry));  // Mostly nobody lives longer.
  hash_sum += hash_of(id, lease);
}

void Store::State::drop_lease(LeaseId id) {
  const auto found = leases.find(id);
  ASSERT(found != leases.end());
  ASSERT(found->second.keys.empty());
  keep_for_cuts(id, &found->second);
  // One that came and went since a cut is as it was then: else a slow reader of a backup would have
  // them all kept.
  for (LeaseCut* cut : cuts) {
    const auto kept = cut->before.find(id);
    if (kept != cut->before.end() && !kept->second) cut->before.erase(kept);
  }
  hash_sum -= hash_of(id, found->second);
  deadlines.erase({found->second.deadline, id});
  leases.erase(found);
  stats.leases = leases.size();
}

// A restore sees keys that had a lease which is gone since.
void Store::State::attach(LeaseId id, Key& key) {
  if (Lease* lease = find_lease(id)) lease->keys.insert(key);
}

void Store::State::detach(LeaseId id, Key& key) {
  Lease* lease = find_lease(id);
  if (lease == nullptr) return;
  lease->keys.erase(key);
  if (lease->owned && lease->keys.empty()) orphans.push_back(id);
}

// One that was given to another key meanwhile lives on.
void Store::State::sweep_orphans() {
  for (const LeaseId id : orphans) {
    const Lease* lease = find_lease(id);
    if (lease != nullptr && lease->keys.empty()) drop_lease(id);
  }
  orphans.clear();
}

LeaseReply Store::State::grant(const GrantLease& grant) {
  LeaseReply reply;
  reply.id = grant.id;
  if (grant.id != 0 && find_lease(grant.id) != nullptr) {
    reply.result = StoreReply::Result::kLeaseExists;
    reply.number = grant.id;
  } else if (leases.size() >= limits::kLeasesMax) {
    reply.result = StoreReply::Result::kTooManyLeases;
  } else {
    reply.ttl_ms = grant.ttl_ms;
    if (grant.id == 0) {
      reply.id = make_lease(grant.ttl_ms, false);
      return reply;
    }
    Lease lease;
    lease.ttl_ms = grant.ttl_ms;
    lease.deadline = now + grant.ttl_ms;
    add_lease(grant.id, std::move(lease));
  }
  return reply;
}

// One whose time is over lives again unless the log has ended it: before that nobody was told.
KeepLeasesReply Store::State::keep(const KeepLeases& keep) {
  KeepLeasesReply reply;
  reply.ttls_ms.reserve(keep.ids.size());
  for (const LeaseId id : keep.ids) {
    Lease* lease = find_lease(id);
    if (lease != nullptr) set_deadline(id, *lease, lease->ttl_ms);
    reply.ttls_ms.push_back(lease == nullptr ? 0 : lease->ttl_ms);
  }
  return reply;
}

WriteReply Store::State::touch(const Touch& touch) {
  WriteReply reply;
  const Keys& keys = in(Space::kKeys);
  const Version* present = live(known(keys, touch.key));
  if (present == nullptr) {
    reply.result = StoreReply::Result::kNotFound;
    return reply;
  }
  if (present->lease() == 0) {
    reply.result = StoreReply::Result::kNoLease;
    return reply;
  }
  Lease* lease = find_lease(present->lease());
  ASSERT(lease != nullptr);
  if (touch.ttl_ms != 0 && lease->keys.size() > 1) {
    reply.result = StoreReply::Result::kSharedLease;
    return reply;
  }
  set_deadline(present->lease(), *lease, touch.ttl_ms != 0 ? touch.ttl_ms : lease->ttl_ms);
  reply.lease = present->lease();
  reply.ttl_ms = lease->ttl_ms;
  return reply;
}

machine::Outcome Store::State::revoke(const RevokeLease& revoke, bool reply_wanted) {
  ending = Ending();
  ending->reply_wanted = reply_wanted;
  ending->revoked = find_lease(revoke.id) != nullptr;
  ending->id = revoke.id;
  if (ending->revoked) ending->ids.push_back(revoke.id);
  return end_slice();
}

// So many that other entries need not wait long; the next chore takes those that are left.
machine::Outcome Store::State::expire(bool reply_wanted) {
  ending = Ending();
  ending->reply_wanted = reply_wanted;
  ending->revoked = true;
  std::size_t keys = 0;
  for (const auto& [deadline, id] : deadlines) {
    if (deadline > now || ending->ids.size() == limits::kLeasesPerExpiryMax) break;
    if (keys >= limits::kApplyKeysPerSliceMax) break;
    keys += find_lease(id)->keys.size();
    ending->ids.push_back(id);
  }
  return end_slice();
}

machine::Outcome Store::State::end_slice() {
  ASSERT(ending);
  machine::Outcome outcome;
  std::size_t keys = 0;
  while (ending->done < ending->ids.size()) {
    const LeaseId id = ending->ids[ending->done];
    const Lease* lease = find_lease(id);
    if (lease != nullptr && !lease->keys.empty()) {
      if (keys >= limits::kApplyKeysPerSliceMax) {
        outcome.finished = false;
        return outcome;
      }
      keys += end_part(id);
      continue;
    }
    if (lease != nullptr) drop_lease(id);
    ++ending->done;
  }
  const Ending ended = *std::exchange(ending, std::nullopt);
  stats.keys -= ended.deleted;
  stats.bytes -= ended.deleted_bytes;
  stats.revision += ended.revisions;
  if (ended.revisions > 0) note_revision();
  if (!ended.reply_wanted) return outcome;
  auto reply = std::make_unique<LeaseReply>();
  reply->revision = stats.revision;
  reply->id = ended.id;
  reply->deleted = ended.deleted;
  if (!ended.revoked) {
    reply->result = StoreReply::Result::kLeaseNotFound;
    reply->number = ended.id;
  }
  outcome.reply = std::move(reply);
  return outcome;
}

// The smallest keys that a lease still has, at most so many, in one revision.
std::size_t Store::State::end_part(LeaseId id) {
  Lease* lease = find_lease(id);
  ASSERT(lease != nullptr);
  ASSERT(!lease->keys.empty());
  std::size_t ended = 0;
  while (ended < limits::kLeaseKeysPerRevokeMax && !lease->keys.empty()) {
    erase(lease->keys.smallest(), id);
    ++ended;
  }
  raise_revision();
  grant_ended_locks();
  return ended;
}

}  // namespace raftd::kv
