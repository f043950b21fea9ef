// Each rule of the oracle refuses what it is there for: a check that cannot fail proves nothing.
#include <doctest/doctest.h>

#include <set>

#include "base/crc32c.h"
#include "base/endian.h"
#include "kv/command.h"
#include "sim/log_rules.h"
#include "sim/store_model.h"
#include "sim/violation.h"
#include "sim/wishes.h"
#include "storage/format.h"

namespace raftd::sim {
namespace {

namespace format = storage::format;

// Three disks on which frames are written by hand.
class Disks {
 public:
  Disks() {
    for (std::size_t i = 0; i < 3; ++i) {
      observers_.emplace_back(rules, i);
      rules.attach(i, logs[i]);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      logs[i].observe(&observers_[i]);
      logs[i].named(1);
    }
  }

  // Entries from first on, one of each term; text makes them differ.
  void write(std::size_t disk, std::optional<raft::HardState> hard, std::uint64_t first,
             const std::vector<std::uint64_t>& terms, const std::string& text = "x") {
    Bytes bytes;
    format::FrameWriter frame(bytes, {7, 1, ++frames_});
    if (hard) {
      format::RecordHeader record{};
      record.kind = static_cast<std::uint8_t>(format::RecordKind::kHardState);
      record.term = hard->term.value;
      record.index = hard->voted_for.value;
      frame.add(record, {});
    }
    for (const std::uint64_t term : terms) {
      format::RecordHeader record{};
      record.kind = static_cast<std::uint8_t>(format::RecordKind::kEntry);
      record.entry_kind = static_cast<std::uint8_t>(raft::EntryKind::kCommand);
      record.term = term;
      record.index = first++;
      frame.add(record, as_bytes("12345678" + text));
    }
    frame.finish();
    logs[disk].wrote(1, limits::kBlockBytes, bytes);
  }
  void put(std::size_t disk, std::optional<raft::HardState> hard, std::uint64_t first,
           const std::vector<std::uint64_t>& terms, const std::string& text = "x") {
    write(disk, hard, first, terms, text);
    logs[disk].synced(1);
  }
  void send(std::size_t from, std::uint64_t to, std::uint64_t term, raft::Body body) {
    rules.sends(from, {{from + 1}, {to}, {term}, std::move(body)});
  }

  DiskLog logs[3];
  LogRules rules{3, 0};

