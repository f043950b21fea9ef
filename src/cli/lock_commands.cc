// The happy path of lock is: the lock is acquired, CMD runs, a renewal every third of the ttl keeps
// the lock, CMD ends, the lock is released, and CMD's status is ours. Possible failure modes are:
// somebody else holds it for longer than we wait; the answer is lost on the way, and asked for
// again under the same key; CMD cannot be run; the lock is lost, because a node says so or because
// none renewed it in time: CMD is told by SIGTERM, and waited for, since it alone knows what it has
// begun (what it writes with its fence is refused from then on); a signal comes: it is CMD's. elect
// is the same without CMD: it goes on until a signal.
#include <unistd.h>

#include <array>
#include <chrono>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/query.h"
#include "cli/renewal.h"
#include "config/units.h"
#include "http/uri.h"

namespace raftd::cli {
namespace {

constexpr const char* kDefaultTtl = "30s";
constexpr std::chrono::seconds kTtlMin{1};
constexpr std::chrono::minutes kWaitMax{10};  // Of one request; a longer wait is several.
constexpr std::size_t kNameBytesMax = 512;

std::string owner() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return std::string(host.data()).substr(0, 200) + ":" + std::to_string(getpid());
}

// One lock or election, from the first question to its release.
class Holding {
 public:
  Holding(const Arguments& arguments, const AskWays& ways, const Output& output)
      : arguments_(arguments), ways_(ways), output_(output) {
    noun_ = arguments.command->id == CommandId::kLock ? "lock" : "election";
    shown_ = noun_ + " " + percent_escape(arguments.words[0]);
    target_ = segment_target("/" + noun_ + "/", arguments.words[0]);
  }

  // Reads the flags. False: it is said what is wrong with them.
  bool check();
  // Until it is held. Else why it is not was said: the exit status.
  std::optional<int> acquire();
  // False: it was not released, which is said.
  bool release();

  const std::string& shown() const { return shown_; }
  std::uint64_t token() const { return token_; }
  const HttpAnswer& answer() const { return answer_; }
  Renewal& renewal() { return *renewal_; }

 private:
  std::string acquire_target(Duration wait) const;
  std::optional<int> take(HttpAnswer answer);
  std::optional<int> confirm(bool& is_held);

  const Arguments& arguments_;
  const AskWays& ways_;
  const Output& output_;
  std::string noun_;
  std::string shown_;
  std::string target_;
  std::chrono::milliseconds ttl_{};
  std::optional<Duration> wait_;  // None: for ever.
  std::uint64_t token_ = 0;
  HttpAnswer answer_;
  std::optional<Renewal> renewal_;
};

bool Holding::check() {
  const std::string& name = arguments_.words[0];
  const std::string ttl = arguments_.value("--ttl", kDefaultTtl);
  if (name.empty() || name.size() > kNameBytesMax) {
    output_.error("the name of a lock or an election is 1 to 512 bytes long");
    return false;
  }
  if (!config::parse_duration(ttl, ttl_) || ttl_ < kTtlMin || ttl_ > kLeaseTtlMax) {
    output_.error("--ttl: found " + percent_escape(ttl) + " (expected a duration from 1s on)");
    return false;
  }
  if (arguments_.has("--wait")) {
    std::chrono::milliseconds wait{};
    ASSERT(config::parse_duration(arguments_.value("--wait"), wait));
    wait_ = std::min<std::chrono::milliseconds>(wait, kLeaseTtlMax);
  }
  return true;
}

std::string Holding::acquire_target(Duration wait) const {
  const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait);
  Query query;
  query.add("ttl", config::duration_text(ttl_)).add("wait", config::duration_text(wait_ms));
  query.add("owner", owner());
  return target_ + query.text();
}

std::optional<int> Holding::acquire() {
  const std::string value = arguments_.words.size() > 1 ? arguments_.words[1] : "";
  Duration left = wait_.value_or(kWaitMax);
  for (;;) {
    const Duration wait = std::min<Duration>(left, kWaitMax);
    ways_.client.restart_clock();
    Result<Answer> answer = ways_.client.write(
        {.method = "POST", .target = acquire_target(wait), .body = value, .wait = wait});
    if (!answer) return not_asked(answer.error(), output_);
    if (answer->http.status == 200) {
      if (const auto stop = take(std::move(answer->http))) return stop;
      bool is_held = true;
      if (const auto stop = confirm(is_held)) return stop;
      if (is_held) return std::nullopt;
      continue;
    }
    // A wait that is over is asked for anew, with what is left of ours.
    if (wait_) left -= wait;
    const bool is_locked = answer->http.status == 409 && error_code(answer->http) == "locked";
    if (!is_locked || left <= Duration()) return refused(answer->http, output_);
    ways_.client.pause();
  }
}

