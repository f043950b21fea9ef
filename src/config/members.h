// [cluster] members, and the names of nodes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

namespace raftd::config {

// Reads the list, sorts it by id, and refuses one that cannot be a configuration.
std::optional<Wrong> read_members(const std::string& key, const Value& value,
                                  std::vector<Member>& members);
std::string members_text(const std::vector<Member>& members);  // One line of TOML.

}  // namespace raftd::config
