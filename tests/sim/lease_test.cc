// Leases on the whole cluster by hand: a leader that stood still ends none before it knows that it
// still leads, and time goes on under the next one.
#include <doctest/doctest.h>

#include "kv/command.h"
#include "sim/playground.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLife = seconds(3);

Options patient() {
  Options options = calm(3);
  options.heartbeat = milliseconds(100);
  options.election = seconds(2);  // So that a leader that is cut off goes on leading for a while.
  return options;
}

// A lease that lives for kLife, made by the leader. Gives when that was answered.
Instant make_lease(Playground& p) {
  const auto ms = std::chrono::duration_cast<milliseconds>(kLife).count();
  bool answered = false;
  p.cluster.submit(
      p.leader,
      node::Write{node::Propose{kv::encode(kv::GrantLease{0, static_cast<std::uint64_t>(ms)})}},
      seconds(2), [&](const std::optional<node::ClientResult>&) { answered = true; });
  REQUIRE(p.cluster.run_until([&] { return answered; }, seconds(2)));
  REQUIRE(p.cluster.store(p.leader).stats().leases == 1);
  return p.cluster.schedule().now();
}

bool there(const Playground& p, std::size_t node) {
  return p.cluster.store(node).stats().leases == 1;
}

}  // namespace

TEST_CASE("a lease ends at its time, within a second, under one leader") {
  Playground p(patient());
  const Instant made = make_lease(p);
  REQUIRE(p.cluster.run_until([&] { return !there(p, p.leader); }, seconds(10)));
  const Duration lived = p.cluster.schedule().now() - made;
  CHECK(lived >= kLife - milliseconds(100));  // It began before its answer came.
  CHECK(lived <= kLife + seconds(1));
}

TEST_CASE(
    "a lease lives for all of its time from when it was asked for, however idle the leader was") {
  Playground p(patient());
  for (int i = 0; i < 20; ++i) {
    p.cluster.run_for(milliseconds(1 + 7 * i));
    const Instant asked = p.cluster.schedule().now();
    make_lease(p);
    REQUIRE(p.cluster.run_until([&] { return !there(p, p.leader); }, seconds(10)));
    const Duration lived = p.cluster.schedule().now() - asked;
    CHECK(lived >= kLife - milliseconds(1));  // Cluster time is of whole ones.
  }
}

TEST_CASE("time goes on under the next leader from where it was") {
  Playground p(patient());
  const Instant made = make_lease(p);
  p.cluster.run_for(seconds(2));
  p.cluster.kill(p.leader, false);
  REQUIRE(p.await_leader());
  const Instant since = p.cluster.schedule().now();
  const std::size_t next = *p.cluster.leader();
  REQUIRE(p.cluster.run_until([&] { return !there(p, next); }, seconds(10)));
  const Instant gone = p.cluster.schedule().now();
  CHECK(gone - made >= kLife - milliseconds(100));
  CHECK(gone - since <= seconds(2));  // Not all of its life again.
}

TEST_CASE("the pauses of a leader do not carry the clocks of those who follow it away") {
  Playground p(patient());
  for (int i = 0; i < 5; ++i) {
    p.cluster.pause(p.leader, seconds(1));
    for (int k = 0; k < 10; ++k) {  // The others have something to do, and look at their clocks.
      for (std::size_t node = 0; node < p.cluster.size(); ++node) {
        if (node != p.leader) p.cluster.get(node, "a", milliseconds(100));
      }
      p.cluster.run_for(milliseconds(100));
    }
    p.cluster.run_for(milliseconds(500));
  }
  REQUIRE(p.cluster.leader() == p.leader);
  const Instant made = make_lease(p);
  p.cluster.run_for(milliseconds(200));
  p.cluster.kill(p.leader, false);
  REQUIRE(p.await_leader());
  const std::size_t next = *p.cluster.leader();
  REQUIRE(p.cluster.run_until([&] { return !there(p, next); }, seconds(10)));
  CHECK(p.cluster.schedule().now() - made >= kLife - milliseconds(100));
}

TEST_CASE("a leader that stood still proposes no expiry before a quorum says that it leads") {
  for (const bool stands_still : {true, false}) {
    CAPTURE(stands_still);
    Playground p(patient());
    make_lease(p);
    p.cluster.run_for(kLife - milliseconds(900));
    const raft::Index last = p.cluster.status(p.leader).last;
    p.isolate(p.leader);
    if (stands_still) p.cluster.pause(p.leader, milliseconds(400));
    p.cluster.run_for(milliseconds(1500));
    // Its clock has passed the deadline, and it does not know yet that nobody hears it.
    REQUIRE(p.cluster.status(p.leader).role.role == raft::Role::kLeader);
    CHECK((p.cluster.status(p.leader).last == last) == stands_still);
    CHECK(there(p, p.leader));
    p.cluster.network().heal();
    REQUIRE(p.cluster.run_until([&] { return !there(p, p.leader) && !there(p, p.follower); },
                                seconds(20)));
  }
}

}  // namespace raftd::sim
