// recover: the last resort after a majority is lost for ever.
#pragma once

#include <functional>

#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "config/config.h"

namespace raftd::cli {

// What recover does besides reading and writing the directory; tests put their own in its place.
struct RecoverWays {
  Transport& transport;                  // To the other members.
  std::function<bool()> may_ask;         // Somebody sits at a terminal.
  std::function<std::string()> answers;  // What they typed.
};

int recover_directory(const Arguments& arguments, const config::Config& config,
                      const RecoverWays& ways, const Output& output);

}  // namespace raftd::cli
