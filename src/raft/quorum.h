// Majorities, of one set of voters or of both halves of a joint configuration (thesis 4.3): pure
// functions of a configuration and of what is known of each voter. Everything that needs a quorum
// asks here: votes, commitment, read confirmation, CheckQuorum.
#pragma once

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/limits.h"
#include "raft/configuration.h"

namespace raftd::raft {

// The largest value that a majority of voters has reached; T{} if there are none.
template <class T, class ValueOf>
T majority_value(const std::vector<NodeId>& voters, const ValueOf& value_of) {
  ASSERT_CMP(voters.size(), <=, limits::kVotersMax);
  if (voters.empty()) return T{};
  std::array<T, limits::kVotersMax> values{};
  std::transform(voters.begin(), voters.end(), values.begin(), value_of);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(voters.size() / 2);
  std::nth_element(values.begin(), middle,
                   values.begin() + static_cast<std::ptrdiff_t>(voters.size()),
                   [](const T& a, const T& b) { return b < a; });
  return *middle;
}

// The largest value that a majority of each half has reached. T: default is the lowest value.
template <class T, class ValueOf>
T quorum_value(const Configuration& configuration, const ValueOf& value_of) {
  const T incoming = majority_value<T>(configuration.voters, value_of);
  if (!configuration.joint()) return incoming;
  return std::min(incoming, majority_value<T>(configuration.voters_outgoing, value_of));
}

enum class VoteResult : std::uint8_t { kPending, kWon, kLost };

struct Vote {
  NodeId voter;
  bool granted = false;
};

// The first answer of a voter counts, others of the same voter do not.
inline VoteResult vote_result(const Configuration& configuration, const std::vector<Vote>& votes) {
  // As values to reach: granted 2, not answered 1, denied 0.
  const auto standing = [&](NodeId voter) {
    const auto vote = std::find_if(votes.begin(), votes.end(),
                                   [&](const Vote& each) { return each.voter == voter; });
    if (vote == votes.end()) return 1;
    return vote->granted ? 2 : 0;
  };
  const int reached = quorum_value<int>(configuration, standing);
  if (reached == 2) return VoteResult::kWon;
  return reached == 1 ? VoteResult::kPending : VoteResult::kLost;
}

inline bool contains(const std::vector<NodeId>& ids, NodeId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

// In either half.
inline bool is_voter(const Configuration& configuration, NodeId id) {
  return contains(configuration.voters, id) || contains(configuration.voters_outgoing, id);
}

}  // namespace raftd::raft
