#include "node/backup.h"

#include <algorithm>

#include "base/limits.h"

namespace raftd::node {
namespace {

// Less than for a file: a SHA-256 is taken of each piece, too, and it is copied to a socket.
constexpr std::size_t kSliceBytes = limits::kSnapshotSliceBytes / 2;

}  // namespace

// Chunks as small as slices: each piece costs the loop little, its checksums included.
Backup::Backup(Backups& backups, storage::SnapshotCut cut, machine::StateMachine& machine)
    : backups_(backups),
      index_(cut.last_index),
      term_(cut.last_term),
      file_(std::move(cut), kSliceBytes),
      counter_(machine.snapshot()),
      writer_(machine.snapshot()) {
  backups_.live_.push_back(this);
}

Backup::~Backup() {
  std::erase(backups_.live_, this);
}

void Backup::break_off() {
  counter_.reset();
  writer_.reset();
  broken_ = true;
}

void Backup::count() {
  body_.clear();
  const bool last = counter_->write_slice(body_, kSliceBytes);
  body_bytes_ += body_.size();
  if (!last) return;
  if (!counter_->intact()) return break_off();  // The store's own snapshots find it, and say so.
  counter_.reset();
}

// True: something was appended.
bool Backup::write(Bytes& out) {
  const std::size_t before = out.size();
  body_.clear();
  const bool last = writer_->write_slice(body_, kSliceBytes);
  file_.add(body_, out);
  if (last) {
    file_.finish(out);
    ASSERT_CMP(file_.body_bytes(), ==, body_bytes_);
    writer_.reset();
  }
  return out.size() > before;
}

Backup::Next Backup::next(Bytes& out) {
  if (broken_) return Next::kBroken;
  if (counter_) {
    count();
    return broken_ ? Next::kBroken : Next::kWork;
  }
  if (!head_written_) {
    head_written_ = true;
    const Bytes head = file_.head(body_bytes_);
    out.insert(out.end(), head.begin(), head.end());
    return Next::kMore;
  }
  if (!writer_) return Next::kEnd;
  return write(out) ? Next::kMore : Next::kWork;
}

void Backups::break_all() {
  for (Backup* backup : live_)
    backup->break_off();
}

}  // namespace raftd::node
