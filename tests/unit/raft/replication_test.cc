// Replication on both sides: appends, acks and the durable mark, batches, bounds, old entries.
#include "raft_support/cluster.h"
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

std::vector<Entry> commands(std::uint64_t first, std::uint64_t last, std::uint64_t term) {
  std::vector<Entry> entries;
  for (std::uint64_t i = first; i <= last; ++i)
    entries.push_back(command(i, term));
  return entries;
}

TEST_CASE("[ZF-1 ZF-9] a follower behind by any number of entries is brought up") {
  for (std::uint64_t behind = 0; behind <= 12; ++behind) {
    const std::vector<std::uint64_t> terms(12, 2);
    Solo solo(with_log(three(), 2, terms));
    solo.win_election({2, 3});
    const std::uint64_t has = 13 - behind;
    solo.node.take_sent();
    solo.reject(2, {{13}, {has}, {}, {}});
    auto requests = solo.sent<AppendRequest>(2);
    if (behind == 0) continue;  // Then the rejection was a lie, and is clamped.
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].prev_index == Index{has});
    CHECK(requests[0].entries.size() == behind + 1);
    solo.accept(2, 14);
    CHECK(solo.core().commit_index() == Index{14});
  }
}

TEST_CASE("[ZF-2 F20] a late shorter append never truncates acknowledged entries") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, commands(2, 6, 2));
  CHECK(solo.accepted_up_to(6));
  solo.append(2, 2, 1, 1, commands(2, 3, 2));
  CHECK(solo.accepted_up_to(3));
  solo.append(2, 2, 3, 2);
  CHECK(solo.core().last_index() == Index{6});
  CHECK(solo.core().counters().entries_overwritten == 0);
}

TEST_CASE("[ZF-2] an append that contradicts what is committed is refused") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, commands(2, 6, 2), 6);
  CHECK(solo.core().commit_index() == Index{6});
  solo.append(3, 3, 1, 1, commands(2, 2, 3));
  solo.append(3, 3, 4, 3);
  CHECK(solo.core().counters().bad_messages == 2);
  CHECK(solo.core().last_index() == Index{6});
}

TEST_CASE("[ZF-3] a late success of the slow follower changes nothing") {
  Solo solo(first_start(three()));
  solo.lead();
  for (int i = 0; i < 5; ++i)
    REQUIRE(solo.propose("x"));
  solo.accept(2, 7);
  CHECK(solo.core().commit_index() == Index{7});
  solo.accept(3, 3);
  solo.accept(2, 2);
  CHECK(solo.core().commit_index() == Index{7});
}

TEST_CASE("[ZF-10] entries of an old term commit with the no-op, without a new write") {
  Solo solo(with_log(three(), 3, {2, 2, 3}));
  solo.win_election();
  CHECK(solo.core().commit_index() == Index{0});
  solo.accept(2, 5);
  CHECK(solo.core().commit_index() == Index{5});
  CHECK(solo.node.applied.size() == 5);
  CHECK(solo.node.applied.back().kind == EntryKind::kNoop);
}

TEST_CASE("[F18] entries of an old term do not commit by counting") {
  Solo solo(with_log(three(), 3, {2, 2, 3}));
  solo.win_election();
  solo.accept(2, 4);
  solo.accept(3, 4);
  CHECK(solo.core().commit_index() == Index{0});
}

TEST_CASE("[ZF-12] bytes sent are linear in bytes written, also without any answer") {
  Solo solo(first_start(three()));
  solo.lead();
  const std::string text(1000, 'x');
  std::size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    REQUIRE(solo.propose(text));
    solo.wait(100us);
    for (const auto& request : solo.sent<AppendRequest>(2))
      sent += request.entries.size();
  }
  solo.wait(1ms);
  for (const auto& request : solo.sent<AppendRequest>(2))
    sent += request.entries.size();
  CHECK(sent == 200);
}

