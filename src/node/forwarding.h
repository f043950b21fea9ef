// Writes on their way to the leader.
//
// The happy path is: a Forward is sent to the leader, its Forwarded says at which index and term
// the operation was appended, and from then on the client waits there (node/waiting.h).
// Possible failure modes are: the leader refuses (nothing was done: once more, to the leader that
// it names, if it refused because it leads no longer); the link ends, or the client's deadline
// passes, before the answer (the operation may have been appended: unknown). What has left is never
// sent again unless it was refused, since it may not be done twice.
#pragma once

#include "node/replica.h"
#include "node/ring.h"
#include "node/waiting.h"

namespace raftd::node {

class Forwards {
 public:
  struct Pending {
    ClientToken token;  // 0: answered, or the client is gone.
    raft::NodeId to;
    raft::Term term;  // When it was sent.
    Instant deadline;
    Instant since;
    WriteOp op;  // To send again.
    bool repeated = false;
  };

  // bytes_max: of the operations that wait for their answer.
  Forwards(raft::Incarnation incarnation, std::size_t bytes_max)
      : incarnation_(incarnation), bytes_max_(bytes_max) {}
  void set_bytes_max(std::size_t bytes_max) { bytes_max_ = bytes_max; }  // Less: none is dropped.

  std::size_t size() const { return live_; }
  bool has_room(const WriteOp& op) const;
  // Precondition: has_room(pending.op).
  ForwardId add(Pending pending);
  // The answer to id came: hands out who waited for it. False: nobody, any more.
  bool take(const ForwardId& id, raft::NodeId from, Pending& pending);

  // Hands out everything that was sent to this peer and has no answer yet.
  std::vector<Pending> take_all(raft::NodeId to);

  bool scan_due(Instant now) const { return watch_.due(now); }
  Instant next_scan() const { return watch_.next_scan(); }
  template <class Fn>
  void scan(Instant now, const GoneClients& gone, Fn&& expired) {
    watch_.restart(now);
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      Pending& pending = pending_[i];
      if (!pending.token) continue;
      const bool left = gone.contains(pending.token);
      if (!left && pending.deadline > now) {
        watch_.add(pending.deadline);
        continue;
      }
      if (!left) expired(pending);
      release(pending);
    }
    drop_done();
  }

  void check_invariants() const;

 private:
  void release(Pending& pending);
  void drop_done();

  raft::Incarnation incarnation_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t live_ = 0;
  std::uint64_t first_seq_ = 1;  // Of pending_.front().
  Ring<Pending> pending_;        // By ForwardId::seq.
  DeadlineWatch watch_;
};

// What the operation weighs against limits.
std::size_t bytes_of(const WriteOp& op);

}  // namespace raftd::node