std::optional<int> Holding::take(HttpAnswer answer) {
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  const http::JsonValue* token = body ? (*body).field("token") : nullptr;
  const http::JsonValue* expires = body ? (*body).field("expires_in_ms") : nullptr;
  if (token == nullptr || token->whole() == nullptr || expires == nullptr ||
      expires->whole() == nullptr) {
    output_.error("the answer was not understood; " + shown_ + " may be held for " +
                  config::duration_text(ttl_) + ": " + percent_escape(answer.body));
    return kExitCannotAsk;
  }
  token_ = *token->whole();
  const auto ttl_ms = static_cast<std::uint64_t>(ttl_.count());
  const std::chrono::milliseconds left(std::min(*expires->whole(), ttl_ms));
  renewal_.emplace(ways_.client, target_ + "/keepalive?token=" + std::to_string(token_), ttl_,
                   ways_.client.now() + left);
  answer_ = std::move(answer);
  return std::nullopt;
}

// A stored answer, given again, says what was: a renewal says whether it still is.
std::optional<int> Holding::confirm(bool& is_held) {
  if (!answer_.headers.contains("idempotency-replayed")) return std::nullopt;
  ways_.client.restart_clock();
  const Result<Answer> answer =
      ways_.client.write({.method = "POST",
                          .target = target_ + "/keepalive?token=" + std::to_string(token_),
                          .body = {}});
  if (!answer) return not_asked(answer.error(), output_);
  is_held = answer->http.status == 200;
  if (!is_held && answer->http.status != 409) return refused(answer->http, output_);
  return std::nullopt;
}

bool Holding::release() {
  ways_.client.restart_clock();
  const Result<Answer> answer = ways_.client.write(
      {.method = "DELETE", .target = target_ + "?token=" + std::to_string(token_), .body = {}});
  if (answer && answer->http.status == 200) return true;
  output_.error(shown_ + " was not released: " +
                (answer ? error_message(answer->http) : answer.error().message));
  return false;
}

// Beside CMD, until that ends. The exit status of CMD.
int keep_until_end(Holding& holding, const std::string& program, Processes& processes,
                   const Output& output, bool& is_lost) {
  constexpr std::chrono::hours kLong{1};
  for (;;) {
    const Event event = processes.wait(is_lost ? kLong : holding.renewal().pause());
    if (event.kind == Event::Kind::kEnded) return event.exit_status;
    if (event.kind == Event::Kind::kSignal && !event.is_typed) processes.send(event.signal);
    if (is_lost || holding.renewal().pause() > Duration()) continue;
    if (holding.renewal().attempt() != Renewal::State::kLost) continue;
    is_lost = true;
    output.error(holding.shown() + " is lost (" + holding.renewal().problem() + "); " +
                 percent_escape(program) + " is told to end");
    processes.send(SIGTERM);
  }
}

}  // namespace

int lock_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  Holding holding(arguments, ways, output);
  if (!holding.check()) return kExitUsage;
  if (const auto stop = holding.acquire()) return *stop;
  ways.processes.hold_signals();
  const std::string fence =
      http::percent_encode(arguments.words[0], false) + "=" + std::to_string(holding.token());
  const Program program{arguments.program, {{"RAFTD_FENCE", fence}}};
  bool is_lost = false;
  int status = kExitDone;
  if (const auto not_started = ways.processes.start(program)) {
    output.error(not_started->problem);
    status = not_started->exit_status;
  } else {
    status = keep_until_end(holding, arguments.program[0], ways.processes, output, is_lost);
  }
  // What CMD did is done: that its lock was not released in time changes nothing of it.
  if (!is_lost) holding.release();
  ways.processes.release_signals();
  return status;
}

int elect_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  Holding holding(arguments, ways, output);
  if (!holding.check()) return kExitUsage;
  if (const auto stop = holding.acquire()) return *stop;
  ways.processes.hold_signals();
  print_field(arguments, holding.answer(), "token", output);
  if (!output.flush()) {
    holding.release();
    return kExitIo;
  }
  for (;;) {
    const Event event = ways.processes.wait(holding.renewal().pause());
    if (event.kind == Event::Kind::kSignal) {
      return holding.release() ? kExitDone : kExitCannotAsk;
    }
    if (holding.renewal().pause() > Duration()) continue;
    if (holding.renewal().attempt() != Renewal::State::kLost) continue;
    output.error(holding.shown() + " is lost: " + holding.renewal().problem());
    return kExitNo;
  }
}

}  // namespace raftd::cli
