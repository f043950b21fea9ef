// What is shown of leases: one with a bounded piece of its keys, or a bounded piece of all.
#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {

LeaseRow Store::State::row(LeaseId id, const Lease& lease, machine::ClusterTime at) const {
  // A lock is no key for those who look at keys.
  std::uint64_t others = 0;
  lease.keys.visit_from({Space::kLocks, {}}, [&](const Key&) {
    ++others;
    return true;
  });
  return {id, lease.ttl_ms, remaining_ms(lease, at), lease.keys.size() - others};
}

std::unique_ptr<machine::Reply> Store::State::lease(const LeaseQuery& query,
                                                    machine::ClusterTime at) const {
  auto reply = std::make_unique<LeaseQueryReply>();
  reply->revision = stats.revision;
  const Lease* found = find_lease(query.id);
  if (found == nullptr) return reply;
  reply->found = true;
  reply->lease = row(query.id, *found, at);
  if (!query.with_keys) return reply;
  std::size_t bytes = 0;
  found->keys.visit_from({Space::kKeys, query.start}, [&](const Key& key) {
    if (key.space() != Space::kKeys) return false;
    const std::string_view name = key.text();
    bytes += name.size();
    const bool full = query.bytes_max != 0 && !reply->keys.empty() && bytes > query.bytes_max;
    if (full || reply->keys.size() == limits::kRangeKeysPerSliceMax) {
      reply->more = true;
      reply->next = name;
      return false;
    }
    reply->keys.emplace_back(name);
    return true;
  });
  return reply;
}

std::unique_ptr<machine::Reply> Store::State::list_leases(const LeasesQuery& query,
                                                          machine::ClusterTime at) const {
  auto reply = std::make_unique<LeasesReply>();
  reply->revision = stats.revision;
  for (auto found = leases.lower_bound(query.start); found != leases.end(); ++found) {
    if (reply->rows.size() == limits::kLeasesPerSliceMax) {
      reply->next = found->first;
      break;
    }
    reply->rows.push_back(row(found->first, found->second, at));
  }
  return reply;
}

}  // namespace raftd::kv
