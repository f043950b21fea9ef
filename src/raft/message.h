// What cores say to each other. Pure data: no encoding here (see wire/codec.h).
#pragma once

#include <variant>

#include "raft/configuration.h"

namespace raftd::raft {

struct VoteRequest {
  Index last_index;
  Term last_term;
  bool pre_vote = false;  // The message's term is then the one it would campaign in.
  bool transfer = false;  // "I have permission to disrupt the leader - it told me to!"
};

struct VoteReply {
  bool granted = false;
  bool pre_vote = false;
};

// Without entries it is a heartbeat or, with read_seq 0, only the commit index: the latter is not
// answered unless rejected. To a follower that is sent a snapshot prev is (0, 0).
struct AppendRequest {
  Index prev_index;
  Term prev_term;
  Index commit;      // The receiver takes min(commit, prev_index + entries.size()).
  ReadSeq read_seq;  // Echoed in the reply: this is how ReadIndex confirms leadership.
  std::vector<Entry> entries;
};

struct AppendReply {
  struct Accepted {
    Index match;
  };
  // The follower has no entry (prev_index, prev_term). If it has another one at prev_index: that
  // entry's term and the first index of that term in its log; else both are 0 and its log is
  // shorter. The leader skips a whole term per round trip (Raft paper, end of section 5.3).
  struct Rejected {
    Index prev_index;
    Index last_index;
    Term conflict_term;
    Index conflict_first;
  };
  std::variant<Accepted, Rejected> result;
  ReadSeq read_seq;
};

// One piece of a snapshot file, for a follower that needs entries which its leader no longer has.
// The sender's core says which piece; the shell fills in data before the message leaves.
struct SnapshotChunk {
  SnapshotMeta meta;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  SharedBytes data;  // Empty inside the sender's core.
};

// Everything before next_offset is stored: send from there. That it is installed is an AppendReply.
struct SnapshotReply {
  SnapshotId id;
  std::uint64_t next_offset = 0;
  bool rejected = false;  // It did not verify, or could not be stored: begin again.
};

// A follower asks for a read index. The incarnation keeps an answer to a former life of the asking
// process from matching a question of its present one.
struct ReadIndexRequest {
  Incarnation incarnation;
  std::uint64_t seq = 0;
};

struct ReadIndexReply {
  Incarnation incarnation;
  std::uint64_t seq = 0;
  std::optional<Index> at;  // nullopt: not the leader, or too busy. Ask again. It is committed.
};

// Campaign at once, without PreVote: leadership is being handed over. In the same term only.
struct TimeoutNow {};

using Body = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, ReadIndexRequest,
                          ReadIndexReply, TimeoutNow, SnapshotChunk, SnapshotReply>;

struct Message {
  NodeId from;
  NodeId to;
  Term term;
  Body body;
};

}  // namespace raftd::raft
