// node::PeerMessage <-> msgpack bytes. Nothing throws out of here.
//
// A message is one msgpack array. Its first three elements are the same in all: type, from, to.
// Numbers are unsigned integers, flags are booleans, payloads are bin; there are no maps, strings,
// floats or extension types, and nothing may follow the array.
//
//   type  message                 elements after [type, from, to
//   ----  ----------------------  ------------------------------------------------------------
//     1   VoteRequest             term, last_index, last_term, pre_vote, transfer
//     2   VoteReply               term, granted, pre_vote
//     3   AppendRequest           term, prev_index, prev_term, commit, read_seq, [entry, ...]
//     4   AppendReply, accepted   term, match, read_seq
//     5   AppendReply, rejected   term, prev_index, last_index, conflict_term, conflict_first,
//                                 read_seq
//     6   ReadIndexRequest        term, incarnation, seq
//     7   ReadIndexReply          term, incarnation, seq, at or nil
//     8   TimeoutNow              term
//     9   Forward, propose        incarnation, seq, command
//    10   Forward, transfer       incarnation, seq, target (0: whoever is furthest)
//    11   Forwarded, appended     incarnation, seq, index, term
//    12   Forwarded, begun        incarnation, seq
//    13   Forwarded, refused      incarnation, seq, code, leader (0: nobody)
//    14   SnapshotChunk           term, snapshot, configuration_index, configuration, offset, data
//    15   SnapshotReply           term, snapshot, next_offset, rejected
//    16   HashQuestion            term, index, hash, agreed
//    17   HashAnswer              term, index (0: not known), hash, applied, state
//   100   hello                   see wire/hello.h
//   101   refusal                 see wire/hello.h
//   102   welcome                 see wire/hello.h
//
//   entry   [index, term, kind, payload]; kind is that of the disk: 1 no-op, 2 command,
//           3 configuration. The index is redundant on purpose: a list with a gap is refused.
//   snapshot  last_index, last_term, file_bytes, digest: four elements
//   state     0 serves, 1 differs, 2 damaged
//   code    1 bad input, 2 too big, 3 busy, 4 not leader, 5 conflict, 6 i/o, 7 corrupt, 8 disk
//           full, 9 unsupported, 10 transferring, 11 superseded, 12 timeout, 13 shutting down
//
// Numbers are never given to another meaning; whoever changes an element raises
// kProtocolVersion (wire/hello.h).
#pragma once

#include "base/result.h"
#include "node/peer_message.h"

namespace raftd::wire {

// Terms and indices: so far from the end that nothing which is added to them can overflow.
inline constexpr std::uint64_t kPositionMax = (1ULL << 63) - 1;

// Appends the message's msgpack to out.
void encode(const node::PeerMessage& message, Bytes& out);

// Entries' payloads are views into body and share its owner. kBadInput: the first rule that does
// not hold, for one log line; nothing larger than a small multiple of body is allocated.
Result<node::PeerMessage> decode(const SharedBytes& body) noexcept;

}  // namespace raftd::wire
