#include "uv/busy_poll.h"

#include <poll.h>
#include <uv.h>

#include <algorithm>

namespace raftd::uv {

BusyPoll::Wait BusyPoll::begun(const Seen& seen) const {
  if (seen.writes > 0 || seen.reads > kReadsMax || seen.answered > kReadsMax) return Wait::kOther;
  if (seen.reads > 0) return Wait::kConfirmation;
  if (seen.answered > 0) return Wait::kNextRead;
  return wait_ == Wait::kNextRead ? wait_ : Wait::kOther;  // Something else, which ends no wait.
}

Instant BusyPoll::until(const Seen& seen, Instant now) {
  if (one_processor_) return now;
  const Wait next = begun(seen);
  if (next != wait_ || seen.answered > 0) {
    if (wait_ != Wait::kOther) short_[static_cast<std::size_t>(wait_)] = now - since_ < kPatience;
    wait_ = next;
    since_ = now;
  }
  if (wait_ == Wait::kOther) short_.fill(false);
  if (wait_ == Wait::kOther || !short_[static_cast<std::size_t>(wait_)]) return now;
  return std::max(now, since_ + kPatience);
}

void poll_until(int backend_fd, Instant until) {
  pollfd events{backend_fd, POLLIN, 0};
  while (Instant{std::chrono::nanoseconds(uv_hrtime())} < until) {
    if (poll(&events, 1, 0) != 0) return;
  }
}

}  // namespace raftd::uv
