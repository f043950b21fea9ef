// Whether a cluster is lost: by who answers, and by who has a majority behind it.
#include "node/survivors.h"

#include <doctest/doctest.h>

namespace raftd::node {
namespace {

raft::Configuration members(std::vector<raft::NodeId> voters,
                            std::vector<raft::NodeId> outgoing = {},
                            std::vector<raft::NodeId> learners = {}) {
  raft::Configuration configuration;
  configuration.voters = std::move(voters);
  configuration.voters_outgoing = std::move(outgoing);
  configuration.learners = std::move(learners);
  return configuration;
}

}  // namespace

TEST_CASE("a cluster lives while a majority of its voters answers") {
  const raft::Configuration three = members({{1}, {2}, {3}}, {}, {{4}});
  CHECK(lives(three, {{{2}, true}, {{3}, true}}));
  CHECK_FALSE(lives(three, {{{2}, true}, {{3}, false}}));
  CHECK_FALSE(lives(three, {{{2}, true}, {{4}, true}, {{5}, true}}));  // A learner, a stranger.
  CHECK_FALSE(lives(three, {}));
}

TEST_CASE("in a joint configuration a majority of both halves has to answer") {
  const raft::Configuration joint = members({{1}, {4}, {5}}, {{1}, {2}, {3}});
  CHECK_FALSE(lives(joint, {{{4}, true}, {{5}, true}}));
  CHECK_FALSE(lives(joint, {{{4}, true}, {{5}, true}, {{2}, true}}));
  CHECK(lives(joint, {{{4}, true}, {{5}, true}, {{2}, true}, {{3}, true}}));
}

TEST_CASE("one member with a majority behind it is enough: the members may be others by now") {
  const raft::Configuration three = members({{1}, {2}, {3}});
  CHECK(lives(three, {{{2}, true, true}, {{3}, false}}));
}

}  // namespace raftd::node
