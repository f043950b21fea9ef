// Tickets, ids and what becomes of both as configurations are applied.
#include "base/limits.h"
#include "base/rng.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using Result = MemberReply::Result;

const std::string kToken(kTokenHashBytes, 'a');
const std::string kOtherToken(kTokenHashBytes, 'b');

struct Members : Fed {
  Members() { configure({1, 2, 3}); }

  MemberReply change(const Command& command) {
    const machine::Outcome outcome = start(command);
    store.check_invariants();
    const auto* reply = dynamic_cast<const MemberReply*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    return *reply;
  }
  MemberReply reserve(std::string_view name = "", std::uint64_t replaces = 0, bool voter = true) {
    return change(ReserveMember{kToken, name, voter, replaces, 1000});
  }
  MemberReply claim(std::uint64_t id, std::uint64_t instance, std::string_view token = kToken) {
    return change(ClaimMember{id, token, instance, "", "http://h", true, 0});
  }
  void configure(std::vector<std::uint64_t> voters, std::vector<std::uint64_t> learners = {},
                 std::vector<std::uint64_t> outgoing = {}) {
    raft::Configuration configuration;
    const auto ids = [](const std::vector<std::uint64_t>& from) {
      std::vector<raft::NodeId> out;
      for (const std::uint64_t id : from)
        out.push_back({id});
      return out;
    };
    configuration.voters = ids(voters);
    configuration.learners = ids(learners);
    configuration.voters_outgoing = ids(outgoing);
    ++index;
    store.apply({{index}, {1}, {time}, {}, &configuration}, false);
    store.check_invariants();
  }
  const Ticket* ticket(std::uint64_t id) const {
    const auto at = std::ranges::find(store.tickets(), id, &Ticket::id);
    return at == store.tickets().end() ? nullptr : &*at;
  }
  std::uint64_t instance_of(std::uint64_t id) const {
    const auto at = std::ranges::find(store.members(), id, &PublishedMember::id);
    return at == store.members().end() ? 0 : at->instance;
  }
};

}  // namespace

TEST_CASE("[RF-8] two who ask for a ticket get two ids, and an id is never given again") {
  Members fed;
  CHECK(fed.reserve().id == 4);
  CHECK(fed.reserve().id == 5);
  CHECK(fed.change(DropTickets{5}).dropped == 1);
  CHECK(fed.change(DropTickets{5}).dropped == 0);
  CHECK(fed.reserve().id == 6);
  fed.configure({1, 2, 3, 9});
  fed.configure({1, 2, 3});
  CHECK(fed.reserve().id == 10);
  CHECK(fed.store.max_id() == 10);
}

TEST_CASE("a ticket belongs to the first that comes with the token, which may come again") {
  Members fed;
  const std::uint64_t id = fed.reserve("n4").id;
  CHECK(fed.claim(id, 7, kOtherToken).result == Result::kBadTicket);
  CHECK(fed.claim(id, 7, "").result == Result::kIdUsed);
  CHECK(fed.instance_of(id) == 0);
  CHECK(fed.claim(id, 7).result == Result::kDone);
  CHECK(fed.instance_of(id) == 7);
  CHECK(fed.store.members().back().name == "n4");
  CHECK(fed.claim(id, 8).result == Result::kBadTicket);
  CHECK(fed.instance_of(id) == 7);
  CHECK(fed.claim(id, 7).result == Result::kDone);
  CHECK(fed.claim(99, 7).result == Result::kBadTicket);
}

TEST_CASE("a ticket is spent by the configuration that makes a voter of its member") {
  Members fed;
  const std::uint64_t id = fed.reserve("", 3).id;
  fed.claim(id, 7);
  fed.configure({1, 2, 3}, {id}, {1, 2, 3});
  REQUIRE(fed.ticket(id) != nullptr);
  CHECK(fed.ticket(id)->stage == Ticket::Stage::kCatchingUp);
  CHECK(fed.store.promotions() == std::vector<machine::Promotion>{{{id}, {3}}});
  CHECK(fed.claim(id, 8).result == Result::kBadTicket);
  fed.configure({1, 2, id}, {}, {1, 2, 3});
  CHECK(fed.ticket(id) == nullptr);
  CHECK(fed.store.promotions().empty());
  CHECK(fed.claim(id, 7).result == Result::kBadTicket);
  CHECK(fed.instance_of(id) == 7);
}