TEST_CASE("[SR-2] what is lost on the way is sent again without anybody's help") {
  Cluster cluster({}, 11);
  cluster.run_for(500ms);
  cluster.loss = 30;
  const std::uint64_t leader = cluster.leader();
  REQUIRE(leader != 0);
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t now_leader = cluster.leader();
    if (now_leader != 0) cluster.propose(now_leader, "p" + std::to_string(i));
    cluster.run_for(20ms);
  }
  cluster.loss = 0;
  cluster.run_for(1000ms);
  CHECK(cluster.history.size() > 30);
  for (const auto& [id, node] : cluster.nodes) {
    CHECK(node->disk.entries.size() == cluster.history.size());
  }
}

TEST_CASE(
    "[SR-5 F23] an ack never claims what is not on the disk, not for repeated appends either") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.node.auto_persist = false;
  solo.append(2, 2, 1, 1, commands(2, 4, 2), 0, 0);
  solo.append(2, 2, 1, 1, commands(2, 4, 2), 0, 0);
  solo.append(2, 2, 4, 2, {}, 0, 0);
  CHECK(solo.sent<AppendReply>().empty());
  solo.append(2, 2, 4, 2, {}, 0, 5);
  CHECK(solo.accepted_up_to(1));  // The heartbeat's answer does not wait, and claims little.
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(4));
  solo.append(2, 2, 1, 1, commands(2, 4, 2), 0, 0);
  CHECK(solo.accepted_up_to(4));
}

TEST_CASE("acks that wait for one batch go out as one") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.node.auto_persist = false;
  solo.append(2, 2, 1, 1, commands(2, 2, 2), 0, 0);
  for (std::uint64_t i = 3; i < 20; ++i)
    solo.append(2, 2, i - 1, 2, commands(i, i, 2), 0, 0);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(2));
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(19));
}

TEST_CASE(
    "[F25 F29] a batch that was overwritten in memory proves nothing about what replaced it") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.auto_persist = false;
  solo.append(2, 2, 1, 1, commands(2, 6, 2), 0, 0);  // Batch A holds 2..6 of term 2.
  REQUIRE(solo.node.writing);
  solo.node.take_sent();
  solo.append(3, 3, 3, 2, commands(4, 6, 3), 0, 0);  // 4..6 are others now.
  CHECK(solo.core().counters().entries_overwritten == 3);
  solo.node.persist(solo.now);
  CHECK(solo.core().persisted_index() == Index{3});
  solo.node.pump(solo.now);
  CHECK(solo.sent<AppendReply>().empty());  // Its term is not durable either.
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.core().persisted_index() == Index{6});
  std::vector<Index> acked;
  for (const AppendReply& reply : solo.sent<AppendReply>()) {
    acked.push_back(std::get<AppendReply::Accepted>(reply.result).match);
  }
  CHECK(acked == std::vector<Index>{{3}, {6}});
  CHECK(solo.log_terms() == std::vector<std::uint64_t>{1, 2, 2, 3, 3, 3});
}

TEST_CASE("[F24 CP-2] the leader counts itself once, and only what its own disk has") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.node.auto_persist = false;
  REQUIRE(solo.propose("x"));
  CHECK(solo.core().commit_index() == Index{2});
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.core().commit_index() == Index{2});  // Alone it commits nothing.
  REQUIRE(solo.propose("y"));
  solo.accept(2, 4);
  CHECK(solo.core().commit_index() == Index{3});
  solo.accept(3, 4);
  CHECK(solo.core().commit_index() == Index{4});  // Without its own disk.
}

TEST_CASE("[CP-4 F21] a conflicting entry and all that follow it are replaced") {
  Solo solo(with_log(three(), 4, {2, 2, 3, 3, 3}));
  solo.append(2, 5, 3, 2, {command(4, 4)});
  CHECK(solo.accepted_up_to(4));
  CHECK(solo.log_terms() == std::vector<std::uint64_t>{1, 2, 2, 4});
}

