// lease grant, keepalive, revoke, list.
#include <chrono>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/query.h"
#include "cli/renewal.h"
#include "config/units.h"

namespace raftd::cli {
namespace {

// Prints what a renewal has given; the seconds, or nothing if it was not understood.
std::optional<std::chrono::seconds> print_renewal(const Arguments& arguments,
                                                  const HttpAnswer& answer, const Output& output) {
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  const http::JsonValue* ttl = body ? (*body).field("ttl") : nullptr;
  if (ttl == nullptr || ttl->whole() == nullptr || *ttl->whole() == 0 ||
      *ttl->whole() > static_cast<std::uint64_t>(kLeaseTtlMax.count())) {
    output.error("it was renewed, but the answer was not understood: " +
                 percent_escape(answer.body));
    return std::nullopt;
  }
  print_field(arguments, answer, "ttl", output);
  return std::chrono::seconds(*ttl->whole());
}

int grant(const Arguments& arguments, Client& client, const Output& output) {
  std::chrono::milliseconds ttl{};
  if (!config::parse_duration(arguments.words[0], ttl)) {
    output.error("lease grant: found " + percent_escape(arguments.words[0]) +
                 " (expected a duration such as 30s)");
    return kExitUsage;
  }
  Query query;
  query.add("ttl", arguments.words[0]);
  const Result<Answer> answer =
      client.write({.method = "POST", .target = "/lease" + query.text(), .body = {}});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = answer->http;
  if (http.status / 100 != 2) return refused(http, output);
  return print_field(arguments, http, "id", output);
}

// Until a signal, which is a good end, or until it is gone.
int keep_alive(const Arguments& arguments, const AskWays& ways, const Output& output) {
  const std::string target = "/lease/" + arguments.words[0] + "/keepalive";
  const Instant begun = ways.client.now();
  const Result<Answer> first = ways.client.write({.method = "POST", .target = target, .body = {}});
  if (!first) return not_asked(first.error(), output);
  if (first->http.status != 200) return refused(first->http, output);
  const auto ttl = print_renewal(arguments, first->http, output);
  if (!ttl) return kExitCannotAsk;
  if (arguments.has("--once")) return kExitDone;
  Renewal renewal(ways.client, target, *ttl, begun + *ttl);
  ways.processes.hold_signals();
  while (output.flush()) {
    const Event event = ways.processes.wait(renewal.pause());
    if (event.kind == Event::Kind::kSignal) return kExitDone;
    if (renewal.pause() > Duration()) continue;
    const Renewal::State state = renewal.attempt();
    if (state == Renewal::State::kLost) {
      output.error(renewal.problem());
      return renewal.was_refused() ? kExitNo : kExitCannotAsk;
    }
    if (state == Renewal::State::kRenewed && !print_renewal(arguments, renewal.answer(), output)) {
      return kExitCannotAsk;
    }
  }
  return kExitIo;
}

int revoke(const Arguments& arguments, Client& client, const Output& output) {
  const Result<Answer> answer =
      client.write({.method = "DELETE", .target = "/lease/" + arguments.words[0], .body = {}});
  if (!answer) return not_asked(answer.error(), output);
  if (answer->http.status != 200) return refused(answer->http, output);
  return print_field(arguments, answer->http, "deleted", output);
}

int list(const Arguments& arguments, Client& client, const Output& output) {
  const Result<Answer> answer =
      client.ask({.method = "GET", .target = "/lease", .body = {}, .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = answer->http;
  if (http.status != 200) return refused(http, output);
  if (wants_json(arguments)) {
    print_body(http, output);
    return kExitDone;
  }
  const Result<http::JsonValue> body = http::parse_json(http.body);
  const http::JsonValue* leases = body ? (*body).field("leases") : nullptr;
  if (leases == nullptr || leases->array() == nullptr) {
    output.error("the answer was not understood: it has no leases");
    return kExitCannotAsk;
  }
  Table table{{{"ID"}, {"TTL", Align::kRight}, {"KEYS", Align::kRight}}, {}};
  for (const http::JsonValue& lease : *leases->array()) {
    table.rows.push_back(
        {shown(lease.field("id")), shown(lease.field("ttl")), shown(lease.field("keys"))});
    const std::vector<std::string>& row = table.rows.back();
    if (!output.terminal) output.out(row[0] + "\t" + row[1] + "\t" + row[2] + "\n");
  }
  if (output.terminal) output.table(table);
  return kExitDone;
}

}  // namespace

int lease_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  const CommandId id = arguments.command->id;
  if (id == CommandId::kLeaseGrant) return grant(arguments, ways.client, output);
  if (id == CommandId::kLeaseList) return list(arguments, ways.client, output);
  std::uint64_t lease = 0;
  if (!parse_u64(arguments.words[0], lease) || lease < 1 || lease > kLeaseIdMax) {
    output.error(std::string(arguments.command->name) + ": found " +
                 percent_escape(arguments.words[0]) + " (expected the id of a lease)");
    return kExitUsage;
  }
  if (id == CommandId::kLeaseRevoke) return revoke(arguments, ways.client, output);
  ASSERT(id == CommandId::kLeaseKeepalive);
  return keep_alive(arguments, ways, output);
}

}  // namespace raftd::cli
