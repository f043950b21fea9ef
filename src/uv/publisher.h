// Says through the log who this member is (its data directory's instance, its client URL), soon
// after each start, until the store shows it.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "kv/store.h"
#include "node/replica.h"

namespace raftd::uv {

class Publisher {
 public:
  explicit Publisher(kv::PublishedMember self) : self_(std::move(self)) {}

  struct Due {
    node::ClientToken token;
    Bytes command;
  };
  // A command to propose now, if the store says something else and none is on its way.
  std::optional<Due> due(Instant now, const std::vector<kv::PublishedMember>& published);
  void done() { in_flight_ = false; }  // Whatever the result: due() looks at the store again.

  // The service's tokens count up from 1 and never get there; see OwnMember for the others.
  static bool owns(node::ClientToken token) { return token.value >> 62 == kOwnTokens >> 62; }

 private:
  static constexpr std::uint64_t kOwnTokens = 1ULL << 63;
  static constexpr Duration kRetryInterval = std::chrono::seconds(1);

  kv::PublishedMember self_;
  std::uint64_t attempts_ = 0;
  bool in_flight_ = false;
  Instant tried_{};
};

}  // namespace raftd::uv
