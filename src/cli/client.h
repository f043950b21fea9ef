// Asks a cluster: endpoints in turn, follows the leader, asks again what is safe to ask again until
// the time is up. A write with a key is: a cluster does once what it is asked several times under
// one key, and gives the same answer.
#pragma once

#include <algorithm>
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
  bool changes = false;        // A write: without a key, repeated only if it had no effect.
  bool takes_timeout = false;  // The call knows ?timeout=.
  std::string cluster = {};    // Its id, if nodes of other clusters shall refuse.
  std::string accept = {};     // What form the answer shall have; empty: as the node likes.
  std::string key = {};        // Of a write: the same for all its tries, and for no other write.
  Duration wait{};             // So much longer the answer may take, because it was asked to wait.
};

// Random, of 128 bits.
std::string new_key();

struct Answer {
  HttpAnswer http;
  Endpoint endpoint;  // Who gave it.
};

// What became of one try to get a stream.
struct Streamed {
  Exchange exchange;
  Endpoint endpoint;
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
  const std::string& token() const { return options_.token; }
  Duration timeout() const { return options_.timeout; }

  // An answer that says something: 2xx, 4xx, 507, 500 of a read. Errors (exit status 2) say that
  // nobody could be asked, or that the outcome of a write is unknown.
  Result<Answer> ask(const Question& question);
  // The same for a write, of which only method, target, body and wait are to be said, and the key
  // if it goes on with what an earlier call has begun.
  Result<Answer> write(Question question);
  // Asks one endpoint after the other until one has given all of it: the body of a 200 goes to
  // sink, which begin() is called before, each time anew. The timeout is that of each piece.
  Result<Answer> download(const Question& question, const std::function<Status()>& begin,
                          const BodySink& sink);
  // One try at the endpoint whose turn it is; the body of a 200 goes to sink as it comes. The time
  // that is left is that for its head, and afterwards patience that between two pieces.
  Streamed stream(const Question& question, Duration patience, const BodySink& sink);
  // The timeout counts from now; or timeout, if that is less.
  void restart_clock() { deadline_ = transport_.now() + options_.timeout; }
  void restart_clock(Duration timeout) {
    deadline_ = transport_.now() + std::min(timeout, options_.timeout);
  }
  bool time_is_up() const { return transport_.now() >= deadline_; }
  Instant now() const { return transport_.now(); }
  void pause();  // A little, before something is asked again.
  // One try at one endpoint, whatever it answers, with its share of the time that is left: 1 of
  // shares. kIo: it did not answer, and why.
  Result<HttpAnswer> ask_one(const Endpoint& endpoint, const Question& question, int shares);
  // Until nobody listens at the endpoint any more. False: not in time.
  bool wait_gone(const Endpoint& endpoint);

 private:
  enum class Verdict : unsigned char { kFinal, kAgain, kUnknown };
  static Verdict judge(const Question& question, const HttpAnswer& answer);
  std::string request_text(const Endpoint& endpoint, const Question& question, Instant deadline);
  Instant attempt_deadline(const Question& question) const;
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
