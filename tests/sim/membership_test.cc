// Changes of members, played on the whole cluster by hand; the profile "membership" plays them by
// the thousand.
#include <doctest/doctest.h>

#include "sim/joining.h"
#include "sim/playground.h"

namespace raftd::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint64_t bits(std::initializer_list<std::size_t> nodes) {
  std::uint64_t all = 0;
  for (const std::size_t node : nodes)
    all |= 1ULL << node;
  return all;
}

std::shared_ptr<Cluster::Asked> change(Playground& p, std::size_t node, std::uint64_t voters,
                                       std::uint64_t learners = 0, bool forced = false) {
  auto asked = std::make_shared<Cluster::Asked>();
  p.cluster.change_members(node, voters, learners, forced, seconds(9), [asked](auto result) {
    asked->answered = true;
    asked->result = std::move(result);
  });
  return asked;
}

std::shared_ptr<Cluster::Asked> changed(Playground& p, std::size_t node, std::uint64_t voters,
                                        std::uint64_t learners = 0) {
  auto asked = change(p, node, voters, learners);
  REQUIRE(p.await(asked));
  REQUIRE(done(*asked));
  return asked;
}

const raft::Configuration configuration(Playground& p, std::size_t node) {
  return p.cluster.status(node).configuration.configuration;
}

}  // namespace

TEST_CASE("a follower is removed at the second entry, and its disk counts no more") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  const auto asked = changed(p, p.leader, bits({p.leader, p.follower}));
  const node::ReplicaStatus status = p.cluster.status(p.leader);
  CHECK(done(*asked)->index == status.configuration.index);
  CHECK(status.configuration.configuration.voters.size() == 2);
  CHECK_FALSE(status.configuration.configuration.joint());
  p.isolate(p.follower);
  const auto lost = p.cluster.put(p.leader, "k", "x", milliseconds(100));
  REQUIRE(p.await(lost));
  CHECK_FALSE(done(*lost));  // The third node hears it, and does not count.
  CHECK(p.cluster.running(third));
}

TEST_CASE("a change is asked of any node, and done once the leader has ended it") {
  Playground p(calm(5));
  const std::size_t other = (p.leader + 2) % 5;
  const auto asked = changed(p, p.follower, bits({p.leader, p.follower, other}));
  CHECK(done(*asked)->forwarded);
  REQUIRE(
      p.cluster.run_until([&] { return configuration(p, other).voters.size() == 3; }, seconds(5)));
}

TEST_CASE("a leader that is removed ends the change, and another one leads") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  const auto asked = change(p, p.leader, bits({p.follower, third}));
  REQUIRE(p.await(asked));
  REQUIRE(done(*asked));
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && *p.cluster.leader() != p.leader; },
                              seconds(5)));
  REQUIRE(done(*p.put(*p.cluster.leader(), "k", "after")));
}

TEST_CASE("one change at a time: a second one is refused, and so is one that saw other members") {
  Playground p(calm(5));
  const std::size_t third = (p.leader + 2) % 5;
  for (std::size_t node = 0; node < 5; ++node) {
    if (node != p.leader) p.isolate(node);
  }
  const auto first = change(p, p.leader, bits({p.leader, p.follower, third}));
  p.cluster.run_for(milliseconds(20));
  const auto second = change(p, p.leader, bits({p.leader, p.follower}));
  REQUIRE(p.await(second));
  CHECK(refused(*second) == Errc::kConflict);
  p.cluster.network().heal();
  REQUIRE(p.await(first));
  REQUIRE(p.await_leader());
  const std::size_t leader = *p.cluster.leader();
  node::ChangeMembers stale{configuration(p, leader), {1}, false};
  const auto late = std::make_shared<Cluster::Asked>();
  p.cluster.submit(leader, node::Write{stale}, seconds(2), [late](auto result) {
    late->answered = true;
    late->result = std::move(result);
  });
  REQUIRE(p.await(late));
  CHECK(refused(*late) == Errc::kConflict);
}

TEST_CASE("a change whose leader dies in the midst is ended by the next one") {
  Playground p(calm(5));
  const std::size_t third = (p.leader + 2) % 5;
  const auto asked = change(p, p.leader, bits({p.leader, p.follower, third}));
  const auto joint_somewhere_else = [&] {
    for (std::size_t node = 0; node < 5; ++node) {
      if (node != p.leader && configuration(p, node).joint()) return true;
    }
    return false;
  };
  REQUIRE(p.cluster.run_until(joint_somewhere_else, seconds(2)));
  p.cluster.kill(p.leader, false);
  p.cluster.run_for(seconds(3));
  p.cluster.start(p.leader);
  REQUIRE(p.cluster.run_until(
      [&] {
        const auto leader = p.cluster.leader();
        return leader && !configuration(p, *leader).joint() &&
               !p.cluster.status(*leader).transferring;
      },
      seconds(10)));
  REQUIRE(p.await_leader());
  REQUIRE(done(*p.put(*p.cluster.leader(), "k", "after")));
}

