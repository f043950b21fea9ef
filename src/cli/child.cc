// The happy path is: signals are blocked, so that none is lost between two looks; the program is
// spawned with the mask that was there before; sigtimedwait() tells of its end, of signals, and of
// the time. Possible failure modes are: there is no such program, or it is none (said before it
// runs); it ends by a signal; it never reads its input, or closes it: the input is a file in memory
// and no pipe, so that nobody waits for a reader and nothing breaks.
#include "cli/child.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/assert.h"
#include "base/text.h"

namespace raftd::cli {
namespace {

constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

std::string error_text(int code) {
  return std::error_code(code, std::generic_category()).message();
}

// A file in memory with the text, to be read from its beginning; -1: errno says why not.
int file_of(std::string_view text) {
  const int fd = memfd_create("raftd-input", MFD_CLOEXEC);
  if (fd < 0) return -1;
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      close(fd);
      return -1;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (lseek(fd, 0, SEEK_SET) == 0) return fd;
  close(fd);
  return -1;
}

std::vector<std::string> environment_of(const Program& program) {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(program.environment.begin(), program.environment.end(),
                                      [&](const auto& variable) { return variable.first == name; });
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : program.environment) {
    ASSERT(name.find('\0') == std::string::npos);
    if (!value) continue;
    ASSERT(value->find('\0') == std::string::npos);
    out.push_back(name + "=" + *value);
  }
  return out;
}

// For exec. words outlives it.
std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words)
    out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// Returns errno. Each of the calls before the last fails only where there is no memory.
int spawn(const Program& program, int input, const sigset_t& mask, pid_t& child) {
  std::vector<std::string> words = program.words;
  std::vector<std::string> variables = environment_of(program);
  // Signals that this process ignores would be ignored by the program as well. SIGPIPE is one, by
  // our choice alone.
  sigset_t by_default;
  sigemptyset(&by_default);
  sigaddset(&by_default, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  ASSERT(posix_spawnattr_init(&attributes) == 0);
  ASSERT(posix_spawn_file_actions_init(&actions) == 0);
  ASSERT(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) ==
         0);
  ASSERT(posix_spawnattr_setsigdefault(&attributes, &by_default) == 0);
  ASSERT(posix_spawnattr_setsigmask(&attributes, &mask) == 0);
  if (input >= 0) {
    ASSERT(posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) == 0);
  }
  const int code = posix_spawnp(&child, words[0].c_str(), &actions, &attributes,
                                pointers_to(words).data(), pointers_to(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return code;
}

timespec to_timespec(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((duration - seconds).count())};
}

}  // namespace

void PosixProcesses::hold_signals() {
  ASSERT(!held_);
  // A parent that ignores the end of its children may hand that on; then there would be none to
  // wait for.
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ASSERT(sigaction(SIGCHLD, &action, nullptr) == 0);
  sigemptyset(&awaited_);
  sigaddset(&awaited_, SIGCHLD);
  for (const int signal : kForwarded) {
    ASSERT(sigaction(signal, nullptr, &action) == 0);
    if (action.sa_handler != SIG_IGN) sigaddset(&awaited_, signal);
  }
  ASSERT(sigprocmask(SIG_BLOCK, &awaited_, &before_) == 0);
  held_ = true;
}

void PosixProcesses::release_signals() {
  if (!held_) return;
  ASSERT(sigprocmask(SIG_SETMASK, &before_, nullptr) == 0);
  held_ = false;
}

std::optional<NotStarted> PosixProcesses::start(const Program& program) {
  ASSERT(held_);
  ASSERT(child_ == 0);
  ASSERT(!program.words.empty());
  const std::string name = percent_escape(program.words[0]);
  const int input = program.input ? file_of(*program.input) : -1;
  if (program.input && input < 0) {
    return NotStarted{kExitCannotRun, name + ": no standard input for it: " + error_text(errno)};
  }
  pid_t child = 0;
  const int code = spawn(program, input, before_, child);
  if (input >= 0) close(input);
  if (code == 0) {
    child_ = child;
    return std::nullopt;
  }
  const int status = code == ENOENT || code == ENOTDIR ? kExitNotFound : kExitCannotRun;
  return NotStarted{status, name + ": it cannot be run: " + error_text(code)};
}

Event PosixProcesses::wait(Duration patience) {
  ASSERT(held_);
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    int status = 0;
    if (child_ != 0 && waitpid(child_, &status, WNOHANG) == child_) {
      child_ = 0;
      const bool killed = WIFSIGNALED(status);
      return {Event::Kind::kEnded, 0, false,
              killed ? kExitSignal + WTERMSIG(status) : WEXITSTATUS(status)};
    }
    const timespec left =
        to_timespec(std::max(Duration(), Duration(end - std::chrono::steady_clock::now())));
    siginfo_t info{};
    const int signal = sigtimedwait(&awaited_, &info, &left);
    if (signal == SIGCHLD) continue;
    if (signal > 0) return {Event::Kind::kSignal, signal, info.si_code == SI_KERNEL, 0};
    if (errno == EAGAIN) return {};
    ASSERT(errno == EINTR);  // Stopped, and continued: the time is looked at again.
  }
}

void PosixProcesses::send(int signal) {
  // It has not been waited for, so that the number is still its own.
  if (child_ != 0) kill(child_, signal);
}

}  // namespace raftd::cli
