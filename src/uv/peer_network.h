// Connections to peers: one per pair of nodes, dialled by the node with the higher id.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "node/replica.h"
#include "storage/recovery.h"
#include "uv/handle.h"
#include "wire/hello.h"

namespace raftd::uv {

struct PeerOptions {
  storage::Identity identity;
  std::string cluster_name;
  raft::Incarnation incarnation;
  std::int32_t priority = 0;
  std::uint64_t settings_hash = 0;  // Of what must agree everywhere and is not in the log.
  Duration election_timeout_min{};  // A link that has not drained for so long is made anew.
  Duration connect_timeout{};
  Duration hello_timeout = std::chrono::seconds(5);
  // Between two knocks of the node that waits to be dialled: half of it to one and a half.
  Duration knock_pause = std::chrono::seconds(10);
  // Dialled while the log does not name this node: it joins, and has not caught up, or it was
  // repaired and no snapshot survived. A peer with a lower id would wait for this node to dial.
  // Later tried beside what the log says.
  std::vector<raft::MemberAddress> listed;
  std::string advertised;  // At which the others reach this node.
};

// What the network needs to know of the replicated state; called on the loop.
class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;
  // The instance that this member has published; 0: none yet.
  virtual std::uint64_t published_instance(raft::NodeId id) const = 0;
  // The id was a member's once, or reserved for one, and never will be again.
  virtual bool removed(raft::NodeId id) const = 0;
};

// What happens on the links; called on the loop, never from within send(), members() or stop().
// on_connected and on_disconnected of a peer alternate; its messages come between them.
class PeerEvents {
 public:
  virtual ~PeerEvents() = default;
  virtual void on_message(node::PeerMessage message) = 0;
  virtual void on_part(raft::NodeId peer) = 0;  // Of a message from it, and not its end.
  virtual void on_connected(raft::NodeId peer, std::int32_t priority) = 0;
  virtual void on_disconnected(raft::NodeId peer) = 0;
  // Messages to it did not leave: no link is up, or its queue is full. Told in flush(), once.
  virtual void on_dropped(raft::NodeId peer) = 0;
};

// The cluster will never take this node: what a peer said.
struct PeerVerdict {
  wire::Reason reason{};  // kInstance or kRemoved.
  std::string message;
};

class PeerNetwork final : public node::Network {
 public:
  PeerNetwork(Loop& loop, const PeerOptions& options, const PeerDirectory& directory, Log& log,
              std::uint64_t seed);
  ~PeerNetwork() override;
  void bind(PeerEvents& events);  // Before the first event.

  // "HOST:PORT". kIo: cannot be listened on, and why. Returns the address in use.
  Result<std::string> listen(const std::string& address);

  void send(node::PeerMessage message) override;
  void members(const raft::ConfigurationAt& configuration) override;

  void flush(Instant now);  // One write per link for what was sent in this iteration.
  void stop();              // Closes everything; sends nothing more and tells nothing more.

  std::vector<raft::NodeId> connected() const;
  std::uint64_t bad_messages() const;
  // A peer that knows this node's id under another data directory, or as that of a member that was
  // removed, has refused it: the process ends with exit status 75. Known before on_disconnected.
  const std::optional<PeerVerdict>& fatal() const;
  // Since the start each member of the configuration has accepted or refused this node, or there
  // was no process at its address. False before the first members().
  bool every_peer_answered() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::uv
