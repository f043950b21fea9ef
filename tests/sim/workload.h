// Clients that put, get, compare-and-set, delete and list through any node, at times ask again for
// what nobody answered, and remember everything. Each answer is held against the log at once: what
// is read at an index is what the entries up to there make, the index is not below what any client
// had heard of when it asked, and that together is strict serializability. At the end each key's
// history is searched for a linearization besides.
#pragma once

#include <map>
#include <set>
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
  // Clients ask seldom and wait long from now on: what piled up on a small window must drain first.
  void calm_down() { calm_ = true; }
  void forget_successes();

  void check_histories() const;  // Throws Violation.

 private:
  struct Client {
    Rng rng;  // Its own: what another does changes nothing here.
    bool works = true;
    std::uint64_t values = 0;
    std::size_t node = 0;
    std::uint64_t operations = 0;
    bool succeeded = false;
    bool busy = false;
  };
  struct Key {
    std::vector<support::Operation> history;
    std::size_t unknown = 0;           // Writes whose outcome nobody will ever know.
    std::set<std::uint64_t> repeated;  // Values that were asked for more than once.
    // What somebody last saw there, for a compare-and-set.
    std::uint64_t seen_value = 0;
    std::uint64_t seen_revision = 0;
  };

  struct Write {
    support::Operation operation;
    Bytes command;
  };
  // How a read is asked for.
  struct Freshness {
    node::Consistency consistency = node::Consistency::kLinearizable;
    std::uint64_t min_revision = 0;
  };

  Duration think() const;  // On average, before a client asks again.
  void next(std::size_t client);
  void act(std::size_t client);
  Write make_write(std::size_t client, const std::string& key);
  void write(std::size_t client, const std::string& key, Write write, int repeats);
  void read(std::size_t client, const std::string& key);
  void read_stale(std::size_t client, const std::string& key);
  void list(std::size_t client, const std::string& key);
  void list_page(std::size_t client, const kv::RangeQuery& page, node::Consistency consistency);
  std::optional<kv::RangeQuery> list_ended(std::size_t client, const kv::RangeQuery& page,
                                           raft::Index heard,
                                           const std::optional<node::ClientResult>& result);
  void maybe_abandon(std::size_t client, std::optional<node::ClientToken> token,
                     std::size_t operation, const std::string& key);
  void end(std::size_t client);
  bool maybe_repeat(std::size_t client, const std::string& key, Write write, int repeats,
                    const std::optional<node::ClientResult>& result);
  void write_ended(std::size_t client, const std::string& key, std::size_t operation,
                   raft::Index heard, const std::optional<node::ClientResult>& result);
  void write_done(const std::string& key, std::size_t operation, const node::Done& done);
  void read_ended(const std::string& key, std::size_t operation, raft::Index heard,
                  const kv::GetQuery& query, const std::optional<node::ClientResult>& result);
  const node::Done* answer_to_read(const std::optional<node::ClientResult>& result);
  Freshness pick_freshness(Rng& rng);
  Duration pick_timeout(Rng& rng) const;
  bool calm_ = false;
  std::int64_t now() const { return cluster_.schedule().now().since_origin.count(); }
  std::string key_prefix() const;  // Of the keys that are in use now.
  std::string pick_key(Rng& rng) const;

  Cluster& cluster_;
  std::vector<Client> clients_;
  std::map<std::string, Key> keys_;
  std::vector<double> popularity_;  // Sums, to 1.
  std::size_t busy_ = 0;
  bool everyone_writes_ = false;  // Who has not succeeded since it was last asked for.
  bool stopping_ = false;
};

}  // namespace raftd::sim