TEST_CASE("who was removed comes back as a learner, and votes once it is promoted") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  changed(p, p.leader, bits({p.leader, p.follower}));
  for (int i = 0; i < 20; ++i)
    REQUIRE(done(*p.put(p.leader, "k" + std::to_string(i), "x")));
  const std::uint64_t all = bits({0, 1, 2});
  changed(p, p.leader, all);  // As a learner at first.
  CHECK(configuration(p, p.leader).learners.size() == 1);
  REQUIRE(p.cluster.run_until(
      [&] { return p.cluster.status(third).applied == p.cluster.status(p.leader).applied; },
      seconds(5)));
  CHECK(p.get(third, "k19") == "x");
  changed(p, p.leader, all);
  CHECK(configuration(p, p.leader).voters.size() == 3);
  p.isolate(p.follower);
  CHECK(done(*p.put(p.leader, "k", "with the third")));
}

TEST_CASE("a node that was removed and does not know it disturbs nobody") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  p.isolate(third);
  changed(p, p.leader, bits({p.leader, p.follower}));
  p.cluster.network().heal();
  const raft::Term term = p.cluster.status(p.leader).role.term;
  p.cluster.run_for(seconds(10));
  CHECK(p.cluster.leader() == p.leader);
  CHECK(p.cluster.status(p.leader).role.term == term);
  CHECK(p.cluster.status(third).role.term == term);
}

TEST_CASE("[F65] the removal of a live node that leaves no quorum that answers is refused") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  p.cluster.kill(third, false);
  p.cluster.run_for(seconds(1));
  const auto refusal = change(p, p.leader, bits({p.leader, third}));
  REQUIRE(p.await(refusal));
  CHECK(refused(*refusal) == Errc::kNotReady);
  CHECK(done(*p.put(p.leader, "k", "x")));
  changed(p, p.leader, bits({p.leader, p.follower}));  // The dead one.
}

TEST_CASE("[F65] forced, such a removal stops all writes until those that are left answer") {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  p.cluster.kill(third, false);
  p.cluster.run_for(seconds(1));
  const auto forced = change(p, p.leader, bits({p.leader, third}), 0, true);
  p.cluster.run_for(milliseconds(100));
  CHECK_FALSE(forced->answered);
  const auto write = p.cluster.put(p.leader, "k", "x", milliseconds(500));
  REQUIRE(p.await(write));
  CHECK_FALSE(done(*write));
  p.cluster.run_for(seconds(5));
  CHECK_FALSE(forced->answered);
  p.cluster.start(third);
  REQUIRE(p.await(forced));  // Done, or, if a leader came that had not heard of it, undone.
  const bool decided = done(*forced) || refused(*forced) == Errc::kSuperseded;
  CHECK(decided);
  REQUIRE(p.await_leader());
  CHECK(done(*p.put(*p.cluster.leader(), "k", "y")));
}

TEST_CASE("[F64] whose disk is lost never comes back, and another machine takes its place") {
  Options options = calm(4);
  options.spares = options.fresh = 1;
  Playground p(options);
  Joining joining(p.cluster);
  const std::size_t gone = p.leader == 0 ? 1 : 0;
  CHECK_FALSE(p.cluster.lose_disk(3));  // It is no member.
  REQUIRE(p.cluster.lose_disk(gone));
  p.cluster.start(gone);
  CHECK_FALSE(p.cluster.running(gone));
  joining.replace(gone);
  REQUIRE(p.cluster.run_until([&] { return !p.cluster.is_member(gone); }, seconds(20)));
  const raft::Configuration after = configuration(p, p.leader);
  CHECK(std::ranges::count(after.voters, raft::NodeId{4}) == 1);
  CHECK(after.voters.size() == 3);
  CHECK(p.cluster.coverage().lost_replaced == 1);
}

TEST_CASE("no disk is lost without which any members that may count would have no quorum") {
  Playground p(calm(5));
  const std::size_t third = (p.leader + 2) % 5;
  const std::size_t fourth = (p.leader + 3) % 5;
  for (std::size_t node = 0; node < 5; ++node) {
    if (node != p.leader) p.isolate(node);
  }
  change(p, p.leader, bits({p.leader, p.follower, third}));
  p.cluster.run_for(milliseconds(20));
  REQUIRE(configuration(p, p.leader).joint());
  CHECK(p.cluster.lose_disk(p.follower));   // Two of the three are left,
  CHECK_FALSE(p.cluster.lose_disk(third));  // and now only one would be,
  CHECK(p.cluster.lose_disk(fourth));       // and three of the five.
  CHECK_FALSE(p.cluster.lose_disk((p.leader + 4) % 5));
  CHECK_FALSE(p.cluster.lose_disk(p.follower));  // Once is enough.
}

TEST_CASE("members that break a rule are refused before anybody is asked") {
  Playground p(calm(3));
  const auto asked = change(p, p.follower, 0, bits({0, 1, 2}));
  REQUIRE(p.await(asked));
  CHECK(refused(*asked) == Errc::kBadInput);
}

}  // namespace raftd::sim
