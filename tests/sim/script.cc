#include "sim/script.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace raftd::sim {
namespace {

using Field = std::variant<std::uint64_t Options::*, bool Options::*, Duration Options::*,
                           std::int64_t Options::*, double Options::*>;

struct OptionInfo {
  std::string_view name;
  Field field;
  // Of a number, or of a time in nanoseconds.
  double least = 0;
  double most = 1e12;
};

constexpr double kMillisecond = 1e6;
constexpr double kHour = 3600e9;
constexpr std::size_t kTextMax = limits::kMiB;
constexpr std::size_t kFaultsMax = 10'000;

constexpr const char* kExplanation =
    "# A run of raftd-sim. Start it with: raftd-sim script FILE\n"
    "# Each line says one thing; what follows a # says nothing.\n"
    "#   seed N            of all that is not said here: delays, keys, values\n"
    "#   set OPTION VALUE  see tests/sim/options.h; what is not set has its default\n"
    "#   at TIME FAULT NODE [for TIME] [how N] [with N]\n"
    "# The faults, and what their numbers mean, are in tests/sim/plan.h. NODE is a number from 1 "
    "on,\n"
    "# or leader/N: whoever leads then, or node N if nobody does. TIME has a unit: s, ms, us or "
    "ns.\n";

const std::vector<OptionInfo>& option_table() {
  using O = Options;
  static const std::vector<OptionInfo> table = {
      {"nodes", &O::nodes, 1, 9},
      {"spares", &O::spares, 0, 8},
      {"fresh", &O::fresh, 0, 8},
      {"chaos", &O::chaos, kMillisecond, kHour},
      {"settle", &O::settle, 1000 * kMillisecond, kHour},
      {"heartbeat", &O::heartbeat, kMillisecond, kHour},
      {"election", &O::election, 2 * kMillisecond, kHour},
      {"pre_vote", &O::pre_vote},
      {"check_quorum", &O::check_quorum},
      {"log_cache_bytes", &O::log_cache_bytes, limits::kLogCacheBytesMin},
      {"max_pending_bytes", &O::max_pending_bytes, 1},
      {"max_inflight_bytes", &O::max_inflight_bytes, 1},
      {"segment_bytes", &O::segment_bytes, 3 * limits::kBlockBytes, limits::kMiB * 64},
      {"snapshot_entries", &O::snapshot_entries},
      {"snapshot_bytes", &O::snapshot_bytes, 1},
      {"snapshots_kept", &O::snapshots_kept, 1, 100},
      {"priorities", &O::priorities},
      {"clients", &O::clients, 1, 64},
      {"without_clients", &O::without_clients, 0, 1.8e19},
      {"keys", &O::keys, 1, 100'000},
      {"key_life", &O::key_life, kMillisecond, kHour},
      {"think", &O::think, 0, kHour},
      {"burst_every", &O::burst_every, 0, kHour},
      {"timeout", &O::timeout, kMillisecond, kHour},
      {"value_bytes", &O::value_bytes, 1, limits::kMiB},
      {"reads_percent", &O::reads_percent, 0, 100},
      {"stale_percent", &O::stale_percent, 0, 100},
      {"lists_percent", &O::lists_percent, 0, 100},
      {"repeat_percent", &O::repeat_percent, 0, 100},
      {"skew", &O::skew, 0, 10},
      {"abandon_percent", &O::abandon_percent, 0, 100},
      {"coordinators", &O::coordinators, 0, 64},
      {"delay_min", &O::delay_min, 0, kHour},
      {"delay_max", &O::delay_max, 0, kHour},
      {"loss_percent", &O::loss_percent, 0, 100},
      {"duplicate_percent", &O::duplicate_percent, 0, 100},
      {"slow_percent", &O::slow_percent, 0, 100},
      {"late_percent", &O::late_percent, 0, 100},
      {"bandwidth", &O::bandwidth},
      {"sync_min", &O::sync_min, 0, kHour},
      {"sync_max", &O::sync_max, 0, kHour},
      {"stall_per_mille", &O::stall_per_mille, 0, 1000},
      {"damage_beyond", &O::damage_beyond},
      {"repair", &O::repair},
      {"clock_rate_spread", &O::clock_rate_spread, 0, 500},
      {"loop_delay", &O::loop_delay, 0, kHour},
      {"late_timer_percent", &O::late_timer_percent, 0, 100},
  };
  return table;
}

unsigned long long number(std::uint64_t value) {
  return value;
}

std::string text_of(Duration time) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {
      {1'000'000'000, "s"}, {1'000'000, "ms"}, {1000, "us"}};
  for (const auto& [unit, name] : kUnits) {
    if (time.count() % unit == 0) return std::to_string(time.count() / unit) + name;
  }
  return std::to_string(time.count()) + "ns";
}

std::string text_of(const Options& options, const Field& field) {
  return std::visit(
      [&](auto member) -> std::string {
        const auto value = options.*member;
        using T = std::remove_cv_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>) {
          return value ? "yes" : "no";
        } else if constexpr (std::is_same_v<T, Duration>) {
          return text_of(value);
        } else if constexpr (std::is_same_v<T, double>) {
          return strf("%.17g", value);
        } else {
          return std::to_string(value);
        }
      },
      field);
}

// What is left of the text is given back; nothing: it is not a number.
std::optional<std::string_view> read_number(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return text.substr(static_cast<std::size_t>(end - text.data()));
}

bool parse_time(std::string_view text, Duration& time) {
  double value = 0;
  const auto unit = read_number(text, value);
  if (!unit) return false;
  const double scale = *unit == "s" ? 1e9 : *unit == "ms" ? 1e6 : *unit == "us" ? 1e3 : 1;
  if (scale == 1 && *unit != "ns") return false;
  if (value < 0 || value * scale > kHour) return false;
  time = Duration(std::llround(value * scale));
  return true;
}

bool parse_option(Options& options, const OptionInfo& option, std::string_view text) {
  const auto fits = [&](double value) { return value >= option.least && value <= option.most; };
  return std::visit(
      [&](auto member) {
        auto& value = options.*member;
        using T = std::remove_reference_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>) {
          value = text == "yes";
          return text == "yes" || text == "no";
        } else if constexpr (std::is_same_v<T, Duration>) {
          return parse_time(text, value) && fits(static_cast<double>(value.count()));
        } else if constexpr (std::is_same_v<T, double>) {
          const auto rest = read_number(text, value);
          return rest && rest->empty() && fits(value);
        } else {
          std::uint64_t read = 0;
          if (!parse_u64(text, read) || !fits(static_cast<double>(read))) return false;
          value = static_cast<T>(read);
          return true;
        }
      },
      option.field);
}

std::vector<std::string_view> words_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    if (end > at) words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

using Words = std::vector<std::string_view>;

// All of these give what is wrong, or nothing.
std::string parse_set(const Words& words, Script& script) {
  if (words.size() != 3) return "want: set OPTION VALUE";
  const auto found = std::ranges::find(option_table(), words[1], &OptionInfo::name);
  if (found == option_table().end()) return "no option is called that";
  if (!parse_option(script.options, *found, words[2])) return "this option cannot have this value";
  return "";
}

std::string parse_node(std::string_view text, Fault& fault) {
  if (text.starts_with("leader/")) {
    fault.leader = true;
    text.remove_prefix(7);
  }
  std::uint64_t node = 0;
  if (!parse_u64(text, node) || node == 0 || node > 64) {
    return "a node is a number from 1 on, or leader/N";
  }
  fault.node = node - 1;
  return "";
}

std::string parse_fault(const Words& words, Script& script) {
  if (words.size() < 4 || words.size() % 2 != 0) {
    return "want: at TIME FAULT NODE [for TIME] [how N] [with N]";
  }
  if (script.plan.size() >= kFaultsMax) return "too many faults";
  Fault fault;
  if (!parse_time(words[1], fault.at)) return "this is not a time";
  const auto found = std::ranges::find(fault_kinds(), words[2], &FaultInfo::name);
  if (found == fault_kinds().end()) return "no fault is called that";
  fault.kind = found->kind;
  if (std::string wrong = parse_node(words[3], fault); !wrong.empty()) return wrong;
  for (std::size_t i = 4; i < words.size(); i += 2) {
    if (words[i] == "for") {
      if (!parse_time(words[i + 1], fault.lasting)) return "this is not a time";
    } else if (words[i] == "how" || words[i] == "with") {
      std::uint64_t& value = words[i] == "how" ? fault.how : fault.with;
      if (!parse_u64(words[i + 1], value) || value > 3'600'000'000) return "this is not a number";
    } else {
      return "want: for TIME, how N or with N";
    }
  }
  script.plan.push_back(fault);
  return "";
}

std::string parse_line(const Words& words, Script& script) {
  if (words[0] == "set") return parse_set(words, script);
  if (words[0] == "at") return parse_fault(words, script);
  if (words[0] != "seed") return "a line begins with seed, set or at";
  if (words.size() == 2 && parse_u64(words[1], script.seed)) return "";
  return "want: seed N";
}

}  // namespace

std::string text_of(const Fault& fault) {
  std::string text =
      strf("at %s %s %s%zu", text_of(fault.at).c_str(), std::string(info(fault.kind).name).c_str(),
           fault.leader ? "leader/" : "", fault.node + 1);
  if (fault.lasting != Duration{}) text += " for " + text_of(fault.lasting);
  if (fault.how != 0) text += strf(" how %llu", number(fault.how));
  if (fault.with != 0) text += strf(" with %llu", number(fault.with));
  return text;
}

std::string text_of(const Script& script) {
  const Options defaults;
  std::string text = kExplanation;
  text += strf("\nseed %llu\n", number(script.seed));
  for (const OptionInfo& option : option_table()) {
    const std::string value = text_of(script.options, option.field);
    if (value == text_of(defaults, option.field)) continue;
    text += strf("set %s %s\n", std::string(option.name).c_str(), value.c_str());
  }
  for (const Fault& fault : script.plan)
    text += text_of(fault) + "\n";
  return text;
}

Script draw_script(std::uint64_t seed, Profile profile) {
  Script script{seed, draw_options(seed, profile), {}};
  script.plan = draw_plan(seed, script.options);
  for (const FaultInfo& kind : fault_kinds())
    script.options.*kind.every = {};
  script.options.aim_at_leader_percent = Options().aim_at_leader_percent;
  return script;
}

std::size_t option_count() {
  return option_table().size();
}

std::optional<Script> with_default(Script script, std::size_t option) {
  return std::visit(
      [&](auto member) -> std::optional<Script> {
        const Options defaults;
        if (script.options.*member == defaults.*member) return std::nullopt;
        script.options.*member = defaults.*member;
        script.options.spares = std::min(script.options.spares, script.options.nodes - 1);
        return std::move(script);
      },
      option_table()[option].field);
}

Result<Script> parse_script(const std::string& name, std::string_view text) {
  const auto error = [&](std::size_t line, const std::string& what) {
    return Error{Errc::kBadInput, strf("%s:%zu: %s", name.c_str(), line, what.c_str())};
  };
  if (text.size() > kTextMax) return error(1, "this is too long for a script");
  Script script;
  std::size_t line = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const Words words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    if (words.empty()) continue;
    const std::string wrong = parse_line(words, script);
    if (!wrong.empty()) {
      return error(line, wrong + ": " + percent_escape(words.size() > 1 ? words[1] : words[0]));
    }
  }
  if (script.options.election <= script.options.heartbeat) {
    return error(line, "election has to be longer than heartbeat");
  }
  if (script.options.spares >= script.options.nodes) {
    return error(line, "spares have to be fewer than nodes");
  }
  std::ranges::stable_sort(script.plan, {}, &Fault::at);
  return script;
}

}  // namespace raftd::sim
