#include "cli/options.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/keys.h"

namespace raftd::cli {
namespace {

constexpr std::array<Flag, 37> kFlags = {{
    {"--config", "FILE", "the configuration file"},
    {"--set", "KEY=VALUE", "override one key of the file; may be repeated", true},
    {"--endpoints", "URL,URL,...",
     "nodes to ask, in turn: http://HOST:PORT, HOST:PORT or unix:PATH (default: RAFTD_ENDPOINTS, "
     "else http://127.0.0.1:2379)"},
    {"--timeout", "DURATION", "for the whole command (default: 5s; join: 30s)"},
    {"--output", "table|json", "json: the body of the answer, one line"},
    {"--token-file", "FILE", "bearer token (default: the token in RAFTD_TOKEN)"},
    {"--rev", "N", "read at this revision"},
    {"--consistency", "LEVEL", "linearizable (default), sequential, stale"},
    {"--min-revision", "N", "wait until the node has this revision"},
    {"--cas", "N", "only if the key is at mod revision N; 0: only if it is absent"},
    {"--if-exists", "", "only if the key exists"},
    {"--if-absent", "", "only if the key does not exist"},
    {"--prefix", "", "every key that begins with KEY"},
    {"--all", "", "with --prefix '': yes, every key"},
    {"--limit", "N", "at most N keys"},
    {"--keys", "", "keys without values"},
    {"--from", "N", "first index"},
    {"--to", "N", "last index"},
    {"--raw", "", "debug forms instead of a table"},
    {"--hex", "", "all data as hexadecimal"},
    {"--full", "", "long values in full"},
    {"--json", "", "JSON instead of a table"},
    {"--dry-run", "", "only say what would be done"},
    {"--yes", "", "do not ask"},
    {"--force", "", "recover: although a majority answers; member remove: although too few would"},
    {"--join", "URL", "join the cluster of this node first, if that has not happened yet"},
    {"--ticket", "", "make a ticket for raftd join, and print it", false, "member"},
    {"--ticket", "FILE|-", "the ticket to join with; -: from standard input (default: ask URL)"},
    {"--ttl", "DURATION", "how long the ticket is good (default: 10m)"},
    {"--name", "NAME", "what the new member is called (default: name of the file, else n<id>)"},
    {"--learner", "", "the new member stays a learner"},
    {"--replaces", "ID", "the member that goes when the new one is a voter"},
    {"--peer", "HOST:PORT", "where the other members reach the new one"},
    {"--client", "URL", "where clients reach the new member"},
    {"--help", "", "this text"},
    {"-h", "", ""},
    {"--version", "", "which raftd this is"},
}};

constexpr std::array<std::string_view, 4> kClientFlags = {"--endpoints", "--timeout", "--output",
                                                          "--token-file"};

// first_word: of the command, as far as it is known.
const Flag* find_flag(std::string_view name, std::string_view first_word) {
  const auto found = std::find_if(kFlags.begin(), kFlags.end(), [&](const Flag& f) {
    return f.name == name && (f.of.empty() || f.of == first_word);
  });
  return found == kFlags.end() || name.empty() ? nullptr : &*found;
}

bool takes(const Command& command, std::string_view flag) {
  if (flag == "--help" || flag == "-h") return true;
  const auto in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), flag) != list.end();
  };
  return in(command.flags) || (command.is_client && in(kClientFlags));
}

Error usage(std::string sentence) {
  return {Errc::kBadInput, std::move(sentence)};
}

std::string perhaps(std::string_view word, const std::vector<std::string>& known) {
  const std::string meant = config::nearest(word, known);
  return meant.empty() ? "" : " (did you mean " + meant + "?)";
}

Error unknown_flag(std::string_view name) {
  std::vector<std::string> known;
  for (const Flag& flag : kFlags)
    if (!flag.help.empty()) known.emplace_back(flag.name);
  return usage("there is no option " + percent_escape(name) + perhaps(name, known));
}

Error unknown_command(const std::string& name) {
  std::vector<std::string> known;
  for (const Command& command : commands())
    known.emplace_back(command.name);
  return usage("there is no command " + percent_escape(name) + perhaps(name, known) +
               "; raftd --help lists them");
}

// Splits what was typed into words and flags; whose flags they are is not known yet.
Status split(const std::vector<std::string>& typed, Arguments& out) {
  for (std::size_t i = 0; i < typed.size(); ++i) {
    const std::string& word = typed[i];
    if (word == "--") {
      out.words.insert(out.words.end(), typed.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                       typed.end());
      break;
    }
    if (!word.starts_with('-') || word == "-") {
      out.words.push_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string_view first_word = out.words.empty() ? "" : std::string_view(out.words[0]);
    const Flag* flag = find_flag(std::string_view(word).substr(0, equals), first_word);
    if (flag == nullptr) return unknown_flag(std::string_view(word).substr(0, equals));
    const std::string name(flag->name);
    if (out.has(name) && !flag->repeats) return usage(name + " is given twice");
    if (flag->value.empty()) {
      if (equals != std::string::npos) return usage(name + " takes no value");
      out.add(flag->name, "");
    } else if (equals != std::string::npos) {
      out.add(flag->name, word.substr(equals + 1));
    } else if (i + 1 < typed.size()) {
      out.add(flag->name, typed[++i]);
    } else {
      return usage(name + " needs a value: " + name + " " + std::string(flag->value));
    }
  }
  return Done{};
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands())
    if (command.name == name) return &command;
  return nullptr;
}

