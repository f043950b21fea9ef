#include "sim/runner.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/text.h"
#include "sim/script.h"

namespace raftd::sim {
namespace {

using Clock = std::chrono::steady_clock;

// Of processor time, so that a busy machine is not taken for a node that goes round for ever.
constexpr itimerval kTimePerRunMax{{0, 0}, {120, 0}};
constexpr Duration kProgressEvery = std::chrono::seconds(5);

// What a signal handler may read.
char watched_line[256];

extern "C" void on_signal(int signal) {
  const ssize_t written = ::write(STDERR_FILENO, watched_line, std::strlen(watched_line));
  if (signal != SIGABRT) ::_exit(written > 0 ? 3 : 4);
}

// What a process tells of a run: written at once, so that those of several processes do not mix.
struct Report {
  Coverage coverage;
  Duration simulated{};
  char failure[2048];
};
static_assert(sizeof(Report) <= 4096, "a pipe takes so much in one piece");

void tell(int pipe, const Report& report) {
  if (::write(pipe, &report, sizeof(report)) != sizeof(report)) ::_exit(4);
}

[[noreturn]] void work(const Batch& batch, unsigned job, int pipe, Clock::time_point until) {
  for (std::uint64_t seed = batch.seeds.first + job; seed <= batch.seeds.last; seed += batch.jobs) {
    if (Clock::now() >= until) break;
    watch_run(seed, batch.profile);
    const RunResult result = run(draw_script(seed, batch.profile));
    Report report{result.coverage, result.simulated, {}};
    if (result.violation) {
      const std::string line = failure_of(seed, batch.profile, result);
      std::snprintf(report.failure, sizeof(report.failure), "%s", line.c_str());
    }
    tell(pipe, report);
    if (result.violation) break;
  }
  ::_exit(0);
}

class Progress {
 public:
  void say(const BatchResult& result, Clock::time_point began) {
    if (Clock::now() - said_ < kProgressEvery) return;
    said_ = Clock::now();
    const double hours = std::chrono::duration<double, std::ratio<3600>>(result.simulated).count();
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    std::fprintf(stderr, "%llu seeds, %.1f simulated hours in %.0f s\n",
                 static_cast<unsigned long long>(result.seeds), hours, seconds);
  }

 private:
  Clock::time_point said_ = Clock::now();
};

void listen(int pipe, BatchResult& result, Clock::time_point began) {
  Progress progress;
  Report report;
  while (::read(pipe, &report, sizeof(report)) == sizeof(report)) {
    ++result.seeds;
    result.simulated += report.simulated;
    result.coverage.add(report.coverage);
    progress.say(result, began);
    if (report.failure[0] == 0) continue;
    result.failure = report.failure;
    return;
  }
}

Duration cpu_of_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace

std::string name_of(std::uint64_t seed, Profile profile) {
  std::string name = std::to_string(seed);
  if (profile != Profile::kSwarm) {
    name += " --profile ";
    name += kProfileNames[static_cast<std::size_t>(profile)];
  }
  return name;
}

std::string failure_of(std::uint64_t seed, Profile profile, const RunResult& result) {
  const std::string why = result.violation->substr(0, result.violation->find('\n'));
  const std::size_t colon = why.find(": ");
  return strf("FAIL seed=%llu invariant=%s at event %llu t=%.3fs: %s; replay: raftd-sim replay %s",
              static_cast<unsigned long long>(seed), result.invariant().c_str(),
              static_cast<unsigned long long>(result.coverage.events),
              std::chrono::duration<double>(result.simulated).count(),
              colon == std::string::npos ? "" : why.substr(colon + 2, 1500).c_str(),
              name_of(seed, profile).c_str());
}

void watch_run(std::uint64_t seed, Profile profile) {
  std::snprintf(
      watched_line, sizeof(watched_line),
      "FAIL seed=%llu invariant=assertion: the process ended, or the run did not; replay: "
      "raftd-sim replay %s\n",
      static_cast<unsigned long long>(seed), name_of(seed, profile).c_str());
  for (const int signal : {SIGABRT, SIGPROF, SIGSEGV, SIGBUS, SIGFPE})
    std::signal(signal, on_signal);
  ::setitimer(ITIMER_PROF, &kTimePerRunMax, nullptr);
}

BatchResult run_batch(const Batch& batch) {
  BatchResult result;
  const Clock::time_point began = Clock::now();
  const Duration cpu_before = cpu_of_children();
  const auto until =
      batch.time_max == Duration{} ? Clock::time_point::max() : began + batch.time_max;
  int ends[2];
  ASSERT(::pipe(ends) == 0);
  std::fflush(nullptr);
  std::vector<pid_t> children;
  for (unsigned job = 0; job < batch.jobs; ++job) {
    const pid_t child = ::fork();
    ASSERT(child >= 0);
    if (child == 0) {
      ::close(ends[0]);  // The next report fails once nobody reads them any more.
      work(batch, job, ends[1], until);
    }
    children.push_back(child);
  }
  ::close(ends[1]);
  listen(ends[0], result, began);
  ::close(ends[0]);
  for (const pid_t child : children) {
    if (!result.failure.empty()) ::kill(child, SIGTERM);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0 && result.failure.empty()) {
      result.failure = "FAIL: a process ended badly, as it said above";
    }
  }
  result.took = Clock::now() - began;
  result.took_of_cpu = cpu_of_children() - cpu_before;
  return result;
}

}  // namespace raftd::sim
