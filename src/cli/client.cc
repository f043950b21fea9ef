// The happy path is: the first endpoint answers. Possible failure modes are: nobody listens there
// (the next one is asked), it knows no leader or is overloaded (asked again after a pause), it
// sends us to the leader (we go), the answer does not come (a read, or a write with a key, is asked
// again; the outcome of another write is unknown, and so is that of one with a key when the time is
// up: that is what the caller is told).
#include "cli/client.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/rng.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::cli {
namespace {

constexpr std::chrono::milliseconds kPause{100};  // After a round in which nobody could help.
constexpr std::size_t kRedirectsMax = 5;
constexpr std::chrono::milliseconds kServerTimeoutMax{60'000};  // Of ?timeout=.
constexpr std::size_t kEndpointsMax = 64;

// A field of the error object; the body of somebody else's error may be anything.
std::string error_field(const HttpAnswer& answer, std::string_view name) {
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  if (!body) return "";
  const http::JsonValue* field = (*body).field(name);
  return field == nullptr || field->text() == nullptr ? "" : *field->text();
}

bool parse_endpoint(std::string_view text, Endpoint& endpoint) {
  const std::string_view scheme = "http://";
  std::string_view rest = text;
  if (rest.starts_with(scheme)) {
    if (!parse_url(rest, endpoint.address)) return false;
  } else if (!parse_address(rest, true, endpoint.address)) {
    return false;
  }
  endpoint.url = endpoint.address.is_unix() ? endpoint.address.text()
                                            : std::string(scheme) + endpoint.address.text();
  return true;
}

// False: it does not send us anywhere.
bool follow(const HttpAnswer& answer, Endpoint& endpoint) {
  const auto location = answer.headers.find("location");
  if (answer.status != 307 || location == answer.headers.end()) return false;
  const std::size_t path = location->second.find('/', std::string_view("http://").size());
  return parse_endpoint(std::string_view(location->second).substr(0, path), endpoint);
}

// Of an answer that is no success.
bool may_be_done(const Question& question, const HttpAnswer& answer) {
  return question.changes && error_outcome(answer) != "none";
}

}  // namespace

std::string new_key() {
  return strf("%016llx%016llx", static_cast<unsigned long long>(os_entropy()),
              static_cast<unsigned long long>(os_entropy()));
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
  std::vector<Endpoint> out;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    Endpoint endpoint;
    if (!parse_endpoint(one, endpoint)) {
      return Error{Errc::kBadInput, "endpoints: found \"" + percent_escape(one) +
                                        "\" (expected http://HOST:PORT, HOST:PORT or unix:PATH)"};
    }
    out.push_back(std::move(endpoint));
  }
  if (out.empty()) return Error{Errc::kBadInput, "endpoints: found none (expected one or more)"};
  if (out.size() > kEndpointsMax) return Error{Errc::kBadInput, "endpoints: found more than 64"};
  return out;
}

std::string error_message(const HttpAnswer& answer) {
  const std::string message = error_field(answer, "message");
  return percent_escape(message.empty() ? strf("HTTP status %d", answer.status) : message);
}

std::string error_code(const HttpAnswer& answer) {
  return error_field(answer, "error");
}

std::string error_outcome(const HttpAnswer& answer) {
  return error_field(answer, "outcome");
}

Client::Client(Options options, Transport& transport)
    : options_(std::move(options)),
      transport_(transport),
      deadline_(transport.now() + options_.timeout) {
  ASSERT(!options_.endpoints.empty());
}

Client::Verdict Client::judge(const Question& question, const HttpAnswer& answer) {
  switch (answer.status) {
    case 429:
    case 503:
      // The contract answers these before anything is done; who else would answer 503 is unknown.
      return may_be_done(question, answer) && question.key.empty() ? Verdict::kUnknown
                                                                   : Verdict::kAgain;
    case 502:
    case 504:
      return may_be_done(question, answer) && question.key.empty() ? Verdict::kUnknown
                                                                   : Verdict::kAgain;
    case 500:
      if (!question.changes) return Verdict::kFinal;
      return may_be_done(question, answer) ? Verdict::kUnknown : Verdict::kAgain;
    default:
      return Verdict::kFinal;
  }
}

// What may be asked elsewhere: one silent endpoint does not get all the time.
Instant Client::attempt_deadline(const Question& question) const {
  const bool once = question.changes && question.key.empty();
  if (once || options_.endpoints.size() == 1) return deadline_;
  const Duration left = deadline_ - transport_.now();
  return transport_.now() + std::max<Duration>(left / 2, std::min<Duration>(left, kPause));
}

std::string Client::request_text(const Endpoint& endpoint, const Question& question,
                                 Instant deadline) {
  std::string target = question.target;
  if (question.takes_timeout) {
    // A little less than we wait ourselves, so that the server's word about the outcome arrives.
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - transport_.now()) * 9 / 10;
    const auto ms = std::clamp(left, std::chrono::milliseconds(1), kServerTimeoutMax);
    target += (target.find('?') == std::string::npos ? "?" : "&");
    target += strf("timeout=%lldms", static_cast<long long>(ms.count()));
  }
  const Address& address = endpoint.address;
  std::string text = question.method + " " + target +
                     " HTTP/1.1\r\nHost: " + (address.is_unix() ? "localhost" : address.text()) +
                     "\r\nConnection: close\r\nUser-Agent: raftd\r\n";
  if (!options_.token.empty()) text += "Authorization: Bearer " + options_.token + "\r\n";
  if (!question.key.empty()) text += "Idempotency-Key: " + question.key + "\r\n";
  if (!question.accept.empty()) text += "Accept: " + question.accept + "\r\n";
  if (!question.cluster.empty()) text += "Raftd-Cluster: " + question.cluster + "\r\n";
  if (question.changes || !question.body.empty()) {
    text += "Content-Length: " + std::to_string(question.body.size()) + "\r\n";
  }
  return text + "\r\n" + question.body;
}

