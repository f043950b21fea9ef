// What the subcommands do. Each takes the checked arguments and gives the exit status.
#pragma once

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/output.h"
#include "config/config.h"
#include "http/json.h"

namespace raftd::cli {

// get put del ls status members health transfer, describe node: makes the client and asks.
int client_command(const Arguments& arguments, const Output& output);

// The same with the client given, for tests. input reads standard input.
using Input = std::function<Result<std::string>()>;
int ask_and_print(const Arguments& arguments, Client& client, const Input& input,
                  const Output& output);

// One family each.
int key_command(const Arguments& arguments, Client& client, const Input& input,
                const Output& output);
int cluster_command(const Arguments& arguments, Client& client, const Output& output);

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

// With the client given, too.
int save_command(const Arguments& arguments, Client& client, const Output& output);
int export_command(const Arguments& arguments, Client& client, const Output& output);
int import_command(const Arguments& arguments, Client& client, const Output& output);

// The blocks of describe node, from the body of GET /admin/debug.
std::string node_text(const http::JsonValue& body);

// Prints why a question has no good answer: exit status 1 for a no, 2 for everything else.
int refused(const HttpAnswer& answer, const Output& output);
int not_asked(const Error& error, const Output& output);

}  // namespace raftd::cli
