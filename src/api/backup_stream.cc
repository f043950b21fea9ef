#include "api/backup_stream.h"

#include <utility>

namespace raftd::api {

BackupStream::BackupStream(const Site& site, std::unique_ptr<node::Backup> backup)
    : store_(site.store),
      backup_(std::move(backup)),
      history_bytes_max_(store_.stats().history_bytes + site.limits.backup_history_bytes) {}

http::BodySource::Next BackupStream::next(std::string& out) {
  // History is not freed below what a cut sees: memory is not for a client to hold.
  if (store_.stats().history_bytes > history_bytes_max_) return Next::kBroken;
  piece_.clear();
  switch (backup_->next(piece_)) {
    case node::Backup::Next::kMore:
      add_piece(piece_, out);
      break;
    case node::Backup::Next::kWork:
      break;
    case node::Backup::Next::kEnd:
      return Next::kEnd;
    case node::Backup::Next::kBroken:
      return Next::kBroken;
  }
  return Next::kWork;  // One slice of the state for each iteration of the loop.
}

}  // namespace raftd::api
