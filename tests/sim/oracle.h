// Knows what must be true of the whole cluster, which no node can know, and is told everything.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "node/replica.h"
#include "sim/log_rules.h"
#include "sim/store_model.h"
#include "sim/violation.h"

namespace raftd::sim {

class Oracle {
 public:
  // From now on the logs on the disks are looked at as well. Outlives this.
  void watch(LogRules& logs) { logs_ = &logs; }

  // After every event of a node. Terms never fall, also over a restart; the rest not within a life.
  void node_is(std::size_t node, std::uint64_t life, const node::ReplicaMarks& status);
  // A node applied this entry.
  void applied(std::size_t node, const machine::Applied& entry);
  // A node took over a state instead: only one that some node had after applying up to index.
  void installed(std::size_t node, raft::Index index) const;
  // Its store then. everything: each key of it is looked at.
  void store_is(std::size_t node, raft::Index index, const kv::Store& store, bool everything) const;
  // Its state, digested, after it has applied up to index.
  void state_is(std::size_t node, raft::Index index, std::uint64_t digest);
  std::optional<std::uint64_t> known_state(raft::Index index) const;
  // A state was made to differ in this run.
  void note_stray() { strays_ = true; }
  bool strays() const { return strays_; }

  // A client was told that its write stands at this place in the log; value identifies it.
  void acknowledged(raft::Index index, raft::Term term, std::uint64_t value);
  // A client was told that this write did not happen and never will.
  void refused(std::uint64_t value) { refused_.insert(value); }
  // The highest index that any client has heard of by now.
  raft::Index heard() const { return heard_; }
  void heard(raft::Index index);

  // An answer: a violation if it is not what the log says. at: the index in the answer.
  template <class Query, class Reply>
  void answered(raft::Index at, const Query& query, const Reply& reply) const {
    if (std::string why = model_.check(at, query, reply); !why.empty()) violated("reads", why);
  }
  void answered(raft::Index at, const kv::StoreReply& reply) const {
    if (std::string why = model_.check(at, reply); !why.empty()) violated("writes", why);
  }
  const StoreModel& model() const { return model_; }
  // Called when a lease has ended by its time, as soon as anybody has applied that.
  using OnExpiry = std::function<void(kv::LeaseId, std::uint64_t ttl_ms)>;
  void on_expiry(OnExpiry expired) { on_expiry_ = std::move(expired); }
  std::uint64_t expired() const { return expired_; }
  // The newest that any node has applied.
  std::uint64_t revision() const { return model_.revision_at(last()); }

  // At the end.
  void check_refused() const;
  raft::Index last() const { return {canonical_.size()}; }

 private:
  struct Committed {
    raft::Term term;
    machine::ClusterTime time;
    std::uint64_t hash = 0;   // Of the command.
    std::uint64_t value = 0;  // That it writes; 0: none.
  };
  struct Last {
    std::uint64_t life = 0;
    raft::Role role = raft::Role::kFollower;
    raft::HardState hard_state;
    raft::Index commit;
    raft::Index applied;
    raft::Index last;
  };

  void delta(std::size_t node, const Last& last, const node::ReplicaMarks& status) const;

  LogRules* logs_ = nullptr;
  StoreModel model_;
  std::unordered_map<raft::Term, std::size_t> leaders_;
  std::vector<Last> nodes_;
  std::vector<Committed> canonical_;  // Index 1 first: what was applied first, by anyone.
  std::unordered_map<raft::Index, std::uint64_t> digests_;
  std::unordered_set<std::uint64_t> refused_;
  OnExpiry on_expiry_;
  std::uint64_t expired_ = 0;  // Leases.
  raft::Index heard_;
  bool strays_ = false;
};

// "v17-xxxx" is value 17; 0: not a value of a simulated client.
std::uint64_t value_number(std::string_view value);

}  // namespace raftd::sim
