// What replicas say to each other: the cores' messages, clients' requests passed to the leader, and
// whether their states are the same.
#pragma once

#include <variant>

#include "base/result.h"
#include "raft/message.h"

namespace raftd::node {

// The first machine::kStampBytes of a command are room for the leader's time stamp.
struct Propose {
  Bytes command;
};
struct Transfer {
  raft::NodeId target;  // 0: whoever is furthest.
};
using ChangeMembers = raft::MembershipChange;  // See raft::Core::change_members().
using WriteOp = std::variant<Propose, Transfer, ChangeMembers>;

// Unique over restarts of the sender, so that no answer matches a question of another life.
struct ForwardId {
  raft::Incarnation incarnation;
  std::uint64_t seq = 0;
  auto operator<=>(const ForwardId&) const = default;
};

struct Forward {
  raft::NodeId from;
  raft::NodeId to;
  ForwardId id;
  WriteOp op;
};

// The answer says where the operation is in the log. Its result is what the asking node computes
// when it applies that entry itself; if another term is there, the operation did not happen.
struct Forwarded {
  struct Appended {
    raft::Index index;
    raft::Term term;
  };
  struct Begun {};  // A transfer: answered at the next change of leader.
  struct Refused {
    Errc code{};
    raft::NodeId leader;  // As the refusing node knows it; 0: nobody.
  };
  raft::NodeId from;
  raft::NodeId to;
  ForwardId id;
  std::variant<Appended, Begun, Refused> result;
};

// A leader: after this entry my state has this hash; which has yours?
struct HashQuestion {
  raft::NodeId from;
  raft::NodeId to;
  raft::Term term;
  raft::Index index;
  std::uint64_t hash = 0;
  bool agreed = false;  // A quorum has answered that its state has it too.
};

struct HashAnswer {
  enum class State : std::uint8_t {
    kServes,
    kDiffers,  // Its state is not the leader's, or was not: it serves nobody.
    kDamaged,  // Its memory is not what it was: it serves nobody until it gets another state.
  };
  raft::NodeId from;
  raft::NodeId to;
  raft::Term term;
  raft::Index index;  // Where it has this hash: there, or where it found that it differs; 0: the
  std::uint64_t hash = 0;  // hash is not known there.
  raft::Index applied;
  State state = State::kServes;
};

using PeerMessage = std::variant<raft::Message, Forward, Forwarded, HashQuestion, HashAnswer>;

}  // namespace raftd::node
