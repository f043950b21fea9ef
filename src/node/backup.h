// The state of this node for a client that keeps it: the bytes of a snapshot file, made of the
// state as it was when the client asked, a slice at a time, while writes go on. Nothing touches the
// disk.
//
// The happy path is: the state is cut; a first walk over it counts the bytes of the body, which
// the file's header, the first bytes, must say; a second walk gives them. Possible failure modes
// are: the client goes away (the backup is destroyed, and the cut with it); another state is
// installed, or the node stops (broken).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "machine/state_machine.h"
#include "storage/snapshot_file.h"

namespace raftd::node {

class Backups;

class Backup {
 public:
  enum class Next : std::uint8_t {
    kMore,    // Something was appended.
    kWork,    // Nothing yet: ask again, but let others have their turn first.
    kEnd,     // That was all, before.
    kBroken,  // The state is not there any more.
  };

  Backup(Backups& backups, storage::SnapshotCut cut, machine::StateMachine& machine);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  raft::Index index() const { return index_; }
  raft::Term term() const { return term_; }
  // The next bytes of the file: at most a slice of the state.
  Next next(Bytes& out);
  // Of the state, behind what next() has given.
  std::uint64_t bytes_left() const { return body_bytes_ - file_.body_bytes(); }

 private:
  friend class Backups;
  void break_off();
  void count();
  bool write(Bytes& out);

  Backups& backups_;
  raft::Index index_;
  raft::Term term_;
  storage::SnapshotFileWriter file_;
  std::unique_ptr<machine::SnapshotWriter> counter_;  // Null: body_bytes_ is known.
  std::unique_ptr<machine::SnapshotWriter> writer_;   // Null: all of it was written.
  std::uint64_t body_bytes_ = 0;
  Bytes body_;  // A slice; kept for its memory.
  bool head_written_ = false;
  bool broken_ = false;
};

// Those that there are. Outlives them.
class Backups {
 public:
  std::size_t size() const { return live_.size(); }
  void break_all();  // Before the state is replaced, and when the node stops.

 private:
  friend class Backup;
  std::vector<Backup*> live_;
};

// What Done::reply is after OpenBackup.
struct BackupReply final : machine::Reply {
  std::unique_ptr<Backup> backup;
};

}  // namespace raftd::node
