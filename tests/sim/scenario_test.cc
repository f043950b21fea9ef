// Named failures that other systems had (and the holes of projects like this one), played on the
// whole cluster by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "sim/playground.h"
#include "sim/run.h"

namespace raftd::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a write on any node is done, and read back on every node") {
  Playground p(calm(3));
  for (std::size_t node = 0; node < 3; ++node) {
    const std::string key = "key" + std::to_string(node);
    const auto asked = p.put(node, key, "here");
    REQUIRE(done(*asked));
    CHECK(done(*asked)->forwarded == (node != p.leader));
    for (std::size_t reader = 0; reader < 3; ++reader)
      CHECK(p.get(reader, key) == "here");
  }
}

TEST_CASE(
    "[ZF-4] [RF-2] [CP-7] a write of a leader that is cut off is not done when another wins") {
  Playground p(calm(3));
  REQUIRE(done(*p.put(p.leader, "k", "before")));
  p.isolate(p.leader);
  const auto lost = p.cluster.put(p.leader, "k", "lost", seconds(9));
  p.cluster.run_for(milliseconds(50));
  CHECK_FALSE(lost->answered);  // It is in the log of the leader, and on no majority.
  REQUIRE(p.cluster.run_until([&] { return p.cluster.leader() && *p.cluster.leader() != p.leader; },
                              seconds(10)));
  const std::size_t next = *p.cluster.leader();
  REQUIRE(done(*p.put(next, "k", "after")));
  p.cluster.network().heal();
  REQUIRE(p.await(lost));
  CHECK(refused(*lost) == Errc::kSuperseded);
  CHECK(p.get(p.leader, "k") == "after");
}

TEST_CASE("[CP-7] a leader that is killed right after its append has acknowledged nothing") {
  Playground p(calm(3));
  p.isolate(p.leader);
  const auto lost = p.cluster.put(p.leader, "k", "lost");
  p.cluster.run_for(milliseconds(30));
  CHECK_FALSE(lost->answered);
  p.cluster.kill(p.leader, true);
  p.cluster.network().heal();
  REQUIRE(p.await_leader());
  CHECK(p.get(*p.cluster.leader(), "k") == "absent");
}

TEST_CASE("[RF-7] writes during a transfer are done or refused as retryable; nothing ends") {
  Playground p(calm(3));
  std::vector<std::shared_ptr<Cluster::Asked>> writes;
  const auto transfer = p.transfer(p.leader, p.follower);
  for (int i = 0; i < 50; ++i) {
    writes.push_back(p.cluster.put(p.leader, "k" + std::to_string(i), "x"));
    p.cluster.run_for(std::chrono::microseconds(100));
  }
  REQUIRE(p.await(transfer));
  REQUIRE(done(*transfer));
  CHECK(p.cluster.leader() == p.follower);
  int transferring = 0;
  for (const auto& write : writes) {
    REQUIRE(p.await(write));
    const auto code = refused(*write);
    if (code == Errc::kTransferring) ++transferring;
    const bool retryable = code == Errc::kTransferring || code == Errc::kNotLeader;
    const bool fine = done(*write) != nullptr || retryable;
    CHECK(fine);
  }
  CHECK(transferring > 0);
  CHECK(done(*p.put(p.leader, "after", "x")));
}

TEST_CASE("[RF-7] over the limit of pending bytes a write is refused as busy, and later done") {
  Options options = calm(3);
  options.max_pending_bytes = 4096;
  Playground p(options);
  p.isolate(p.leader);
  std::vector<std::shared_ptr<Cluster::Asked>> writes;
  for (int i = 0; i < 20; ++i)
    writes.push_back(p.cluster.put(p.leader, "k", std::string(500, 'x'), seconds(1)));
  p.cluster.run_for(milliseconds(20));
  int busy = 0;
  for (const auto& write : writes)
    busy += refused(*write) == Errc::kBusy ? 1 : 0;
  CHECK(busy >= 10);
  CHECK(busy < 20);
  p.cluster.network().heal();
  REQUIRE(p.await_leader());
  CHECK(done(*p.put(*p.cluster.leader(), "k", "y")));
}

