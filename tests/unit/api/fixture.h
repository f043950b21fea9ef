// A service whose replica is played by the test: what the service asks is looked at and answered
// by hand, so that every answer of a replica can be tried at every moment.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/service.h"
#include "kv/command.h"

namespace raftd::api {

struct FakeBackend final : Backend {
  struct Asked {
    node::ClientToken token;
    node::ClientOp op;
    Instant deadline;
  };

  void on_client(Instant, node::ClientToken token, node::ClientOp&& op, Instant deadline) override {
    for (const std::uint64_t used : tokens)
      REQUIRE(used != token.value);
    tokens.push_back(token.value);
    asked.push_back({token, std::move(op), deadline});
  }
  void on_client_gone(node::ClientToken token) override { gone.push_back(token); }
  Standing standing(Instant) const override { return {now.role, now.leader_contact}; }
  node::ReplicaStatus status(Instant) const override { return now; }
  ReplicaTimes times() const override { return {sync, commit, apply}; }

  std::deque<Asked> asked;
  std::vector<node::ClientToken> gone;
  std::vector<std::uint64_t> tokens;
  node::ReplicaStatus now;
  RecentHistogram sync;
  RecentHistogram commit;
  RecentHistogram apply;
};

struct FakeResponder final : Responder {
  void respond(RequestId id, http::Response response) override {
    REQUIRE(!responses.contains(id.value));
    responses.emplace(id.value, std::move(response));
  }
  void wake(RequestId id) override { woken.push_back(id); }

  std::map<std::uint64_t, http::Response> responses;
  std::vector<RequestId> woken;
};

inline Instant at_ms(int ms) {
  return {std::chrono::milliseconds(ms)};
}

inline ServiceOptions usual_options() {
  ServiceOptions options;
  options.self = {1};
  options.name = "n1";
  options.cluster_id = "8f1c0a93d2be7745";
  options.cluster_name = "test";
  options.client_url = "http://10.0.0.1:2379";
  options.version = "1.0.0";
  options.etcd_version = "3.6.0";
  options.election_timeout_min = std::chrono::milliseconds(500);
  options.started = at_ms(0);
  options.listed_members = {{{1}, "n1", "http://10.0.0.1:2379"},
                            {{2}, "n2", "http://10.0.0.2:2379"}};
  options.limits_shown = [] {
    return std::vector<std::pair<std::string, std::string>>{{"limits.key_bytes", "2048"}};
  };
  return options;
}

inline ServiceLimits usual_limits() {
  return {.key_bytes = 2048,
          .value_bytes = 1024 * 1024,
          .request_bytes = 1536 * 1024,
          .txn_ops = 512,
          .etcd_txn_ops = 128,
          .page_items = 10'000,
          .page_bytes = 1024 * 1024,
          .watchers = 100,
          .wait = std::chrono::minutes(10),
          .etcd_progress = std::chrono::minutes(10),
          .store_bytes = 1ULL << 33,
          .request_timeout = std::chrono::seconds(5),
          .redirect = false};
}

struct Fixture {
  explicit Fixture(const ServiceOptions& options = usual_options())
      : service(options, usual_limits(), store, vitals, log) {
    service.bind(backend, responder);
    lead();
  }

  // Who this node, number 1, is and whom it follows.
  void lead() { stand(raft::Role::kLeader, 1); }
  void follow(std::uint64_t leader) { stand(raft::Role::kFollower, leader); }
  void stand(raft::Role role, std::uint64_t leader) {
    backend.now.role = {role, {3}, {leader}};
    backend.now.leader_contact = at_ms(1000);
    backend.now.recovered = true;
  }

  static http::Request make(std::string_view method, std::string_view target,
                            std::vector<http::Header> headers = {}, std::string body = "") {
    using http::Method;
    static const std::pair<std::string_view, Method> kMethods[] = {
        {"GET", Method::kGet},   {"HEAD", Method::kHead},     {"PUT", Method::kPut},
        {"POST", Method::kPost}, {"DELETE", Method::kDelete}, {"OPTIONS", Method::kOptions}};
    http::Request request;
    request.method = Method::kOther;
    for (const auto& [name, known] : kMethods) {
      if (name == method) request.method = known;
    }
    request.method_name = method;
    request.target = target;
    request.headers = std::move(headers);
    request.headers.push_back({"host", "10.0.0.1:2379"});
    request.body = std::move(body);
    return request;
  }

  RequestId send(http::Request request) {
    const RequestId id{++last_request};
    service.on_request(at_ms(1000), id, request);
    return id;
  }

  bool answered(RequestId id) const { return responder.responses.contains(id.value); }
  http::Response take(RequestId id) {
    const auto found = responder.responses.find(id.value);
    REQUIRE(found != responder.responses.end());
    http::Response response = std::move(found->second);
    responder.responses.erase(found);
    return response;
  }

