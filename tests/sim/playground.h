// A small cluster for tests that play a failure by hand.
#pragma once

#include <doctest/doctest.h>

#include "kv/query.h"
#include "sim/cluster.h"

namespace raftd::sim {

inline Options calm(std::size_t nodes) {
  Options options;
  options.nodes = nodes;
  return options;
}

inline const node::Done* done(const Cluster::Asked& asked) {
  return asked.result ? std::get_if<node::Done>(&*asked.result) : nullptr;
}
inline std::optional<Errc> refused(const Cluster::Asked& asked) {
  const auto* result = asked.result ? std::get_if<node::Refused>(&*asked.result) : nullptr;
  return result ? std::optional(result->error.code) : std::nullopt;
}
inline bool unknown(const Cluster::Asked& asked) {
  return asked.result && std::holds_alternative<node::Unknown>(*asked.result);
}
inline std::string value(const Cluster::Asked& asked) {
  const node::Done* answer = done(asked);
  if (answer == nullptr) return "no answer";
  const auto& reply = dynamic_cast<const kv::GetReply&>(*answer->reply);
  return reply.result == kv::GetReply::Result::kFound ? reply.item.value : "absent";
}

// A cluster with a leader, to which everyone is connected.
struct Playground {
  explicit Playground(const Options& options, std::uint64_t seed = 1) : cluster(seed, options) {
    REQUIRE(await_leader());
    cluster.run_for(std::chrono::milliseconds(500));
    leader = *cluster.leader();
    follower = (leader + 1) % cluster.size();
  }

  bool await_leader() {
    return cluster.run_until(
        [&] {
          const auto now = cluster.leader();
          return now && cluster.status(*now).applied == cluster.status(*now).last;
        },
        std::chrono::seconds(10));
  }
  bool await(const std::shared_ptr<Cluster::Asked>& asked) {
    return cluster.run_until([&] { return asked->answered; }, std::chrono::seconds(10));
  }
  std::shared_ptr<Cluster::Asked> put(std::size_t node, const std::string& key,
                                      const std::string& text) {
    auto asked = cluster.put(node, key, text);
    REQUIRE(await(asked));
    return asked;
  }
  std::string get(std::size_t node, const std::string& key) {
    const auto asked = cluster.get(node, key);
    REQUIRE(await(asked));
    return value(*asked);
  }
  void isolate(std::size_t node) {
    for (std::size_t other = 0; other < cluster.size(); ++other) {
      if (other == node) continue;
      cluster.network().block(node, other);
      cluster.network().block(other, node);
    }
  }
  std::shared_ptr<Cluster::Asked> transfer(std::size_t node, std::size_t target) {
    auto asked = std::make_shared<Cluster::Asked>();
    cluster.submit(node, node::Write{node::Transfer{{target + 1}}}, std::chrono::seconds(2),
                   [asked](auto result) {
                     asked->answered = true;
                     asked->result = std::move(result);
                   });
    return asked;
  }

  Cluster cluster;
  std::size_t leader = 0;
  std::size_t follower = 0;
};

}  // namespace raftd::sim