TEST_CASE("[RF-10] a refusal of the leader reaches the client of another node unchanged") {
  Options options = calm(3);
  options.max_pending_bytes = 4096;
  Playground p(options);
  const std::size_t third = 3 - p.leader - p.follower;
  p.cluster.kill(third, false);
  p.cluster.network().block(p.follower, p.leader);  // Its acks and requests wait.
  for (int i = 0; i < 10; ++i)
    p.cluster.put(p.leader, "k", std::string(500, 'x'), seconds(1));
  const auto forwarded = p.cluster.put(p.follower, "k", "y");
  p.cluster.run_for(milliseconds(20));
  p.cluster.network().heal();
  REQUIRE(p.await(forwarded));
  const bool passed_on =
      refused(*forwarded) == Errc::kBusy || done(*forwarded) != nullptr || unknown(*forwarded);
  CHECK(passed_on);
  // Too big for the log, wherever it is asked.
  for (std::size_t node : {p.leader, p.follower}) {
    const auto big =
        p.cluster.put(node, "k", std::string(limits::kEntryBytesMax + 1, 'x'), seconds(2));
    REQUIRE(p.await(big));
    CHECK(refused(*big) == Errc::kTooBig);
  }
}

TEST_CASE("[RF-11] clients that hang up in the middle of a write disturb nobody") {
  Playground p(calm(3));
  for (int round = 0; round < 50; ++round) {
    for (std::size_t node = 0; node < 3; ++node) {
      node::Write write{node::Propose{
          kv::encode(kv::Put{.key = "k", .value = std::to_string(round), .condition = {}})}};
      const auto token = p.cluster.submit(node, std::move(write), seconds(2), [](const auto&) {});
      REQUIRE(token);
      if (round % 2 == 0) p.cluster.run_for(milliseconds(round % 5));
      p.cluster.gone(node, *token);
    }
  }
  p.cluster.run_for(seconds(1));
  for (std::size_t node = 0; node < 3; ++node) {
    CHECK(p.cluster.status(node).waiting_writes == 0);
    CHECK(done(*p.put(node, "k", "alive")));
  }
}

TEST_CASE("[CP-13] [F70] after a restart of all nodes no linearizable read is older than a write") {
  Playground p(calm(3));
  for (int i = 0; i < 30; ++i)
    REQUIRE(done(*p.put(p.leader, "k", "v" + std::to_string(i))));
  for (std::size_t node = 0; node < 3; ++node)
    p.cluster.kill(node, true);
  std::vector<std::shared_ptr<Cluster::Asked>> reads;
  for (std::size_t node = 0; node < 3; ++node)
    p.cluster.start(node);
  int answered = 0;
  for (int i = 0; i < 300; ++i) {
    for (std::size_t node = 0; node < 3; ++node)
      reads.push_back(p.cluster.get(node, "k", seconds(1)));
    p.cluster.run_for(milliseconds(3));
  }
  for (const auto& read : reads) {
    REQUIRE(p.await(read));
    if (!done(*read)) continue;
    ++answered;
    CHECK(value(*read) == "v29");
  }
  CHECK(answered > 0);
  for (std::size_t node = 0; node < 3; ++node)
    CHECK(p.cluster.status(node).recovered);
}

TEST_CASE("[CP-13] a leader that is cut off answers no linearizable read with old data") {
  Playground p(calm(3));
  REQUIRE(done(*p.put(p.leader, "k", "old")));
  p.isolate(p.leader);
  REQUIRE(p.cluster.run_until(
      [&] {
        const auto now = p.cluster.leader();
        return now && *now != p.leader;
      },
      seconds(10)));
  REQUIRE(done(*p.put(*p.cluster.leader(), "k", "new")));
  const auto read = p.cluster.get(p.leader, "k", milliseconds(700));
  REQUIRE(p.await(read));
  CHECK(refused(*read).has_value());
}

