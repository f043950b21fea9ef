// The contract between a replica and the state machine that it replicates. kv::Store is one; any
// other may be linked in its place.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "raft/types.h"

namespace raftd::machine {

// Time that all nodes agree on: it is written in the log by the leader, never goes back, and
// stands still while there is no leader. Milliseconds.
using ClusterTime = Strong<struct ClusterTimeTag>;

// The first bytes of every command are room for the leader's cluster time, u64 little-endian, so
// that stamping copies nothing.
inline constexpr std::size_t kStampBytes = 8;

struct Applied {
  raft::Index index;
  raft::Term term;
  ClusterTime time;  // Never less than at the entry before.
  ByteView command;  // Without the stamp. Empty for a no-op or configuration entry.
};

// Questions and answers stay inside the process; each front end and machine share their types.
class Query {
 public:
  virtual ~Query() = default;
};
class Reply {
 public:
  virtual ~Reply() = default;
};

struct Outcome {
  bool finished = true;
  std::unique_ptr<Reply> reply;  // Null if no reply was wanted, or not finished.
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Deterministic: the result depends on the state and on the arguments alone. Cannot fail: an
  // invalid command is a reply. No reply is built when nobody on this node waits for it.
  // Not finished (a large range delete): apply_slice() until it is, before the next entry; nothing
  // of it is visible until then.
  virtual Outcome apply(const Applied& applied, bool reply_wanted) = 0;
  virtual Outcome apply_slice() = 0;

  // Null: the state that the query wants is not there yet; ask again after the next apply.
  virtual std::unique_ptr<Reply> query(const Query& query) const = 0;

  // Housekeeping that must go through the log (drop old history): a command with room for its
  // stamp, or nothing. Asked on the leader only.
  virtual std::optional<Bytes> chore(ClusterTime now) const = 0;
  // When chore() will next have something if nothing is applied meanwhile.
  virtual std::optional<ClusterTime> next_chore() const = 0;

  // Local work that changes nothing visible (free dropped versions). true: there is more.
  virtual bool tidy_slice() = 0;
};

}  // namespace raftd::machine
