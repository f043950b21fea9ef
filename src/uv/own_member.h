// What this node wants of its own place among the members, through the log: that the peer address
// which it announces is the one that the members know, and, once it was asked to leave, that it is
// none of them any more.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "node/replica.h"

namespace raftd::uv {

class OwnMember {
 public:
  // peer: HOST:PORT at which the others reach this node.
  OwnMember(raft::NodeId self, std::string peer) : self_(self), peer_(std::move(peer)) {}

  void leave() { leaving_ = true; }  // From now on.
  bool leaving() const { return leaving_; }

  struct Due {
    node::ClientToken token;
    node::ChangeMembers change;  // Never forced.
  };
  // A change to ask for now, if the members are not as wanted, no change of them is under way, and
  // none of this one's is. applied: up to where the log is applied here.
  std::optional<Due> due(Instant now, const raft::ConfigurationAt& present, raft::Index applied);
  // What became of it; due() looks at the members again.
  void done(const node::ClientResult& result);

  // Why this node has not left yet; once a minute.
  std::optional<std::string> complaint(Instant now);

  // The publisher's tokens have the highest bit and not the next; the service's have neither.
  static bool owns(node::ClientToken token) { return (token.value & kOwnTokens) == kOwnTokens; }

 private:
  static constexpr std::uint64_t kOwnTokens = 3ULL << 62;
  static constexpr Duration kRetryInterval = std::chrono::seconds(1);
  static constexpr Duration kComplaintInterval = std::chrono::minutes(1);

  bool want(raft::Configuration& target);

  raft::NodeId self_;
  std::string peer_;
  bool leaving_ = false;
  std::uint64_t attempts_ = 0;
  bool in_flight_ = false;
  Instant tried_{};
  std::string problem_;  // Empty: nothing was tried in vain.
  std::optional<Instant> complained_;
};

}  // namespace raftd::uv
