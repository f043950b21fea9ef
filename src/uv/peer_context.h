// What the links and the listener of one node's peer network share.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "uv/peer_connection.h"
#include "uv/peer_network.h"

namespace raftd::uv {

// The same thing said again and again is said once a minute.
class LineLimiter {
 public:
  // Whether to write the line now. At most kKeysMax keys are remembered; then the oldest goes.
  bool pass(const std::string& key, Instant now);

 private:
  static constexpr std::size_t kKeysMax = 64;
  static constexpr Duration kInterval = std::chrono::minutes(1);
  std::map<std::string, Instant> said_;
};

struct PeerContext {
  Loop& loop;
  const PeerOptions options;
  const PeerDirectory& directory;
  Log& log;
  PeerEvents* events = nullptr;  // Set by bind, before the first event; nullptr again after stop.
  LineLimiter limiter;
  std::uint64_t bad_messages = 0;
  std::optional<PeerVerdict> fatal;
  raft::Index configuration = {};  // Where the newest one is in the log; 0: there is none.
  // Closed, but maybe still on the stack of one of their callbacks. Emptied by flush.
  std::vector<std::unique_ptr<PeerConnection>> doomed;

  wire::Hello own_hello(raft::NodeId expected) const;
  PeerTimeouts timeouts() const { return {options.election_timeout_min}; }
  void bury(std::unique_ptr<PeerConnection> connection);
  // Says why, closes, and writes one line.
  void refuse(std::unique_ptr<PeerConnection> connection, const wire::Refusal& refusal);
};

Instant peer_clock();  // The loop's clock.

}  // namespace raftd::uv
