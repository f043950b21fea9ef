// How long iterations of the loop are busy, and with what: whoever waits for the loop waits that
// long.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"

namespace raftd::uv {

class LoopMeter {
 public:
  enum class Phase : std::uint8_t { kEvents, kReplica, kPeers, kClients };

  // What has gone by since the last call was this phase's. Not kEvents: those are all the rest.
  void ended(Phase phase, Instant now);
  // The next phase begins now.
  void begins(Instant now) { phase_begun_ = now; }

  struct Iteration {
    Duration busy{};  // All of it but the sleep in the kernel.
    Phase longest = Phase::kEvents;
    Duration longest_took{};
  };
  // An iteration ends, which began when the kernel woke the loop.
  Iteration end_iteration(Instant woke, Instant now);

 private:
  static constexpr std::size_t kPhases = 4;
  std::array<Duration, kPhases> took_{};
  Instant phase_begun_{};
};

// "busy for 17 ms, 12 of them with the replica"
std::string describe(const LoopMeter::Iteration& iteration);

}  // namespace raftd::uv