TEST_CASE("[CP-5 F19] commit goes no further than what the message itself verified") {
  Solo solo(with_log(three(), 3, {2, 2, 3, 3}));
  solo.append(2, 4, 2, 2, {}, 5);  // Entries 4 and 5 of term 3 may not be the leader's.
  CHECK(solo.core().commit_index() == Index{2});
  solo.append(2, 4, 2, 2, {command(3, 2)}, 5);
  CHECK(solo.core().commit_index() == Index{3});
  solo.append(2, 4, 3, 2, {command(4, 4)}, 4);
  CHECK(solo.core().commit_index() == Index{4});
  CHECK(solo.log_terms() == std::vector<std::uint64_t>{1, 2, 2, 4});
}

TEST_CASE("[F28] entries that do not follow one another are refused whole") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, {command(2, 2), command(4, 2)});
  solo.append(2, 2, 1, 1, {command(3, 2)});
  solo.append(2, 2, 1, 1, {command(2, 2), command(3, 1)});
  solo.append(2, 2, 1, 1, {command(2, 3)});
  CHECK(solo.core().counters().bad_messages == 4);
  CHECK(solo.core().last_index() == Index{1});
}

TEST_CASE(
    "[F30] an ack for what was never sent is refused; a follower that lost its log does not "
    "crash the leader") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.accept(2, 99);
  solo.accept(2, 2, 1U << 20);
  CHECK(solo.core().counters().bad_messages == 2);
  solo.reject(2, {{2}, {0}, {}, {}});
  solo.reject(2, {{1}, {0}, {}, {}});
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.core().progress()[0].match == Index{2});
}

TEST_CASE("[F26] a leader never reuses an index within its term") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.core().disk_full(true);
  const Status refused = solo.propose("x");
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kDiskFull);
  CHECK(solo.core().last_index() == Index{2});
  solo.core().disk_full(false);
  REQUIRE(solo.propose("y"));
  CHECK(solo.core().last_index() == Index{3});
}

TEST_CASE("[F31] while a follower stays silent the leader sends heartbeats and nothing else") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  solo.accept(2, 3);
  solo.node.take_sent();
  std::size_t messages = 0;
  for (int i = 0; i < 10; ++i) {
    solo.wait(20ms);
    solo.accept(2, 3, 1);
    messages += solo.sent<AppendRequest>(3).size();
  }
  CHECK(messages <= 12);
}

TEST_CASE("a follower whose disk is full takes votes, heartbeats and no-ops, but no commands") {
  Solo solo(first_start(three()));
  solo.core().disk_full(true);
  solo.append(2, 2, 1, 1, {noop(2, 2), command(3, 2), command(4, 2)}, 4);
  CHECK(solo.accepted_up_to(2));
  CHECK(solo.core().commit_index() == Index{2});
  solo.append(2, 2, 2, 2, {command(3, 2)}, 0, 0);
  CHECK(solo.node.take_sent().empty());
  solo.core().disk_full(false);
  solo.append(2, 2, 2, 2, {command(3, 2)}, 0, 0);
  CHECK(solo.accepted_up_to(3));
}

TEST_CASE("a follower takes no more than its disk may have waiting") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  solo.node.auto_persist = false;
  const std::string big(limits::kRequestBytesMax, 'x');
  std::uint64_t index = 2;
  for (int i = 0; i < 20; ++i) {
    solo.append(2, 2, index - 1, index == 2 ? 1 : 2, {command(index, 2, big)}, 0, 0);
    index = solo.core().last_index().value + 1;
  }
  CHECK(index * big.size() <= limits::kUnpersistedBytesMax + 3 * big.size());
  while (solo.node.writing) {
    CHECK(solo.node.writing->entries.size() <= 2);  // Each batch is bounded, too.
    solo.node.persist(solo.now);
    solo.node.pump(solo.now);
  }
  CHECK(solo.core().persisted_index() == solo.core().last_index());
}

TEST_CASE("[RF-7] too much at once is refused, and refusing changes nothing") {
  CoreConfig config = core_config(1);
  config.max_pending_bytes = 10'000;
  Solo solo(first_start(three()), config);
  solo.lead();
  const std::string text(4000, 'x');
  REQUIRE(solo.propose(text));
  REQUIRE(solo.propose(text));
  const Status busy = solo.propose(text);
  REQUIRE(!busy);
  CHECK(busy.error().code == Errc::kBusy);
  CHECK(solo.core().last_index() == Index{4});
  solo.accept(2, 4);
  CHECK(solo.core().pending_bytes() == 0);
  CHECK(solo.propose(text));
  const Status big = solo.propose(std::string(limits::kEntryBytesMax + 1, 'x'));
  REQUIRE(!big);
  CHECK(big.error().code == Errc::kTooBig);
}

