// A command as a line for a person: Put { key: "a", value: "1" }. For tools that show a log.
#pragma once

#include <string>

#include "kv/command.h"

namespace raftd::kv {

// Bytes that are not text (UTF-8 without control characters) are written as 0x.., with hex: all
// bytes. Values longer than 64 bytes are cut and followed by their length, unless full.
std::string describe(const Request& request, bool full, bool hex);

}  // namespace raftd::kv