// Takes the command off the words.
// "save|inspect|restore" of snapshot; empty: commands of this name have one word.
std::string second_words(const std::string& name) {
  std::string out;
  for (const Command& command : commands()) {
    if (!command.name.starts_with(name + " ")) continue;
    out += (out.empty() ? "" : "|") + std::string(command.name.substr(name.size() + 1));
  }
  return out;
}

Status choose(Arguments& out) {
  if (out.words.empty()) {
    if (out.has("--version")) {
      out.command = find_command("version");
    } else if (out.has("--config")) {
      out.command = find_command("run");
    } else if (!out.help) {
      return usage("a command or --config FILE is needed; raftd --help lists the commands");
    }
    return Done{};
  }
  std::string name = out.words[0];
  std::size_t used = 1;
  if (const std::string seconds = second_words(name); !seconds.empty()) {
    const bool second = out.words.size() > 1;
    if (!second && out.help) return Done{};
    if (!second) return usage(name + " what? raftd " + name + " " + seconds);
    name += " " + out.words[1];
    used = 2;
  }
  out.command = find_command(name);
  if (out.command == nullptr) return unknown_command(name);
  out.words.erase(out.words.begin(), out.words.begin() + static_cast<std::ptrdiff_t>(used));
  return Done{};
}

std::string flag_lines(const std::vector<std::string_view>& names, std::string_view command) {
  std::string out;
  for (const std::string_view name : names) {
    const Flag* flag = find_flag(name, command.substr(0, command.find(' ')));
    ASSERT(flag != nullptr);
    std::string left = "  " + std::string(flag->name);
    if (!flag->value.empty()) left += " " + std::string(flag->value);
    out += strf("%-28s  ", left.c_str()) + std::string(flag->help) + "\n";
  }
  return out;
}

std::vector<Command> node_commands() {
  return {
      {CommandId::kRun,
       "run",
       "",
       "run a node in the foreground; \"run\" may be left out",
       0,
       0,
       {"--config", "--set", "--join"}},
      {CommandId::kJoin,
       "join",
       "URL",
       "make this machine a member of the cluster at URL, and run it",
       1,
       1,
       {"--config", "--set", "--ticket", "--name", "--learner", "--replaces", "--timeout",
        "--token-file"}},
      {CommandId::kCheckConfig,
       "check-config",
       "FILE",
       "check a configuration file and print what is in effect",
       1,
       1,
       {"--set"}},
      {CommandId::kVersion, "version", "", "which raftd this is", 0, 0, {"--version"}},
  };
}

std::vector<Command> key_commands() {
  return {
      {CommandId::kGet,
       "get",
       "KEY",
       "print the value of a key",
       1,
       1,
       {"--rev", "--consistency", "--min-revision"},
       true},
      {CommandId::kPut,
       "put",
       "KEY VALUE|-",
       "store a value; -: from standard input",
       2,
       2,
       {"--cas", "--if-exists", "--if-absent"},
       true},
      {CommandId::kDelete,
       "del",
       "KEY",
       "delete a key, or all keys with a prefix",
       1,
       1,
       {"--prefix", "--all", "--limit", "--cas", "--if-exists"},
       true},
      {CommandId::kList,
       "ls",
       "[PREFIX]",
       "list keys and values",
       0,
       1,
       {"--keys", "--limit", "--rev", "--consistency", "--min-revision"},
       true},
  };
}

std::vector<Command> cluster_commands() {
  return {
      {CommandId::kStatus, "status", "", "what each endpoint says of itself", 0, 0, {}, true},
      {CommandId::kMembers, "members", "", "the members of the cluster", 0, 0, {}, true},
      {CommandId::kHealth, "health", "", "is each endpoint ready?", 0, 0, {}, true},
      {CommandId::kTransfer, "transfer", "[ID|NAME]", "hand leadership over", 0, 1, {}, true},
      {CommandId::kLeave, "leave", "", "one node leaves the cluster for good", 0, 0, {}, true},
      {CommandId::kMemberAdd,
       "member add",
       "[ID]",
       "a ticket for a new member, or with ID the new member itself",
       0,
       1,
       {"--ticket", "--ttl", "--peer", "--client", "--name", "--learner", "--replaces"},
       true},
      {CommandId::kMemberRemove,
       "member remove",
       "ID|NAME",
       "take a member out of the cluster",
       1,
       1,
       {"--force"},
       true},
      {CommandId::kMemberPromote,
       "member promote",
       "ID|NAME",
       "make a voter of a learner",
       1,
       1,
       {},
       true},
  };
}

