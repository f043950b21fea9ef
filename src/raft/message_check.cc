#include "base/limits.h"
#include "raft/state.h"

namespace raftd::raft {
namespace {

// Above this nothing can be a real index; below it no sum overflows.
constexpr Index kIndexMax{1ULL << 62};
// A peer's term may be ahead by as many elections as a century has, not by a wild number: a term
// near the end of the range would end the cluster.
constexpr std::uint64_t kTermJumpMax = 1ULL << 32;

bool plausible_position(Index index, Term term, Term message_term) {
  if (index > kIndexMax || static_cast<bool>(index) != static_cast<bool>(term)) return false;
  return term <= message_term;
}

bool plausible_payload(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kNoop:
      return entry.payload.bytes.empty();
    case EntryKind::kCommand:
      return entry.payload.bytes.size() <= limits::kEntryBytesMax;
    case EntryKind::kConfiguration:
      return static_cast<bool>(decode_configuration(entry.payload.bytes));
  }
  return false;  // A number that is no kind.
}

bool plausible_body(const AppendRequest& request, Term message_term) {
  if (!plausible_position(request.prev_index, request.prev_term, message_term)) return false;
  if (request.entries.size() > limits::kAppendEntriesMax) return false;
  Index index = request.prev_index;
  Term term = request.prev_term;
  for (const Entry& entry : request.entries) {
    index = index.next();
    if (entry.index != index || entry.term < term || !entry.term) return false;
    term = entry.term;
    if (!plausible_payload(entry)) return false;
  }
  return term <= message_term;
}

bool plausible_body(const AppendReply& reply, Term) {
  const auto* rejected = std::get_if<AppendReply::Rejected>(&reply.result);
  if (!rejected) return std::get_if<AppendReply::Accepted>(&reply.result)->match <= kIndexMax;
  if (rejected->prev_index > kIndexMax || rejected->last_index > kIndexMax) return false;
  if (!rejected->conflict_term) return !rejected->conflict_first;
  return static_cast<bool>(rejected->conflict_first) &&
         rejected->conflict_first <= rejected->prev_index;
}

bool plausible_body(const VoteRequest& request, Term message_term) {
  return plausible_position(request.last_index, request.last_term, message_term) &&
         request.last_term < message_term && !(request.pre_vote && request.transfer);
}

bool plausible_id(const SnapshotId& id, Term message_term) {
  return static_cast<bool>(id.last_index) &&
         plausible_position(id.last_index, id.last_term, message_term) && id.file_bytes > 0;
}

bool plausible_body(const SnapshotChunk& chunk, Term message_term) {
  const SnapshotId& id = chunk.meta.id;
  if (!plausible_id(id, message_term)) return false;
  if (!chunk.meta.configuration.index || chunk.meta.configuration.index > id.last_index) {
    return false;
  }
  if (chunk.bytes == 0 || chunk.bytes > limits::kSnapshotWireBytes) return false;
  if (chunk.data.bytes.size() != chunk.bytes) return false;
  return chunk.offset < id.file_bytes && chunk.bytes <= id.file_bytes - chunk.offset;
}

bool plausible_body(const SnapshotReply& reply, Term message_term) {
  return plausible_id(reply.id, message_term) && reply.next_offset <= reply.id.file_bytes;
}

bool plausible_body(const ReadIndexReply& reply, Term) {
  return !reply.at || *reply.at <= kIndexMax;
}

bool plausible_body(const VoteReply&, Term) {
  return true;
}
bool plausible_body(const ReadIndexRequest&, Term) {
  return true;
}
bool plausible_body(const TimeoutNow&, Term) {
  return true;
}

}  // namespace

bool plausible(const Message& message, NodeId self, Term own_term) {
  if (message.to != self || message.from == self) return false;
  if (!message.from || message.from.value > limits::kNodeIdMax) return false;
  if (message.term > own_term && message.term - own_term > kTermJumpMax) return false;
  return std::visit([&](const auto& body) { return plausible_body(body, message.term); },
                    message.body);
}

}  // namespace raftd::raft
