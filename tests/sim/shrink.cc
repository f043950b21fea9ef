#include "sim/shrink.h"

#include <algorithm>

#include "sim/script.h"

namespace raftd::sim {
namespace {

constexpr std::size_t kPairsOfFaultsMax = 12;

class Shrinker {
 public:
  Shrinker(Script script, const std::string& invariant, const Judge& judge, std::size_t runs_max)
      : best_{std::move(script), 0}, invariant_(invariant), judge_(judge), runs_max_(runs_max) {}

  Shrunk go() {
    bool smaller = true;
    while (smaller && best_.runs < runs_max_) {
      smaller = drop_kinds();
      smaller |= drop_faults();
      smaller |= drop_clients();
      smaller |= drop_nodes();
      smaller |= shorten();
      smaller |= calm_down();
      if (!smaller) smaller = drop_pairs();
    }
    return best_;
  }

 private:
  // Takes it if it fails in the same way.
  bool attempt(Script smaller) {
    if (best_.runs >= runs_max_) return false;
    ++best_.runs;
    if (judge_(smaller) != invariant_) return false;
    best_.script = std::move(smaller);
    return true;
  }

  bool drop_kinds() {
    bool any = false;
    for (const FaultInfo& kind : fault_kinds()) {
      Script smaller = best_.script;
      if (std::erase_if(smaller.plan, [&](const Fault& f) { return f.kind == kind.kind; }) == 0) {
        continue;
      }
      any |= attempt(std::move(smaller));
    }
    return any;
  }

  // Halves first, then quarters, and so on to single ones.
  bool drop_faults() {
    bool any = false;
    for (std::size_t size = best_.script.plan.size(); size > 0; size /= 2) {
      for (std::size_t at = 0; at < best_.script.plan.size();) {
        Script smaller = best_.script;
        const auto first = smaller.plan.begin() + static_cast<std::ptrdiff_t>(at);
        const std::size_t count = std::min(size, smaller.plan.size() - at);
        smaller.plan.erase(first, first + static_cast<std::ptrdiff_t>(count));
        if (attempt(std::move(smaller))) {
          any = true;
        } else {
          at += size;
        }
      }
    }
    return any;
  }

  // Two that only go together, such as a cut and what would not happen without it. The last resort:
  // it costs the square of what is left.
  bool drop_pairs() {
    const std::size_t left = best_.script.plan.size();
    if (left > kPairsOfFaultsMax) return false;
    for (std::size_t one = 0; one < left; ++one) {
      for (std::size_t other = one + 1; other < left; ++other) {
        Script smaller = best_.script;
        smaller.plan.erase(smaller.plan.begin() + static_cast<std::ptrdiff_t>(other));
        smaller.plan.erase(smaller.plan.begin() + static_cast<std::ptrdiff_t>(one));
        if (attempt(std::move(smaller))) return true;
      }
    }
    return false;
  }

  bool drop_clients() {
    bool any = false;
    for (std::size_t client = 0; client < best_.script.options.clients; ++client) {
      Script smaller = best_.script;
      const std::uint64_t bit = 1ULL << client;
      if ((smaller.options.without_clients & bit) != 0) continue;
      smaller.options.without_clients |= bit;
      any |= attempt(std::move(smaller));
    }
    return any;
  }

  bool drop_nodes() {
    bool any = false;
    for (std::size_t nodes = 1; nodes < best_.script.options.nodes; ++nodes) {
      Script smaller = best_.script;
      smaller.options.nodes = nodes;
      smaller.options.spares = std::min(smaller.options.spares, nodes - 1);
      any |= attempt(std::move(smaller));
    }
    return any;
  }

  bool shorten() {
    bool any = false;
    for (;;) {
      Script smaller = best_.script;
      smaller.options.chaos =
          std::chrono::floor<std::chrono::milliseconds>(smaller.options.chaos * 3 / 4);
      if (smaller.options.chaos < std::chrono::milliseconds(100)) return any;
      std::erase_if(smaller.plan, [&](const Fault& f) { return f.at >= smaller.options.chaos; });
      if (!attempt(std::move(smaller))) return any;
      any = true;
    }
  }

  // One option after the other as it usually is, but for those above.
  bool calm_down() {
    bool any = false;
    for (std::size_t option = 0; option < option_count(); ++option) {
      std::optional<Script> calmer = with_default(best_.script, option);
      if (!calmer || calmer->options.nodes > best_.script.options.nodes ||
          calmer->options.chaos > best_.script.options.chaos ||
          calmer->options.clients > best_.script.options.clients ||
          calmer->options.without_clients != best_.script.options.without_clients ||
          calmer->options.election <= calmer->options.heartbeat) {
        continue;
      }
      any |= attempt(*std::move(calmer));
    }
    return any;
  }

  Shrunk best_;
  const std::string& invariant_;
  const Judge& judge_;
  std::size_t runs_max_;
};

}  // namespace

Shrunk shrink(Script script, const std::string& invariant, const Judge& judge,
              std::size_t runs_max) {
  return Shrinker(std::move(script), invariant, judge, runs_max).go();
}

}  // namespace raftd::sim
