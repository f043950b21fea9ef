// Every key of the configuration file: its type and range, the field it fills, how it is printed.
// One table, so that the file, --set, RAFTD_* and check-config cannot disagree.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace raftd::config {

// "KEY: found X (expected Y)", and where.
struct Wrong {
  Place place;
  std::string key;
  std::string found;
  std::string expected;
};

struct Key {
  std::string name;        // "raft.election_timeout"
  bool in_release = true;  // False: checked, then named in a warning; it has no effect.
  std::function<std::optional<Wrong>(const Value&, Config&)> read;
  std::function<std::string(Config)> show;  // The value as TOML; empty if not in_release.
};

std::vector<Key> all_keys();  // In the order of the contract.

std::string environment_name(std::string_view key);  // raft.priority: RAFTD_RAFT_PRIORITY.

// What client commands read, and what lock and watch tell the program that they run, which may be
// raftd itself: no key has such a name, and a node has nothing to say about them.
inline constexpr std::array<std::string_view, 7> kClientVariables = {
    "RAFTD_ENDPOINTS", "RAFTD_TOKEN",    "RAFTD_FENCE", "RAFTD_EVENT",
    "RAFTD_KEY",       "RAFTD_REVISION", "RAFTD_VALUE"};

// The known key or section that was probably meant; empty: none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace raftd::config
