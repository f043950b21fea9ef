// join: this machine becomes a member of a cluster that is there already.
#pragma once

#include <string>

#include "cli/commands.h"

namespace raftd::cli {

// What join does besides reading and writing the directory; tests put their own in its place.
struct JoinWays {
  Transport& transport;
  Client::Options client;  // Whom to ask.
  Input input;             // Standard input, for --ticket -.
};

struct Joined {
  bool run = false;             // The node is to be run,
  std::string name = {};        //   under this name; empty: as the configuration says.
  int exit_status = kExitDone;  // Else: why has been said.
};

// Goes on where an earlier one stopped. arguments: of join, or of run with --join. Blocking.
Joined join_directory(const Arguments& arguments, const config::Config& config,
                      const JoinWays& ways, const Output& output);

}  // namespace raftd::cli
