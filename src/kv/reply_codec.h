// Replies as bytes and back, for those that are kept for retries. Decoding is bounded and never
// throws.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/limits.h"
#include "kv/query.h"

namespace raftd::kv {

// More than kReplyKeptBytesMax only where a name is as long as names may be.
inline constexpr std::size_t kEncodedReplyBytesMax =
    limits::kReplyKeptBytesMax + limits::kKeyBytesMax;

ReplyKind kind_of(const StoreReply& reply);
std::unique_ptr<StoreReply> make_reply(ReplyKind kind);

// One of more than kReplyKeptBytesMax is cut: without items, results, the value of an election, the
// key and the value of prev, whose numbers stay; and it is `truncated`. What `replayed` and `index`
// say is not written.
Bytes encode_reply(const StoreReply& reply);
// Null: encode_reply did not write this.
std::unique_ptr<StoreReply> decode_reply(ByteView bytes) noexcept;

}  // namespace raftd::kv
