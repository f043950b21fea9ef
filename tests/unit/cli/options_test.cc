// Goal: what is typed means one thing or is refused with a sentence. Method: lists of words in,
// arguments or the sentence out.
#include "cli/options.h"

#include <doctest/doctest.h>

#include <set>

namespace raftd::cli {
namespace {

std::string error_of(const std::vector<std::string>& typed) {
  const Result<Arguments> parsed = parse_arguments(typed);
  return parsed ? "" : parsed.error().message;
}

Arguments parsed(const std::vector<std::string>& typed) {
  Result<Arguments> arguments = parse_arguments(typed);
  REQUIRE_MESSAGE(static_cast<bool>(arguments), arguments.error().message);
  return std::move(*arguments);
}

}  // namespace

TEST_CASE("--config without a command runs a node, and so does run") {
  for (const std::vector<std::string>& typed :
       {std::vector<std::string>{"--config", "f", "--set", "a=1", "--set", "b=2"},
        {"run", "--config", "f", "--set", "a=1", "--set", "b=2"},
        {"--set=a=1", "--config=f", "run", "--set=b=2"}}) {
    const Arguments arguments = parsed(typed);
    CHECK(arguments.command->id == CommandId::kRun);
    CHECK(arguments.value("--config") == "f");
    CHECK(arguments.values("--set") == std::vector<std::string>{"a=1", "b=2"});
  }
  CHECK(error_of({}).starts_with("a command or --config FILE is needed"));
  CHECK(error_of({"run"}) == "run needs --config FILE");
  CHECK(error_of({"--set", "a=1"}).starts_with("a command or --config FILE is needed"));
}

TEST_CASE("flags stand before or after arguments, and -- ends them") {
  for (const std::vector<std::string>& typed :
       {std::vector<std::string>{"put", "k", "v", "--cas", "3"},
        {"put", "--cas", "3", "k", "v"},
        {"--cas=3", "put", "k", "v"},
        {"put", "--cas=3", "--", "k", "v"}}) {
    const Arguments arguments = parsed(typed);
    CHECK(arguments.command->id == CommandId::kPut);
    CHECK(arguments.words == std::vector<std::string>{"k", "v"});
    CHECK(arguments.value("--cas") == "3");
  }
  CHECK(parsed({"put", "--", "--k", "-1"}).words == std::vector<std::string>{"--k", "-1"});
  CHECK(parsed({"put", "k", "-"}).words == std::vector<std::string>{"k", "-"});
  CHECK(parsed({"put", "k", ""}).words == std::vector<std::string>{"k", ""});
  CHECK(parsed({"get", "k", "--endpoints="}).has("--endpoints"));
}

TEST_CASE("wrong usage is one sentence that says what would be right") {
  CHECK(error_of({"gte", "k"}) ==
        "there is no command gte (did you mean get?); raftd --help lists them");
  CHECK(error_of({"get", "k", "--consistancy", "stale"}) ==
        "there is no option --consistancy (did you mean --consistency?)");
  CHECK(error_of({"get", "k", "--cas", "1"}) == "get has no option --cas");
  CHECK(error_of({"get"}) == "get needs KEY; raftd get --help");
  CHECK(error_of({"get", "a", "b"}) == "get: b is one argument too many");
  CHECK(error_of({"get", "k", "--rev"}) == "--rev needs a value: --rev N");
  CHECK(error_of({"get", "k", "--rev", "1", "--rev", "2"}) == "--rev is given twice");
  CHECK(error_of({"ls", "--keys=yes"}) == "--keys takes no value");
  CHECK(error_of({"put", "k", "v", "-x"}) == "there is no option -x");
  CHECK(error_of({"describe"}).starts_with("describe what?"));
  CHECK(error_of({"describe", "nod", "x"}).find("did you mean describe node?") !=
        std::string::npos);
  CHECK(error_of({"a\nb"}).starts_with("there is no command a%0Ab"));
}

TEST_CASE("--ticket is a file for join, and takes no value for member add") {
  const Arguments join = parsed({"join", "URL", "--config", "f", "--ticket", "-", "--learner"});
  CHECK(join.command->id == CommandId::kJoin);
  CHECK(join.value("--ticket") == "-");
  CHECK(join.words == std::vector<std::string>{"URL"});
  const Arguments add = parsed({"member", "add", "--ticket", "--name", "n4"});
  CHECK(add.command->id == CommandId::kMemberAdd);
  CHECK(add.has("--ticket"));
  CHECK(add.value("--name") == "n4");
  CHECK(parsed({"--config", "f", "--join", "URL"}).command->id == CommandId::kRun);
  CHECK(error_of({"join", "URL"}) == "join needs --config FILE");
  CHECK(error_of({"join", "--config", "f"}) == "join needs URL; raftd join --help");
  CHECK(error_of({"member", "add", "--ticket=x"}) == "--ticket takes no value");
  CHECK(error_of({"member"}) == "member what? raftd member add|remove|promote");
  CHECK(help_text(*join.command).find("--ticket FILE|-") != std::string::npos);
  CHECK(help_text(*add.command).find("--ticket FILE|-") == std::string::npos);
}

TEST_CASE("what stands behind the arguments and -- is a program with options of its own") {
  using Words = std::vector<std::string>;
  const Arguments lock = parsed({"lock", "l", "--wait", "0s", "--", "job", "--ttl", "--", "x"});
  CHECK(lock.words == Words{"l"});
  CHECK(lock.program == Words{"job", "--ttl", "--", "x"});
  CHECK_FALSE(lock.has("--ttl"));
  const Arguments dashed = parsed({"--timeout=1s", "lock", "--", "-l", "--", "job", "--"});
  CHECK(dashed.words == Words{"-l"});
  CHECK(dashed.program == Words{"job", "--"});
  CHECK(parsed({"watch", "k"}).program.empty());
  CHECK(parsed({"watch", "--", "-k"}).words == Words{"-k"});
  CHECK(parsed({"watch", "--prefix", "", "--", "job"}).words == Words{""});
  CHECK(parsed({"put", "k", "--", "--"}).words == Words{"k", "--"});
  const std::string needed = "lock needs a command to run: lock NAME -- CMD...";
  CHECK(error_of({"lock", "l"}) == needed);
  CHECK(error_of({"lock", "l", "--"}) == needed);
  CHECK(error_of({"lock", "l", "--", ""}) == needed);
  CHECK(error_of({"lock", "--", "l", "job"}) == needed);
  CHECK(error_of({"watch", "k", "--"}).starts_with("watch needs a command to run"));
  CHECK(error_of({"watch", "k", "job"}) == "watch: job is one argument too many");
}

TEST_CASE("a number with a sign is a number") {
  CHECK(parsed({"incr", "n", "-5"}).words == std::vector<std::string>{"n", "-5"});
  CHECK(error_of({"incr", "n", "-x"}) == "there is no option -x");
}

TEST_CASE("--version, --help and help need nothing else") {
  CHECK(parsed({"--version"}).command->id == CommandId::kVersion);
  CHECK(parsed({"version"}).command->id == CommandId::kVersion);
  CHECK(parsed({"--help"}).command == nullptr);
  CHECK(parsed({"help"}).help);
  CHECK(parsed({"put", "--help"}).command->id == CommandId::kPut);
  CHECK(parsed({"-h"}).help);
}

TEST_CASE("help names every command, and each command's help every flag it takes") {
  for (const Command& command : commands()) {
    CAPTURE(command.name);
    CHECK(help_text().find("raftd " + std::string(command.name)) != std::string::npos);
    for (const std::string_view flag : command.flags)
      CHECK(help_text(command).find(flag) != std::string::npos);
    const bool is_client = command.ask != nullptr && command.id != CommandId::kDescribeNode;
    CHECK((help_text(command).find("--endpoints") != std::string::npos) == is_client);
  }
}

}  // namespace raftd::cli
