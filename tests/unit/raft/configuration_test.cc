// The configuration codec, quorums of one and of two halves, and who may campaign.
#include "base/rng.h"
#include "base/text.h"
#include "raft/quorum.h"
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

TEST_CASE("a configuration comes back from its bytes") {
  for (const Configuration& configuration :
       {make_configuration({1}), make_configuration({1, 2, 3}, {2, 3, 4}, {9}),
        make_configuration({4}, {1, 2, 3}, {2})}) {
    const auto decoded = decode_configuration(encode(configuration));
    REQUIRE(decoded);
    CHECK(*decoded == configuration);
  }
}

TEST_CASE("its bytes are the ones of the disk format") {
  Configuration configuration;
  configuration.voters = {{7}};
  configuration.addresses = {{{7}, "a:1"}};
  const Bytes bytes = encode(configuration);
  CHECK(to_hex(bytes) ==
        "0100010000010000"
        "0700000000000000"
        "0700000000000000"
        "0300"
        "613a31");
}

TEST_CASE("bytes cut off anywhere, or one too many, are an error and not more") {
  const Bytes bytes = encode(make_configuration({1, 2, 3}, {2, 3, 4}, {9}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(!decode_configuration(ByteView(bytes).first(size)));
  }
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  CHECK(!decode_configuration(longer));
  CHECK(!decode_configuration(Bytes(limits::kConfigurationBytesMax + 1)));
}

TEST_CASE("a bit flipped anywhere never decodes to something that breaks a rule") {
  const Bytes bytes = encode(make_configuration({1, 2, 3}, {2, 3, 4}, {9}));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] ^= std::byte{static_cast<unsigned char>(1U << (bit % 8))};
    const auto decoded = decode_configuration(flipped);
    if (decoded) CHECK(encode(*decoded) == flipped);
  }
}

TEST_CASE("each rule that a configuration breaks is named") {
  const auto error = [](Configuration configuration, std::size_t at_byte, unsigned char value) {
    Bytes bytes = encode(configuration);
    bytes[at_byte] = std::byte{value};
    const auto decoded = decode_configuration(bytes);
    return decoded ? std::string("none") : decoded.error().message;
  };
  const Configuration pair = make_configuration({1, 2});
  CHECK(error(pair, 0, 2) == "configuration: unknown version");
  CHECK(error(pair, 1, 1) == "configuration: reserved bytes are not zero");
  CHECK(error(pair, 8, 2) == "configuration: member ids are not in ascending order");
  CHECK(error(pair, 8, 0) == "configuration: member id 0");
  CHECK(error(pair, 22, 255) == "configuration: member id too large");
  CHECK(error(pair, 24, 9) == "configuration: addresses do not match members");
  const Configuration learner = make_configuration({1, 2}, {}, {3});
  CHECK(error(learner, 24, 2) == "configuration: a learner is also a voter");
}

TEST_CASE("quorum_value agrees with a count over every pair of halves and values") {
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    Configuration configuration;
    for (std::uint64_t id = 1; id <= 9; ++id) {
      if (rng.one_in(2)) configuration.voters.push_back({id});
      if (rng.one_in(3)) configuration.voters_outgoing.push_back({id});
    }
    if (configuration.voters.empty()) continue;
    std::array<std::uint64_t, 10> values{};
    for (auto& value : values)
      value = rng.below(6);
    const auto reached = [&](std::uint64_t bound) {
      const auto majority = [&](const std::vector<NodeId>& half) {
        std::size_t count = 0;
        for (const NodeId id : half)
          count += values[id.value] >= bound ? 1U : 0U;
        return half.empty() || count > half.size() / 2;
      };
      return majority(configuration.voters) && majority(configuration.voters_outgoing);
    };
    const auto value =
        quorum_value<std::uint64_t>(configuration, [&](NodeId id) { return values[id.value]; });
    CHECK(reached(value));
    CHECK(!reached(value + 1));
  }
}

