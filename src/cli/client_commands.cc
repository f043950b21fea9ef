// From arguments to a client, and from its errors to words and exit statuses.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <system_error>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/join.h"
#include "cli/json_text.h"
#include "cli/recover.h"
#include "cli/sockets.h"
#include "config/members.h"
#include "config/units.h"
#include "config/value.h"

namespace raftd::cli {
namespace {

constexpr const char* kDefaultEndpoint = "http://127.0.0.1:2379";
constexpr const char* kDefaultTimeout = "5s";
constexpr const char* kJoinTimeout = "30s";  // Another change of members may have to end first.
constexpr std::size_t kInputBytesMax = 16 * limits::kMiB;  // More than any node takes.
constexpr std::size_t kTokenBytesMax = 4 * limits::kKiB;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> read_standard_input() {
  std::string text;
  std::string buffer(64 * limits::kKiB, '\0');
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{Errc::kIo, "standard input: " + std::generic_category().message(errno)};
    }
    text.append(buffer, 0, static_cast<std::size_t>(got));
    if (text.size() > kInputBytesMax) {
      return Error{Errc::kTooBig, "standard input: more than 16MiB is no value"};
    }
  }
}

Result<std::string> token_of(const Arguments& arguments) {
  std::string token = variable("RAFTD_TOKEN");
  if (arguments.has("--token-file")) {
    const std::string path = arguments.value("--token-file");
    std::ifstream in(path, std::ios::binary);
    token.assign(kTokenBytesMax + 1, '\0');
    if (in) in.read(token.data(), static_cast<std::streamsize>(token.size()));
    if (in.bad() || in.gcount() == 0) {
      return Error{Errc::kBadInput, "--token-file: " + percent_escape(path) + " cannot be read"};
    }
    token.resize(static_cast<std::size_t>(in.gcount()));
    token.erase(token.find_last_not_of("\r\n \t") + 1);
  }
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || token.size() > kTokenBytesMax) {
    return Error{Errc::kBadInput, "the token is not one word of printable characters"};
  }
  return token;
}

// Those of which a mistake would be told by a node only, or with another meaning.
Status check_flags(const Arguments& arguments) {
  const auto refuse = [&](const char* flag, const char* expected) {
    return Error{Errc::kBadInput, strf("%s: found %s (expected %s)", flag,
                                       percent_escape(arguments.value(flag)).c_str(), expected)};
  };
  std::uint64_t id = 0;
  if (arguments.has("--replaces") &&
      (!parse_u64(arguments.value("--replaces"), id) || id < 1 || id > limits::kNodeIdMax)) {
    return refuse("--replaces", "the id of a member");
  }
  if (arguments.has("--name") && !is_member_name(arguments.value("--name"))) {
    return refuse("--name", "1 to 64 bytes of text that are not all digits");
  }
  for (const char* flag : {"--ttl", "--wait"}) {
    std::chrono::milliseconds duration{};
    if (arguments.has(flag) && !config::parse_duration(arguments.value(flag), duration)) {
      return refuse(flag, "a duration such as 10m");
    }
  }
  std::uint64_t lease = 0;
  if (arguments.has("--lease") &&
      (!parse_u64(arguments.value("--lease"), lease) || lease < 1 || lease > kLeaseIdMax)) {
    return refuse("--lease", "the id of a lease");
  }
  return Done{};
}

std::string endpoints_of(const Arguments& arguments) {
  const CommandId id = arguments.command->id;
  if (id == CommandId::kDescribeNode || id == CommandId::kJoin) return arguments.words[0];
  if (id == CommandId::kRun) return arguments.value("--join");
  if (arguments.has("--endpoints")) return arguments.value("--endpoints");
  const std::string endpoints = variable("RAFTD_ENDPOINTS");
  return endpoints.empty() ? kDefaultEndpoint : endpoints;
}

