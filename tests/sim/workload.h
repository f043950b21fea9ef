// Clients that put, get, compare-and-set and delete through any node, retry nothing, remember
// everything, and are checked at the end: each key's history is linearizable.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "support/linearizability.h"

namespace raftd::sim {

class Workload {
 public:
  Workload(Cluster& cluster, std::uint64_t seed);

  void start();
  void stop() { stopping_ = true; }
  bool idle() const { return busy_ == 0; }
  // Each client has had a write done since this was last asked for.
  bool all_succeeded() const;
  void forget_successes();

  void check_histories() const;  // Throws Violation.

 private:
  struct Client {
    std::size_t node = 0;
    std::uint64_t operations = 0;
    bool succeeded = false;
    bool busy = false;
  };
  struct Key {
    std::vector<support::Operation> history;
    std::size_t unknown = 0;  // Writes whose outcome nobody will ever know.
    // What somebody last saw there, for a compare-and-set.
    std::uint64_t seen_value = 0;
    std::uint64_t seen_revision = 0;
  };

  void next(std::size_t client);
  void act(std::size_t client);
  void write(std::size_t client, const std::string& key);
  void read(std::size_t client, const std::string& key);
  void read_local(std::size_t client, const std::string& key);
  void maybe_abandon(std::size_t client, std::optional<node::ClientToken> token,
                     std::size_t operation, const std::string& key);
  void end(std::size_t client);
  void write_ended(std::size_t client, const std::string& key, std::size_t operation,
                   const std::optional<node::ClientResult>& result);
  void write_done(const std::string& key, std::size_t operation, const node::Done& done);
  void read_ended(const std::string& key, std::size_t operation, raft::Index heard,
                  const std::optional<node::ClientResult>& result);
  std::int64_t now() const { return cluster_.schedule().now().since_origin.count(); }
  std::string pick_key();

  Cluster& cluster_;
  Rng rng_;
  std::vector<Client> clients_;
  std::map<std::string, Key> keys_;
  std::uint64_t next_value_ = 1;
  std::size_t busy_ = 0;
  bool stopping_ = false;
};

}  // namespace raftd::sim
