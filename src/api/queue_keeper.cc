#include "api/queue_keeper.h"

#include "base/limits.h"
#include "kv/command.h"

namespace raftd::api {

void QueueKeeper::remove(kv::LeaseId lease) {
  const auto found = leases_.find(lease);
  ASSERT(found != leases_.end());
  leases_.erase(found);
}

std::vector<Bytes> QueueKeeper::due(Instant now) {
  if (leases_.empty()) {
    next_ = Instant::never();
    return {};
  }
  if (next_ == Instant::never()) next_ = now + kInterval;
  if (now < next_) return {};
  next_ = now + kInterval;
  std::vector<Bytes> commands;
  kv::KeepLeases keep;
  for (const kv::LeaseId lease : leases_) {
    keep.ids.push_back(lease);
    if (keep.ids.size() < limits::kLeasesKeptMax) continue;
    commands.push_back(kv::encode(keep));
    keep.ids.clear();
  }
  if (!keep.ids.empty()) commands.push_back(kv::encode(keep));
  return commands;
}

}  // namespace raftd::api
