#include "cli/cli.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/version.h"

namespace raftd::cli {
namespace {

std::vector<std::pair<std::string, std::string>> raftd_variables() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with("RAFTD_") || equals == std::string_view::npos) continue;
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The locale's words decide, as in setlocale(3): LC_ALL, then LC_CTYPE, then LANG.
Charset terminal_charset() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const bool utf8 = strcasestr(value, "utf-8") != nullptr || strcasestr(value, "utf8") != nullptr;
    return utf8 ? Charset::kUtf8 : Charset::kAscii;
  }
  return Charset::kAscii;
}

Output standard_output() {
  Output output;
  output.terminal = isatty(STDOUT_FILENO) == 1;
  output.charset = output.terminal ? terminal_charset() : Charset::kAscii;
  output.out = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); };
  output.flush = [] { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; };
  output.error = [](std::string_view sentence) {
    const std::string line = "raftd: " + std::string(sentence) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  };
  return output;
}

config::Sources sources_of(const Arguments& arguments) {
  return {arguments.value("--config"), arguments.values("--set"), raftd_variables(), {}};
}

int check_config(const config::Sources& sources, const Output& output) {
  const Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    output.error(loaded.error().message);
    return kExitConfig;
  }
  for (const std::string& line : (*loaded).effective)
    output.out(line + "\n");
  for (const std::string& warning : (*loaded).warnings)
    output.error(warning);
  return kExitDone;
}

Parsed execute(const Arguments& arguments, const Output& output) {
  const Command& command = *arguments.command;
  switch (command.id) {
    case CommandId::kRun:
      if (arguments.has("--join")) return join_command(arguments, sources_of(arguments), output);
      return {sources_of(arguments), kExitDone};
    case CommandId::kJoin:
      return join_command(arguments, sources_of(arguments), output);
    case CommandId::kCheckConfig:
      return {std::nullopt,
              check_config({arguments.words[0], arguments.values("--set"), raftd_variables(), {}},
                           output)};
    case CommandId::kVersion:
      output.out(version_text());
      return {};
    case CommandId::kGet:
    case CommandId::kPut:
    case CommandId::kDelete:
    case CommandId::kList:
    case CommandId::kIncrement:
    case CommandId::kWatch:
    case CommandId::kTransaction:
    case CommandId::kLeaseGrant:
    case CommandId::kLeaseKeepalive:
    case CommandId::kLeaseRevoke:
    case CommandId::kLeaseList:
    case CommandId::kLock:
    case CommandId::kElect:
    case CommandId::kStatus:
    case CommandId::kMembers:
    case CommandId::kHealth:
    case CommandId::kTransfer:
    case CommandId::kMemberAdd:
    case CommandId::kMemberRemove:
    case CommandId::kMemberPromote:
    case CommandId::kLeave:
    case CommandId::kDescribeNode:
    case CommandId::kSnapshotSave:
    case CommandId::kExport:
    case CommandId::kImport:
      return {std::nullopt, client_command(arguments, output)};
    case CommandId::kDescribeLogs:
    case CommandId::kDescribeMetadata:
      return {std::nullopt, describe_command(arguments, output)};
    case CommandId::kSnapshotInspect:
    case CommandId::kSnapshotRestore:
      return {std::nullopt, snapshot_command(arguments, sources_of(arguments), output)};
    case CommandId::kRecover:
      return {std::nullopt, recover_command(arguments, sources_of(arguments), output)};
    case CommandId::kRepair:
      return {std::nullopt, repair_command(sources_of(arguments), output)};
  }
  return {};
}

}  // namespace

Parsed run(int argc, char** argv) {
  const Output output = standard_output();
  const Result<Arguments> arguments = parse_arguments({argv + 1, argv + std::max(argc, 1)});
  if (!arguments) {
    output.error(arguments.error().message);
    return {std::nullopt, kExitUsage};
  }
  Parsed parsed;
  if ((*arguments).help) {
    output.out((*arguments).command == nullptr ? help_text() : help_text(*(*arguments).command));
  } else {
    parsed = execute(*arguments, output);
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    output.error("cannot write to standard output");
    parsed.exit_status = kExitIo;
  }
  return parsed;
}

}  // namespace raftd::cli