TEST_CASE("the limit of what waits may change while it is used up") {
  CoreConfig config = core_config(1);
  config.max_pending_bytes = 10'000;
  Solo solo(first_start(three()), config);
  solo.lead();
  const std::string text(4000, 'x');
  REQUIRE(solo.propose(text));
  REQUIRE(solo.propose(text));
  solo.core().set_max_pending_bytes(5000);
  CHECK_FALSE(solo.propose(text));
  solo.accept(2, 4);
  CHECK(solo.propose(text));
  CHECK_FALSE(solo.propose(text));
  solo.core().set_max_pending_bytes(10'000);
  CHECK(solo.propose(text));
}

TEST_CASE("[SR-9] a proposal gives its index; on a node that does not lead it is refused") {
  Solo solo(first_start(three()));
  const auto refused = solo.core().propose(solo.now, share(to_bytes("x")));
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::kNotLeader);
  solo.lead();
  const auto taken = solo.core().propose(solo.now, share(to_bytes("x")));
  REQUIRE(taken);
  CHECK(*taken == Index{3});
}

TEST_CASE("[SR-10] a candidate whose vote, a leader whose no-op is not durable, claims neither") {
  Solo solo(first_start(three()));
  solo.node.auto_persist = false;
  while (solo.role() == Role::kFollower)
    solo.wait(20ms);
  solo.receive(2, 2, VoteReply{true, true});
  REQUIRE(solo.role() == Role::kCandidate);
  for (const auto& request : solo.sent<VoteRequest>())
    CHECK(request.pre_vote);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.sent<VoteRequest>().size() == 2);
  solo.receive(2, 2, VoteReply{true, false});
  REQUIRE(solo.role() == Role::kLeader);
  solo.accept(3, 2);
  CHECK(solo.core().commit_index() == Index{0});
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.core().commit_index() == Index{2});
}

