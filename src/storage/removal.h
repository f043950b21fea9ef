// REMOVED in a data directory: its node is a member of its cluster no longer, for good. Member ids
// are never used again, so that no start from this directory can be of use.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace raftd::storage {

// Blocking; durable when it returns. text: one line, who says so. kIo, kDiskFull, kConflict.
Status write_removal(const std::string& directory, const std::string& text);

// What write_removal was given. nullopt: nothing, or there is no directory yet. kIo.
Result<std::optional<std::string>> read_removal(const std::string& directory);

// Why nothing may be started there, and what to do. said: what write_removal was given.
std::string removal_sentence(const std::string& directory, const std::string& said);

}  // namespace raftd::storage
