// raftd-sim: runs the simulated cluster from the command line.
//
//   raftd-sim run --seeds A..B      many runs; stops at the first violation
//   raftd-sim replay SEED [--trace] one run again, with what its nodes say
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/text.h"
#include "sim/run.h"

namespace raftd::sim {
namespace {

// An assertion that fails ends the process; the seed must not be lost with it.
volatile std::sig_atomic_t seed_high = 0;
volatile std::sig_atomic_t seed_low = 0;

void note_seed(std::uint64_t seed) {
  seed_high = static_cast<int>(seed >> 24);
  seed_low = static_cast<int>(seed & 0xffffff);
}

extern "C" void on_abort(int) {
  std::fprintf(stderr, "FAIL seed=%llu: an assertion failed\n",
               (static_cast<unsigned long long>(seed_high) << 24) +
                   static_cast<unsigned long long>(seed_low));
}

void print(const Coverage& c) {
  const auto line = [](const char* name, std::uint64_t count) {
    std::printf("  %-24s %12llu\n", name, static_cast<unsigned long long>(count));
  };
  line("events", c.events);
  line("messages", c.messages);
  line("leader changes", c.leader_changes);
  line("elections", c.elections);
  line("entries overwritten", c.overwritten);
  line("kills", c.kills);
  line("power losses", c.power_losses);
  line("torn sectors", c.torn_sectors);
  line("recoveries with repairs", c.recoveries_with_notes);
  line("interrupted repairs", c.interrupted_repairs);
  line("clean stops", c.clean_stops);
  line("pauses", c.pauses);
  line("partitions", c.partitions);
  line("connection resets", c.resets);
  line("full disks", c.full_disks);
  line("transfers", c.transfers);
  line("writes forwarded", c.forwarded);
  line("writes done", c.writes_done);
  line("writes refused", c.writes_refused);
  line("writes superseded", c.writes_superseded);
  line("writes unknown", c.writes_unknown);
  line("reads done", c.reads_done);
  line("reads refused", c.reads_refused);
  line("abandoned", c.abandoned);
}

int run_seeds(std::uint64_t first, std::uint64_t last) {
  Coverage total;
  Duration simulated{};
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    note_seed(seed);
    const RunResult result = run(seed, draw_options(seed));
    total.add(result.coverage);
    simulated += result.simulated;
    if (result.violation) {
      std::printf("FAIL seed=%llu at event %llu: %s\nreplay: raftd-sim replay %llu --trace\n",
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(result.coverage.events),
                  result.violation->c_str(), static_cast<unsigned long long>(seed));
      return 1;
    }
    if ((seed - first) % 100 == 99) {
      std::fprintf(stderr, "%llu seeds\n", static_cast<unsigned long long>(seed - first + 1));
    }
  }
  std::printf("%llu seeds, %.1f simulated hours, no violation\n",
              static_cast<unsigned long long>(last - first + 1),
              std::chrono::duration<double, std::ratio<3600>>(simulated).count());
  print(total);
  return 0;
}

int replay(std::uint64_t seed, bool trace) {
  note_seed(seed);
  Cluster::TraceSink sink;
  if (trace) sink = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  const RunResult result = run(seed, draw_options(seed), sink);
  std::printf("seed %llu, trace %016llx: %s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(result.trace_hash),
              result.violation ? result.violation->c_str() : "no violation");
  return result.violation ? 1 : 0;
}

int usage() {
  std::fprintf(stderr,
               "usage: raftd-sim run --seeds A..B\n       raftd-sim replay SEED [--trace]\n");
  return 64;
}

int command(int argc, char** argv) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "run" && argc == 4 && std::strcmp(argv[2], "--seeds") == 0) {
    const std::string range = argv[3];
    const std::size_t dots = range.find("..");
    if (dots == std::string::npos || !parse_u64(range.substr(0, dots), first) ||
        !parse_u64(range.substr(dots + 2), last) || last < first) {
      return usage();
    }
    return run_seeds(first, last);
  }
  if (name == "replay" && (argc == 3 || argc == 4) && parse_u64(argv[2], first)) {
    const bool trace = argc == 4 && std::strcmp(argv[3], "--trace") == 0;
    if (argc == 4 && !trace) return usage();
    return replay(first, trace);
  }
  return usage();
}

}  // namespace
}  // namespace raftd::sim

int main(int argc, char** argv) {
  std::signal(SIGABRT, raftd::sim::on_abort);
  return raftd::sim::command(argc, argv);
}
