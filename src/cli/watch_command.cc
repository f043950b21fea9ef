// The happy path is: a node sends a line per event, a heartbeat where there is none, and so on for
// ever; each event is printed, or CMD is run for it. Possible failure modes are: the connection
// breaks, the node stops, or nothing comes for three heartbeats: another node is asked for what
// follows the last revision that came whole, and events of the next that have been seen are passed
// over; nobody has a stream for us within the timeout; the events that follow are forgotten
// everywhere (compacted), which ends it; CMD fails, which is said; nobody reads what is printed.
#include <chrono>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/query.h"

namespace raftd::cli {
namespace {

constexpr std::chrono::seconds kPatience{3 * 15};  // Three heartbeats of a stream.
constexpr std::chrono::seconds kGlance{1};         // A stream that says less, for less, was none.
constexpr std::size_t kVariableBytesMax = 64 * limits::kKiB;
// The longest key and value there can be, each byte as \u00XX.
constexpr std::size_t kLineBytesMax = 6 * (limits::kKeyBytesMax + limits::kRequestBytesMax) + 4096;

struct KeyEvent {
  std::string type;  // put, delete, expire
  std::uint64_t revision = 0;
  bool is_last = false;  // Of its revision.
  std::string key;
  std::optional<std::string> value;  // Of a put.
};

// kBadInput: it is no event.
Result<KeyEvent> parse_event(const std::string& type, const http::JsonValue& line) {
  KeyEvent event;
  event.type = type;
  const http::JsonValue* revision = line.field("revision");
  const http::JsonValue* item = line.field("item");
  if (revision == nullptr || revision->whole() == nullptr) {
    return Error{Errc::kBadInput, "an event has no revision"};
  }
  if (item == nullptr || !bytes_field(*item, "key", event.key)) {
    return Error{Errc::kBadInput, "an event has no key"};
  }
  event.revision = *revision->whole();
  const http::JsonValue* last = line.field("last");
  event.is_last = last != nullptr && last->boolean() != nullptr && *last->boolean();
  if (type != "put") return event;
  event.value.emplace();
  if (!bytes_field(*item, "value", *event.value)) {
    return Error{Errc::kBadInput, "a put has no value"};
  }
  return event;
}

bool fits_variable(const std::string& text) {
  return text.size() <= kVariableBytesMax && text.find('\0') == std::string::npos;
}

class Watcher {
 public:
  Watcher(const Arguments& arguments, const AskWays& ways, const Output& output)
      : arguments_(arguments), ways_(ways), output_(output) {}

  int run();

 private:
  Question question() const;
  // Nothing: ask again.
  std::optional<int> look_at(const Streamed& streamed);
  Status take(std::string_view bytes);
  void take_line(std::string_view line);
  void take_event(const KeyEvent& event, std::string_view line);
  void deliver(const KeyEvent& event, std::string_view line);
  void run_program(const KeyEvent& event);
  void stop(int status, const std::string& sentence) {
    output_.error(sentence);
    exit_ = status;
  }

