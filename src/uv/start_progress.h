// Says once a second how far a long recovery is: a line in the log, and systemd's STATUS=, with
// more time to start. Before the loop runs, so that a person sees why the node does not answer yet.
#pragma once

#include "base/log.h"
#include "storage/recovery.h"
#include "uv/notify.h"

namespace raftd::uv {

class StartProgress {
 public:
  // All outlive it. now: when the start began.
  StartProgress(Log& log, const Notifier& notifier, Instant now)
      : log_(log), notifier_(notifier), said_at_(now) {}

  void on_read(Instant now, const storage::RecoveryProgress& progress);

 private:
  Log& log_;
  const Notifier& notifier_;
  Instant said_at_;
  std::uint64_t said_read_ = 0;
};

}  // namespace raftd::uv
