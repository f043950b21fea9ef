// The contract between a replica and the state machine that it replicates. kv::Store is one; any
// other may be linked in its place.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "raft/configuration.h"

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
  const raft::Configuration* configuration = nullptr;  // Of a configuration entry. May be joint.
};

// A learner that becomes a voter once it has caught up.
struct Promotion {
  raft::NodeId learner;
  raft::NodeId replaces;  // Leaves in the same change; 0: nobody does.
  bool operator==(const Promotion&) const = default;
};

// Questions and answers stay inside the process; each front end and machine share their types.
class Query {
 public:
  virtual ~Query() = default;
};
class Reply {
 public:
  virtual ~Reply() = default;
  // About as much as an answer made of it holds, beyond what any answer does.
  virtual std::size_t bytes() const { return 0; }
};

struct Outcome {
  bool finished = true;
  std::unique_ptr<Reply> reply;  // Null if no reply was wanted, or not finished.
};

// The state as it was when the writer was made, piece by piece, while apply() goes on. The machine
// outlives it; a state that a RestoreReader replaces has no writer any more. Two that were made of
// the same state write the same bytes.
class SnapshotWriter {
 public:
  virtual ~SnapshotWriter() = default;
  // Appends about bytes_max bytes, perhaps none; true: that was the last of it. Bounded work.
  virtual bool write_slice(Bytes& out, std::size_t bytes_max) = 0;
  // After the last slice. kCorrupt: what was written is not what had been applied (the memory of
  // this process has changed by itself); it must not be kept, and the machine not be asked any
  // more.
  virtual Status intact() const = 0;
};

// Builds a second state beside the present one, which stays as it is until commit().
class RestoreReader {
 public:
  virtual ~RestoreReader() = default;
  // The next bytes of what a writer wrote, cut anywhere. kCorrupt: no writer wrote this.
  virtual Status feed(ByteView bytes) = 0;
  // All has been fed. kCorrupt: something is missing.
  virtual Status complete() const = 0;
  // Swaps the states; this one was cut when everything up to here was applied. Cheap: the old one
  // is freed by tidy_slice(). Precondition: complete().
  virtual void commit(raft::Index index, ClusterTime time) = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Deterministic: the result depends on the state and on the arguments alone. Cannot fail: an
  // invalid command is a reply. No reply is built when nobody on this node waits for it.
  // Not finished (a large range delete): apply_slice() until it is, before the next entry; nothing
  // of it is visible until then, and the bytes of applied.command stay where they are.
  virtual Outcome apply(const Applied& applied, bool reply_wanted) = 0;
  virtual Outcome apply_slice() = 0;

  // now: as this node reads the clock, for what is shown of it alone.
  // Null: the state that the query wants is not there yet; ask again after the next apply.
  virtual std::unique_ptr<Reply> query(const Query& query, ClusterTime now) const = 0;

  // Of the format of its snapshots, for example "kv/1": others are refused.
  virtual std::string_view name() const = 0;
  // Precondition: no entry is applied in part.
  virtual std::unique_ptr<SnapshotWriter> snapshot() = 0;
  virtual std::unique_ptr<RestoreReader> restore() = 0;

  // Housekeeping that must go through the log (drop old history): a command with room for its
  // stamp, or nothing. Asked on the leader only.
  virtual std::optional<Bytes> chore(ClusterTime now) const = 0;
  // When chore() will next have something if nothing is applied meanwhile.
  virtual std::optional<ClusterTime> next_chore() const = 0;

  // Learners that its state says shall vote. Asked on the leader; cheap.
  virtual const std::vector<Promotion>& promotions() const = 0;

  // Equal wherever the same entries were applied, with or without a snapshot in between; of another
  // state most probably another one. Cheap. Precondition: no entry is applied in part.
  virtual std::uint64_t state_hash() const = 0;

  // Local work that changes nothing visible (free dropped versions). true: there is more.
  virtual bool tidy_slice() = 0;
};

}  // namespace raftd::machine
