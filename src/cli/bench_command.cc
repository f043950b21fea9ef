// bench: what a cluster bears. Keys are made first if there is something to read; then the load
// runs, and what was counted is printed, also when a signal ends it early.
#include <algorithm>
#include <array>
#include <chrono>

#include "base/rng.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/load_loop.h"
#include "config/units.h"

namespace raftd::cli {
namespace {

constexpr std::uint64_t kConnectionsMax = 20'000;
constexpr std::uint64_t kSecondsMax = 7 * 24 * 3600;
constexpr std::uint64_t kRateMax = 1'000'000;
constexpr std::size_t kWatchPutters = 8;  // At a constant rate one may be waiting for an answer.

constexpr std::array<std::pair<std::string_view, Workload>, 6> kWorkloads = {
    {{"put", Workload::kPut},
     {"get", Workload::kGet},
     {"mixed", Workload::kMixed},
     {"list", Workload::kList},
     {"txn", Workload::kTransaction},
     {"watch", Workload::kWatch}}};

bool reads(Workload workload) {
  return workload == Workload::kGet || workload == Workload::kMixed || workload == Workload::kList;
}

// A flag's number, or what it is without the flag.
Status read_number(const Arguments& arguments, std::string_view flag, std::uint64_t min,
                   std::uint64_t max, std::uint64_t& number) {
  if (!arguments.has(flag)) return Done{};
  const std::string text = arguments.value(flag);
  const bool is_read =
      flag == "--value-size" ? config::parse_size(text, number) : parse_u64(text, number);
  if (is_read && number >= min && number <= max) return Done{};
  return Error{Errc::kBadInput,
               strf("%s: found %s (expected %llu to %llu)", std::string(flag).c_str(),
                    percent_escape(text).c_str(), static_cast<unsigned long long>(min),
                    static_cast<unsigned long long>(max))};
}

Result<LoadPlan> plan_of(const Arguments& arguments) {
  LoadPlan plan;
  if (!arguments.words.empty()) {
    const auto* found = std::find_if(kWorkloads.begin(), kWorkloads.end(), [&](const auto& one) {
      return one.first == arguments.words[0];
    });
    if (found == kWorkloads.end()) {
      return Error{Errc::kBadInput, "bench: found " + percent_escape(arguments.words[0]) +
                                        " (expected put, get, mixed, list, txn or watch)"};
    }
    plan.workload = found->second;
  }
  std::uint64_t connections = plan.connections;
  std::uint64_t value_bytes = plan.value_bytes;
  TRY([[maybe_unused]] Done a,
      read_number(arguments, "--connections", 1, kConnectionsMax, connections));
  TRY([[maybe_unused]] Done b, read_number(arguments, "--seconds", 1, kSecondsMax, plan.seconds));
  TRY([[maybe_unused]] Done c,
      read_number(arguments, "--value-size", 0, limits::kRequestBytesMax, value_bytes));
  TRY([[maybe_unused]] Done d, read_number(arguments, "--keys", 1, kLoadKeysMax, plan.keys));
  TRY([[maybe_unused]] Done e, read_number(arguments, "--rate", 1, kRateMax, plan.rate));
  plan.connections = connections;
  plan.value_bytes = value_bytes;
  plan.consistency = arguments.value("--consistency");
  if (plan.consistency.empty()) return plan;
  if (!reads(plan.workload)) {
    return Error{Errc::kBadInput, "--consistency is for get, mixed and list"};
  }
  if (plan.consistency != "linearizable" && plan.consistency != "lease" &&
      plan.consistency != "stale") {
    return Error{Errc::kBadInput, "--consistency: found " + percent_escape(plan.consistency) +
                                      " (expected linearizable, lease or stale)"};
  }
  return plan;
}

// Those that were typed, as they are; else the leader that the endpoints know.
Result<std::vector<Address>> addresses_of(const Arguments& arguments, Client& client) {
  std::vector<Address> out;
  if (arguments.has("--endpoints")) {
    for (const Endpoint& endpoint : client.endpoints())
      out.push_back(endpoint.address);
    return out;
  }
  TRY(const Answer answer, client.ask({.method = "GET", .target = "/status", .body = {}}));
  const Result<http::JsonValue> body = http::parse_json(answer.http.body);
  const http::JsonValue* leader = body ? body->field("leader") : nullptr;
  const http::JsonValue* url = leader == nullptr ? nullptr : leader->field("client");
  if (url == nullptr || url->text() == nullptr) {
    return Error{Errc::kNotLeader, answer.endpoint.url + " knows no leader"};
  }
  TRY(const std::vector<Endpoint> found, parse_endpoints(*url->text()));
  out.push_back(found[0].address);
  return out;
}

std::string sum_of(const Tally& tally) {
  std::string text;
  for (const auto& [what, count] : tally.errors)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  return text;
}

// Every key, once. False: interrupted.
Result<bool> fill(LoadLoop& loop, const LoadPlan& plan) {
  RequestMaker maker = RequestMaker::filling(plan);
  Pace pace(LoadLoop::now(), std::chrono::seconds(kSecondsMax), 0);
  Tally tally;
  const bool done = loop.run(maker, pace, tally);
  if (done && tally.count() < plan.keys) {
    return Error{Errc::kIo, "not all keys could be written: " + sum_of(tally)};
  }
  return done;
}

LoadLoop::Options options_of(const LoadPlan& plan, std::vector<Address> addresses,
                             Duration patience, Processes& processes) {
  LoadLoop::Options options;
  options.addresses = std::move(addresses);
  options.connections = plan.connections;
  if (plan.workload == Workload::kWatch) {
    options.watchers = plan.connections;
    options.connections = plan.rate == 0 ? 1 : kWatchPutters;
    options.watch_text = RequestMaker::watch_text(plan);
  }
  options.patience = patience;
  options.interrupted = [&processes] {
    return processes.wait(Duration()).kind == Event::Kind::kSignal;
  };
  return options;
}

Result<Tally> run_load(const LoadPlan& plan, LoadLoop::Options options) {
  LoadLoop loop(std::move(options));
  TRY([[maybe_unused]] const Done connected, loop.connect_all());
  Tally tally;
  if (reads(plan.workload)) {
    TRY(const bool filled, fill(loop, plan));
    if (!filled) return tally;
  }
  RequestMaker maker(plan, os_entropy());
  Pace pace(LoadLoop::now(), std::chrono::seconds(plan.seconds), plan.rate);
  loop.run(maker, pace, tally);
  return tally;
}

}  // namespace

int bench_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  Result<LoadPlan> plan = plan_of(arguments);
  if (!plan) {
    output.error(plan.error().message);
    return kExitUsage;
  }
  plan->token = ways.client.token();
  Result<std::vector<Address>> addresses = addresses_of(arguments, ways.client);
  if (!addresses) return not_asked(addresses.error(), output);
  ways.processes.hold_signals();
  const Result<Tally> tally = run_load(
      *plan, options_of(*plan, *std::move(addresses), ways.client.timeout(), ways.processes));
  ways.processes.release_signals();
  if (!tally) return not_asked(tally.error(), output);
  if (wants_json(arguments)) {
    print_tally_json(*tally, *plan, output);
  } else {
    print_tally(*tally, *plan, output);
  }
  return tally->count() > 0 ? kExitDone : kExitCannotAsk;
}

}  // namespace raftd::cli