 private:
  struct Observer final : LogObserver {
    Observer(LogRules& to, std::size_t disk) : rules(to), node(disk) {}
    void wrote(const LogImage& image, raft::Index index) override {
      rules.wrote(node, image, index);
    }
    void replaced(raft::Index index, const LogSlot& slot) override {
      rules.replaced(node, index, slot);
    }
    void hard_state(const raft::HardState& before, const raft::HardState& now) override {
      rules.hard_state(node, before, now);
    }
    const LogSlot& committed(raft::Index index) const override { return rules.committed_at(index); }
    LogRules& rules;
    std::size_t node;
  };
  std::deque<Observer> observers_;
  std::uint64_t frames_ = 0;
};

raft::HardState hard(std::uint64_t term, std::uint64_t vote) {
  return {{term}, {vote}};
}

raft::AppendReply ack(std::uint64_t match) {
  return {raft::AppendReply::Accepted{{match}}, {}};
}

}  // namespace

TEST_CASE("what was synced counts, in order, and only under a name that a power loss leaves") {
  Disks d;
  d.write(0, hard(2, 1), 1, {2, 2});
  CHECK(d.logs[0].durable().last() == raft::Index{0});
  CHECK(d.logs[0].written().last() == raft::Index{2});
  d.logs[0].synced(2);  // Another file.
  CHECK(d.logs[0].durable().last() == raft::Index{0});
  d.logs[0].unnamed(1);
  d.logs[0].synced(1);
  CHECK(d.logs[0].durable().last() == raft::Index{0});
  d.logs[0].named(1);
  CHECK(d.logs[0].durable().last() == raft::Index{2});
  CHECK(d.logs[0].durable().hard == hard(2, 1));
}

TEST_CASE("recovery is held against what was synced") {
  Disks d;
  d.put(0, hard(2, 1), 1, {2, 2});
  d.put(0, hard(3, 2), 2, {3});
  d.write(0, std::nullopt, 3, {3});
  raft::Durable found;
  found.hard_state = hard(3, 2);
  found.last_index = {2};
  found.terms = {{{1}, {2}}, {{2}, {3}}};
  CHECK(d.logs[0].compare(found) == DiskLog::Found::kAll);
  found.last_index = {3};  // What was only written may be there.
  CHECK(d.logs[0].compare(found) == DiskLog::Found::kAll);
  found.hard_state = hard(4, 2);
  CHECK(d.logs[0].compare(found) == DiskLog::Found::kSomethingElse);
  found.hard_state = hard(2, 1);
  found.last_index = {2};
  found.terms = {{{1}, {2}}};
  CHECK(d.logs[0].compare(found) == DiskLog::Found::kLastFrameLost);
  found.last_index = {1};
  CHECK(d.logs[0].compare(found) == DiskLog::Found::kSomethingElse);
}

TEST_CASE("what counts is a majority of each half of what the leader has in effect") {
  Quorums q(5);
  const auto only = [](std::initializer_list<std::size_t> nodes) {
    return [nodes = std::set(nodes)](std::size_t node) { return nodes.contains(node); };
  };
  CHECK(q.has(0, only({0, 1, 2})));
  CHECK_FALSE(q.has(0, only({0, 1})));
  raft::Configuration half;
  half.voters = {{1}, {2}};
  half.addresses = {{{1}, "a"}, {{2}, "b"}};
  raft::Configuration joint = half;
  joint.voters_outgoing = {{3}, {4}, {5}};
  joint.addresses.insert(joint.addresses.end(), {{{3}, "c"}, {{4}, "d"}, {{5}, "e"}});
  q.in_effect(0, {{7}, joint});
  CHECK_FALSE(q.has(0, only({0, 1, 2})));
  CHECK(q.has(0, only({0, 1, 2, 3})));
  CHECK(q.has(1, only({0, 1, 2})));  // It has not heard of it,
  CHECK(q.has(only({0, 1, 2})));     // and nothing is committed.
  CHECK_FALSE(q.each_has(only({0, 1, 2})));
  CHECK_FALSE(q.each_has(only({0, 1, 4})));
  CHECK(q.each_has(only({0, 1, 3, 4})));
  q.in_effect(1, {{7}, half});  // Another leader's, at the same place.
  q.committed({7}, crc32c(raft::encode(joint)));
  CHECK(q.committed() == joint);
  CHECK_FALSE(q.has(only({0, 1, 2})));
  CHECK_FALSE(q.has(only({0, 1})));  // Of the one that lost.
}

TEST_CASE("members are those that somebody asked for, or come by a ticket in another one's place") {
  Wishes wishes;
  const auto members = [](std::vector<raft::NodeId> voters, std::vector<raft::NodeId> learners) {
    raft::Configuration configuration;
    configuration.voters = std::move(voters);
    configuration.learners = std::move(learners);
    return configuration;
  };
  CHECK_FALSE(wishes.in_effect(0, {{1}, members({{1}, {2}, {3}}, {})}));  // The first ones.
  const raft::Configuration with_learner = members({{1}, {2}, {3}}, {{4}});
  CHECK_THROWS_AS(wishes.in_effect(0, {{5}, with_learner}), Violation);
  wishes.members(with_learner);
  CHECK_FALSE(wishes.in_effect(0, {{5}, with_learner}));

  const raft::Configuration in_place = members({{1}, {2}, {4}}, {});
  CHECK_THROWS_AS(wishes.in_effect(0, {{7}, in_place}), Violation);  // Without a ticket.
  wishes.given(wishes.ticket({3}), {5});
  CHECK_THROWS_AS(wishes.in_effect(0, {{7}, in_place}), Violation);  // By another one's ticket.
  wishes.given(wishes.ticket({3}), {4});
  CHECK_THROWS_AS(wishes.in_effect(0, {{7}, members({{1}, {2}, {3}, {4}}, {})}), Violation);
  CHECK_THROWS_AS(wishes.in_effect(0, {{7}, members({{1}, {3}, {4}}, {})}), Violation);
  raft::Configuration joint = in_place;
  joint.voters_outgoing = with_learner.voters;
  CHECK(wishes.in_effect(0, {{7}, joint}) == raft::NodeId{3});
  CHECK_FALSE(wishes.in_effect(0, {{8}, in_place}));  // The end of that.
}

TEST_CASE("log matching: one entry, and one log before it, for each index and term") {
  Disks d;
  d.put(0, hard(2, 1), 1, {2, 2});
  d.put(1, hard(2, 1), 1, {2});
  CHECK_THROWS_AS(d.put(1, std::nullopt, 2, {2}, "y"), Violation);
  d.put(2, hard(3, 3), 1, {1});
  CHECK_THROWS_AS(d.put(2, std::nullopt, 2, {2}), Violation);  // Behind another entry.
}

TEST_CASE("committed is what is durable on a quorum, and nothing else may take its place") {
  Disks d;
  d.put(0, hard(2, 1), 1, {2, 2});
  d.put(1, hard(2, 1), 1, {2});
  d.write(1, std::nullopt, 2, {2});
  d.rules.committed(0, {1}, {2});
  CHECK_THROWS_AS(d.rules.committed(0, {2}, {2}), Violation);
  d.logs[1].synced(1);
  d.rules.committed(0, {2}, {2});
  d.rules.acknowledged({2});
  CHECK_THROWS_AS(d.rules.acknowledged({3}), Violation);
  d.rules.persisted(1, {2});
  CHECK_THROWS_AS(d.rules.persisted(1, {3}), Violation);
  d.rules.applied(2, {1}, {2}, std::nullopt);
  CHECK_THROWS_AS(d.rules.applied(2, {1}, {1}, std::nullopt), Violation);
  CHECK_THROWS_AS(d.rules.applied(2, {1}, {2}, 77), Violation);
  // The third disk knows nothing of it yet; a leader of term 3 has to.
  CHECK_THROWS_AS(d.put(2, hard(3, 3), 1, {3}), Violation);
  CHECK_THROWS_AS(d.rules.elected(2, {3}, {1}), Violation);
  d.rules.elected(2, {2}, {1});  // Of the term in which it was committed: not by terms before.
  CHECK_THROWS_AS(d.put(0, std::nullopt, 2, {2}, "z"), Violation);
}

TEST_CASE("an entry that is committed stays on a quorum of disks") {
  Disks d;
  d.put(0, hard(2, 1), 1, {2, 2});
  d.put(1, hard(2, 1), 1, {2, 2});
  d.rules.committed(0, {2}, {2});
  d.put(1, std::nullopt, 1, {2, 2});  // The same once more.
  CHECK_THROWS_AS(d.put(1, std::nullopt, 1, {1}), Violation);
}

TEST_CASE("an entry that is committed is replaced on no disk whose node said that it holds it") {
  Disks d;
  for (std::size_t node = 0; node < 3; ++node)
    d.put(node, hard(2, 1), 1, {2, 2});
  d.rules.committed(0, {2}, {2});
  SUBCASE("a frame of an earlier leader's, behind a slow disk, where nothing was said") {
    d.put(2, std::nullopt, 1, {1});
    CHECK_THROWS_AS(d.put(1, std::nullopt, 1, {1}), Violation);
  }
  SUBCASE("said to the leader that commits") {
    d.send(2, 1, 2, ack(2));
    CHECK_THROWS_AS(d.put(2, std::nullopt, 1, {1}), Violation);
  }
  SUBCASE("said of entries before it") {
    d.send(2, 1, 2, ack(1));
    d.put(2, std::nullopt, 2, {1});
  }
}

TEST_CASE("a disk's term never falls, and in one term there is one vote") {
  Disks d;
  d.put(0, hard(2, 0), 1, {});
  d.put(0, hard(2, 3), 1, {});
  CHECK_THROWS_AS(d.put(0, hard(2, 1), 1, {}), Violation);
  CHECK_THROWS_AS(d.put(0, hard(1, 3), 1, {}), Violation);
  d.put(0, hard(3, 1), 1, {});
}

TEST_CASE("no message leaves before what it promises is durable") {
  Disks d;
  d.write(0, hard(2, 1), 1, {});
  const raft::VoteRequest asks{};
  CHECK_THROWS_AS(d.send(0, 2, 2, asks), Violation);
  raft::VoteRequest only_asks_first;
  only_asks_first.pre_vote = true;
  d.send(0, 2, 2, only_asks_first);
  CHECK_THROWS_AS(d.send(0, 2, 2, raft::AppendRequest{}), Violation);
  d.logs[0].synced(1);
  d.send(0, 2, 2, asks);
  d.send(0, 2, 2, raft::AppendRequest{{}, {}, {}, {}, {{{1}, {2}, raft::EntryKind::kNoop, {}}}});
  // A vote.
  const raft::VoteReply granted{true, false};
  CHECK_THROWS_AS(d.send(1, 1, 2, granted), Violation);
  CHECK_THROWS_AS(d.send(1, 1, 2, raft::VoteReply{}), Violation);
  d.put(1, hard(2, 1), 1, {});
  d.send(1, 1, 2, granted);
  CHECK_THROWS_AS(d.send(1, 3, 2, granted), Violation);
  // An acknowledgement.
  CHECK_THROWS_AS(d.send(1, 1, 2, ack(1)), Violation);
  d.write(1, std::nullopt, 1, {2});
  CHECK_THROWS_AS(d.send(1, 1, 2, ack(1)), Violation);
  d.logs[1].synced(1);
  d.send(1, 1, 2, ack(1));
  CHECK_THROWS_AS(d.send(1, 1, 3, ack(0)), Violation);
  // Of another entry than the leader sent.
  d.put(2, hard(2, 1), 1, {1});
  CHECK_THROWS_AS(d.send(2, 1, 2, ack(1)), Violation);
}

TEST_CASE("one leader per term, who sends one entry for each index") {
  Disks d;
  d.put(0, hard(2, 1), 1, {});
  d.put(1, hard(2, 2), 1, {});
  const auto entry = [](std::uint64_t term) {
    return raft::AppendRequest{{}, {}, {}, {}, {{{1}, {term}, raft::EntryKind::kNoop, {}}}};
  };
  d.send(0, 3, 2, entry(2));
  CHECK_THROWS_AS(d.send(1, 3, 2, entry(2)), Violation);
  CHECK_THROWS_AS(d.send(0, 3, 2, entry(1)), Violation);
  CHECK_THROWS_AS(d.send(0, 3, 2, raft::AppendRequest{{}, {}, {1}, {}, {}}), Violation);
}

TEST_CASE("answers are held against a store that is as simple as can be") {
  StoreModel model;
  std::vector<Bytes> commands = {
      kv::encode(kv::Put{.key = "a", .value = "1", .condition = {}}),
      kv::encode(kv::Put{.key = "b", .value = "2", .condition = {}}),
      kv::encode(kv::Put{.key = "a", .value = "3", .condition = {kv::Condition::Kind::kModIs, 7}}),
      kv::encode(kv::Delete{.key = "a", .condition = {}}),
  };
  for (std::size_t i = 0; i < commands.size(); ++i)
    model.apply({{i + 1}, {1}, {}, ByteView(commands[i]).subspan(machine::kStampBytes)});
  CHECK(model.revision_at({2}) == 3);
  CHECK(model.revision_at({4}) == 4);

  kv::GetQuery get;
  get.key = "a";
  kv::GetReply reply;
  reply.revision = 3;
  reply.item = {"a", "1", 2, 2, 1};
  CHECK(model.check({3}, get, reply).empty());
  CHECK_FALSE(model.check({4}, get, reply).empty());  // It is deleted there.
  CHECK_FALSE(model.check({5}, get, reply).empty());  // Nobody has applied that.
  get.min_revision = 4;
  CHECK_FALSE(model.check({3}, get, reply).empty());
  get.min_revision = 0;
  reply.item.value = "2";
  CHECK_FALSE(model.check({3}, get, reply).empty());

  kv::RangeQuery list;
  kv::RangeReply rows;
  rows.revision = 3;
  rows.rows = {{false, {"a", "1", 2, 2, 1}}, {false, {"b", "2", 3, 3, 1}}};
  CHECK(model.check({3}, list, rows).empty());
  rows.rows.pop_back();
  CHECK_FALSE(model.check({3}, list, rows).empty());
  rows.more = true;
  rows.next = "b";
  CHECK(model.check({3}, list, rows).empty());
  rows.next = "c";
  CHECK_FALSE(model.check({3}, list, rows).empty());
  list.start = "b";
  CHECK_FALSE(model.check({3}, list, rows).empty());

  kv::WriteReply write;
  write.revision = 3;
  write.result = kv::WriteReply::Result::kModDiffers;
  write.prev = kv::Item{"a", "1", 2, 2, 1};
  CHECK(model.check({3}, write).empty());
  write.result = kv::WriteReply::Result::kDone;
  CHECK_FALSE(model.check({3}, write).empty());
}

}  // namespace raftd::sim