  const Arguments& arguments_;
  const AskWays& ways_;
  const Output& output_;
  std::optional<int> exit_;             // Set: it is over.
  std::optional<std::uint64_t> after_;  // All up to this revision has come.
  std::uint64_t partial_ = 0;           // The revision of which some has come,
  std::uint64_t partial_events_ = 0;    //   and how many.
  std::uint64_t skip_ = 0;              // So many of them come again.
  std::string cluster_;                 // Whose revisions these are.
  std::string buffer_;                  // The beginning of a line,
  std::size_t searched_ = 0;            //   in which no end was found so far.
  bool is_alive_ = false;               // The stream has brought a line.
  std::size_t refused_ = 0;             // Endpoints in a row where nobody listens.
};

Question Watcher::question() const {
  Query query;
  if (arguments_.has("--prefix")) query.add("prefix");
  if (after_) query.add("after", std::to_string(*after_));
  return {.method = "GET",
          .target = key_target("/watch/", arguments_.words[0]) + query.text(),
          .body = {},
          .cluster = cluster_,
          .accept = "application/x-ndjson"};
}

int Watcher::run() {
  const BodySink sink = [this](std::string_view bytes) { return take(bytes); };
  const std::size_t count = ways_.client.endpoints().size();
  bool was_alive = false;
  std::string problem = "no time was left";
  for (std::size_t tries = 1; !ways_.client.time_is_up(); ++tries) {
    buffer_.clear();
    searched_ = 0;
    skip_ = partial_events_;
    is_alive_ = false;
    const Instant begun = ways_.client.now();
    const Streamed streamed = ways_.client.stream(question(), kPatience, sink);
    if (exit_) return *exit_;
    if (const auto status = look_at(streamed)) return *status;
    const Exchange& exchange = streamed.exchange;
    const bool lasted = ways_.client.now() - begun >= kGlance;
    // The time without a stream counts from its end.
    if (is_alive_ || (exchange.answer.status == 200 && lasted)) {
      ways_.client.restart_clock();
      was_alive = true;
    }
    const bool answered = exchange.stage == Exchange::Stage::kAnswered;
    problem = streamed.endpoint.url + ": " +
              (answered ? error_message(exchange.answer) : exchange.problem);
    refused_ = exchange.stage == Exchange::Stage::kNotSent ? refused_ + 1 : 0;
    if (!was_alive && refused_ >= count) break;
    if (tries % count == 0) ways_.client.pause();
  }
  output_.error(problem);
  return kExitCannotAsk;
}

std::optional<int> Watcher::look_at(const Streamed& streamed) {
  const HttpAnswer& head = streamed.exchange.answer;
  const bool is_refused =
      head.status >= 300 && head.status < 500 && head.status != 408 && head.status != 429;
  if (streamed.exchange.stage == Exchange::Stage::kAnswered && is_refused) {
    return refused(head, output_);
  }
  if (head.status != 200) return std::nullopt;
  const auto cluster = head.headers.find("raftd-cluster");
  if (cluster != head.headers.end()) cluster_ = cluster->second;
  // Until the first event comes, the stream's beginning is where another one goes on.
  const auto revision = head.headers.find("raftd-revision");
  std::uint64_t number = 0;
  if (!after_ && revision != head.headers.end() && parse_u64(revision->second, number)) {
    after_ = number;
  }
  return std::nullopt;
}

// Of a stream, in pieces of any size.
Status Watcher::take(std::string_view bytes) {
  buffer_ += bytes;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = buffer_.find('\n', std::max(begin, searched_));
    if (end == std::string::npos) break;
    take_line(std::string_view(buffer_).substr(begin, end - begin));
    begin = end + 1;
    if (exit_) return Error{Errc::kBadInput, "it is over"};
  }
  buffer_.erase(0, begin);
  searched_ = buffer_.size();
  if (buffer_.size() > kLineBytesMax) {
    stop(kExitCannotAsk, "the answer was not understood: a line is longer than any event");
  } else if (!output_.flush()) {
    exit_ = kExitIo;
  }
  if (exit_) return Error{Errc::kBadInput, "it is over"};
  return Done{};
}

void Watcher::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  const Result<http::JsonValue> parsed = http::parse_json(line);
  const http::JsonValue* type = parsed ? (*parsed).field("type") : nullptr;
  if (type == nullptr || type->text() == nullptr) {
    return stop(kExitCannotAsk, "the answer was not understood: " +
                                    (parsed ? "a line has no type" : parsed.error().message));
  }
  is_alive_ = true;
  const std::string& word = *type->text();
  if (word == "put" || word == "delete" || word == "expire") {
    const Result<KeyEvent> event = parse_event(word, *parsed);
    if (event) return take_event(*event, line);
    return stop(kExitCannotAsk, "the answer was not understood: " + event.error().message);
  }
  if (word == "compacted") {
    const http::JsonValue* revision = (*parsed).field("compact_revision");
    return stop(kExitNo, "events were missed: the history up to revision " + shown(revision) +
                             " is forgotten; read what is there, and watch again");
  }
  if (word == "progress") {
    const http::JsonValue* revision = (*parsed).field("revision");
    if (revision != nullptr && revision->whole() != nullptr) after_ = *revision->whole();
    partial_events_ = skip_ = 0;
  }
}

void Watcher::take_event(const KeyEvent& event, std::string_view line) {
  if (event.revision != partial_) {
    partial_ = event.revision;
    partial_events_ = skip_ = 0;
  }
  // The order of events within a revision is the same on every node.
  if (skip_ > 0) {
    --skip_;
  } else {
    ++partial_events_;
    deliver(event, line);
  }
  if (!event.is_last) return;
  after_ = event.revision;
  partial_events_ = skip_ = 0;
}

void Watcher::deliver(const KeyEvent& event, std::string_view line) {
  if (!arguments_.program.empty()) return run_program(event);
  if (wants_json(arguments_)) {
    output_.out(std::string(line) + "\n");
    return;
  }
  output_.out(event.type + "\t" + std::to_string(event.revision) + "\t" +
              percent_escape(event.key) + "\t" + percent_escape(event.value.value_or("")) + "\n");
}

// Until it has ended. The node waits meanwhile, and the kernel holds what it has sent.
void Watcher::run_program(const KeyEvent& event) {
  constexpr std::chrono::hours kLong{1};
  Processes& processes = ways_.processes;
  std::optional<std::string> key;
  std::optional<std::string> value;
  if (fits_variable(event.key)) key = event.key;
  if (event.value && fits_variable(*event.value)) value = event.value;
  const Program program{arguments_.program,
                        {{"RAFTD_EVENT", event.type},
                         {"RAFTD_KEY", key},
                         {"RAFTD_REVISION", std::to_string(event.revision)},
                         {"RAFTD_VALUE", value}},
                        std::string_view(event.value ? *event.value : std::string_view())};
  processes.hold_signals();
  if (const auto not_started = processes.start(program)) {
    stop(not_started->exit_status, not_started->problem);
    return processes.release_signals();
  }
  Event ended;
  for (ended = processes.wait(kLong); ended.kind != Event::Kind::kEnded;
       ended = processes.wait(kLong)) {
    if (ended.kind != Event::Kind::kSignal) continue;
    if (!ended.is_typed) processes.send(ended.signal);
    exit_ = kExitSignal + ended.signal;  // It would have ended us between two events, too.
  }
  processes.release_signals();
  if (ended.exit_status != kExitDone) {
    output_.error(percent_escape(arguments_.program[0]) +
                  strf(" ended with status %d (%s, revision %llu)", ended.exit_status,
                       event.type.c_str(), static_cast<unsigned long long>(event.revision)));
  }
}

}  // namespace

int watch_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  if (arguments.words[0].empty() && !arguments.has("--prefix")) {
    output.error("a key is at least one byte long; --prefix '' watches every key");
    return kExitUsage;
  }
  return Watcher(arguments, ways, output).run();
}

}  // namespace raftd::cli
