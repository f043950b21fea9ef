// The simulated network: one connection per pair of nodes, messages in order on each, and all that
// happens to connections.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "node/peer_message.h"
#include "sim/options.h"
#include "sim/schedule.h"

namespace raftd::sim {

class Peers {  // The nodes, as the network sees them.
 public:
  virtual ~Peers() = default;
  virtual void deliver(std::size_t to, node::PeerMessage message) = 0;
  virtual void connected(std::size_t node, std::size_t peer) = 0;
  virtual void disconnected(std::size_t node, std::size_t peer) = 0;
  virtual void dropped(std::size_t node, std::size_t peer) = 0;
};

class SimNetwork {
 public:
  SimNetwork(Schedule& schedule, const Options& options, std::uint64_t seed, Peers& peers);

  void send(std::size_t from, std::size_t to, node::PeerMessage message);

  // A process began or ended. told: its peers notice its end at once (the kernel closes its
  // sockets); else only after a while (the machine is gone).
  void started(std::size_t node);
  void ended(std::size_t node, bool told);

  void reset(std::size_t a, std::size_t b);
  // From now on nothing gets from one to the other; what is on its way waits.
  void block(std::size_t from, std::size_t to) { blocked_.insert({from, to}); }
  void heal();     // Every block; what waited arrives, late, or its connection is reset.
  void be_kind();  // No loss, no duplicates, no slow messages from now on.

  std::uint64_t messages() const { return messages_; }
  std::uint64_t resets() const { return resets_; }

 private:
  struct Side {  // What one end knows, and what is on its way from it.
    bool up = false;
    Instant last_arrival{};
    std::deque<node::PeerMessage> held;  // By a block.
  };
  struct Link {
    std::uint64_t epoch = 0;  // Of this connection.
    bool alive = false;
    Side sides[2];  // From the lower node, from the higher.
  };

  Link& link(std::size_t a, std::size_t b);
  static Side& side(Link& link, std::size_t from, std::size_t to);
  void transmit(std::size_t from, std::size_t to, node::PeerMessage message);
  void break_link(std::size_t a, std::size_t b, Duration notice_max);
  void notice(std::size_t node, std::size_t peer, std::uint64_t epoch);
  void try_connect(std::size_t a, std::size_t b);
  void release(std::size_t from, std::size_t to, std::uint64_t epoch);
  void retry(std::size_t a, std::size_t b);

  Schedule& schedule_;
  Options options_;
  Rng rng_;
  Peers& peers_;
  std::vector<bool> running_;
  std::map<std::pair<std::size_t, std::size_t>, Link> links_;
  std::set<std::pair<std::size_t, std::size_t>> blocked_;
  std::uint64_t messages_ = 0;
  std::uint64_t resets_ = 0;
};

}  // namespace raftd::sim
