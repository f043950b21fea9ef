// Machines that join, played on the whole cluster by hand; the profile "membership" plays them by
// the thousand.
#include <doctest/doctest.h>

#include "kv/command.h"
#include "sim/playground.h"

namespace raftd::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const std::string kToken(kv::kTokenHashBytes, 't');

// Three members, and the fourth node is none yet.
Options with_spare() {
  Options options = calm(4);
  options.spares = 1;
  return options;
}

struct Joins : Playground {
  Joins() : Playground(with_spare()) { follower = (leader + 1) % kSpare; }

  static constexpr std::size_t kSpare = 3;

  kv::MemberReply ask(const kv::Command& command) {
    const auto asked = std::make_shared<Cluster::Asked>();
    cluster.submit(leader, node::Write{node::Propose{kv::encode(command)}}, seconds(2),
                   [asked](auto result) {
                     asked->answered = true;
                     asked->result = std::move(result);
                   });
    REQUIRE(await(asked));
    REQUIRE(done(*asked));
    const auto* reply = dynamic_cast<const kv::MemberReply*>(done(*asked)->reply.get());
    REQUIRE(reply != nullptr);
    return *reply;
  }
  // Up to the learner.
  void join(std::uint64_t replaces = 0, bool voter = true) {
    if (voter) cluster.wishes().given(cluster.wishes().ticket({replaces}), {4});
    const kv::MemberReply ticket = ask(kv::ReserveMember{kToken, "", voter, replaces, 60'000});
    REQUIRE(ticket.id == 4);
    REQUIRE(ask(kv::ClaimMember{4, kToken, 1, "", "", true, 0}).result ==
            kv::MemberReply::Result::kDone);
    raft::ConfigurationAt present = cluster.status(leader).configuration;
    raft::Configuration target = present.configuration;
    target.learners = {{4}};
    target.addresses.push_back({{4}, "node4:2380"});
    const auto asked = std::make_shared<Cluster::Asked>();
    cluster.change_members(leader, {target, present.index, false}, seconds(5),
                           [asked](auto result) {
                             asked->answered = true;
                             asked->result = std::move(result);
                           });
    REQUIRE(await(asked));
    REQUIRE(done(*asked));
  }
  const raft::Configuration members() { return cluster.status(leader).configuration.configuration; }
  bool votes() {
    return members().learners.empty() && !members().joint() && members().voters.back().value == 4;
  }
};

}  // namespace

TEST_CASE("who joins learns first, and votes once it has kept up for five seconds") {
  Joins p;
  REQUIRE(done(*p.put(p.leader, "k", "before")));
  p.join();
  CHECK(p.members().learners.size() == 1);
  p.cluster.run_for(milliseconds(4500));
  CHECK(p.members().voters.size() == 3);
  CHECK(p.get(Joins::kSpare, "k") == "before");
  REQUIRE(p.cluster.run_until([&] { return p.votes(); }, seconds(5)));
  CHECK(p.members().voters.size() == 4);
  CHECK(p.cluster.store(p.leader).tickets().empty());
}

TEST_CASE("the member that it replaces leaves when it becomes a voter, and not before") {
  Joins p;
  const std::size_t third = (p.leader + 2) % Joins::kSpare;
  p.cluster.kill(third, true);
  p.join(third + 1);
  CHECK(p.members().voters.size() == 3);
  REQUIRE(p.cluster.run_until([&] { return p.votes(); }, seconds(15)));
  CHECK(p.members().voters.size() == 3);
  CHECK_FALSE(std::ranges::binary_search(p.members().voters, raft::NodeId{third + 1}));
  p.isolate(p.follower);
  p.cluster.run_for(seconds(1));
  CHECK(done(*p.put(p.leader, "k", "the new one counts")));
}

TEST_CASE("a learner that is cut off, or shall stay one, does not vote") {
  Joins cut;
  cut.isolate(Joins::kSpare);
  cut.join();
  cut.cluster.run_for(seconds(20));
  CHECK(cut.members().learners.size() == 1);
  cut.cluster.network().heal();
  REQUIRE(cut.cluster.run_until([&] { return cut.votes(); }, seconds(15)));
  Joins stays;
  stays.join(0, false);
  stays.cluster.run_for(seconds(20));
  CHECK(stays.members().learners.size() == 1);
}

TEST_CASE("the next leader promotes whom the one before could not") {
  Joins p;
  p.join();
  p.cluster.run_for(seconds(4));
  p.cluster.kill(p.leader, false);
  const std::size_t before = p.leader;
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && *p.cluster.leader() != before; },
                              seconds(10)));
  p.leader = *p.cluster.leader();
  REQUIRE(p.cluster.run_until([&] { return p.votes(); }, seconds(15)));
}

TEST_CASE("[RF-8] of two with one ticket the first has the id") {
  Joins p;
  const kv::MemberReply ticket = p.ask(kv::ReserveMember{kToken, "", true, 0, 60'000});
  CHECK(p.ask(kv::ClaimMember{ticket.id, kToken, 1, "", "", true, 0}).result ==
        kv::MemberReply::Result::kDone);
  CHECK(p.ask(kv::ClaimMember{ticket.id, kToken, 2, "", "", true, 0}).result ==
        kv::MemberReply::Result::kBadTicket);
}

TEST_CASE("a ticket expires by cluster time, also when the leader has changed") {
  Joins p;
  const kv::MemberReply ticket = p.ask(kv::ReserveMember{kToken, "", true, 0, 5000});
  p.cluster.run_for(seconds(3));
  const std::size_t before = p.leader;
  p.cluster.kill(before, false);
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && *p.cluster.leader() != before; },
                              seconds(10)));
  p.leader = *p.cluster.leader();
  CHECK(p.cluster.store(p.leader).tickets().size() == 1);
  REQUIRE(p.cluster.run_until([&] { return p.cluster.store(p.leader).tickets().empty(); },
                              seconds(10)));
  CHECK(p.ask(kv::ClaimMember{ticket.id, kToken, 1, "", "", true, 0}).result ==
        kv::MemberReply::Result::kBadTicket);
}

}  // namespace raftd::sim
