// Whether the loop looks for the next event for a moment before it sleeps. To be woken takes a
// processor that was idle 10 to 25 us (in a virtual machine more), which is most of what a few
// clients that ask one thing after the other wait for: a read's way here, and a follower's word
// that this node still leads.
//
// Only what has paid lately is tried: each kind of wait is remembered as short or long, whether the
// loop slept in it or not. So a client that rests between two reads, a follower that is a long way
// off, and an idle node cost nothing. A node with much to do finds events without waiting for them,
// and a write waits for disks: then the loop sleeps, so that others may have the processor. (The
// idea is that of KVM's halt polling, https://docs.kernel.org/virt/kvm/halt-polling.html.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace raftd::uv {

class BusyPoll {
 public:
  // processors: that this process may use. With one it always sleeps: whoever is to make the event
  // on this machine needs it.
  explicit BusyPoll(unsigned processors) : one_processor_(processors < 2) {}
  bool one_processor() const { return one_processor_; }

  // What there is at the end of an iteration.
  struct Seen {
    std::size_t writes = 0;    // They wait.
    std::size_t reads = 0;     // The same.
    std::size_t answered = 0;  // Reads, in this iteration.
  };
  // An iteration ends. Until when not to sleep: now if it should, at most kPatience later.
  Instant until(const Seen& seen, Instant now);

  static constexpr Duration kPatience = std::chrono::microseconds(100);
  static constexpr std::size_t kReadsMax = 8;  // More are much to do.

 private:
  enum class Wait : std::uint8_t { kConfirmation, kNextRead, kOther };
  static constexpr std::size_t kLearned = 2;  // Not of kOther.
  Wait begun(const Seen& seen) const;

  bool one_processor_;
  Wait wait_ = Wait::kOther;
  Instant since_{};
  std::array<bool, kLearned> short_{};  // As it was the last time.
};

// Returns when events of the loop wait in the kernel, or at the time given.
void poll_until(int backend_fd, Instant until);

}  // namespace raftd::uv
