// The places that clients of this node have in the queues of locks. Each has a short lease, which
// is renewed for as long as the client waits here; so a place ends with its client's node.
#pragma once

#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "kv/types.h"

namespace raftd::api {

class QueueKeeper {
 public:
  // A third of what a lease lasts: two renewals may fail.
  static constexpr Duration kInterval = std::chrono::seconds(5);

  void add(kv::LeaseId lease) { leases_.insert(lease); }
  void remove(kv::LeaseId lease);  // Precondition: it was added.
  // What to propose now: all leases in as few commands as they fit in, or nothing. The first time
  // comes an interval after the first lease.
  std::vector<Bytes> due(Instant now);

 private:
  std::multiset<kv::LeaseId> leases_;  // A request that is repeated waits twice in one place.
  Instant next_ = Instant::never();
};

}  // namespace raftd::api
