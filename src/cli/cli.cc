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

config::Sources sources_of(const Arguments& arguments, const std::string& file) {
  return {file, arguments.values("--set"), raftd_variables(), {}};
}

int check_config(const Arguments& arguments, const Output& output) {
  const Result<config::Loaded> loaded = config::load(sources_of(arguments, arguments.words[0]));
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
  const CommandId id = arguments.command->id;
  if (arguments.command->ask != nullptr) return {std::nullopt, client_command(arguments, output)};
  if (id == CommandId::kCheckConfig) return {std::nullopt, check_config(arguments, output)};
  const config::Sources sources = sources_of(arguments, arguments.value("--config"));
  if (id == CommandId::kRun && !arguments.has("--join")) return {sources, kExitDone};
  if (id == CommandId::kRun || id == CommandId::kJoin) {
    return join_command(arguments, sources, output);
  }
  if (id == CommandId::kDescribeLogs || id == CommandId::kDescribeMetadata) {
    return {std::nullopt, describe_command(arguments, output)};
  }
  if (id == CommandId::kSnapshotInspect || id == CommandId::kSnapshotRestore) {
    return {std::nullopt, snapshot_command(arguments, sources, output)};
  }
  if (id == CommandId::kRecover) return {std::nullopt, recover_command(arguments, sources, output)};
  if (id == CommandId::kRepair) return {std::nullopt, repair_command(sources, output)};
  ASSERT(id == CommandId::kVersion);
  output.out(version_text());
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
