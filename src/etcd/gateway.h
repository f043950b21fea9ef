// etcd's v3 API as its JSON gateway speaks it: HTTP/1.1, a POST of one request message to a path
// of its own, the answer a message.
#pragma once

#include "api/call.h"

namespace raftd::etcd {

// Serves /v3/, /v3beta/ and /v3alpha/.
const api::Protocol& gateway();

}  // namespace raftd::etcd
