#include "cli/options.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "config/keys.h"

namespace raftd::cli {
namespace {

constexpr std::array<std::string_view, 4> kClientFlags = {"--endpoints", "--timeout", "--output",
                                                          "--token-file"};

// first_word: of the command, as far as it is known.
const Flag* find_flag(std::string_view name, std::string_view first_word) {
  for (const Flag& flag : flags())
    if (flag.name == name && (flag.of.empty() || flag.of == first_word)) return &flag;
  return nullptr;
}

// describe node is given its one endpoint as an argument.
bool is_client(const Command& command) {
  return command.ask != nullptr && command.id != CommandId::kDescribeNode;
}

bool takes(const Command& command, std::string_view flag) {
  if (flag == "--help" || flag == "-h") return true;
  const auto in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), flag) != list.end();
  };
  return in(command.flags) || (is_client(command) && in(kClientFlags));
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
  for (const Flag& flag : flags())
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

// No option begins with a digit: -5 is a number.
bool is_flag(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
}

// Splits what was typed into words and flags; whose flags they are is not known yet. dashes: how
// many words stand before the first "--".
Status split(const std::vector<std::string>& typed, Arguments& out,
             std::optional<std::size_t>& dashes) {
  for (std::size_t i = 0; i < typed.size(); ++i) {
    const std::string& word = typed[i];
    if (word == "--") {
      dashes = out.words.size();
      out.words.insert(out.words.end(), typed.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                       typed.end());
      break;
    }
    if (!is_flag(word)) {
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

// "save|inspect|restore" of snapshot; empty: commands of this name have one word.
std::string second_words(const std::string& name) {
  std::string out;
  for (const Command& command : commands()) {
    if (!command.name.starts_with(name + " ")) continue;
    out += (out.empty() ? "" : "|") + std::string(command.name.substr(name.size() + 1));
  }
  return out;
}

// Takes the command off the words.
Status choose(Arguments& out, std::optional<std::size_t>& dashes) {
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
  if (dashes) dashes = *dashes > used ? *dashes - used : 0;
  return Done{};
}

// What stands behind the arguments and "--" is a program with options of its own. A "--" before the
// arguments ends ours, as everywhere, and then another one begins the program.
Status take_program(Arguments& out, std::optional<std::size_t> dashes) {
  const Command& command = *out.command;
  if (command.program == TakesProgram::kNo) return Done{};
  const auto at = [&](std::size_t position) {
    return out.words.begin() + static_cast<std::ptrdiff_t>(position);
  };
  auto begin = dashes ? at(*dashes) : out.words.end();
  bool given = dashes.has_value();
  if (dashes && *dashes < command.arguments_min) {
    begin = std::find(begin, out.words.end(), "--");
    given = begin != out.words.end();
    if (given) begin = out.words.erase(begin);
  }
  out.program.assign(begin, out.words.end());
  out.words.erase(begin, out.words.end());
  const bool missing = out.program.empty() || out.program[0].empty();
  if (missing && (given || command.program == TakesProgram::kNeeded)) {
    const std::string name(command.name);
    return usage(name + " needs a command to run: " + name + " " + std::string(command.arguments));
  }
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

}  // namespace

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
  std::optional<std::size_t> dashes;
  if (Status status = split(typed, out, dashes); !status) return std::move(status).error();
  out.help = out.has("--help") || out.has("-h");
  if (out.words.size() == 1 && out.words[0] == "help") {
    out.help = true;
    return out;
  }
  if (Status status = choose(out, dashes); !status) return std::move(status).error();
  if (out.command == nullptr || out.help) return out;
  if (Status status = take_program(out, dashes); !status) return std::move(status).error();
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
  if (is_client(command)) flags.insert(flags.end(), kClientFlags.begin(), kClientFlags.end());
  flags.push_back("--help");
  return out + "\n" + flag_lines(flags, command.name);
}

}  // namespace raftd::cli
