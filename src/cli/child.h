// A program that runs beside this one, and the signals that come in the meantime. One at a time.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace raftd::cli {

inline constexpr int kExitCannotRun = 126;  // As in a shell: it is there, but is no program.
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignal = 128;  // And the signal that ended it.

struct Program {
  std::vector<std::string> words;  // Its name, looked for on PATH, and its arguments.
  // Variables that it has besides ours, or, without a value, that it has not. No NUL in either.
  std::vector<std::pair<std::string, std::optional<std::string>>> environment = {};
  std::optional<std::string_view> input = {};  // On its standard input; none: ours.
};

struct NotStarted {
  int exit_status = kExitCannotRun;
  std::string problem;
};

struct Event {
  enum class Kind : unsigned char { kNothing, kSignal, kEnded };
  Kind kind = Kind::kNothing;
  int signal = 0;         // If kSignal.
  bool is_typed = false;  // A key of the terminal sent it, and so it has gone to the program, too.
  int exit_status = 0;    // If kEnded: of the program, as a shell says it.
};

// The operating system implements it; tests put a script in its place.
class Processes {
 public:
  virtual ~Processes() = default;
  // From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end this process; wait() gives them. One
  // that is ignored stays so.
  virtual void hold_signals() = 0;
  virtual void release_signals() = 0;
  // Precondition: signals are held, and no program runs.
  virtual std::optional<NotStarted> start(const Program& program) = 0;
  // What happens first; kNothing: nothing within patience.
  virtual Event wait(Duration patience) = 0;
  // To the program that runs; nothing if none does.
  virtual void send(int signal) = 0;
};

class PosixProcesses final : public Processes {
 public:
  PosixProcesses() = default;
  ~PosixProcesses() override { release_signals(); }
  PosixProcesses(const PosixProcesses&) = delete;
  PosixProcesses& operator=(const PosixProcesses&) = delete;

  void hold_signals() override;
  void release_signals() override;
  std::optional<NotStarted> start(const Program& program) override;
  Event wait(Duration patience) override;
  void send(int signal) override;

 private:
  bool held_ = false;
  sigset_t awaited_{};  // With SIGCHLD. Valid if held_, and so is:
  sigset_t before_{};   // The mask as it was, which programs get.
  pid_t child_ = 0;     // 0: none.
};

}  // namespace raftd::cli
