// Goal: a member's announced address comes into the log, and one that leaves is taken out, without
// hurry and without force. Method: configurations in, changes to ask for out.
#include "uv/own_member.h"

#include <doctest/doctest.h>

#include "uv/publisher.h"

namespace raftd::uv {
namespace {

Instant at(int seconds) {
  return Instant{} + std::chrono::seconds(seconds);
}

raft::ConfigurationAt three() {
  raft::ConfigurationAt present;
  present.index = {7};
  present.configuration.voters = {{1}, {2}};
  present.configuration.learners = {{3}};
  present.configuration.addresses = {{{1}, "a:1"}, {{2}, "b:1"}, {{3}, "c:1"}};
  return present;
}

node::ClientResult refused(const char* why) {
  return node::Refused{{Errc::kConflict, why}};
}

TEST_CASE("an address that the members do not know is proposed, once at a time, until they do") {
  OwnMember member({2}, "new:1");
  const auto first = member.due(at(1), three(), {7});
  REQUIRE(first);
  CHECK(OwnMember::owns(first->token));
  CHECK_FALSE(Publisher::owns(first->token));
  CHECK(first->change.based_on == raft::Index{7});
  CHECK_FALSE(first->change.forced);
  raft::Configuration wanted = three().configuration;
  wanted.addresses[1].peer = "new:1";
  CHECK(first->change.target == wanted);
  CHECK_FALSE(member.due(at(9), three(), {7}));  // The first is on its way.
  member.done(refused("under way"));
  const auto second = member.due(at(9), three(), {7});
  REQUIRE(second);
  CHECK(second->token != first->token);
  member.done(refused("under way"));
  CHECK_FALSE(member.due(at(9) + std::chrono::milliseconds(900), three(), {7}));
  raft::ConfigurationAt changed = three();
  changed.configuration = wanted;
  CHECK_FALSE(member.due(at(20), changed, {7}));
  CHECK_FALSE(member.complaint(at(20)));  // Only who leaves complains.
}

TEST_CASE("nothing is proposed by a stranger, nor while other changes are under way") {
  CHECK_FALSE(OwnMember({4}, "new:1").due(at(1), three(), {7}));
  CHECK_FALSE(OwnMember({2}, "b:1").due(at(1), three(), {7}));
  CHECK_FALSE(OwnMember({2}, "new:1").due(at(1), three(), {6}));  // Not known to be committed.
  CHECK_FALSE(OwnMember({2}, "new:1").due(at(1), {}, {7}));
  raft::ConfigurationAt joint = three();
  joint.configuration.voters_outgoing = {{1}};
  CHECK_FALSE(OwnMember({2}, "new:1").due(at(1), joint, {7}));
}

TEST_CASE("who leaves asks for its removal until it is gone, and says once a minute why not") {
  for (const std::uint64_t self : {2UL, 3UL}) {
    OwnMember member({self}, "other:1");
    member.leave();
    CHECK(member.leaving());
    CHECK_FALSE(member.complaint(at(1)));
    const auto due = member.due(at(1), three(), {7});
    REQUIRE(due);
    CHECK_FALSE(raft::is_member(due->change.target, {self}));
    CHECK(raft::check(due->change.target));
    CHECK_FALSE(due->change.forced);
    member.done(refused("too few answer"));
    CHECK(member.complaint(at(2)) == std::optional<std::string>("too few answer"));
    CHECK_FALSE(member.complaint(at(30)));
    REQUIRE(member.due(at(40), three(), {7}));
    member.done(node::Unknown{});
    CHECK(member.complaint(at(62)));
  }
}

TEST_CASE("the only voter does not leave, but when there is another one it does") {
  OwnMember member({1}, "a:1");
  member.leave();
  raft::ConfigurationAt alone = three();
  alone.configuration.voters = {{1}};
  alone.configuration.learners = {{2}, {3}};
  CHECK_FALSE(member.due(at(1), alone, {7}));
  CHECK(member.complaint(at(1)) == std::optional<std::string>("nobody would be left who votes"));
  CHECK(member.due(at(2), three(), {7}));
}

}  // namespace
}  // namespace raftd::uv
