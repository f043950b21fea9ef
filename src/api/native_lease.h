// What calls about leases and writes of keys that have one share.
#pragma once

#include "api/errors.h"
#include "api/parameters.h"
#include "kv/command.h"

namespace raftd::api {

// ttl, lease, keep_lease: at most one of them.
kv::LeaseChoice read_lease_choice(ParamReader& reader);
// The parameter's time to live in milliseconds; 0 if it is not given.
std::uint64_t read_ttl_ms(ParamReader& reader);

ApiError lease_not_found(kv::LeaseId id);

}  // namespace raftd::api
