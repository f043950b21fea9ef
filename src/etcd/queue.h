// Locks and elections as etcd's clients make them of keys: who wants one puts a key of his own
// below its name, and has it when nobody below the name was there before (etcd-io/etcd:
// client/v3/concurrency).
#pragma once

#include <string>

#include "etcd/call.h"

namespace raftd::etcd {

// Who wants it, and in which queue.
struct Entrant {
  std::string name;        // Of the lock or the election.
  std::int64_t lease = 0;  // Of his key; 0: a new one that lives for kOwnLease.
  std::string value;       // Of his key.
  bool campaigns = false;  // The value replaces what he has put before, and the answer is another.
};

// Puts the key, waits for those that were there before, and answers.
api::Handled enter(const api::Site& site, Entrant entrant);

// The key that was created first below the name.
kv::TransactionQuery first_query(const std::string& name);

}  // namespace raftd::etcd
