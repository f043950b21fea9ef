// [cluster] members, and the names of nodes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

namespace raftd::config {

bool is_label(const std::string& text);        // 1 to 64 bytes, UTF-8, no control bytes.
bool is_member_name(const std::string& text);  // A label that is not only digits.

// Reads the list, sorts it by id, and refuses one that cannot be a configuration.
std::optional<Wrong> read_members(const std::string& key, const Value& value,
                                  std::vector<Member>& members);
std::string members_text(const std::vector<Member>& members);  // One line of TOML.

}  // namespace raftd::config
