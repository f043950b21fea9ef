// What a check throws: "name of the invariant: what was seen".
#pragma once

#include <stdexcept>
#include <string>

namespace raftd::sim {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void violated(const char* invariant, const std::string& why) {
  throw Violation(std::string(invariant) + ": " + why);
}

}  // namespace raftd::sim
