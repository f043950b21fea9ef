// Finds what a failing run needs in order to fail: by leaving out the rest, piece by piece.
#pragma once

#include <functional>

#include "sim/run.h"

namespace raftd::sim {

// Runs a script and gives the name of the invariant that it violates; empty: none.
using Judge = std::function<std::string(const Script&)>;

struct Shrunk {
  Script script;
  std::size_t runs = 0;
};

// Precondition: judge(script) is invariant. The result still violates it, and no other.
Shrunk shrink(Script script, const std::string& invariant, const Judge& judge,
              std::size_t runs_max = 1500);

}  // namespace raftd::sim
