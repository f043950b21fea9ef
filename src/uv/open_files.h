// How many files and connections the process may have open at once.
#pragma once

#include <cstdint>

namespace raftd::uv {

// The log, peers, and connections that have not said hello need no more than this.
inline constexpr std::uint64_t kOwnOpenFilesMax = 192;

// Raises the soft limit to the hard one where that is allowed. Returns the limit in force.
std::uint64_t raise_open_files();

}  // namespace raftd::uv
