// Ranges as the store knows them: alone, and as operations of a transaction.
#pragma once

#include "etcd/call.h"
#include "kv/command.h"

namespace raftd::etcd {

// Views into the request. Precondition: check() of writes.h let it pass.
kv::List to_list(const RangeRequest& request);

// Items are moved out of the reply.
RangeResponse range_response(const RangeRequest& request, kv::OpReply& reply,
                             const ResponseHeader& header);

}  // namespace raftd::etcd
