// Runs that once failed and must never fail again, in a file: one a line, with why it is there.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "sim/run.h"

namespace raftd::sim {

struct CorpusRun {
  Script script;
  std::string name;  // "12 --profile disk", or the script's file.
  std::string why;
};

struct Corpus {
  std::vector<CorpusRun> runs;
  std::map<std::string, std::uint64_t> minima;  // Of counters, over all runs together.
};

// Lines of the file, each with why it is there; empty lines and lines that begin with # say
// nothing.
//   SEED [PROFILE]  # why
//   FILE.sim        # why           a script, beside this file
//   min COUNTER N   # why           a corpus that does not see so many is blind
// A line without a reason is refused. Errors name the file and the line.
Result<Corpus> read_corpus(const std::string& path);

Result<std::string> read_text(const std::string& path);

}  // namespace raftd::sim
