// A command with scripted answers, processes and signals around it.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "config/keys.h"
#include "unit/cli/fake_transport.h"

namespace raftd::cli {

// What programs do and which signals come, each after the one before; nothing else happens. The
// clock is that of the network.
class FakeProcesses final : public Processes {
 public:
  explicit FakeProcesses(FakeTransport& net) : net_(net) {}

  struct Started {
    std::vector<std::string> words;
    std::vector<std::pair<std::string, std::optional<std::string>>> environment;
    std::string input;
  };
  std::vector<Started> started;
  std::vector<int> sent;  // Signals to programs.
  bool held = false;
  std::optional<NotStarted> refusal;
  Duration waited{};

  void end_after(Duration duration, int exit_status) {
    script_.push_back({duration, {Event::Kind::kEnded, 0, false, exit_status}});
  }
  void signal_after(Duration duration, int signal, bool is_typed = false) {
    script_.push_back({duration, {Event::Kind::kSignal, signal, is_typed, 0}});
  }

  void hold_signals() override {
    CHECK_FALSE(held);
    held = true;
  }
  void release_signals() override { held = false; }
  std::optional<NotStarted> start(const Program& program) override {
    CHECK(held);
    if (refusal) return refusal;
    for (const auto& variable : program.environment) {
      const auto& known = config::kClientVariables;
      CHECK(std::find(known.begin(), known.end(), variable.first) != known.end());
    }
    started.push_back(
        {program.words, program.environment, std::string(program.input.value_or(""))});
    return std::nullopt;
  }
  Event wait(Duration patience) override {
    CHECK(held);
    REQUIRE_MESSAGE(!script_.empty(), "a wait that the script does not end");
    auto& [left, event] = script_.front();
    const Duration step = std::min(left, patience);
    net_.pass(step);
    waited += step;
    left -= step;
    if (left > Duration()) return {};
    const Event next = event;
    script_.pop_front();
    return next;
  }
  void send(int signal) override { sent.push_back(signal); }

 private:
  FakeTransport& net_;
  std::deque<std::pair<Duration, Event>> script_;
};

struct Ran {
  int status = 0;
  std::string out;
  std::string error;
  std::vector<std::string> asked;  // Without what the client adds.
};

struct Scene {
  FakeTransport net;
  FakeProcesses processes{net};
  bool terminal = false;
  bool writable = true;  // Standard output.
  std::string input;
  std::string endpoints = "a:1";

  Ran run(const std::vector<std::string>& typed) {
    const Result<Arguments> arguments = parse_arguments(typed);
    REQUIRE_MESSAGE(static_cast<bool>(arguments), arguments.error().message);
    Ran ran;
    Output output;
    output.terminal = terminal;
    output.charset = Charset::kAscii;
    output.out = [&](std::string_view text) { ran.out += text; };
    output.flush = [&] { return writable; };
    output.error = [&](std::string_view text) { ran.error += std::string(text) + "\n"; };
    Client client = net.client(endpoints);
    const Input read = [&]() -> Result<std::string> { return input; };
    ran.status = (*arguments).command->ask(*arguments, {client, read, processes}, output);
    for (std::string& line : net.lines()) {
      for (const char* const added : {"timeout=", "owner="}) {
        const std::size_t at = line.find(added);
        if (at != std::string::npos) line.resize(at - 1);
      }
      ran.asked.push_back(line);
    }
    return ran;
  }
};

inline Ran run_one(const std::vector<std::string>& typed, int status, const std::string& body,
                   bool terminal = false) {
  Scene scene;
  scene.terminal = terminal;
  scene.net.answer(status, body);
  return scene.run(typed);
}

}  // namespace raftd::cli