TEST_CASE("a ticket for a learner is spent as soon as that is one, and asks for no promotion") {
  Members fed;
  const std::uint64_t id = fed.reserve("", 0, false).id;
  CHECK_FALSE(fed.claim(id, 7).voter);
  fed.configure({1, 2, 3}, {id});
  CHECK(fed.ticket(id) == nullptr);
  CHECK(fed.store.promotions().empty());
  const std::uint64_t other = fed.reserve().id;
  CHECK_FALSE(fed.change(ClaimMember{other, kToken, 8, "", "http://h", false, 0}).voter);
}

TEST_CASE("who is removed while it catches up is not promoted, and is forgotten") {
  Members fed;
  const std::uint64_t id = fed.reserve().id;
  fed.claim(id, 7);
  fed.configure({1, 2, 3}, {id});
  fed.configure({1, 2, 3});
  CHECK(fed.ticket(id) == nullptr);
  CHECK(fed.store.promotions().empty());
  CHECK(fed.instance_of(id) == 0);
  CHECK(fed.claim(id, 7).result == Result::kBadTicket);
}

TEST_CASE("another change of members leaves a claim that waits for its own alone") {
  Members fed;
  const std::uint64_t id = fed.reserve().id;
  fed.claim(id, 7);
  fed.configure({1, 2});
  CHECK(fed.instance_of(id) == 7);
  REQUIRE(fed.ticket(id) != nullptr);
  CHECK(fed.ticket(id)->stage == Ticket::Stage::kClaimed);
}

TEST_CASE("tickets expire by cluster time, are refused then, and are dropped by a chore") {
  Members fed;
  fed.time = 500;
  const MemberReply reserved = fed.reserve();
  CHECK(reserved.expires.value == 1500);
  REQUIRE(fed.store.next_chore());
  CHECK(fed.store.next_chore()->value == 1500);
  CHECK_FALSE(fed.store.chore({1499}));
  fed.time = 1500;
  CHECK(fed.claim(reserved.id, 7).result == Result::kBadTicket);
  const auto chore = fed.store.chore({1500});
  REQUIRE(chore);
  fed.start(ByteView(*chore).subspan(machine::kStampBytes));
  CHECK(fed.store.tickets().empty());
  CHECK_FALSE(fed.store.next_chore());
}

TEST_CASE("a claim in time holds: the change may come later, and only a person takes it back") {
  Members fed;
  const std::uint64_t id = fed.reserve().id;
  fed.time = 999;
  CHECK(fed.claim(id, 7).result == Result::kDone);
  CHECK_FALSE(fed.store.next_chore());
  fed.time = 5000;
  CHECK(fed.change(DropTickets{}).dropped == 0);
  CHECK(fed.claim(id, 7).result == Result::kDone);
  CHECK(fed.change(DropTickets{id}).dropped == 1);
  CHECK(fed.claim(id, 7).result == Result::kBadTicket);
}

TEST_CASE("a member that catches up does so without an end") {
  Members fed;
  const std::uint64_t id = fed.reserve().id;
  fed.claim(id, 7);
  fed.configure({1, 2, 3}, {id});
  fed.time = 1'000'000;
  CHECK(fed.change(DropTickets{}).dropped == 0);
  CHECK(fed.change(DropTickets{id}).dropped == 0);
  CHECK(fed.store.promotions().size() == 1);
  CHECK_FALSE(fed.store.next_chore());
}

TEST_CASE("without a ticket an id is claimed once, and only one that nobody has had") {
  Members fed;
  for (const std::uint64_t used : {1ULL, 3ULL}) {
    CHECK(fed.claim(used, 7, "").result == Result::kIdUsed);
  }
  CHECK(fed.claim(10, 7, "").result == Result::kDone);
  CHECK(fed.claim(10, 7, "").result == Result::kDone);
  CHECK(fed.claim(10, 8, "").result == Result::kIdUsed);
  CHECK(fed.claim(9, 7, "").result == Result::kIdUsed);
  CHECK(fed.claim(10, 7, kToken).result == Result::kBadTicket);
  CHECK(fed.reserve().id == 11);
}