TEST_CASE("[F14] a transfer under load loses nothing, and the gap is short") {
  Playground p(calm(5));
  std::vector<std::shared_ptr<Cluster::Asked>> writes;
  const auto load = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = "k" + std::to_string(writes.size());
      writes.push_back(p.cluster.put(writes.size() % 5, key, "x"));
      p.cluster.run_for(milliseconds(1));
    }
  };
  load(100);
  const auto transfer = p.transfer((p.leader + 2) % 5, p.follower);
  const Instant asked = p.cluster.schedule().now();
  load(200);
  REQUIRE(p.await(transfer));
  CHECK(done(*transfer));
  REQUIRE(p.await_leader());
  CHECK(p.cluster.leader() == p.follower);
  CHECK(p.cluster.schedule().now() - asked < seconds(1));
  load(100);
  std::size_t count = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    REQUIRE(p.await(writes[i]));
    if (!done(*writes[i])) continue;
    ++count;
    CHECK(p.get(p.follower, "k" + std::to_string(i)) == "x");
  }
  CHECK(count > 300);
}

TEST_CASE("[F14] a transfer to a voter that is down is given up, and writes go on") {
  Playground p(calm(3));
  p.cluster.kill(p.follower, false);
  const auto transfer = p.transfer(p.leader, p.follower);
  REQUIRE(p.await(transfer));
  const bool failed = refused(*transfer) == Errc::kConflict || unknown(*transfer);
  CHECK(failed);
  CHECK(p.cluster.leader() == p.leader);
  CHECK(done(*p.put(p.leader, "k", "x")));
}

TEST_CASE("[F26] a leader whose disk is full takes no writes and never uses an index twice") {
  Options options = calm(3);
  options.segment_bytes = 16 * 4096;
  Playground p(options);
  const auto fill = [&](bool full) {
    for (std::size_t node = 0; node < 3; ++node)
      p.cluster.disk(node).set_full(full);
  };
  fill(true);  // A leader with a full disk hands over to one that has space.
  int done_count = 0;
  int full_count = 0;
  for (int i = 0; i < 60; ++i) {
    REQUIRE(p.await_leader());
    const auto write = p.put(*p.cluster.leader(), "k" + std::to_string(i), std::string(3000, 'x'));
    if (done(*write)) ++done_count;
    if (refused(*write) == Errc::kDiskFull) ++full_count;
    if (!done(*write)) p.cluster.run_for(milliseconds(20));  // It first tries to hand over.
  }
  CHECK(done_count > 0);
  CHECK(full_count > 0);
  CHECK(p.cluster.status(*p.cluster.leader()).disk_full);
  fill(false);
  p.cluster.run_for(seconds(3));
  REQUIRE(p.await_leader());
  CHECK_FALSE(p.cluster.status(*p.cluster.leader()).disk_full);
  CHECK(done(*p.put(*p.cluster.leader(), "again", "x")));
}

TEST_CASE("a leader whose disk is full, or stands still, hands over at once, and writes go on") {
  for (const bool full : {true, false}) {
    CAPTURE(full);
    Options options = calm(3);
    options.segment_bytes = 16 * 4096;
    Playground p(options);
    if (full) {
      p.cluster.disk(p.leader).set_full(true);
    } else {
      p.cluster.stick_disk(p.leader, seconds(20));
    }
    const auto moved = [&] {
      const auto now = p.cluster.leader();
      return now && *now != p.leader;
    };
    for (int i = 0; i < 60 && !moved(); ++i)
      p.put(p.leader, "k" + std::to_string(i), std::string(3000, 'x'));
    CHECK(p.cluster.run_until(moved, 2 * options.election));
    CHECK(done(*p.put(*p.cluster.leader(), "on", "x")));
    const raft::Term term = p.cluster.status(*p.cluster.leader()).role.term;
    p.cluster.run_for(seconds(30));
    CHECK(p.cluster.status(*p.cluster.leader()).role.term == term);
  }
}

