// The command line: everything but running the node, which is main's.
#pragma once

#include <optional>

#include "config/config.h"

namespace raftd::cli {

// Exit statuses of the contract.
inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;         // The answer is no.
inline constexpr int kExitCannotAsk = 2;  // Or the outcome is unknown, said in words.
inline constexpr int kExitUsage = 64;
inline constexpr int kExitCorrupt = 65;
inline constexpr int kExitCannotRead = 73;  // A data directory that is none.
inline constexpr int kExitIo = 74;
inline constexpr int kExitNotTaken = 75;  // No member of the cluster any more.
inline constexpr int kExitConfig = 78;

struct Parsed {
  std::optional<config::Sources> run_node;  // Set: run a node with these.
  int exit_status = kExitDone;              // Else: the command is done.
};

// Reads RAFTD_* and RAFTD_ENDPOINTS from the environment, results go to standard output,
// everything else to standard error.
Parsed run(int argc, char** argv);

}  // namespace raftd::cli