TEST_CASE("two members do not have one name, but for the one that the other replaces") {
  Members fed;
  fed.apply(PublishMember{3, 3, "n3", "http://h", "1"});
  CHECK(fed.reserve("n3").result == Result::kNameTaken);
  CHECK(fed.reserve("n3", 2).result == Result::kNameTaken);
  const std::uint64_t id = fed.reserve("n3", 3).id;
  CHECK(id == 4);
  CHECK(fed.claim(id, 7).result == Result::kDone);
  CHECK(fed.reserve("").result == Result::kDone);
  CHECK(fed.reserve("").result == Result::kDone);
}

TEST_CASE("a ticket whose answer was lost does not keep its name from the next one") {
  Members fed;
  const std::uint64_t lost = fed.reserve("n4").id;
  const std::uint64_t next = fed.reserve("n4").id;
  CHECK(next == lost + 1);
  CHECK(fed.claim(next, 7).result == Result::kDone);
  CHECK(fed.claim(lost, 8).result == Result::kNameTaken);
  CHECK(fed.reserve("n4").result == Result::kNameTaken);
}

TEST_CASE("tickets are bounded, and so are ids") {
  Members fed;
  for (std::size_t i = 0; i < limits::kTicketsMax; ++i)
    CHECK(fed.reserve().result == Result::kDone);
  CHECK(fed.reserve().result == Result::kTooMany);
  CHECK(fed.claim(1000, 7, "").result == Result::kTooMany);
  CHECK(fed.claim(4, 7).result == Result::kDone);
  Members last;
  CHECK(last.claim(limits::kNodeIdMax, 7, "").result == Result::kDone);
  CHECK(last.reserve().result == Result::kTooMany);
}

TEST_CASE("what members that are none any more have published is forgotten") {
  Members fed;
  fed.apply(PublishMember{2, 2, "n2", "http://h", "1"});
  fed.configure({1, 3}, {}, {1, 2, 3});
  CHECK(fed.instance_of(2) == 2);
  fed.configure({1, 3});
  CHECK(fed.instance_of(2) == 0);
}

TEST_CASE("random tickets, claims and configurations survive a snapshot") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    Members fed;
    for (std::uint64_t steps = rng.below(40); steps > 0; --steps) {
      fed.time += rng.below(300);
      switch (rng.below(5)) {
        case 0:
          fed.reserve(rng.one_in(2) ? "n" + std::to_string(rng.below(5)) : "", rng.below(4),
                      rng.one_in(2));
          break;
        case 1:
          fed.claim(1 + rng.below(12), rng.below(3), rng.one_in(4) ? "" : kToken);
          break;
        case 2:
          fed.change(DropTickets{rng.below(8)});
          break;
        case 3:
          fed.configure({1, 2, 3}, rng.one_in(3) ? std::vector<std::uint64_t>{}
                                                 : std::vector<std::uint64_t>{4 + rng.below(4)});
          break;
        case 4:
          fed.apply(PublishMember{1 + rng.below(4), rng.below(9), "m", "http://a", "1"});
          break;
      }
    }
    const auto writer = fed.store.snapshot();
    Bytes bytes;
    while (!writer->write_slice(bytes, 1 + rng.below(64))) {
    }
    CHECK(writer->intact());
    Members other;
    other.reserve("elsewhere");
    const auto reader = other.store.restore();
    REQUIRE(reader->feed(bytes));
    REQUIRE(reader->complete());
    reader->commit({fed.index}, {fed.time});
    CHECK(other.store.tickets() == fed.store.tickets());
    CHECK(other.store.promotions() == fed.store.promotions());
    CHECK(other.store.max_id() == fed.store.max_id());
    CHECK(other.store.digest() == fed.store.digest());
    CHECK(other.store.state_hash() == fed.store.state_hash());
    other.store.check_invariants();
  }
}

TEST_CASE("a cluster that begins with this state knows no tickets, and ids above its members'") {
  Members fed;
  fed.reserve();
  fed.claim(4, 7);
  fed.store.forget_members(20);
  fed.store.check_invariants();
  CHECK(fed.store.tickets().empty());
  CHECK(fed.store.members().empty());
  CHECK(fed.store.max_id() == 20);
  CHECK(fed.reserve().id == 21);
}

}  // namespace raftd::kv
