// A TxnRequest as the store's transaction: what etcd refuses before it looks at the store, and how
// what was done is told.
#pragma once

#include <optional>

#include "etcd/call.h"
#include "kv/command.h"

namespace raftd::etcd {

// Nothing: go on.
std::optional<Error> check(const api::Site& site, const TxnRequest& request);

// Views into the request. Precondition: check() let it pass.
kv::Transaction to_transaction(const TxnRequest& request);

struct TxnReads {
  bool only = true;           // No operation writes, whichever branches are taken.
  bool serializable = false;  // There are some, and all may be answered from this node's state.
};
TxnReads reads_of(const TxnRequest& request);

}  // namespace raftd::etcd
