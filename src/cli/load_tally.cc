#include "cli/load_tally.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/text.h"
#include "http/json.h"

namespace raftd::cli {
namespace {

struct Row {
  std::string_view name;
  FineHistogram latencies;
  std::uint64_t came = 0;
};

// One for each kind of which there is any; where there are gets and puts, one of both as well.
std::vector<Row> rows_of(const Tally& tally, const LoadPlan& plan) {
  std::vector<Row> rows;
  Row both{"both", {}, 0};
  for (std::size_t i = 0; i < kLoadKinds; ++i) {
    if (tally.latencies[i].count() == 0) continue;
    rows.push_back({kLoadKindNames[i], tally.latencies[i], tally.count(static_cast<LoadKind>(i))});
    both.latencies.merge(rows.back().latencies);
    both.came += rows.back().came;
  }
  if (plan.workload == Workload::kMixed && rows.size() > 1) rows.push_back(both);
  return rows;
}

double seconds_of(const Tally& tally) {
  return std::chrono::duration<double>(tally.last - tally.begin).count();
}

std::uint64_t per_second(std::uint64_t count, const Tally& tally) {
  const double seconds = seconds_of(tally);
  return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(count) / seconds) : 0;
}

std::uint64_t us_of(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

std::uint64_t all_never_sent(const Tally& tally) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : tally.never_sent)
    sum += count;
  return sum;
}

constexpr std::array<std::pair<std::string_view, double>, 4> kQuantiles = {
    {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}}};

}  // namespace

std::uint64_t Tally::count() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kLoadKinds; ++i)
    sum += count(static_cast<LoadKind>(i));
  return sum;
}

void print_tally(const Tally& tally, const LoadPlan& plan, const Output& output) {
  Table table;
  for (const char* title :
       {"KIND", "COUNT", "PER SECOND", "P50 US", "P90 US", "P99 US", "P99.9 US", "MAX US"}) {
    table.columns.push_back({title, table.columns.empty() ? Align::kLeft : Align::kRight});
  }
  for (const Row& row : rows_of(tally, plan)) {
    std::vector<std::string> cells{std::string(row.name), std::to_string(row.came),
                                   std::to_string(per_second(row.came, tally))};
    for (const auto& [name, q] : kQuantiles)
      cells.push_back(std::to_string(us_of(row.latencies.quantile(q))));
    cells.push_back(std::to_string(us_of(row.latencies.max())));
    table.rows.push_back(std::move(cells));
  }
  output.table(table);
  for (const auto& [what, count] : tally.errors)
    output.out(strf("errors: %llu %s\n", static_cast<unsigned long long>(count), what.c_str()));
  if (const std::uint64_t count = all_never_sent(tally); count > 0) {
    output.out(strf("never sent: %llu, every connection was busy; latencies have their wait\n",
                    static_cast<unsigned long long>(count)));
  }
}

void print_tally_json(const Tally& tally, const LoadPlan& plan, const Output& output) {
  std::string text;
  http::JsonWriter json(text);
  json.begin_object()
      .field("connections", std::uint64_t{plan.connections})
      .field("value_bytes", std::uint64_t{plan.value_bytes})
      .field("keys", plan.keys)
      .field("rate", plan.rate)
      .name("seconds")
      .raw(strf("%.3f", seconds_of(tally)))
      .name("results")
      .begin_array();
  for (const Row& row : rows_of(tally, plan)) {
    json.begin_object().field("kind", row.name).field("count", row.came);
    json.field("per_second", per_second(row.came, tally));
    for (const auto& [name, q] : kQuantiles)
      json.field(name, us_of(row.latencies.quantile(q)));
    json.field("max_us", us_of(row.latencies.max())).end_object();
  }
  json.end_array().field("never_sent", all_never_sent(tally)).name("errors").begin_object();
  for (const auto& [what, count] : tally.errors)
    json.field(what, count);
  json.end_object().end_object();
  output.out(text + "\n");
}

}  // namespace raftd::cli
