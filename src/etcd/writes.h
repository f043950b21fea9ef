// Puts and deletes as the store knows them: alone, and as operations of a transaction.
#pragma once

#include <optional>
#include <string_view>

#include "etcd/call.h"
#include "kv/command.h"

namespace raftd::etcd {

// What etcd says of a request before it looks at the store. Nothing: go on.
std::optional<Error> check(const api::Site& site, const PutRequest& request);
std::optional<Error> check(const DeleteRangeRequest& request);
std::optional<Error> check(const RangeRequest& request);
// No key is as long as what is refused here.
std::optional<Error> check_span(std::string_view key, std::string_view range_end);

// Views into the request.
kv::Put to_put(const PutRequest& request);
kv::DeleteSpan to_delete(const DeleteRangeRequest& request);

// Items are moved out of the reply.
PutResponse put_response(kv::WriteReply& reply, const ResponseHeader& header);
DeleteRangeResponse delete_response(kv::OpReply& reply, const ResponseHeader& header);

}  // namespace raftd::etcd