TEST_CASE("no more than max_inflight_bytes is unanswered, but one entry always goes") {
  CoreConfig config = core_config(1);
  config.max_inflight_bytes = 100'000;
  Solo solo(first_start(three()), config);
  solo.lead();
  REQUIRE(solo.propose(std::string(200'000, 'x')));
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
  REQUIRE(solo.propose(std::string(70'000, 'x')));
  CHECK(solo.sent<AppendRequest>(2).empty());
  CHECK(solo.core().progress()[0].inflight_messages == 1);
  solo.accept(2, 3);
  CHECK(solo.sent<AppendRequest>(2).size() == 1);
}

TEST_CASE("a commit is announced at once where somebody waits for it, elsewhere a little later") {
  Solo solo(first_start(three()));
  solo.lead();
  solo.wait(2ms);
  solo.node.take_sent();
  REQUIRE(solo.propose("x"));
  solo.node.take_sent();
  solo.core().announce({2}, {3});
  solo.accept(3, 3);
  CHECK(solo.core().commit_index() == Index{3});
  const auto sent = solo.node.take_sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].to == NodeId{2});
  const auto& request = std::get<AppendRequest>(sent[0].body);
  CHECK(request.commit == Index{3});
  CHECK(request.entries.empty());
  CHECK(request.read_seq == ReadSeq{0});
  CHECK(solo.core().next_deadline() == solo.now + limits::kCommitAnnounceDelay);
  solo.wait(2ms);
  CHECK(solo.sent<AppendRequest>(3).size() == 1);
}

TEST_CASE("an announcement is not answered, unless rejected") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1, commands(2, 3, 2));
  solo.node.take_sent();
  solo.append(2, 2, 3, 2, {}, 3, 0);
  CHECK(solo.node.take_sent().empty());
  CHECK(solo.core().commit_index() == Index{3});
  solo.append(2, 2, 9, 2, {}, 9, 0);
  CHECK(solo.rejected());
}

TEST_CASE("a message that was dropped stops the pipeline until a heartbeat is answered") {
  Solo solo(first_start(three()));
  solo.lead();
  REQUIRE(solo.propose("x"));
  solo.core().unreachable({2});
  solo.node.pump(solo.now);
  solo.node.take_sent();
  REQUIRE(solo.propose("y"));
  CHECK(solo.sent<AppendRequest>(2).empty());
  solo.wait(20ms);
  const auto heartbeats = solo.sent<AppendRequest>(2);
  REQUIRE(heartbeats.size() == 1);
  CHECK(heartbeats[0].prev_index == Index{2});
  solo.accept(2, 2, heartbeats[0].read_seq.value);
  const auto again = solo.sent<AppendRequest>(2);
  REQUIRE(again.size() == 1);
  CHECK(again[0].entries.size() == 2);
}

TEST_CASE("entries that left the memory come from the disk: for the state machine, for followers") {
  const std::vector<std::uint64_t> terms(3000, 2);
  CoreConfig config = core_config(1);
  Solo solo(with_log(three(), 2, terms), config, 1, 10);
  solo.win_election();
  solo.accept(3, 3002);
  CHECK(solo.node.applied.size() == 3002);
  for (std::size_t i = 0; i < solo.node.applied.size(); ++i) {
    CHECK(solo.node.applied[i].index == Index{i + 1});
  }
  solo.node.take_sent();
  solo.reject(2, {{3001}, {1}, {}, {}});  // A probe carries no entry that is not at hand.
  auto sent = solo.sent<AppendRequest>(2);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].entries.empty());
  CHECK(sent[0].read_seq.value > 0);
  solo.accept(2, 1, 1);
  sent = solo.sent<AppendRequest>(2);
  std::uint64_t next = 2;
  for (const auto& request : sent) {
    CHECK(request.prev_index == Index{next - 1});
    for (const Entry& entry : request.entries)
      CHECK(entry.index == Index{next++});
  }
  CHECK(next == 3003);
}

TEST_CASE("old entries that are gone are asked for again with a heartbeat, not in a loop") {
  const std::vector<std::uint64_t> terms(100, 2);
  Solo solo(with_log(three(), 2, terms), core_config(1), 1, 3);
  solo.lead_with_old_entries_wanted();
  solo.core().log_read_done(solo.now, solo.node.log_reads[0].id, {});
  solo.node.log_reads.clear();
  solo.node.pump(solo.now);
  CHECK(solo.node.log_reads.empty());
  CHECK(solo.core().counters().entries_unavailable == 1);
}

