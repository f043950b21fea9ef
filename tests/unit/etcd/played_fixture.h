// A service with etcd's gateway, and a replica that the test plays.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "etcd/gateway.h"
#include "http/json.h"
#include "unit/api/fixture.h"

namespace raftd::etcd {

// Of node 1 in term 3, the store at the revision.
inline std::string header_at(std::uint64_t revision) {
  std::string json = R"("header":{"cluster_id":"10312128876783761221","member_id":"1")";
  if (revision != 0) json += ",\"revision\":\"" + std::to_string(revision) + "\"";
  return json + R"(,"raft_term":"3"})";
}

struct PlayedFixture : api::Fixture {
  explicit PlayedFixture(api::ServiceOptions options = api::usual_options())
      : api::Fixture(with_gateway(std::move(options))) {}

  static api::ServiceOptions with_gateway(api::ServiceOptions options) {
    options.protocol = &gateway();
    return options;
  }

  api::RequestId ask(std::string_view path, std::string body) {
    return send(make("POST", "/v3" + std::string(path), {}, std::move(body)));
  }
  // Answered without the replica, or when it has answered this.
  http::Response post(std::string_view path, std::string body) {
    return now("POST", "/v3" + std::string(path), {}, std::move(body));
  }
  http::Response post(std::string_view path, std::string body, node::ClientResult result) {
    return with(std::move(result), "POST", "/v3" + std::string(path), {}, std::move(body));
  }

  // "404 5 etcdserver: requested lease not found": of an error in its unary form, else the body.
  static std::string outcome(const http::Response& response) {
    const Result<http::JsonValue> body = http::parse_json(response.body);
    if (response.status == 200 || !body || body->field("code") == nullptr) {
      return std::to_string(response.status) + " " + response.body;
    }
    const std::string& message = *body->field("message")->text();
    CHECK(*body->field("error")->text() == message);
    return std::to_string(response.status) + " " + std::to_string(*body->field("code")->whole()) +
           " " + message;
  }
};

// All of a stream; more answers the questions that it asks.
template <class Fn>
std::string read_all(PlayedFixture& f, http::Response& response, Fn&& more) {
  REQUIRE(response.stream);
  std::string text;
  while (true) {
    const auto next = response.stream->next(text);
    if (next == http::BodySource::Next::kEnd) return text;
    if (next == http::BodySource::Next::kBroken) return text + "(broken)";
    if (next == http::BodySource::Next::kLater) f.answer(more());
  }
}
inline std::string read_all(http::Response& response) {
  REQUIRE(response.stream);
  std::string text;
  for (auto next = http::BodySource::Next::kMore; next != http::BodySource::Next::kEnd;) {
    REQUIRE(next != http::BodySource::Next::kBroken);
    REQUIRE(next != http::BodySource::Next::kLater);
    next = response.stream->next(text);
  }
  return text;
}

}  // namespace raftd::etcd
