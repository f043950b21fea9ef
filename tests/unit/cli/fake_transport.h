// A script in place of the network, and a clock that only pauses move.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/client.h"

namespace raftd::cli {

class FakeTransport final : public Transport {
 public:
  struct Asked {
    Address address;
    std::string request;
    Instant deadline;
  };
  std::vector<Asked> asked;
  int pauses = 0;

  void answer(int status, std::string body) {
    script_.push_back({Exchange::Stage::kAnswered, {status, {}, std::move(body), {}}, ""});
  }
  void trail(std::string name, std::string value) {
    script_.back().answer.trailers[std::move(name)] = std::move(value);
  }
  void redirect(const std::string& location) {
    script_.push_back({Exchange::Stage::kAnswered, {307, {{"location", location}}, "", {}}, ""});
  }
  // A stream: what its head says, what comes, and that it breaks, or ends as it should.
  void stream(std::map<std::string, std::string> head, std::string body, bool breaks = true) {
    const auto stage = breaks ? Exchange::Stage::kSent : Exchange::Stage::kAnswered;
    script_.push_back({stage, {200, std::move(head), std::move(body), {}}, "it broke"});
  }
  void replay(int status, std::string body) {
    answer(status, std::move(body));
    script_.back().answer.headers["idempotency-replayed"] = "true";
  }
  void refuse() { script_.push_back({Exchange::Stage::kNotSent, {}, "refused"}); }
  void lose() { script_.push_back({Exchange::Stage::kSent, {}, "no answer"}); }
  void forever(int status, std::string body) {
    always_ = {Exchange::Stage::kAnswered, {status, {}, std::move(body), {}}, ""};
    endless_ = true;
  }
  void refuse_forever() {
    always_ = {Exchange::Stage::kNotSent, {}, "refused"};
    endless_ = true;
  }
  // The clock is moved by those who wait.
  void pass(Duration duration) { now_ = now_ + duration; }
  // So long each answer takes.
  Duration delay{};

  Duration timeout = std::chrono::seconds(5);
  Client client(std::string_view endpoints, std::string token = "") {
    return {{*parse_endpoints(endpoints), timeout, std::move(token)}, *this};
  }
  std::string hosts() const {
    std::string out;
    for (const Asked& one : asked)
      out += one.address.host + " ";
    return out;
  }
  // "GET /kv/a" of each request.
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (const Asked& one : asked)
      out.push_back(one.request.substr(0, one.request.find(" HTTP/1.1")));
    return out;
  }

  Instant now() override { return now_; }
  void pause(Duration duration) override {
    ++pauses;
    now_ = now_ + duration;
  }
  Exchange download(const Address& address, std::string_view request, Instant deadline, Duration,
                    const BodySink& sink) override {
    Exchange got = exchange(address, request, deadline);
    if (got.answer.status != 200) return got;
    const std::string body = std::move(got.answer.body);
    got.answer.body.clear();
    for (std::size_t at = 0; at < body.size(); at += kPieceBytes) {
      const Status taken = sink(std::string_view(body).substr(at, kPieceBytes));
      if (!taken) return {Exchange::Stage::kSent, got.answer, taken.error().message};
    }
    return got;
  }
  Exchange exchange(const Address& address, std::string_view request, Instant deadline) override {
    asked.push_back({address, std::string(request), deadline});
    pass(delay);
    if (endless_) return always_;
    REQUIRE_MESSAGE(!script_.empty(), "a question that the script does not expect");
    Exchange next = std::move(script_.front());
    script_.pop_front();
    return next;
  }

 private:
  static constexpr std::size_t kPieceBytes = 7;  // So that nothing ends where a piece does.

  Instant now_;
  std::deque<Exchange> script_;
  Exchange always_;
  bool endless_ = false;
};

}  // namespace raftd::cli
