// repair: a log that is damaged inside is set aside, and the node takes part again once it has
// fetched what it lacks (storage/repair.h).
#include <algorithm>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/offline.h"
#include "storage/posix_files.h"
#include "storage/repair.h"

namespace raftd::cli {
namespace {

using Number = unsigned long long;

void tell(const storage::RepairPlan& plan, const Output& output) {
  output.out(percent_escape(plan.damage) + "\n");
  for (const storage::FileName& name : plan.aside)
    output.out(strf("set aside: %s\n", name.c_str()));
  if (plan.left) {
    output.out(strf("kept: the snapshot at index %llu\n", Number{plan.left.value}));
  }
  output.out(strf(
      "kept: term %llu and the vote in it; this node does not lead, and votes for nobody whose "
      "log is shorter, until its log reaches index %llu of term %llu again\n"
      "done: start this node, it fetches the rest from the leader; the damaged-... files are "
      "for you: remove them when it has caught up\n",
      Number{plan.hard_state.term.value}, Number{plan.promised.index.value},
      Number{plan.promised.term.value}));
}

int failed(const std::string& where, const Error& error, const Output& output) {
  output.error(where + error.message);
  return directory_status(error);
}

}  // namespace

int repair_command(const config::Sources& sources, const Output& output) {
  const Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    output.error(loaded.error().message);
    return kExitConfig;
  }
  const config::Config& config = (*loaded).config;
  const std::string& path = config.data_dir;
  const auto reader = storage::PosixDirectoryReader::open(path);
  if (!reader) return failed("data directory ", reader.error(), output);
  const Result<storage::Identity> identity = own_identity(**reader, config);
  if (!identity) return failed("", identity.error(), output);
  const auto lock = storage::DirectoryLock::take(path);
  if (!lock) return failed("", lock.error(), output);
  storage::RecoverOptions options;
  options.identity = *identity;
  options.incarnation = {identity->instance | 1};  // Of a segment that no process writes to.
  const auto plan = storage::plan_repair(**reader, options);
  if (!plan) return failed(path + ": ", plan.error(), output);
  if (!*plan) {
    output.out("there is nothing to repair: a start accepts this log\n");
    return kExitDone;
  }
  storage::PosixFiles files(path, true);
  storage::DiskPlan steps;
  steps.ops = (*plan)->ops;
  files.run(steps);
  tell(**plan, output);
  return kExitDone;
}

}  // namespace raftd::cli
