// What several keys must satisfy together, and what is allowed but worth a warning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace raftd::config {

// Of the keys named, the first that was set anywhere is the one to blame.
struct Contradiction {
  std::vector<std::string> keys;
  std::string found;
  std::string expected;
};

std::optional<Contradiction> contradiction(const Config& config);

std::vector<std::string> doubts(const Config& config);

}  // namespace raftd::config