TEST_CASE("[F29] a write that completes after its node lost its leadership is not acted upon") {
  Options options = calm(3);
  options.sync_min = milliseconds(20);
  options.sync_max = milliseconds(300);
  options.crash_every = seconds(1);
  options.partition_every = milliseconds(700);
  options.chaos = seconds(5);
  options.aim_at_leader_percent = 100;
  for (std::uint64_t seed = 1000; seed < 1003; ++seed) {
    const RunResult result = run(seed, options);
    CHECK_MESSAGE(!result.violation, result.violation.value_or(""));
  }
}

TEST_CASE("[F32] a single node answers only after its sync: no power loss takes an answer back") {
  Options options = calm(1);
  options.sync_min = milliseconds(5);
  options.sync_max = milliseconds(10);
  Playground p(options);
  const auto early = p.cluster.put(0, "k", "x");
  p.cluster.run_for(milliseconds(4));
  CHECK_FALSE(early->answered);
  REQUIRE(p.await(early));
  for (int round = 0; round < 20; ++round) {
    const auto write = p.cluster.put(0, "k", "v" + std::to_string(round));
    REQUIRE(p.await(write));
    REQUIRE(done(*write));
    p.cluster.kill(0, true);
    p.cluster.start(0);
    REQUIRE(p.await_leader());
    CHECK(p.get(0, "k") == "v" + std::to_string(round));
  }
}

TEST_CASE("[F68] every read is answered by its deadline, though nobody can confirm it") {
  Playground p(calm(3));
  for (std::size_t node = 0; node < 3; ++node)
    p.isolate(node);
  std::vector<std::shared_ptr<Cluster::Asked>> reads;
  for (int i = 0; i < 30; ++i) {
    for (std::size_t node = 0; node < 3; ++node)
      reads.push_back(p.cluster.get(node, "k", milliseconds(400)));
    p.cluster.run_for(milliseconds(20));
  }
  p.cluster.run_for(milliseconds(600));
  for (const auto& read : reads) {
    REQUIRE(read->answered);
    const auto code = refused(*read);
    const bool said_so = code == Errc::kTimeout || code == Errc::kNotLeader;
    CHECK(said_so);
  }
}

TEST_CASE("[F72] not being leader is said only of what was never appended") {
  Playground p(calm(3));
  // The follower's write is on its way to the leader when their connection ends.
  const auto write = p.cluster.put(p.follower, "k", "x");
  p.cluster.run_for(milliseconds(1));
  CHECK_FALSE(write->answered);
  p.cluster.network().reset(p.leader, p.follower);
  REQUIRE(p.await(write));
  const bool honest = unknown(*write) || done(*write) != nullptr;
  CHECK(honest);
  // While a leader that is none any more appends nothing, and may say so.
  p.isolate(p.leader);
  p.cluster.run_for(seconds(2));
  const auto asked = p.put(p.leader, "never", "x");
  CHECK(refused(*asked) == Errc::kNotLeader);
  p.cluster.network().heal();
  REQUIRE(p.await_leader());
  p.cluster.run_for(seconds(1));
  CHECK(p.get(*p.cluster.leader(), "never") == "absent");
}

