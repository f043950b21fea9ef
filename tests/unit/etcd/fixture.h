// A service with etcd's API in front of a store of its own: whatever is asked of the replica is
// done at once, as a cluster of one node would do it.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "etcd/gateway.h"
#include "http/base64.h"
#include "unit/api/watch_fixture.h"

namespace raftd::etcd {

struct EtcdFixture : api::WatchFixture {
  EtcdFixture() : WatchFixture(etcd_options()) {}

  static api::ServiceOptions etcd_options() {
    api::ServiceOptions options = api::usual_options();
    options.protocol = &gateway();
    return options;
  }

  // All that was asked of the replica, but for what waits for a later state.
  void run() {
    while (!backend.asked.empty()) {
      if (auto* write = std::get_if<node::Write>(&backend.asked.front().op)) {
        auto& propose = std::get<node::Propose>(write->op);
        answer(api::done(apply_wanted(propose.command), applied));
        continue;
      }
      const auto& read = std::get<node::Read>(backend.asked.front().op);
      std::unique_ptr<machine::Reply> reply = store.query(*read.query, cluster_time);
      if (reply == nullptr) return;
      answer(api::done(std::move(reply), applied));
    }
  }
  std::unique_ptr<machine::Reply> apply_wanted(const Bytes& command) {
    ++applied;
    machine::Outcome outcome = store.apply(
        {{applied}, {3}, cluster_time, ByteView(command).subspan(machine::kStampBytes)}, true);
    while (!outcome.finished)
      outcome = store.apply_slice();
    return std::move(outcome.reply);
  }

  api::RequestId begin(std::string_view path, std::string body) {
    const api::RequestId id = send(make("POST", path, {}, std::move(body)));
    run();
    return id;
  }
  http::Response post(std::string_view path, std::string body) {
    http::Response response = take(begin(path, std::move(body)));
    while (response.stream != nullptr && !response.stream->lasting()) {
      const http::BodySource::Next next = response.stream->next(response.body);
      run();
      if (next == http::BodySource::Next::kEnd) response.stream.reset();
      REQUIRE(next != http::BodySource::Next::kBroken);
    }
    return response;
  }
  // The body, without the header that every answer begins with; the status if it is not 200.
  std::string ask(std::string_view path, std::string body) {
    const http::Response response = post(path, std::move(body));
    if (response.status != 200) return std::to_string(response.status) + " " + response.body;
    return without_header(response.body);
  }
  // "{header 5,...": what all have alike is left out.
  static std::string without_header(std::string text) {
    const std::string before =
        "\"header\":{\"cluster_id\":\"10312128876783761221\",\"member_id\":\"1\"";
    const std::string behind = ",\"raft_term\":\"3\"}";
    for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before)) {
      const std::size_t end = text.find(behind, at);
      REQUIRE(end != std::string::npos);
      std::string revision = text.substr(at + before.size(), end - at - before.size());
      const std::string name = ",\"revision\":\"";
      if (revision.starts_with(name)) {
        revision = revision.substr(name.size(), revision.size() - name.size() - 1);
      }
      text = text.substr(0, at) + "@" + revision + text.substr(end + behind.size());
    }
    return text;
  }

  machine::ClusterTime cluster_time{0};
};

// Bytes as a JSON text.
inline std::string b64(std::string_view bytes) {
  return "\"" + http::base64_encode(bytes) + "\"";
}

// An error as both kinds of clients read it.
inline std::string error_text(int status, int code, const std::string& message) {
  return std::to_string(status) + " {\"error\":\"" + message + "\",\"message\":\"" + message +
         "\",\"code\":" + std::to_string(code) + ",\"details\":[]}";
}

}  // namespace raftd::etcd
