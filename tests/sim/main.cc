// raftd-sim: runs the simulated cluster from the command line.
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "base/text.h"
#include "sim/corpus.h"
#include "sim/runner.h"
#include "sim/script.h"
#include "sim/shrink.h"
#include "sim/stats.h"

namespace raftd::sim {
namespace {

constexpr const char* kUsage =
    "usage: raftd-sim run [--seeds A..B] [--profile NAME] [--jobs N] [--time N(s|m|h)]\n"
    "                          many runs; stops at the first failure. Without --seeds: new ones\n"
    "       raftd-sim stats [as run]\n"
    "                          the same; and what never happened, but should have, is a failure\n"
    "       raftd-sim replay SEED [--profile NAME] [--trace] [--until EVENT]\n"
    "                          one run again, with what its nodes say\n"
    "       raftd-sim shrink SEED|FILE [--profile NAME] [--out FILE]\n"
    "                          what a failing run needs to fail, as a script\n"
    "       raftd-sim script FILE [--trace] [--until EVENT]\n"
    "       raftd-sim corpus [FILE]\n"
    "                          runs that once failed: tests/sim/regress/seeds.txt\n"
    "       raftd-sim hashes --seeds A..B [--profile NAME]\n"
    "                          of the traces: equal, whatever compiled this\n"
    "profiles: swarm (default), lite, disk, reads, beyond, membership, store\n";
constexpr int kBadInput = 64;  // EX_USAGE.

int complain(const std::string& what) {
  std::fprintf(stderr, "raftd-sim: %s\n", what.c_str());
  return kBadInput;
}

struct Arguments {
  std::string command;
  std::string operand;
  std::map<std::string, std::string> options;  // By name, with the dashes.

  bool has(const std::string& name) const { return options.contains(name); }
};

// False: not to be understood.
bool parse_arguments(int argc, char** argv, Arguments& arguments) {
  if (argc < 2) return false;
  arguments.command = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      if (!arguments.operand.empty()) return false;
      arguments.operand = word;
    } else if (word == "--trace") {
      arguments.options[word] = "yes";
    } else if (word == "--seeds" || word == "--profile" || word == "--jobs" || word == "--time" ||
               word == "--until" || word == "--out") {
      if (++i == argc) return false;
      arguments.options[word] = argv[i];
    } else {
      return false;
    }
  }
  return true;
}

bool parse_range(const std::string& text, Range& range) {
  const std::size_t dots = text.find("..");
  return dots != std::string::npos && parse_u64(text.substr(0, dots), range.first) &&
         parse_u64(text.substr(dots + 2), range.last) && range.first <= range.last;
}

bool parse_wall_time(const std::string& text, Duration& time) {
  std::uint64_t count = 0;
  if (text.empty() || !parse_u64(text.substr(0, text.size() - 1), count)) return false;
  const char unit = text.back();
  const std::int64_t seconds = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
  if (seconds == 0 || count == 0 || count > 10'000) return false;
  time = std::chrono::seconds(seconds * static_cast<std::int64_t>(count));
  return true;
}

// Nobody has ever run these: they are as many milliseconds as have passed since 1970.
Range new_seeds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto first = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return {static_cast<std::uint64_t>(first), UINT64_MAX / 2};
}

bool parse_batch(const Arguments& arguments, Batch& batch) {
  std::uint64_t jobs = 1;
  const auto option = [&](const char* name) { return arguments.options.at(name); };
  if (arguments.has("--jobs") && (!parse_u64(option("--jobs"), jobs) || jobs == 0 || jobs > 256)) {
    return false;
  }
  batch.jobs = static_cast<unsigned>(jobs);
  if (arguments.has("--time") && !parse_wall_time(option("--time"), batch.time_max)) return false;
  batch.seeds = new_seeds();
  if (arguments.has("--seeds")) return parse_range(option("--seeds"), batch.seeds);
  return batch.time_max != Duration{};
}

int run_command(const Arguments& arguments, Profile profile) {
  Batch batch;
  batch.profile = profile;
  if (!parse_batch(arguments, batch)) return complain("want --seeds A..B, or --time");
  const BatchResult result = run_batch(batch);
  const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  if (!result.failure.empty()) std::printf("%s\n", result.failure.c_str());
  std::printf(
      "%llu seeds of %s from %llu on, %.2f simulated hours in %.1f s of %.1f s of "
      "processor time: %.0f times real time per core\n%s",
      static_cast<unsigned long long>(result.seeds),
      std::string(kProfileNames[static_cast<std::size_t>(profile)]).c_str(),
      static_cast<unsigned long long>(batch.seeds.first), seconds(result.simulated) / 3600,
      seconds(result.took), seconds(result.took_of_cpu),
      seconds(result.simulated) / std::max(seconds(result.took_of_cpu), 1e-9),
      table_of(result.coverage).c_str());
  if (!result.failure.empty()) return 1;
  const std::string unseen = never_seen(result.coverage, profile);
  if (arguments.command != "stats" || unseen.empty()) return 0;
  std::printf("FAIL: these never happened: %s\n", unseen.c_str());
  return 1;
}