TEST_CASE("[F74] a follower that stands still does not grow what its leader holds") {
  Options options = calm(3);
  Playground p(options);
  const std::size_t third = 3 - p.leader - p.follower;
  p.cluster.pause(third, seconds(20));
  for (int i = 0; i < 400; ++i)
    REQUIRE(done(*p.put(p.leader, "k", std::string(20'000, 'x'))));
  const node::ReplicaStatus status = p.cluster.status(p.leader);
  CHECK(status.pending_bytes == 0);
  for (const raft::PeerProgress& peer : status.progress) {
    CHECK(peer.inflight_bytes <= options.max_inflight_bytes);
    CHECK(peer.inflight_messages <= limits::kAppendsInFlightMax);
  }
  // It catches up by what is on the leader's disk.
  REQUIRE(p.cluster.run_until(
      [&] {
        return !p.cluster.paused(third) &&
               p.cluster.status(third).applied == p.cluster.status(p.leader).last;
      },
      seconds(60)));
}

// A log for a follower that was away, over a link of 1.2 MB/s. Gives how often it lost its leader.
int lost_on_a_slow_link(int entries, std::size_t bytes) {
  Playground p(calm(3));
  const std::size_t third = 3 - p.leader - p.follower;
  p.cluster.network().narrow(p.leader, third, 1'200'000);
  p.cluster.kill(third, false);
  for (int i = 0; i < entries; ++i)
    REQUIRE(done(*p.put(p.leader, "k", std::string(bytes, 'x'))));
  const std::uint64_t term = p.cluster.status(p.leader).role.term.value;
  p.cluster.start(third);
  bool follows = false;
  int lost = 0;
  const auto caught_up = [&] {
    if (!p.cluster.running(third)) return false;
    const node::ReplicaStatus status = p.cluster.status(third);
    const bool now = static_cast<bool>(status.role.leader);
    if (follows && !now) ++lost;
    follows = now;
    return status.applied == p.cluster.status(p.leader).last;
  };
  // The time that its bytes take there, and half as much.
  const auto patience = milliseconds(1000 + entries * static_cast<int>(bytes) / 800);
  CHECK(p.cluster.run_until(caught_up, patience));
  CHECK(p.cluster.status(p.leader).role.term.value == term);
  return lost;
}

TEST_CASE("a follower on a slow link gets a log of 6 MB, and hears its leader all the while") {
  CHECK(lost_on_a_slow_link(300, 20'000) == 0);
}

TEST_CASE("entries that take longer than an election timeout on their way cost no election") {
  CHECK(lost_on_a_slow_link(6, 1'000'000) == 0);
}

TEST_CASE("a leader that is asked to stop hands over, answers everyone, and ends clean") {
  Playground p(calm(3));
  std::vector<std::shared_ptr<Cluster::Asked>> writes;
  for (int i = 0; i < 20; ++i)
    writes.push_back(p.cluster.put(p.leader, "k" + std::to_string(i), "x"));
  p.cluster.stop(p.leader, seconds(5));
  const auto late = p.cluster.put(p.leader, "late", "x");
  REQUIRE(p.cluster.run_until([&] { return !p.cluster.running(p.leader); }, seconds(10)));
  CHECK(p.cluster.coverage().clean_stops == 1);
  CHECK(refused(*late) == Errc::kShuttingDown);
  for (const auto& write : writes)
    CHECK(done(*write));
  REQUIRE(p.await_leader());
  CHECK(*p.cluster.leader() != p.leader);
  p.cluster.start(p.leader);
  p.cluster.run_for(seconds(1));
  CHECK(p.get(p.leader, "k7") == "x");
}

namespace {

constexpr std::size_t kLargeBytes = 1'000'000;

// Asks the leader for so many things at once: how many of them were answered at one time at most.
std::size_t most_at_once(
    Playground& p, std::size_t asked, const std::function<node::ClientOp(std::size_t)>& op,
    const std::function<void()>& then = [] {}) {
  std::map<Instant, std::size_t> answered;
  std::size_t left = asked;
  for (std::size_t i = 0; i < asked; ++i) {
    p.cluster.submit(p.leader, op(i), seconds(9), [&](const auto& result) {
      if (!result || !std::holds_alternative<node::Done>(*result)) return;
      ++answered[p.cluster.schedule().now()];
      --left;
    });
  }
  then();
  const bool all = p.cluster.run_until([&] { return left == 0; }, seconds(10));
  REQUIRE(all);
  return std::ranges::max_element(answered, {}, [](const auto& at) { return at.second; })->second;
}

}  // namespace

TEST_CASE(
    "large reads are answered a few at a time, so that these are sent before there are more") {
  Playground p(calm(3));
  REQUIRE(done(*p.put(p.leader, "k", std::string(kLargeBytes, 'x'))));
  const std::uint64_t revision = p.cluster.store(p.leader).stats().revision;
  const auto reads = [](node::Consistency consistency, std::uint64_t min_revision) {
    return [=](std::size_t) {
      auto query = std::make_unique<kv::GetQuery>();
      query->key = "k";
      query->min_revision = min_revision;
      return node::Read{std::move(query), consistency};
    };
  };
  constexpr std::size_t kFew = limits::kReplyBytesPerPumpMax / kLargeBytes + 1;
  CHECK(most_at_once(p, 50, reads(node::Consistency::kLinearizable, 0)) == kFew);
  CHECK(most_at_once(p, 50, reads(node::Consistency::kLocal, 0)) == kFew);
  const auto write = [&] { p.cluster.put(p.leader, "other", "x"); };
  CHECK(most_at_once(p, 50, reads(node::Consistency::kLocal, revision + 1), write) == kFew);
}

TEST_CASE("a local read that has not had its turn by its deadline is refused then") {
  Playground p(calm(3));
  REQUIRE(done(*p.put(p.leader, "k", std::string(kLargeBytes, 'x'))));
  constexpr std::size_t kReads = 500;
  std::size_t answered = 0;
  std::size_t refused_ones = 0;
  for (std::size_t i = 0; i < kReads; ++i) {
    auto query = std::make_unique<kv::GetQuery>();
    query->key = "k";
    p.cluster.submit(p.leader, node::Read{std::move(query), node::Consistency::kLocal},
                     milliseconds(2), [&](const auto& result) {
                       ++answered;
                       const auto* refused = std::get_if<node::Refused>(&*result);
                       if (refused != nullptr && refused->error.code == Errc::kTimeout)
                         ++refused_ones;
                     });
  }
  REQUIRE(p.cluster.run_until([&] { return answered == kReads; }, seconds(10)));
  CHECK(refused_ones > 0);
  CHECK(refused_ones < kReads);
}

TEST_CASE("answers to writes that hold what was there before are made a few at a time as well") {
  Playground p(calm(3));
  for (int i = 0; i < 24; ++i)
    REQUIRE(done(*p.put(p.leader, "k" + std::to_string(i), std::string(kLargeBytes, 'x'))));
  const auto remove = [](std::size_t i) {
    const std::string key = "k" + std::to_string(i);
    return node::Write{node::Propose{kv::encode(kv::Delete{.key = key, .want_prev = true})}};
  };
  CHECK(most_at_once(p, 24, remove) == limits::kReplyBytesPerPumpMax / kLargeBytes + 1);
}

TEST_CASE("a read that waits for a revision is parked until it is there, or times out") {
  Playground p(calm(3));
  REQUIRE(done(*p.put(p.leader, "k", "one")));
  const auto ask = [&](std::uint64_t revision, Duration timeout) {
    auto query = std::make_unique<kv::GetQuery>();
    query->key = "k";
    query->min_revision = revision;
    auto asked = std::make_shared<Cluster::Asked>();
    p.cluster.submit(p.follower, node::Read{std::move(query), node::Consistency::kLocal}, timeout,
                     [asked](auto result) {
                       asked->answered = true;
                       asked->result = std::move(result);
                     });
    return asked;
  };
  p.cluster.run_for(milliseconds(100));
  const std::uint64_t now = p.cluster.store(p.follower).stats().revision;
  const auto soon = ask(now + 1, seconds(2));
  const auto never = ask(now + 100, milliseconds(300));
  p.cluster.run_for(milliseconds(100));
  CHECK_FALSE(soon->answered);
  REQUIRE(done(*p.put(p.leader, "k", "two")));
  REQUIRE(p.await(soon));
  CHECK(value(*soon) == "two");
  REQUIRE(p.await(never));
  CHECK(refused(*never) == Errc::kTimeout);
}

}  // namespace raftd::sim
