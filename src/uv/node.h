// A whole node on one loop: wires the replica to the disk, the peers and the HTTP clients, and
// gives it time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/service.h"
#include "base/log.h"
#include "storage/recovery.h"
#include "uv/http_server.h"
#include "uv/peer_network.h"

namespace raftd::uv {

// What SIGHUP may change.
struct Adjustable {
  api::ServiceLimits limits;
  HttpServerOptions http;
  kv::HistoryLimits history;
  std::size_t max_pending_bytes = 0;
};

struct NodeOptions {
  raft::CoreConfig core;
  storage::JournalOptions journal;
  node::SnapshotOptions snapshots;
  PeerOptions peer;
  api::ServiceOptions service;
  Adjustable adjustable;
  std::string data_dir;
  bool sync = true;
  std::vector<std::string> client_listen;
  std::string peer_listen;
  Duration shutdown_timeout{};
  bool first_start = false;  // Ask the peers before the first campaign whether they know this id.
  std::uint64_t seed = 0;    // Of all random choices of this process.
};

// Exit statuses of a node that ran (config-cli, exit codes).
enum class Ended : int { kStopped = 0, kCannotListen = 69, kNotTaken = 75 };

class Node {
 public:
  // reload: called at SIGHUP; what it returns takes effect, nothing: nothing changes.
  using Reload = std::function<std::optional<Adjustable>()>;

  // store: empty, or as recovered.durable.snapshot says. It and log outlive the node.
  Node(const NodeOptions& options, storage::Recovered recovered, kv::Store& store, Log& log,
       Reload reload);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Until SIGTERM or SIGINT (a second one ends the process at once), or until the cluster refuses
  // this node or has removed it. Every failure has been logged as one line.
  Ended run();
  // After run(): this node is a member no longer, for good; who says so.
  const std::optional<std::string>& removal() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Monotonic, as the loop and the replica count it.
Instant monotonic_now();

}  // namespace raftd::uv
