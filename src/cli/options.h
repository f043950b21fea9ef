// argv to a command with its flags and arguments. One table says what each command takes; --help
// prints it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace raftd::cli {

enum class CommandId : std::uint8_t {
  kRun,
  kCheckConfig,
  kGet,
  kPut,
  kDelete,
  kList,
  kIncrement,
  kWatch,
  kTransaction,
  kLeaseGrant,
  kLeaseKeepalive,
  kLeaseRevoke,
  kLeaseList,
  kLock,
  kElect,
  kStatus,
  kMembers,
  kHealth,
  kTransfer,
  kMemberAdd,
  kMemberRemove,
  kMemberPromote,
  kLeave,
  kDescribeLogs,
  kDescribeMetadata,
  kDescribeNode,
  kSnapshotSave,
  kSnapshotInspect,
  kSnapshotRestore,
  kRecover,
  kRepair,
  kJoin,
  kExport,
  kImport,
  kBench,
  kVersion,
};

struct Flag {
  std::string_view name;   // "--limit"
  std::string_view value;  // What stands for its value in help; empty: it takes none.
  std::string_view help;
  bool repeats = false;
  std::string_view of = {};  // The first word of the commands that it is for; empty: of any.
};

enum class TakesProgram : std::uint8_t { kNo, kMay, kNeeded };

class Arguments;
struct AskWays;
struct Output;
// What a command does that asks a cluster; the exit status.
using Ask = int (*)(const Arguments& arguments, const AskWays& ways, const Output& output);

struct Command {
  CommandId id{};
  std::string_view name;       // "describe logs"
  std::string_view arguments;  // "KEY VALUE|-"
  std::string_view summary;
  std::size_t arguments_min = 0;
  std::size_t arguments_max = 0;
  std::vector<std::string_view> flags;       // Besides those of every client command.
  Ask ask = nullptr;                         // It asks no cluster.
  TakesProgram program = TakesProgram::kNo;  // Behind "--".
};

// The tables.
const std::vector<Command>& commands();
const std::vector<Flag>& flags();

// What was typed, checked against the table.
class Arguments {
 public:
  const Command* command = nullptr;  // nullptr: --help without a command.
  bool help = false;
  std::vector<std::string> words;    // After the command.
  std::vector<std::string> program;  // Of a command that takes one; empty: none.

  bool has(std::string_view flag) const;
  std::string value(std::string_view flag, std::string_view otherwise = "") const;
  std::vector<std::string> values(std::string_view flag) const;

  void add(std::string_view flag, std::string value) { flags_.push_back({flag, std::move(value)}); }
  const auto& flags() const { return flags_; }

 private:
  std::vector<std::pair<std::string_view, std::string>> flags_;
};

// kBadInput: a sentence about the first thing that is wrong (exit status 64).
Result<Arguments> parse_arguments(const std::vector<std::string>& typed);

std::string help_text();                        // All commands.
std::string help_text(const Command& command);  // One.

}  // namespace raftd::cli