Result<Client::Options> client_options(const Arguments& arguments) {
  Client::Options options;
  TRY([[maybe_unused]] const Done checked, check_flags(arguments));
  TRY(options.endpoints, parse_endpoints(endpoints_of(arguments)));
  TRY(options.token, token_of(arguments));
  const bool joins =
      arguments.command->id == CommandId::kJoin || arguments.command->id == CommandId::kRun;
  const std::string timeout = arguments.value("--timeout", joins ? kJoinTimeout : kDefaultTimeout);
  std::chrono::milliseconds duration{};
  constexpr std::chrono::hours kTimeoutMax{24};
  if (!config::parse_duration(timeout, duration) || duration.count() == 0 ||
      duration > kTimeoutMax) {
    return Error{Errc::kBadInput, "--timeout: found " + percent_escape(timeout) +
                                      " (expected a duration from 1ms to 24h)"};
  }
  options.timeout = duration;
  const std::string format = arguments.value("--output", "table");
  if (format != "table" && format != "json") {
    return Error{Errc::kBadInput,
                 "--output: found " + percent_escape(format) + " (expected table or json)"};
  }
  return options;
}

}  // namespace

int refused(const HttpAnswer& answer, const Output& output) {
  output.error(error_message(answer));
  const bool no = (answer.status >= 400 && answer.status < 500) || answer.status == 507;
  return no ? kExitNo : kExitCannotAsk;
}

int not_asked(const Error& error, const Output& output) {
  output.error(error.message);
  return kExitCannotAsk;
}

bool wants_json(const Arguments& arguments) {
  return arguments.value("--output") == "json" || arguments.has("--json");
}

void print_body(const HttpAnswer& answer, const Output& output) {
  output.out(without_newline(answer.body));
  output.out("\n");
}

int print_field(const Arguments& arguments, const HttpAnswer& answer, std::string_view field,
                const Output& output) {
  if (wants_json(arguments)) {
    print_body(answer, output);
    return kExitDone;
  }
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  if (!body || (*body).field(field) == nullptr) {
    output.error("done, but the answer was not understood: " + percent_escape(answer.body));
    return kExitDone;
  }
  output.out(shown((*body).field(field)) + "\n");
  return kExitDone;
}

int client_command(const Arguments& arguments, const Output& output) {
  Result<Client::Options> options = client_options(arguments);
  if (!options) {
    output.error(options.error().message);
    return kExitUsage;
  }
  SocketTransport transport;
  Client client(std::move(*options), transport);
  PosixProcesses processes;
  return arguments.command->ask(arguments, {client, read_standard_input, processes}, output);
}

Parsed join_command(const Arguments& arguments, config::Sources sources, const Output& output) {
  Result<Client::Options> options = client_options(arguments);
  if (!options) {
    output.error(options.error().message);
    return {std::nullopt, kExitUsage};
  }
  const Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    output.error(loaded.error().message);
    return {std::nullopt, kExitConfig};
  }
  SocketTransport transport;
  const config::Config& config = loaded->config;
  const Joined joined =
      join_directory(arguments, config, {transport, *options, read_standard_input}, output);
  if (!joined.run) return {std::nullopt, joined.exit_status};
  // The cluster knows the member by this name, and the node tells its own.
  if (!joined.name.empty() && joined.name != config.name) {
    sources.set.push_back("name=" + config::toml_quote(joined.name));
  }
  return {std::move(sources), kExitDone};
}

int recover_command(const Arguments& arguments, const config::Sources& sources,
                    const Output& output) {
  const Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    output.error(loaded.error().message);
    return kExitConfig;
  }
  SocketTransport transport;
  const RecoverWays ways{transport, [] { return isatty(STDIN_FILENO) == 1; },
                         [] {
                           std::string line;
                           std::fflush(stdout);  // The question is seen before it is answered.
                           std::getline(std::cin, line);
                           return line;
                         }};
  return recover_directory(arguments, (*loaded).config, ways, output);
}

}  // namespace raftd::cli
