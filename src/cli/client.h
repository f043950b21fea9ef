// Asks a cluster: endpoints in turn, follows the leader, asks again only what is safe to ask again
// until the time is up.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/transport.h"

namespace raftd::cli {

struct Endpoint {
  std::string url;  // As in messages: http://127.0.0.1:2379, unix:/run/x
  Address address;
};

// A comma-separated list of http://HOST:PORT, HOST:PORT, unix:PATH. kBadInput: the sentence.
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

struct Question {
  std::string method;
  std::string target;  // Path and query.
  std::string body;
  bool changes = false;        // A write: not repeated unless it is known to have had no effect.
  bool takes_timeout = false;  // The call knows ?timeout=.
  std::string cluster = {};    // Its id, if nodes of other clusters shall refuse.
};

struct Answer {
  HttpAnswer http;
  Endpoint endpoint;  // Who gave it.
};

class Client {
 public:
  struct Options {
    std::vector<Endpoint> endpoints;  // At least one.
    Duration timeout{};               // For everything this client does.
    std::string token;                // Empty: none.
  };
  Client(Options options, Transport& transport);  // transport outlives it.

  const std::vector<Endpoint>& endpoints() const { return options_.endpoints; }

  // An answer that says something: 2xx, 4xx, 507, 500 of a read. Errors (exit status 2) say that
  // nobody could be asked, or that the outcome of a write is unknown.
  Result<Answer> ask(const Question& question);
  // Asks one endpoint after the other until one has given all of it: the body of a 200 goes to
  // sink, which begin() is called before, each time anew. The timeout is that of each piece.
  Result<Answer> download(const Question& question, const std::function<Status()>& begin,
                          const BodySink& sink);
  // The timeout counts from now.
  void restart_clock() { deadline_ = transport_.now() + options_.timeout; }
  // One try at one endpoint, whatever it answers, with its share of the time that is left: 1 of
  // shares. kIo: it did not answer, and why.
  Result<HttpAnswer> ask_one(const Endpoint& endpoint, const Question& question, int shares);
  // Until nobody listens at the endpoint any more. False: not in time.
  bool wait_gone(const Endpoint& endpoint);

 private:
  enum class Verdict : unsigned char { kFinal, kAgain, kUnknown };
  static Verdict judge(const Question& question, const HttpAnswer& answer);
  std::string request_text(const Endpoint& endpoint, const Question& question, Instant deadline);
  Instant attempt_deadline(const Question& question);
  Error unknown_outcome(const std::string& why) const;
  Error nobody(const std::string& why) const;

  Options options_;
  Transport& transport_;
  Instant deadline_;
  std::size_t next_ = 0;  // The endpoint whose turn it is.
};

// Of an error's JSON; empty if it has none.
std::string error_message(const HttpAnswer& answer);
std::string error_code(const HttpAnswer& answer);
std::string error_outcome(const HttpAnswer& answer);

}  // namespace raftd::cli