  // A request that is answered without the replica.
  http::Response now(std::string_view method, std::string_view target,
                     std::vector<http::Header> headers = {}, std::string body = "") {
    const RequestId id = send(make(method, target, std::move(headers), std::move(body)));
    REQUIRE(backend.asked.empty());
    return take(id);
  }

  // A request that asks the replica once, which answers this.
  http::Response with(node::ClientResult result, std::string_view method, std::string_view target,
                      std::vector<http::Header> headers = {}, std::string body = "") {
    const RequestId id = send(make(method, target, std::move(headers), std::move(body)));
    REQUIRE(!answered(id));
    answer(std::move(result));
    return take(id);
  }

  void answer(node::ClientResult result) {
    REQUIRE(!backend.asked.empty());
    last_asked = std::move(backend.asked.front());
    backend.asked.pop_front();
    service.complete(last_asked.token, std::move(result));
  }

  template <class Query>
  const Query& last_query() const {
    const auto* read = std::get_if<node::Read>(&last_asked.op);
    REQUIRE(read != nullptr);
    const auto* query = dynamic_cast<const Query*>(read->query.get());
    REQUIRE(query != nullptr);
    return *query;
  }
  node::Consistency last_consistency() const {
    return std::get<node::Read>(last_asked.op).consistency;
  }
  // Valid until the next request.
  template <class Command>
  Command last_command() const {
    return std::get<Command>(last_write().command);
  }
  kv::Terms last_terms() const { return last_write().terms; }
  kv::Request last_write() const {
    const auto& write = std::get<node::Write>(last_asked.op);
    const auto& propose = std::get<node::Propose>(write.op);
    auto request = kv::decode(ByteView(propose.command).subspan(machine::kStampBytes));
    REQUIRE(request);
    return *std::move(request);
  }

  void publish(std::uint64_t id, std::string_view name, std::string_view client) {
    const Bytes command = kv::encode(kv::PublishMember{id, 77, name, client, "1.0.0"});
    ++applied;
    store.apply({{applied}, {1}, {0}, ByteView(command).subspan(machine::kStampBytes)}, false);
  }
  void put(std::string_view key, std::string_view value) {
    const Bytes command = kv::encode(kv::Put{key, value, {}, false});
    ++applied;
    store.apply({{applied}, {1}, {0}, ByteView(command).subspan(machine::kStampBytes)}, false);
  }

  Log log{LogLevel::kError, [](LogLevel, std::string_view) {}};
  kv::Store store{kv::HistoryLimits{600'000, 64 << 20}};
  Vitals vitals;
  FakeBackend backend;
  Service service;
  FakeResponder responder;  // Streams end before what they are of.
  FakeBackend::Asked last_asked;
  std::uint64_t last_request = 0;
  std::uint64_t applied = 0;
};

inline node::ClientResult done(std::unique_ptr<machine::Reply> reply, std::uint64_t index = 88) {
  return node::Done{{index}, {3}, false, std::move(reply)};
}
inline node::ClientResult refused(Errc code, std::string message = "") {
  return node::Refused{{code, std::move(message)}};
}

inline kv::Item item(std::string key, std::string value, std::uint64_t mod, std::uint64_t create,
                     std::uint64_t version) {
  return {std::move(key), std::move(value), mod, create, version};
}

inline node::ClientResult got(kv::Item found, std::uint64_t revision) {
  auto reply = std::make_unique<kv::GetReply>();
  reply->revision = revision;
  reply->item = std::move(found);
  return done(std::move(reply));
}
inline node::ClientResult got(kv::GetReply::Result result, std::uint64_t revision,
                              std::uint64_t compact_revision = 0) {
  auto reply = std::make_unique<kv::GetReply>();
  reply->result = result;
  reply->revision = revision;
  reply->compact_revision = compact_revision;
  return done(std::move(reply));
}
inline node::ClientResult written(kv::WriteReply reply) {
  return done(std::make_unique<kv::WriteReply>(std::move(reply)));
}

// The value of a header line of a response; "-" if there is none; fails if there are two.
inline std::string field(const http::Response& response, std::string_view name) {
  const std::string wanted = std::string(name) + ": ";
  std::string found = "-";
  std::size_t begin = 0;
  while (begin < response.fields.size()) {
    const std::size_t end = response.fields.find("\r\n", begin);
    REQUIRE(end != std::string::npos);
    const std::string_view line = std::string_view(response.fields).substr(begin, end - begin);
    if (line.starts_with(wanted)) {
      REQUIRE(found == "-");
      found = line.substr(wanted.size());
    }
    begin = end + 2;
  }
  return found;
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace raftd::api
