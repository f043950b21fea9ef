// TOML text to values with places.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/value.h"

namespace raftd::config {

// The whole of a file; what is over kConfigFileBytesMax, is a directory, or cannot be read is
// kBadInput with the sentence for the operator.
Result<std::string> read_config_text(const std::string& path);

// name stands for the file in messages. The result is a table. kBadInput: "NAME:LINE:COLUMN: ...".
// Refused before the TOML library sees them, because it would not survive or would not notice:
// text that is not UTF-8, control bytes, more than kConfigDepthMax nested brackets or dotted parts.
// Integers that do not fit in 64 bits are refused too (the library clamps them).
Result<Value> parse_toml(const std::string& text, const std::string& name);

}  // namespace raftd::config
