// The tables, debug forms and JSON of a data directory's log and metadata.
#pragma once

#include <cstdint>
#include <limits>

#include "cli/output.h"
#include "storage/inspect.h"

namespace raftd::cli {

struct DescribeOptions {
  std::uint64_t from = 0;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();
  bool raw = false;
  bool json = false;
  bool full = false;     // Long values whole.
  bool hex = false;      // All bytes as hexadecimal.
  bool running = false;  // A node has the directory: its unfinished write is no damage.
};

// Each prints what is readable, then one line per damage, and gives the exit status.
int describe_logs(const storage::Inspection& view, const DescribeOptions& options,
                  const Output& output);
int describe_metadata(const storage::Inspection& view, const DescribeOptions& options,
                      const Output& output);

}  // namespace raftd::cli
