// Which raftd this is.
#pragma once

#include <string>

namespace raftd::cli {

inline constexpr const char* kVersion = "0.1.0";

// "raftd VERSION", then lines with compiler and features.
std::string version_text();

}  // namespace raftd::cli