TEST_CASE("the memory for entries shrinks to its idle size when nobody needs them") {
  Solo solo(first_start(make_configuration({1})));
  solo.wait(0ms);
  REQUIRE(solo.role() == Role::kLeader);
  for (int i = 0; i < 100; ++i)
    REQUIRE(solo.propose(std::string(100'000, 'x')));
  CHECK(solo.core().commit_index() == Index{102});
  // What is not in memory has to be read: more than 2 MiB of the 10 are not.
  solo.node.auto_log_reads = false;
  CHECK(solo.node.log_reads_done == 0);
  CHECK(solo.node.applied.size() == 102);
}

TEST_CASE("hostile messages of every kind are counted and dropped") {
  Solo solo(first_start(three()));
  solo.lead();
  const std::uint64_t term = solo.term();
  const Configuration bad_members = three();
  Bytes bad = encode(bad_members);
  bad[0] = std::byte{9};
  std::vector<Message> messages;
  const auto add = [&](std::uint64_t from, std::uint64_t of_term, Body body) {
    messages.push_back({{from}, {1}, {of_term}, std::move(body)});
  };
  add(0, term, TimeoutNow{});
  add(1, term, TimeoutNow{});
  add(1ULL << 60, term, TimeoutNow{});
  add(2, ~0ULL, TimeoutNow{});
  add(2, term + 1, AppendRequest{{~0ULL}, {1}, {}, {}, {}});
  add(2, term + 1, AppendRequest{{0}, {1}, {}, {}, {}});
  add(2, term + 1, AppendRequest{{1}, {1}, {}, {}, {{{2}, {2}, EntryKind{77}, {}}}});
  add(2, term + 1, AppendRequest{{1}, {1}, {}, {}, {{{2}, {2}, EntryKind::kConfiguration, {}}}});
  add(2, term + 1,
      AppendRequest{{1}, {1}, {}, {}, {{{2}, {2}, EntryKind::kConfiguration, share(bad)}}});
  add(2, term + 1,
      AppendRequest{{1}, {1}, {}, {}, {{{2}, {2}, EntryKind::kNoop, share(to_bytes("x"))}}});
  add(2, term + 1, VoteRequest{{5}, {term + 1}, false, false});
  add(2, term + 1, VoteRequest{{0}, {1}, false, false});
  add(2, term + 1, VoteRequest{{1}, {1}, true, true});
  add(2, term, AppendReply{AppendReply::Accepted{{~0ULL}}, {}});
  add(2, term, AppendReply{AppendReply::Rejected{{~0ULL}, {0}, {0}, {0}}, {}});
  add(2, term, AppendReply{AppendReply::Rejected{{2}, {~0ULL}, {0}, {0}}, {}});
  add(2, term, AppendReply{AppendReply::Rejected{{2}, {2}, {1}, {3}}, {}});
  add(2, term, AppendReply{AppendReply::Rejected{{2}, {2}, {0}, {1}}, {}});
  add(2, term, AppendReply{AppendReply::Accepted{{2}}, {~0ULL}});
  add(2, term, ReadIndexReply{{1000}, 1, Index{~0ULL}});
  for (const Message& message : messages)
    solo.node.step(solo.now, message);
  solo.node.step(solo.now, {{2}, {3}, {term}, TimeoutNow{}});  // For somebody else.
  CHECK(solo.core().counters().bad_messages == messages.size() + 1);
  CHECK(solo.role() == Role::kLeader);
  CHECK(solo.term() == term);
}

TEST_CASE("random messages never break an invariant") {
  Rng rng(5);
  for (int round = 0; round < 300; ++round) {
    Solo solo(with_log(three(), 3, {2, 2, 3}), core_config(1), rng.next());
    if (rng.one_in(2)) solo.lead();
    const auto small = [&] { return rng.below(9); };
    for (int i = 0; i < 40; ++i) {
      const Term term{solo.term() + rng.below(3) - rng.below(2)};
      Body body = TimeoutNow{};
      std::vector<Entry> entries;
      const std::uint64_t prev = small();
      std::uint64_t entry_term = 1 + rng.below(5);
      const std::uint64_t prev_term = prev == 0 ? 0 : rng.below(entry_term + 1);
      for (std::uint64_t k = rng.below(4); k > 0; --k) {
        entries.push_back(command(prev + entries.size() + 1, entry_term));
        entry_term += rng.below(2);
      }
      switch (rng.below(8)) {
        case 0:
        case 1:
          body = AppendRequest{{prev}, {prev_term}, {small()}, {small()}, std::move(entries)};
          break;
        case 2:
          body = AppendReply{AppendReply::Accepted{{small()}}, {small()}};
          break;
        case 3:
          body = AppendReply{AppendReply::Rejected{{small()}, {small()}, {small()}, {small()}}, {}};
          break;
        case 4:
          body = VoteRequest{{small()}, {small()}, rng.one_in(2), rng.one_in(2)};
          break;
        case 5:
          body = VoteReply{rng.one_in(2), rng.one_in(2)};
          break;
        case 6:
          body = ReadIndexRequest{{1}, small()};
          break;
        case 7:
          body = ReadIndexReply{{1000}, small(), Index{small()}};
          break;
      }
      solo.node.step(solo.now, {{2 + rng.below(2)}, {1}, term, std::move(body)});
      if (rng.one_in(5)) solo.wait(Duration(static_cast<Duration::rep>(rng.below(60'000'000))));
    }
  }
}

}  // namespace
}  // namespace raftd::raft::testing
