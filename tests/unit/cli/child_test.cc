// Goal: a program gets what it should and nothing else, its end and every signal are noticed, and a
// program that cannot be run is told from one that fails. Method: real shells; what they see, they
// say by their exit status.
#include "cli/child.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "unit/storage/temporary_directory.h"

namespace raftd::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

Program shell(const std::string& script) {
  return {{"sh", "-c", script}};
}

Event run(PosixProcesses& processes, const Program& program) {
  const auto not_started = processes.start(program);
  REQUIRE_MESSAGE(!not_started, not_started->problem);
  return processes.wait(minutes(1));
}

int status_of(const Program& program) {
  PosixProcesses processes;
  processes.hold_signals();
  const Event event = run(processes, program);
  REQUIRE(event.kind == Event::Kind::kEnded);
  return event.exit_status;
}

bool is_blocked(int signal) {
  sigset_t mask;
  REQUIRE(sigprocmask(SIG_SETMASK, nullptr, &mask) == 0);
  return sigismember(&mask, signal) == 1;
}

}  // namespace

TEST_CASE("the exit status is the program's, or 128 and the signal that ended it") {
  CHECK(status_of(shell("exit 0")) == 0);
  CHECK(status_of(shell("exit 7")) == 7);
  CHECK(status_of(shell("kill -TERM $$")) == 128 + SIGTERM);
  CHECK(status_of(shell("kill -KILL $$")) == 128 + SIGKILL);
}

TEST_CASE("variables are added, replaced and taken away") {
  REQUIRE(setenv("RAFTD_TEST_A", "old", 1) == 0);
  REQUIRE(setenv("RAFTD_TEST_B", "old", 1) == 0);
  REQUIRE(setenv("RAFTD_TEST_C", "kept", 1) == 0);
  Program program = shell(
      "test \"$RAFTD_TEST_A\" = 'new one' && test \"${RAFTD_TEST_B-none}\" = none && "
      "test \"$RAFTD_TEST_C\" = kept && test \"$RAFTD_TEST_D\" = ''");
  program.environment = {
      {"RAFTD_TEST_A", "new one"}, {"RAFTD_TEST_B", std::nullopt}, {"RAFTD_TEST_D", ""}};
  CHECK(status_of(program) == 0);
}

TEST_CASE("the input is there byte for byte, and ends") {
  const std::string binary("a\0\xff\n", 4);
  Program program = shell("test \"$(od -An -tx1 | tr -d ' \\n')\" = 6100ff0a");
  program.input = binary;
  CHECK(status_of(program) == 0);
  Program none = shell("test \"$(wc -c)\" -eq 0");
  none.input = "";
  CHECK(status_of(none) == 0);
}

TEST_CASE("a program that never reads a large input, or closes it, harms nobody") {
  const std::string large(4 << 20, 'x');
  Program deaf = shell("exit 3");
  deaf.input = large;
  CHECK(status_of(deaf) == 3);
  Program rude = shell("exec 0<&-; exit 4");
  rude.input = large;
  CHECK(status_of(rude) == 4);
  Program eager = shell("test \"$(wc -c)\" -eq 4194304");
  eager.input = large;
  CHECK(status_of(eager) == 0);
}

TEST_CASE("what cannot be run is 127 if it is not there, else 126") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/plain";
  std::ofstream(file) << "#!/bin/sh\n";
  REQUIRE(chmod(file.c_str(), 0644) == 0);
  const auto refusal = [](const std::string& name) {
    PosixProcesses processes;
    processes.hold_signals();
    const auto not_started = processes.start({{name}});
    REQUIRE(not_started);
    CHECK(not_started->problem.find("it cannot be run") != std::string::npos);
    // Nothing runs that could be waited for.
    CHECK(processes.wait(milliseconds(1)).kind == Event::Kind::kNothing);
    return not_started->exit_status;
  };
  CHECK(refusal(directory.path() + "/none") == kExitNotFound);
  CHECK(refusal("raftd-no-such-program") == kExitNotFound);
  CHECK(refusal(file) == kExitCannotRun);
  CHECK(refusal(directory.path()) == kExitCannotRun);
}

TEST_CASE("a signal is told and not acted on, and the program gets only what is sent to it") {
  PosixProcesses processes;
  processes.hold_signals();
  REQUIRE_FALSE(processes.start({{"sleep", "60"}}));
  REQUIRE(kill(getpid(), SIGTERM) == 0);
  const Event told = processes.wait(minutes(1));
  CHECK(told.kind == Event::Kind::kSignal);
  CHECK(told.signal == SIGTERM);
  CHECK_FALSE(told.is_typed);
  CHECK(processes.wait(milliseconds(20)).kind == Event::Kind::kNothing);
  processes.send(SIGKILL);
  CHECK(processes.wait(minutes(1)).exit_status == 128 + SIGKILL);
  processes.send(SIGTERM);  // To nobody.
}

TEST_CASE("a program that ignores SIGTERM is waited for") {
  PosixProcesses processes;
  processes.hold_signals();
  const TemporaryDirectory directory;
  const std::string ready = directory.path() + "/ready";
  REQUIRE_FALSE(processes.start(
      shell("trap '' TERM; : > " + ready + "; while test -e " + ready + "; do sleep 0.01; done")));
  struct stat there {};
  while (stat(ready.c_str(), &there) != 0)
    CHECK(processes.wait(milliseconds(5)).kind == Event::Kind::kNothing);
  processes.send(SIGTERM);
  CHECK(processes.wait(milliseconds(50)).kind == Event::Kind::kNothing);
  REQUIRE(std::remove(ready.c_str()) == 0);
  CHECK(processes.wait(minutes(1)).exit_status == 0);
}

TEST_CASE("the program has neither our mask nor our ignored SIGPIPE") {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  CHECK(status_of(shell("kill -PIPE $$; exit 0")) == 128 + SIGPIPE);
  std::signal(SIGPIPE, before);
  CHECK(status_of(shell("kill -HUP $$; exit 0")) == 128 + SIGHUP);
}

TEST_CASE("the end is noticed though children are ignored by inheritance") {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  CHECK(status_of(shell("exit 5")) == 5);
  std::signal(SIGCHLD, before);
}

TEST_CASE("a signal that was ignored stays so, and the mask is given back") {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    PosixProcesses processes;
    processes.hold_signals();
    CHECK(is_blocked(SIGTERM));
    REQUIRE(kill(getpid(), SIGHUP) == 0);
    CHECK(processes.wait(milliseconds(1)).kind == Event::Kind::kNothing);
  }
  CHECK_FALSE(is_blocked(SIGTERM));
  std::signal(SIGHUP, before);
}

}  // namespace raftd::cli