// The script that the operand names: a seed's, or a file's.
Result<Script> script_of(const Arguments& arguments, Profile profile) {
  std::uint64_t seed = 0;
  if (arguments.command != "script" && parse_u64(arguments.operand, seed)) {
    watch_run(seed, profile);
    return draw_script(seed, profile);
  }
  if (arguments.command == "replay" || arguments.operand.empty()) {
    return Error{Errc::kBadInput, "which run? A seed is a number"};
  }
  TRY(const std::string text, read_text(arguments.operand));
  return parse_script(arguments.operand, text);
}

int replay(const Arguments& arguments, const Script& script) {
  std::uint64_t until = kEventsMax;
  if (arguments.has("--until") &&
      (!parse_u64(arguments.options.at("--until"), until) || until == 0)) {
    return complain("--until wants the number of an event");
  }
  Cluster::TraceSink sink;
  if (arguments.has("--trace")) sink = [](const std::string& line) { std::puts(line.c_str()); };
  const RunResult result = run(script, sink, until);
  std::printf("seed %llu, %llu events, trace %016llx: %s\n",
              static_cast<unsigned long long>(script.seed),
              static_cast<unsigned long long>(result.coverage.events),
              static_cast<unsigned long long>(result.trace_hash),
              result.violation.value_or("no violation").c_str());
  return result.violation ? 1 : 0;
}

int shrink_command(const Arguments& arguments, const Script& script) {
  const auto judge = [](const Script& each) { return run(each).invariant(); };
  const std::string invariant = judge(script);
  if (invariant.empty()) return complain("this run does not fail");
  const Shrunk shrunk = shrink(script, invariant, judge);
  const std::string text = text_of(shrunk.script);
  const RunResult last = run(shrunk.script);
  std::fprintf(stderr, "%zu faults of %zu are left after %zu runs; %s\n", shrunk.script.plan.size(),
               script.plan.size(), shrunk.runs, last.violation.value_or("").c_str());
  std::FILE* out = stdout;
  if (arguments.has("--out")) out = std::fopen(arguments.options.at("--out").c_str(), "w");
  if (out == nullptr) return complain("the file cannot be written");
  std::fprintf(out, "%s# violates: %s\n", text.c_str(), invariant.c_str());
  return std::fflush(out) == 0 ? 0 : complain("the file cannot be written");
}

int corpus_command(const std::string& path) {
  const Result<Corpus> corpus = read_corpus(path);
  if (!corpus) return complain(corpus.error().message);
  Coverage total;
  int code = 0;
  for (const CorpusRun& each : corpus->runs) {
    watch_run(each.script.seed, Profile::kSwarm);
    const RunResult result = run(each.script);
    total.add(result.coverage);
    if (!result.violation) continue;
    std::printf("FAIL %s (%s): %s\n", each.name.c_str(), each.why.c_str(),
                result.violation->c_str());
    code = 1;
  }
  for (const auto& [name, least] : corpus->minima) {
    const std::uint64_t seen = total.*counter_named(name)->count;
    if (seen >= least) continue;
    std::printf("FAIL %s: %llu, but at least %llu are wanted\n", name.c_str(),
                static_cast<unsigned long long>(seen), static_cast<unsigned long long>(least));
    code = 1;
  }
  std::printf("%zu runs, %zu minima\n", corpus->runs.size(), corpus->minima.size());
  return code;
}

int hashes(const Arguments& arguments, Profile profile) {
  Range range;
  if (!arguments.has("--seeds") || !parse_range(arguments.options.at("--seeds"), range)) {
    return complain("want --seeds A..B");
  }
  for (std::uint64_t seed = range.first; seed <= range.last; ++seed) {
    const RunResult result = run(draw_script(seed, profile));
    std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(result.trace_hash));
  }
  return 0;
}

int command(int argc, char** argv) {
  Arguments arguments;
  if (!parse_arguments(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return kBadInput;
  }
  const auto profile =
      profile_named(arguments.has("--profile") ? arguments.options.at("--profile") : "swarm");
  if (!profile) return complain("no profile is called that");
  const std::string& name = arguments.command;
  if (name == "run" || name == "stats") return run_command(arguments, *profile);
  if (name == "hashes") return hashes(arguments, *profile);
  if (name == "corpus") {
    return corpus_command(arguments.operand.empty() ? "tests/sim/regress/seeds.txt"
                                                    : arguments.operand);
  }
  if (name == "replay" || name == "script" || name == "shrink") {
    const Result<Script> script = script_of(arguments, *profile);
    if (!script) return complain(script.error().message);
    return name == "shrink" ? shrink_command(arguments, *script) : replay(arguments, *script);
  }
  std::fputs(kUsage, stderr);
  return kBadInput;
}

}  // namespace
}  // namespace raftd::sim

int main(int argc, char** argv) {
  return raftd::sim::command(argc, argv);
}
