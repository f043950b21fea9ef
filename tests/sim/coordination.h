// Clients that use what is more than a map of keys: transactions, leases, locks, elections, fences,
// counters, and retries under an idempotency key through any node. Every answer is held against the
// model at its index. What a model that shares a mistake with the store would not see is looked for
// besides: counters that count something twice, two holders of one lock, leases that end too early
// or too late by the time that passes outside.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/requests.h"

namespace raftd::sim {

class Coordination {
 public:
  Coordination(Cluster& cluster, std::uint64_t seed);

  void start();
  void stop() { stopping_ = true; }
  bool idle() const { return busy_ == 0; }
  bool took_part() const { return !clients_.empty(); }

  // At the end, when all nodes have come to the same state.
  void check() const;  // Throws Violation.

 private:
  struct Client {
    Rng rng;
    std::size_t node = 0;
    std::uint64_t requests = 0;
    std::deque<Request> done;  // With a key: they may be asked for again at any time.
  };
  struct Counter {
    std::uint64_t asked = 0;                   // Different requests,
    std::map<std::int64_t, std::string> sums;  // and what those who were answered heard.
  };
  struct Renewal {
    raft::Index at;
    Instant called;
  };

  void next(std::size_t client);
  void act(std::size_t client);
  void ask(std::size_t client, Request request, int repeats);
  void answered(std::size_t client, Request request, int repeats, raft::Index heard,
                const std::optional<node::ClientResult>& result);
  void done(const Request& request, const node::Done& done, const kv::StoreReply& reply);
  void lock_done(const Request& request, const kv::LockReply& reply);
  void renewed(kv::LeaseId lease, const node::Done& done, Instant called);
  void expired(kv::LeaseId lease, std::uint64_t ttl_ms) const;
  void read(std::size_t client);
  void end(std::size_t client);

  Cluster& cluster_;
  std::vector<Client> clients_;
  Requests requests_;  // Each client knows of what any has heard.
  std::map<std::string, Counter> counters_;
  std::map<std::pair<std::string, kv::Revision>, std::string> holders_;  // Whose request got it.
  std::map<std::string, std::map<raft::Index, kv::Revision>> fenced_;    // Writes that passed.
  std::map<kv::LeaseId, Renewal> renewals_;
  std::size_t busy_ = 0;
  bool stopping_ = false;
};

}  // namespace raftd::sim
