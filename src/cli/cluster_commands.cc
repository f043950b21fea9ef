// status, members, health, transfer, member ..., leave, describe node.
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "http/uri.h"

namespace raftd::cli {
namespace {

// What one endpoint said of itself, or why it said nothing.
struct Said {
  Endpoint endpoint;
  http::JsonValue body;
  std::string raw;    // The body as it came.
  std::string error;  // Empty: it is well.
  bool answered = false;
};

std::string not_ready(const http::JsonValue& body) {
  std::string failed;
  const http::JsonValue* checks = body.field("checks");
  if (checks != nullptr && checks->object() != nullptr) {
    for (const http::JsonField& check : *checks->object()) {
      const bool* passed = check.value.boolean();
      if (passed != nullptr && !*passed) failed += (failed.empty() ? "" : ", ") + check.name;
    }
  }
  return failed.empty() ? "" : "not ready: " + failed;
}

Said ask_status(Client& client, const Endpoint& endpoint, int shares) {
  Said said{endpoint, {}, {}, {}, false};
  const Result<HttpAnswer> answer =
      client.ask_one(endpoint, {.method = "GET", .target = "/status", .body = {}}, shares);
  if (!answer) {
    said.error = answer.error().message;
    return said;
  }
  said.answered = true;
  Result<http::JsonValue> body = http::parse_json((*answer).body);
  if ((*answer).status != 200) {
    said.error = error_message(*answer);
  } else if (!body || (*body).object() == nullptr) {
    said.error = "the answer is not a status";
  } else {
    said.raw = without_newline((*answer).body);
    said.body = std::move(*body);
  }
  return said;
}

Said ask_health(Client& client, const Endpoint& endpoint, int shares) {
  Said said{endpoint, {}, "{\"ready\":true}", {}, false};
  const Result<HttpAnswer> answer =
      client.ask_one(endpoint, {.method = "GET", .target = "/readyz", .body = {}}, shares);
  if (!answer) {
    said.error = answer.error().message;
    return said;
  }
  said.answered = true;
  if ((*answer).status == 200) return said;
  const Result<http::JsonValue> body = http::parse_json((*answer).body);
  if (body) said.error = not_ready(*body);
  if (said.error.empty()) said.error = error_message(*answer);
  return said;
}

std::vector<Said> ask_all(Client& client, Said (*ask)(Client&, const Endpoint&, int)) {
  std::vector<Said> all;
  auto shares = static_cast<int>(client.endpoints().size());
  for (const Endpoint& endpoint : client.endpoints())
    all.push_back(ask(client, endpoint, shares--));
  return all;
}

std::string as_json(const std::vector<Said>& all) {
  std::string out;
  http::JsonWriter writer(out);
  writer.begin_array();
  for (const Said& said : all) {
    writer.begin_object().field("endpoint", std::string_view(said.endpoint.url));
    if (said.error.empty()) {
      writer.name("status").raw(said.raw);
    } else {
      writer.field("error", std::string_view(said.error));
    }
    writer.end_object();
  }
  writer.end_array();
  return out + "\n";
}

int exit_status(const std::vector<Said>& all) {
  bool any_answered = false;
  bool all_well = true;
  for (const Said& said : all) {
    any_answered = any_answered || said.answered;
    all_well = all_well && said.error.empty();
  }
  if (all_well) return kExitDone;
  return any_answered ? kExitNo : kExitCannotAsk;
}

std::string leader_id(const http::JsonValue& body) {
  const http::JsonValue* leader = body.field("leader");
  return leader == nullptr ? "-" : shown(leader->field("id"));
}

std::string warnings_of(const http::JsonValue& body) {
  std::string out;
  const http::JsonValue* warnings = body.field("warnings");
  if (warnings != nullptr && warnings->array() != nullptr) {
    for (const http::JsonValue& warning : *warnings->array())
      out += (out.empty() ? "" : ",") + shown(&warning);
  }
  return out.empty() ? "-" : out;
}

int status(const Arguments& arguments, Client& client, const Output& output) {
  const std::vector<Said> all = ask_all(client, ask_status);
  if (wants_json(arguments)) {
    output.out(as_json(all));
    return exit_status(all);
  }
  Table table;
  for (const char* title : {"ENDPOINT", "ID", "NAME", "ROLE", "TERM", "LEADER", "COMMIT", "APPLIED",
                            "REVISION", "KEYS", "VERSION", "WARNINGS"}) {
    table.columns.push_back({title});
  }
  for (const Said& said : all) {
    if (!said.error.empty()) {
      output.error(said.endpoint.url + ": " + said.error);
      std::vector<std::string> row(table.columns.size(), "-");
      row[0] = said.endpoint.url;
      row[3] = "unreachable";
      table.rows.push_back(std::move(row));
      continue;
    }
    const auto field = [&](std::string_view name) { return shown(said.body.field(name)); };
    table.rows.push_back({said.endpoint.url, field("id"), field("name"), field("role"),
                          field("term"), leader_id(said.body), field("commit_index"),
                          field("applied_index"), field("revision"), field("keys"),
                          field("version"), warnings_of(said.body)});
  }
  output.table(table);
  return exit_status(all);
}

int health(const Arguments& arguments, Client& client, const Output& output) {
  const std::vector<Said> all = ask_all(client, ask_health);
  if (wants_json(arguments)) {
    output.out(as_json(all));
    return exit_status(all);
  }
  Table table{{{"ENDPOINT"}, {"HEALTH"}}, {}};
  for (const Said& said : all) {
    const std::string word = said.error.empty() ? "ok" : said.error;
    table.rows.push_back({said.endpoint.url, word});
    if (!output.terminal) output.out(said.endpoint.url + "\t" + percent_escape(word) + "\n");
  }
  if (output.terminal) output.table(table);
  return exit_status(all);
}

// The answer to a question of the whole cluster, parsed; nothing: said why, with the exit status.
std::optional<http::JsonValue> ask_cluster(const Arguments& arguments, Client& client,
                                           const Question& question, const Output& output,
                                           int& exit) {
  const Result<Answer> answer = client.ask(question);
  if (!answer) {
    exit = not_asked(answer.error(), output);
    return std::nullopt;
  }
  const HttpAnswer& http = (*answer).http;
  if (http.status / 100 != 2) {
    exit = refused(http, output);
    return std::nullopt;
  }
  Result<http::JsonValue> body = http::parse_json(http.body);
  if (!body) {
    output.error("the answer was not understood: " + body.error().message);
    exit = kExitCannotAsk;
    return std::nullopt;
  }
  exit = kExitDone;
  if (!wants_json(arguments)) return std::move(*body);
  print_body(http, output);
  return std::nullopt;
}

int members(const Arguments& arguments, Client& client, const Output& output) {
  int exit = kExitDone;
  const auto body = ask_cluster(
      arguments, client, {.method = "GET", .target = "/cluster", .body = {}, .takes_timeout = true},
      output, exit);
  if (!body) return exit;
  Table table{{{"ID"}, {"NAME"}, {"ROLE"}, {"PEER"}, {"CLIENT"}, {"LEADER"}}, {}};
  const http::JsonValue* list = body->field("members");
  if (list != nullptr && list->array() != nullptr) {
    for (const http::JsonValue& member : *list->array()) {
      const auto field = [&](std::string_view name) { return shown(member.field(name)); };
      table.rows.push_back({field("id"), field("name"), field("role"), field("peer"),
                            field("client"), field("id") == leader_id(*body) ? "yes" : "-"});
    }
  }
  output.table(table);
  return kExitDone;
}

int transfer(const Arguments& arguments, Client& client, const Output& output) {
  std::string target = "/cluster/transfer";
  if (!arguments.words.empty()) target += "?to=" + http::percent_encode(arguments.words[0], false);
  int exit = kExitDone;
  const auto body = ask_cluster(
      arguments, client,
      {.method = "POST", .target = target, .body = {}, .changes = true, .takes_timeout = true},
      output, exit);
  if (body) output.out(shown(body->field("leader")) + "\n");
  return exit;
}

std::string member_path(const Arguments& arguments) {
  return "/cluster/members/" + http::percent_encode(arguments.words[0], false);
}

int wrong_add(const std::string& sentence, const Output& output) {
  output.error("member add: " + sentence + "; raftd member add --help");
  return kExitUsage;
}

int make_ticket(const Arguments& arguments, Client& client, const Output& output) {
  if (!arguments.words.empty() || arguments.has("--peer") || arguments.has("--client")) {
    return wrong_add("a ticket has no id and no addresses yet", output);
  }
  std::string query;
  const auto add = [&](const char* name, const std::string& value) {
    query += (query.empty() ? "?" : "&") + (name + ("=" + http::percent_encode(value, false)));
  };
  if (arguments.has("--name")) add("name", arguments.value("--name"));
  if (arguments.has("--learner")) add("role", "learner");
  if (arguments.has("--replaces")) add("replaces", arguments.value("--replaces"));
  if (arguments.has("--ttl")) add("ttl", arguments.value("--ttl"));
  const Result<Answer> answer = client.ask({.method = "POST",
                                            .target = "/cluster/tickets" + query,
                                            .body = {},
                                            .changes = true,
                                            .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  if (answer->http.status / 100 != 2) return refused(answer->http, output);
  print_body(answer->http, output);
  return kExitDone;
}

int add_member(const Arguments& arguments, Client& client, const Output& output) {
  if (arguments.has("--ticket")) return make_ticket(arguments, client, output);
  std::uint64_t id = 0;
  if (arguments.words.empty()) return wrong_add("--ticket or an id is needed", output);
  if (!parse_u64(arguments.words[0], id) || id < 1 || id > limits::kNodeIdMax) {
    return wrong_add(percent_escape(arguments.words[0]) + " is no id", output);
  }
  if (!arguments.has("--peer") || !arguments.has("--client")) {
    return wrong_add("--peer and --client are needed", output);
  }
  if (arguments.has("--ttl")) return wrong_add("--ttl is for a ticket", output);
  std::string body;
  http::JsonWriter writer(body);
  writer.begin_object();
  if (arguments.has("--name")) writer.field("name", std::string_view(arguments.value("--name")));
  writer.field("peer", std::string_view(arguments.value("--peer")));
  writer.field("client", std::string_view(arguments.value("--client")));
  writer.field("role", arguments.has("--learner") ? "learner" : "voter");
  if (arguments.has("--replaces")) {
    std::uint64_t replaces = 0;
    ASSERT(parse_u64(arguments.value("--replaces"), replaces));
    writer.field("replaces", replaces);
  }
  writer.end_object();
  int exit = kExitDone;
  const auto answer = ask_cluster(arguments, client,
                                  {.method = "PUT",
                                   .target = member_path(arguments),
                                   .body = std::move(body),
                                   .changes = true,
                                   .takes_timeout = true},
                                  output, exit);
  if (answer) output.out(shown(answer->field("role")) + "\n");
  return exit;
}

int remove_member(const Arguments& arguments, Client& client, const Output& output) {
  const std::string target = member_path(arguments) + (arguments.has("--force") ? "?force" : "");
  int exit = kExitDone;
  const auto body = ask_cluster(
      arguments, client,
      {.method = "DELETE", .target = target, .body = {}, .changes = true, .takes_timeout = true},
      output, exit);
  if (!body) return exit;
  const http::JsonValue* removed = body->field("removed");
  const bool* was_there = removed == nullptr ? nullptr : removed->boolean();
  output.out(was_there != nullptr && *was_there ? "removed\n" : "there is no such member\n");
  return exit;
}

int promote_member(const Arguments& arguments, Client& client, const Output& output) {
  int exit = kExitDone;
  const auto body = ask_cluster(arguments, client,
                                {.method = "POST",
                                 .target = member_path(arguments) + "/promote",
                                 .body = {},
                                 .changes = true,
                                 .takes_timeout = true},
                                output, exit);
  if (body) output.out(shown(body->field("role")) + "\n");
  return exit;
}

int leave(const Arguments& arguments, Client& client, const Output& output) {
  if (client.endpoints().size() != 1) {
    output.error("leave: expected one endpoint, that of the node which is to leave");
    return kExitUsage;
  }
  const Result<Answer> answer =
      client.ask({.method = "POST", .target = "/cluster/leave", .body = {}, .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = (*answer).http;
  if (http.status != 202) return refused(http, output);
  if (!client.wait_gone(client.endpoints().front())) {
    output.error("the node is still leaving; its log says what it waits for");
    return kExitCannotAsk;
  }
  output.out(wants_json(arguments) ? http.body : "left\n");
  return kExitDone;
}

std::string line(const http::JsonValue& body, std::string_view name) {
  const http::JsonValue* value = body.field(name);
  return std::string(name) + ": " + (value == nullptr ? "null" : spaced_json(*value)) + "\n";
}

int describe_node(const Arguments& arguments, Client& client, const Output& output) {
  int exit = kExitDone;
  const auto body = ask_cluster(
      arguments, client, {.method = "GET", .target = "/admin/debug", .body = {}}, output, exit);
  if (!body) return exit;
  output.out(node_text(*body));
  return kExitDone;
}

}  // namespace

std::string node_text(const http::JsonValue& body) {
  const http::JsonValue none;
  const auto part = [&](std::string_view name) -> const http::JsonValue& {
    const http::JsonValue* value = body.field(name);
    return value == nullptr ? none : *value;
  };
  const http::JsonValue& storage = part("storage");
  std::string out = "========= Outline =========\n";
  out += line(body, "node_id") + line(body, "leader_id") + line(body, "term");
  out += "\n========= Persistence Info =========\n";
  out += line(storage, "hard_state") + line(storage, "conf_state") + line(storage, "last_index") +
         line(storage, "snapshot");
  out += "\n========= Progress Info =========\n" + spaced_json(part("progress")) + "\n";
  out += "\n========= RaftLog Info =========\n" + spaced_json(part("raft_log")) + "\n";
  out += "\n========= Connections =========\n" + spaced_json(part("connections")) + "\n";
  out += "\n========= Disk =========\n" + spaced_json(part("fsync")) + "\n";
  return out;
}

int cluster_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  Client& client = ways.client;
  const CommandId id = arguments.command->id;
  if (id == CommandId::kStatus) return status(arguments, client, output);
  if (id == CommandId::kMembers) return members(arguments, client, output);
  if (id == CommandId::kHealth) return health(arguments, client, output);
  if (id == CommandId::kTransfer) return transfer(arguments, client, output);
  if (id == CommandId::kMemberAdd) return add_member(arguments, client, output);
  if (id == CommandId::kMemberRemove) return remove_member(arguments, client, output);
  if (id == CommandId::kMemberPromote) return promote_member(arguments, client, output);
  if (id == CommandId::kLeave) return leave(arguments, client, output);
  ASSERT(id == CommandId::kDescribeNode);
  return describe_node(arguments, client, output);
}

}  // namespace raftd::cli
