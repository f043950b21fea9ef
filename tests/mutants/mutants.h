// The switch of the planted bugs: which one is on in this process. Only the copy of src/ that
// build.py makes asks.
#pragma once

#include <cstdint>
#include <string_view>

namespace raftd::mutants {

// FNV-1a. build.py sees to it that no two names share a number.
constexpr std::uint64_t id(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

inline std::uint64_t active = 0;  // 0: none.

inline bool on(std::uint64_t mutant) {
  return active == mutant;
}

}  // namespace raftd::mutants
