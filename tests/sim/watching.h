// Clients that watch: each reads the events of some keys from a node, a few at a time, is cut off
// now and then and goes on with another node from what it knows. What they see is held against the
// model, which says what there is to be seen: in the order of revisions, each event once, none left
// out, those of one revision together, also across a new start anywhere, and a revision up to which
// a watcher is told to have seen everything is one up to which it has.
#pragma once

#include <vector>

#include "sim/cluster.h"

namespace raftd::sim {

class Watching {
 public:
  Watching(Cluster& cluster, std::uint64_t seed);
  void start();
  void stop() { stopping_ = true; }
  // At the end: each sees all that is left on a node that has applied everything.
  void check_end(std::size_t node);

 private:
  struct Client {
    Rng rng;
    std::size_t node = 0;
    std::uint64_t life = 0;  // Of the node, when it was reached.
    kv::KeySpan span;
    bool prev = false;
    kv::EventCursor cursor;
    kv::Revision complete = 0;  // It has seen all events of the revisions up to here,
    std::size_t seen = 0;       //   and so many of the next revision that has any.
  };

  void next(std::size_t client);
  void act(std::size_t client);
  bool read(Client& client);  // False: there is nothing more for now.
  void take(Client& client, const kv::Event& event);
  // The keys of that revision that the client wants, in order.
  std::vector<std::string> wanted(const Client& client, kv::Revision revision) const;
  kv::Revision next_revision(const Client& client) const;  // 0: none that it wants is left.
  void cut_off(Client& client);

  Cluster& cluster_;
  std::vector<Client> clients_;
  bool stopping_ = false;
};

}  // namespace raftd::sim
