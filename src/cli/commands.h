// What the subcommands do. Each takes the checked arguments and gives the exit status.
#pragma once

#include <chrono>
#include <cstdint>

#include "cli/child.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "config/config.h"
#include "http/json.h"

namespace raftd::cli {

// Of the contract, so that what is typed is refused before anybody is asked.
inline constexpr std::uint64_t kLeaseIdMax = (1ULL << 63) - 1;
inline constexpr std::chrono::seconds kLeaseTtlMax{9'000'000'000};

// Those that ask a cluster: makes the client and asks.
int client_command(const Arguments& arguments, const Output& output);

// What they do besides printing; tests put their own in its place.
using Input = std::function<Result<std::string>()>;  // Standard input, all of it.
struct AskWays {
  Client& client;
  Input input;
  Processes& processes;
};

// One family each; the table of commands names them.
int key_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int transaction_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int watch_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int bench_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int lease_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int lock_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int elect_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int cluster_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int save_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int export_command(const Arguments& arguments, const AskWays& ways, const Output& output);
int import_command(const Arguments& arguments, const AskWays& ways, const Output& output);

// describe logs, describe metadata: no node is asked.
int describe_command(const Arguments& arguments, const Output& output);

// snapshot inspect, snapshot restore: no node is asked.
int snapshot_command(const Arguments& arguments, const config::Sources& sources,
                     const Output& output);
int recover_command(const Arguments& arguments, const config::Sources& sources,
                    const Output& output);
int repair_command(const config::Sources& sources, const Output& output);

// join, and run with --join: the node is to be run afterwards, unless an exit status is given.
Parsed join_command(const Arguments& arguments, config::Sources sources, const Output& output);

// The blocks of describe node, from the body of GET /admin/debug.
std::string node_text(const http::JsonValue& body);

// Prints why a question has no good answer: exit status 1 for a no, 2 for everything else.
int refused(const HttpAnswer& answer, const Output& output);
int not_asked(const Error& error, const Output& output);

bool wants_json(const Arguments& arguments);
// The body of an answer on one line.
void print_body(const HttpAnswer& answer, const Output& output);
// A field of it on a line, or with --output json all of it. The exit status.
int print_field(const Arguments& arguments, const HttpAnswer& answer, std::string_view field,
                const Output& output);

}  // namespace raftd::cli
