// node::PeerMessage <-> msgpack bytes. Nothing throws out of here.
#pragma once

#include "base/result.h"
#include "node/peer_message.h"

namespace raftd::wire {

// Appends the message's msgpack to out.
void encode(const node::PeerMessage& message, Bytes& out);

// Entries' payloads are views into body and share its owner. kBadInput: the first rule that does
// not hold, for one log line; nothing larger than body is allocated.
Result<node::PeerMessage> decode(const SharedBytes& body) noexcept;

}  // namespace raftd::wire
