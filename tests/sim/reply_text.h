// The answers of the store as text: two are the same if their texts are.
#pragma once

#include <string>

#include "kv/query.h"

namespace raftd::sim {

// Without what is shown only to the one who asked for the first time: that it was replayed.
// truncated: as it is kept when it is too long.
std::string text_of(const kv::StoreReply& reply, bool truncated);

}  // namespace raftd::sim
