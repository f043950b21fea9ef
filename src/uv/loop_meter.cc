#include "uv/loop_meter.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::uv {
namespace {

const char* words(LoopMeter::Phase phase) {
  switch (phase) {
    case LoopMeter::Phase::kEvents:
      return "taking what came in";
    case LoopMeter::Phase::kReplica:
      return "in the replica";
    case LoopMeter::Phase::kPeers:
      return "writing to peers";
    case LoopMeter::Phase::kClients:
      return "writing to clients";
  }
  PANIC("no such phase");
}

long long ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

void LoopMeter::ended(Phase phase, Instant now) {
  ASSERT(phase != Phase::kEvents);
  took_[static_cast<std::size_t>(phase)] += now - phase_begun_;
  phase_begun_ = now;
}

LoopMeter::Iteration LoopMeter::end_iteration(Instant woke, Instant now) {
  ASSERT_CMP(woke, <=, now);
  Iteration iteration;
  iteration.busy = now - woke;
  Duration& events = took_[static_cast<std::size_t>(Phase::kEvents)];
  events = iteration.busy;
  for (std::size_t i = 1; i < kPhases; ++i)
    events -= took_[i];
  const auto longest = std::max_element(took_.begin(), took_.end());
  iteration.longest = static_cast<Phase>(longest - took_.begin());
  iteration.longest_took = std::max(*longest, Duration{});
  took_.fill({});
  return iteration;
}

std::string describe(const LoopMeter::Iteration& iteration) {
  return strf("busy for %lld ms, %lld of them %s", ms(iteration.busy), ms(iteration.longest_took),
              words(iteration.longest));
}

}  // namespace raftd::uv
