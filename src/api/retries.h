// Requests that are sent again (native API, section 4): what was answered before is answered as it
// was.
#pragma once

#include <memory>

#include "api/call.h"

namespace raftd::api {

// What this node does not take into the log (507): but if it was taken before, the answer is that
// of the first time. kind and call: of the command that is not proposed.
Handled refuse_if_new(const Site& site, const Context& context, kv::ReplyKind kind, ApiError error,
                      std::unique_ptr<Call> call);

// The call's next step. Tells apart what was answered before (Idempotency-Replayed, and the index
// of the entry that did it), and the key of another request (422), so that no call has to.
Step take_result(const Site& site, Call& call, RequestId request, node::Done& done);

}  // namespace raftd::api
