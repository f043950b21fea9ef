// Why a write that is as it should be could not be done, as the store says (native API, section 3).
#pragma once

#include <string_view>

#include "api/call.h"

namespace raftd::api {

// Of anything but a condition of one key. key: which could not be written; empty: it is not known.
ApiError store_refusal(const kv::StoreReply& reply, std::string_view key);
// The same as an answer that came out of the log.
http::Response refused_write(const Site& site, const node::Done& done, const kv::StoreReply& reply,
                             std::string_view key);

}  // namespace raftd::api
