// raftd-sim-mutants: the simulated cluster with one planted bug switched on, or none.
//
//   raftd-sim-mutants list
//   raftd-sim-mutants run [--mutant NAME] [--profile NAME] --seeds A..B
//
// It stops at the first violation.
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/text.h"
#include "mutant_names.h"
#include "mutants/mutants.h"
#include "sim/run.h"

namespace raftd::mutants {
namespace {

// A bug may make a node go round for ever: then the run never ends, which is a failure as well. Of
// processor time, so that a busy machine is not taken for a bug.
constexpr itimerval kTimePerSeedMax{{0, 0}, {30, 0}};

// What a signal handler may print.
std::string failed_line;

extern "C" void on_mutant_signal(int signal) {
  const ssize_t written = ::write(STDERR_FILENO, failed_line.data(), failed_line.size());
  // The run that took too long, or a wild pointer.
  if (signal != SIGABRT) ::_exit(written > 0 && signal == SIGPROF ? 2 : 3);
}

// Of the run of one seed; empty: there is none.
std::string violation_of(std::uint64_t seed, sim::Profile profile) {
  try {
    return sim::run(seed, sim::draw_options(seed, profile)).violation.value_or("");
  } catch (const sim::Violation& violation) {
    return violation.what();  // While the cluster was being made.
  }
}

int run_seeds(std::uint64_t first, std::uint64_t last, sim::Profile profile) {
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    failed_line = strf("FAIL seed=%llu\n", static_cast<unsigned long long>(seed));
    ::setitimer(ITIMER_PROF, &kTimePerSeedMax, nullptr);
    const std::string violation = violation_of(seed, profile);
    if (violation.empty()) continue;
    std::fprintf(stderr, "%s\n%s", violation.c_str(), failed_line.c_str());
    return 1;
  }
  return 0;
}

int usage() {
  std::fprintf(stderr,
               "usage: raftd-sim-mutants list\n"
               "       raftd-sim-mutants run [--mutant NAME] [--profile NAME] --seeds A..B\n");
  return 64;
}

bool parse_range(const std::string& text, std::uint64_t& first, std::uint64_t& last) {
  const std::size_t dots = text.find("..");
  return dots != std::string::npos && parse_u64(text.substr(0, dots), first) &&
         parse_u64(text.substr(dots + 2), last) && first <= last;
}

bool is_known(std::string_view wanted) {
  for (const std::string_view name : kNames) {
    if (name == wanted) return true;
  }
  return false;
}

int command(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "list" && argc == 2) {
    for (const std::string_view name : kNames)
      std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
    return 0;
  }
  if (what != "run") return usage();
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<sim::Profile> profile = sim::Profile::kSwarm;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--mutant" && is_known(value)) {
      active = id(value);
    } else if (option == "--profile") {
      profile = sim::profile_named(value);
    } else if (option != "--seeds" || !parse_range(value, first, last)) {
      return usage();
    }
  }
  if (argc % 2 != 0 || last == 0 || !profile) return usage();
  return run_seeds(first, last, *profile);
}

}  // namespace
}  // namespace raftd::mutants

int main(int argc, char** argv) {
  std::signal(SIGABRT, raftd::mutants::on_mutant_signal);
  std::signal(SIGSEGV, raftd::mutants::on_mutant_signal);
  std::signal(SIGPROF, raftd::mutants::on_mutant_signal);
  return raftd::mutants::command(argc, argv);
}
