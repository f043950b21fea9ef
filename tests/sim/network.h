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
  virtual void part(std::size_t node, std::size_t peer) = 0;  // Of a message from it.
  virtual void connected(std::size_t node, std::size_t peer) = 0;
  virtual void disconnected(std::size_t node, std::size_t peer) = 0;
  virtual void dropped(std::size_t node, std::size_t peer) = 0;
  virtual bool stalled(std::size_t node) const = 0;  // It does not read what arrives.
};

class SimNetwork {
 public:
  SimNetwork(Schedule& schedule, const Options& options, std::uint64_t seed, Peers& peers);

  void send(std::size_t from, std::size_t to, node::PeerMessage message);

  // A process began or ended. told: its peers notice its end at once (the kernel closes its
  // sockets); else only after a while (the machine is gone).
  void started(std::size_t node);
  void ended(std::size_t node, bool told);

  void resumed(std::size_t node);  // It reads again.

  // What is on its way is lost, but for some first part of it.
  void reset(std::size_t a, std::size_t b);
  // From now on nothing gets from one to the other; what is on its way waits.
  void block(std::size_t from, std::size_t to) { blocked_.insert({from, to}); }
  void unblock(std::size_t from, std::size_t to);  // What waited arrives.
  // Cut and whole in turn.
  void flap(std::size_t a, std::size_t b, Duration every, Duration lasting);
  // What is sent meanwhile comes at its end, all at once.
  void clog(std::size_t from, std::size_t to, Duration lasting);
  // From now on it carries so many bytes per second, in each direction.
  void narrow(std::size_t a, std::size_t b, std::uint64_t bandwidth);
  // The links of a node are cut one after the other, and heal in another order.
  void swizzle(std::size_t node, Duration lasting);
  void heal();     // Every block; what waited arrives, late, or its connection is reset.
  void be_kind();  // No loss, no duplicates, no slow messages from now on.

  std::uint64_t messages() const { return messages_; }
  std::uint64_t resets() const { return resets_; }
  std::uint64_t late() const { return late_; }  // Messages of connections that had ended.

 private:
  struct Side {  // What one end knows, and what is on its way from it.
    bool up = false;
    Instant last_arrival{};
    Instant free_at{};  // All before is on the wire then.
    Instant clogged_until{};
    std::deque<node::PeerMessage> held;    // By a block.
    std::deque<node::PeerMessage> pieces;  // Of snapshots: until the wire is free.
  };
  struct Link {
    std::uint64_t epoch = 0;  // Of this connection.
    Instant drained{};        // What would have arrived by then does, though it has broken.
    bool alive = false;
    Side sides[2];  // From the lower node, from the higher.
  };

  Link& link(std::size_t a, std::size_t b);
  std::uint64_t bandwidth(std::size_t from, std::size_t to) const;  // 0: no limit.
  static Side& side(Link& link, std::size_t from, std::size_t to);
  void transmit(std::size_t from, std::size_t to, node::PeerMessage message);
  void transmit_parts(std::size_t from, std::size_t to, Duration delay, Instant begin,
                      Instant done);
  void queue_piece(std::size_t from, std::size_t to, node::PeerMessage message);
  void send_piece(std::size_t from, std::size_t to, std::uint64_t epoch);
  void arrive(std::size_t from, std::size_t to, std::uint64_t epoch, node::PeerMessage message);
  void arrive_late(std::size_t to, node::PeerMessage message);
  void flap_on(std::size_t a, std::size_t b, Duration every, Instant until, bool cut);
  void release_later(std::size_t from, std::size_t to);
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
  std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> narrow_;
  std::uint64_t messages_ = 0;
  std::uint64_t resets_ = 0;
  std::uint64_t late_ = 0;
  bool kind_ = false;
};

}  // namespace raftd::sim