std::vector<Command> backup_commands() {
  return {
      {CommandId::kSnapshotSave,
       "snapshot save",
       "FILE",
       "save a snapshot of a node's state",
       1,
       1,
       {},
       true},
      {CommandId::kSnapshotInspect,
       "snapshot inspect",
       "FILE",
       "what is in a snapshot, and is it whole?",
       1,
       1,
       {"--json"}},
      {CommandId::kSnapshotRestore,
       "snapshot restore",
       "FILE",
       "make a data directory of a new cluster from a snapshot",
       1,
       1,
       {"--config", "--set", "--json"}},
      {CommandId::kExport,
       "export",
       "[PREFIX]",
       "print keys and values, one JSON object a line",
       0,
       1,
       {},
       true},
      {CommandId::kImport,
       "import",
       "[FILE]",
       "write what export printed; without FILE: from standard input",
       0,
       1,
       {},
       true},
      {CommandId::kRecover,
       "recover",
       "",
       "last resort: this node alone becomes a new cluster",
       0,
       0,
       {"--config", "--set", "--dry-run", "--yes", "--force"}},
      {CommandId::kRepair,
       "repair",
       "",
       "a node whose log is damaged fetches from the others what it lacks",
       0,
       0,
       {"--config", "--set"}},
  };
}

std::vector<Command> describe_commands() {
  return {
      {CommandId::kDescribeLogs,
       "describe logs",
       "DIR",
       "the log in a data directory",
       1,
       1,
       {"--from", "--to", "--raw", "--hex", "--full", "--json"}},
      {CommandId::kDescribeMetadata,
       "describe metadata",
       "DIR",
       "term, vote, members, segments of a data directory",
       1,
       1,
       {"--raw", "--json"}},
      {CommandId::kDescribeNode,
       "describe node",
       "URL",
       "the inside of a running node",
       1,
       1,
       {"--json", "--timeout", "--token-file"}},
  };
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> list = node_commands();
    for (std::vector<Command> (*more)() :
         {key_commands, cluster_commands, backup_commands, describe_commands}) {
      for (Command& command : more())
        list.push_back(std::move(command));
    }
    return list;
  }();
  return all;
}

bool Arguments::has(std::string_view flag) const {
  return std::any_of(flags_.begin(), flags_.end(), [&](const auto& f) { return f.first == flag; });
}

std::string Arguments::value(std::string_view flag, std::string_view otherwise) const {
  for (const auto& [name, value] : flags_)
    if (name == flag) return value;
  return std::string(otherwise);
}

std::vector<std::string> Arguments::values(std::string_view flag) const {
  std::vector<std::string> out;
  for (const auto& [name, value] : flags_)
    if (name == flag) out.push_back(value);
  return out;
}

Result<Arguments> parse_arguments(const std::vector<std::string>& typed) {
  Arguments out;
  if (Status status = split(typed, out); !status) return std::move(status).error();
  out.help = out.has("--help") || out.has("-h");
  if (out.words.size() == 1 && out.words[0] == "help") {
    out.help = true;
    return out;
  }
  if (Status status = choose(out); !status) return std::move(status).error();
  if (out.command == nullptr || out.help) return out;
  const Command& command = *out.command;
  const std::string name(command.name);
  for (const auto& [flag, value] : out.flags()) {
    if (!takes(command, flag)) return usage(name + " has no option " + std::string(flag));
  }
  if (out.words.size() < command.arguments_min) {
    return usage(name + " needs " + std::string(command.arguments) + "; raftd " + name + " --help");
  }
  if (out.words.size() > command.arguments_max) {
    return usage(name + ": " + percent_escape(out.words[command.arguments_max]) +
                 " is one argument too many");
  }
  const bool needs_config = command.id == CommandId::kRun || command.id == CommandId::kRecover ||
                            command.id == CommandId::kRepair || command.id == CommandId::kJoin ||
                            command.id == CommandId::kSnapshotRestore;
  if (needs_config && !out.has("--config")) return usage(name + " needs --config FILE");
  return out;
}

std::string help_text() {
  std::string out =
      "raftd --config FILE    runs a node. Everything else asks one, or looks at its files:\n\n";
  for (const Command& command : commands()) {
    const std::string left = "  raftd " + std::string(command.name) +
                             (command.arguments.empty() ? "" : " ") +
                             std::string(command.arguments);
    out += strf("%-34s  ", left.c_str()) + std::string(command.summary) + "\n";
  }
  return out + "\nraftd COMMAND --help says more; so do raftd(8) and raftd.toml(5).\n";
}

std::string help_text(const Command& command) {
  std::string out = "raftd " + std::string(command.name);
  if (!command.arguments.empty()) out += " " + std::string(command.arguments);
  out += ": " + std::string(command.summary) + "\n";
  std::vector<std::string_view> flags = command.flags;
  if (command.is_client) flags.insert(flags.end(), kClientFlags.begin(), kClientFlags.end());
  flags.push_back("--help");
  return out + "\n" + flag_lines(flags, command.name);
}

}  // namespace raftd::cli
