// Connections to peers: one per pair of nodes, dialled by the node with the higher id.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "node/replica.h"
#include "storage/recovery.h"
#include "uv/handle.h"

namespace raftd::uv {

struct PeerOptions {
  storage::Identity identity;
  std::string cluster_name;
  raft::Incarnation incarnation;
  std::int32_t priority = 0;
  std::uint64_t settings_hash = 0;  // Of what must agree everywhere and is not in the log.
  Duration election_timeout_min{};  // A link that has not drained for so long is made anew.
  Duration connect_timeout{};
};

// What the network needs to know of the replicated state; called on the loop.
class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;
  // The instance that this member has published; 0: none yet.
  virtual std::uint64_t published_instance(raft::NodeId id) const = 0;
};

class PeerNetwork final : public node::Network {
 public:
  PeerNetwork(Loop& loop, const PeerOptions& options, const PeerDirectory& directory, Log& log,
              std::uint64_t seed);
  ~PeerNetwork() override;
  void bind(node::Replica& replica);  // Before the first event.

  // "HOST:PORT". kIo: cannot be listened on, and why. Returns the address in use.
  Result<std::string> listen(const std::string& address);

  void send(node::PeerMessage message) override;
  void members(const raft::ConfigurationAt& configuration) override;

  void flush(Instant now);  // One write per link for what was sent in this iteration.
  void stop();              // Closes everything; sends nothing more.

  std::vector<raft::NodeId> connected() const;
  std::uint64_t bad_messages() const;
  // A peer that knows this node's id under another data directory has refused it: the sentence to
  // print; the process ends with exit status 75.
  const std::optional<Error>& fatal() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::uv
