// Whether an iteration of the loop acts for the writes that have come in, or looks first whether
// there are more: each act is a frame, a sync and a message to each peer, for however many. So
// batches grow by what clients manage to ask for meanwhile, and nobody waits for a timer: when an
// iteration brings no further write, or only one waits, it is acted for at once.
#pragma once

#include <cstddef>
#include <optional>

#include "base/time.h"

namespace raftd::uv {

class Gathering {
 public:
  // So many writes wait, after what came in. True: come back after the next poll, which is not to
  // sleep.
  bool goes_on(std::size_t writes, Instant now);
  // All was done for them that can be done now.
  void acted(std::size_t writes);

  // Who is asked faster than it can read acts nevertheless.
  static constexpr Duration kPatience = std::chrono::microseconds(100);

 private:
  std::size_t known_ = 0;         // Writes, in the iteration before.
  std::optional<Instant> begun_;  // Set: it goes on since then.
};

}  // namespace raftd::uv
