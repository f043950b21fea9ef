// Percent-encoding (RFC 3986), as strict as the native API wants it: what should have been encoded
// and was not is an error, never a guess.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace raftd::http {

// Decodes once. kBadInput: a bad escape, or a byte that must be encoded: space, '?', '#', control
// bytes and bytes above 0x7e. '+' stands for itself.
Result<std::string> percent_decode(std::string_view encoded);

struct QueryParameter {
  std::string name;
  std::string value;
};

// "a=1&flag" in the order given, repetitions included; a flag's value is empty. kBadInput: as
// above, and a parameter without a name. An empty query has no parameters. '?' may stand in a
// value.
Result<std::vector<QueryParameter>> parse_query(std::string_view query);

// Encodes everything but letters, digits and "-._~"; with keep_slashes also not '/'.
std::string percent_encode(std::string_view bytes, bool keep_slashes);

}  // namespace raftd::http