Error Client::unknown_outcome(const std::string& why) const {
  return {Errc::kTimeout, "the outcome is unknown, the change may or may not be made: " + why};
}

Error Client::nobody(const std::string& why) const {
  return {Errc::kTimeout, why};
}

Result<HttpAnswer> Client::ask_one(const Endpoint& endpoint, const Question& question, int shares) {
  ASSERT(shares > 0);
  const Instant now = transport_.now();
  const Instant deadline = now + std::max(Duration(), deadline_ - now) / shares;
  const std::string request = request_text(endpoint, question, deadline);
  Exchange exchange = transport_.exchange(endpoint.address, request, deadline);
  if (exchange.stage == Exchange::Stage::kAnswered) return std::move(exchange.answer);
  return Error{Errc::kIo, exchange.problem};
}

bool Client::wait_gone(const Endpoint& endpoint) {
  const Question question{.method = "GET", .target = "/livez", .body = {}};
  while (transport_.now() < deadline_) {
    const std::string request = request_text(endpoint, question, deadline_);
    const Exchange exchange = transport_.exchange(endpoint.address, request, deadline_);
    if (exchange.stage == Exchange::Stage::kNotSent) return true;
    pause();
  }
  return false;
}

Result<Answer> Client::download(const Question& question, const std::function<Status()>& begin,
                                const BodySink& sink) {
  const std::size_t count = options_.endpoints.size();
  std::string problem = "no time was left";
  std::size_t refused = 0;  // In a row.
  while (transport_.now() < deadline_) {
    const Endpoint endpoint = options_.endpoints[next_++ % count];
    TRY([[maybe_unused]] const Done begun, begin());
    // What the sink says is about this machine, not about the endpoint.
    std::optional<Error> own;
    const BodySink guarded = [&](std::string_view bytes) {
      Status taken = sink(bytes);
      if (!taken) own = taken.error();
      return taken;
    };
    Exchange exchange =
        transport_.download(endpoint.address, request_text(endpoint, question, deadline_),
                            deadline_, options_.timeout, guarded);
    if (own) return *std::move(own);
    if (exchange.stage == Exchange::Stage::kAnswered) {
      if (judge(question, exchange.answer) == Verdict::kFinal) {
        return Answer{std::move(exchange.answer), endpoint};
      }
      exchange.problem = error_message(exchange.answer);
    }
    problem = endpoint.url + ": " + exchange.problem;
    refused = exchange.stage == Exchange::Stage::kNotSent ? refused + 1 : 0;
    if (refused >= count) break;
    if (next_ % count == 0) {
      pause();
    }
  }
  return nobody(problem);
}

Streamed Client::stream(const Question& question, Duration patience, const BodySink& sink) {
  const Endpoint endpoint = options_.endpoints[next_++ % options_.endpoints.size()];
  // A long timeout is for finding a stream, not for believing in one that says nothing.
  const Instant deadline = std::min(attempt_deadline(question), transport_.now() + patience);
  return {transport_.download(endpoint.address, request_text(endpoint, question, deadline),
                              deadline, patience, sink),
          endpoint};
}

Result<Answer> Client::write(Question question) {
  question.changes = true;
  question.takes_timeout = true;
  if (question.key.empty()) question.key = new_key();
  return ask(question);
}

void Client::pause() {
  transport_.pause(std::clamp<Duration>(deadline_ - transport_.now(), Duration{}, kPause));
}

Result<Answer> Client::ask(const Question& question) {
  const std::size_t count = options_.endpoints.size();
  std::size_t tries = 0;    // Since the last pause.
  std::size_t refused = 0;  // Since the last answer.
  std::size_t redirects = 0;
  bool done_perhaps = false;
  std::string problem = "no time was left";
  Endpoint endpoint = options_.endpoints[next_ % count];
  while (transport_.now() < deadline_) {
    const Instant begun = transport_.now();
    const Instant deadline = attempt_deadline(question);
    const std::string request = request_text(endpoint, question, deadline);
    Exchange exchange = transport_.exchange(endpoint.address, request, deadline + question.wait);
    const bool sent = exchange.stage != Exchange::Stage::kNotSent;
    // The time for which the node was asked to wait is not time in which nobody helped.
    if (sent) deadline_ = deadline_ + std::min(transport_.now() - begun, question.wait);
    if (exchange.stage == Exchange::Stage::kAnswered) {
      refused = 0;
      const HttpAnswer& answer = exchange.answer;
      if (redirects < kRedirectsMax && follow(answer, endpoint)) {
        ++redirects;
        continue;
      }
      const Verdict verdict = judge(question, answer);
      if (verdict == Verdict::kFinal) return Answer{std::move(exchange.answer), endpoint};
      problem = endpoint.url + ": " + error_message(answer);
      if (verdict == Verdict::kUnknown) return unknown_outcome(problem);
      done_perhaps = done_perhaps || may_be_done(question, answer);
      redirects = 0;
    } else {
      problem = endpoint.url + ": " + exchange.problem;
      if (sent && question.changes && question.key.empty()) return unknown_outcome(problem);
      done_perhaps = done_perhaps || (sent && question.changes);
      // A round of endpoints where nobody listens is the end, unless there is an outcome to learn.
      if (!sent && ++refused >= count && !done_perhaps) return nobody(problem);
    }
    endpoint = options_.endpoints[++next_ % count];
    if (++tries % count == 0) pause();
  }
  return done_perhaps ? unknown_outcome(problem) : nobody(problem);
}

}  // namespace raftd::cli