TEST_CASE("a vote is won by both halves, lost by one") {
  const Configuration joint = make_configuration({1, 2, 3}, {3, 4, 5});
  CHECK(vote_result(joint, {}) == VoteResult::kPending);
  CHECK(vote_result(joint, {{{1}, true}, {{2}, true}}) == VoteResult::kPending);
  CHECK(vote_result(joint, {{{1}, true}, {{3}, true}, {{4}, true}}) == VoteResult::kWon);
  CHECK(vote_result(joint, {{{1}, true}, {{2}, true}, {{3}, true}, {{4}, false}, {{5}, false}}) ==
        VoteResult::kLost);
  CHECK(vote_result(Configuration{}, {{{1}, true}}) != VoteResult::kWon);
}

TEST_CASE("a configuration is in effect when appended, and the one before when overwritten") {
  Solo solo(first_start(three()));
  const Configuration next = make_configuration({1, 2, 3, 4}, {1, 2, 3});
  solo.append(2, 2, 1, 1, {members(2, 2, next)});
  CHECK(solo.core().configuration().configuration == next);
  CHECK(solo.node.configurations.back().index == Index{2});
  CHECK(solo.core().commit_index() == Index{0});
  solo.append(3, 3, 1, 1, {command(2, 3)});
  CHECK(solo.core().configuration().configuration == three());
  CHECK(solo.node.configurations.back().index == Index{1});
}

TEST_CASE("the configuration in effect at the start is shown, so that links can be opened") {
  Solo solo(first_start(three()));
  solo.node.pump(solo.now);
  REQUIRE(solo.node.configurations.size() == 1);
  CHECK(solo.node.configurations[0].configuration == three());
}

TEST_CASE("a node outside of its newest configuration campaigns until it knows that committed") {
  TestDisk disk = first_start(make_configuration({1, 2, 3}));
  disk.entries.push_back(members(2, 1, make_configuration({4})));
  Solo solo(disk);
  solo.wait(400ms);
  CHECK(solo.role() == Role::kPreCandidate);
  solo.append(4, 2, 2, 1, {noop(3, 2)}, 3);
  CHECK(solo.core().commit_index() == Index{3});
  solo.wait(1000ms);
  CHECK(solo.role() == Role::kFollower);
}

TEST_CASE("a joint cluster of five voters elects and commits by both majorities only") {
  ClusterOptions options;
  options.configuration = make_configuration({1, 2, 3}, {3, 4, 5});
  Cluster cluster(options, 5);
  // Without 4 and 5 the outgoing half has no majority.
  cluster.crash(4);
  cluster.crash(5);
  cluster.run_for(2000ms);
  CHECK(cluster.leader() == 0);
  CHECK(cluster.history.empty());
  cluster.restart(4);
  cluster.run_for(2000ms);
  REQUIRE(cluster.leader() != 0);
  CHECK(!cluster.history.empty());
  // With both it is over, and 4 has gone.
  const Core& leader = *cluster.nodes.at(cluster.leader())->core;
  CHECK(leader.configuration().configuration == make_configuration({1, 2, 3}));
}

TEST_CASE("learners get the log, and neither count nor campaign") {
  ClusterOptions options;
  options.configuration = make_configuration({1, 2, 3}, {}, {4, 5});
  Cluster cluster(options, 6);
  cluster.run_for(1000ms);
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  CHECK(leader <= 3);
  CHECK(cluster.propose(leader, "x"));
  cluster.run_for(100ms);
  CHECK(cluster.nodes.at(4)->core->commit_index().value == cluster.history.size());
  for (std::uint64_t id = 1; id <= 3; ++id) {
    if (id != leader) cluster.crash(id);
  }
  const std::size_t before = cluster.history.size();
  cluster.propose(leader, "y");
  cluster.run_for(2000ms);
  CHECK(cluster.history.size() == before);
  CHECK(cluster.leader() == 0);
  for (const std::uint64_t learner : {4U, 5U}) {
    CHECK(cluster.nodes.at(learner)->core->counters().elections_started == 0);
  }
}

}  // namespace
}  // namespace raftd::raft::testing
