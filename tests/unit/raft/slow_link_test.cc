// A follower behind a slow link: how much its leader has on the way to it, and what the follower
// makes of a message that has come in part.
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

constexpr std::size_t kStart = limits::kAppendWindowBytesStart;
constexpr std::size_t kMin = limits::kAppendWindowBytesMin;
constexpr std::uint64_t kEntries = 2500;  // Of kEntryBytes: more than the largest window.
constexpr std::size_t kEntryBytes = 8000;

CoreConfig roomy() {
  CoreConfig config = core_config(1);
  config.max_pending_bytes = 64 * limits::kMiB;
  return config;
}

// Leads, with much that node 2 lacks and node 3 has not answered either.
class Sender {
 public:
  Sender() : solo(first_start(three()), roomy()) {
    solo.lead();
    first = solo.core().last_index().value;
  }
  void write(std::uint64_t entries, std::size_t bytes = kEntryBytes) {
    for (std::uint64_t i = 0; i < entries; ++i)
      REQUIRE(solo.propose(std::string(bytes, 'x')));
  }
  std::size_t in_flight() { return solo.core().progress()[0].inflight_bytes; }

  // A heartbeat goes out, and is answered after so long; what was on its way came before it.
  void round_trip(Duration takes) {
    std::uint64_t seq = 0;
    while (seq == 0) {
      solo.wait(1ms);
      for (const AppendRequest& request : solo.sent<AppendRequest>(2))
        seq = std::max(seq, request.read_seq.value);
    }
    for (; takes > 0ms; takes -= 10ms) {
      solo.wait(10ms);
      solo.accept(3, first);  // A majority is there all the while.
      solo.accept(2, first);  // An ack is no echo.
    }
    accept_all(seq);
    solo.node.take_sent();
  }
  void accept_all(std::uint64_t seq = 0) {
    solo.accept(2, solo.core().progress()[0].next.value - 1, seq);
  }
  // All that it may have is on its way after this.
  std::size_t window() {
    solo.wait(2ms);
    return in_flight();
  }

  Solo solo;
  std::uint64_t first = 0;
};

bool about(std::size_t bytes, std::size_t window) {
  return bytes <= window && bytes + 2 * kEntryBytes > window;
}

TEST_CASE("what is on its way to a follower grows with what its link carries in time") {
  Sender sender;
  sender.round_trip(0ms);
  sender.write(kEntries);
  std::size_t expected = kStart;
  CHECK(about(sender.window(), expected));
  while (expected < limits::kAppendsInFlightBytesMax) {
    sender.round_trip(10ms);
    expected *= 2;
    CHECK(about(sender.window(), expected));
  }
  sender.round_trip(10ms);
  CHECK(sender.window() <= limits::kAppendsInFlightBytesMax);
}

TEST_CASE("an answer that has waited behind entries for long leaves room for half as many") {
  Sender sender;
  sender.round_trip(0ms);
  sender.write(kEntries);
  CHECK(about(sender.window(), kStart));
  sender.round_trip(40ms);  // Between a quarter and half of an election timeout: it stays.
  CHECK(about(sender.window(), kStart));
  for (std::size_t expected = kStart / 2; expected >= kMin; expected /= 2) {
    sender.round_trip(70ms);
    CHECK(about(sender.window(), expected));
  }
  sender.round_trip(70ms);
  CHECK(about(sender.window(), kMin));
  sender.round_trip(10ms);
  CHECK(about(sender.window(), 2 * kMin));
}

TEST_CASE("a link that is long and not slow is filled") {
  Sender sender;
  sender.round_trip(60ms);
  sender.write(kEntries);
  CHECK(about(sender.window(), kStart));
  sender.round_trip(70ms);
  CHECK(about(sender.window(), 2 * kStart));
  sender.solo.core().connected({2}, 0);  // Another connection may have another way.
  sender.solo.node.take_sent();
  sender.round_trip(70ms);
  CHECK(about(sender.window(), kStart));
}

TEST_CASE("what was not used says nothing: a window stays as it is while little is written") {
  Sender sender;
  for (int i = 0; i < 20; ++i) {
    sender.write(1);
    sender.round_trip(0ms);
  }
  sender.write(kEntries);
  CHECK(about(sender.window(), kStart));
}

TEST_CASE("a message is no more than half of what may be on its way") {
  Sender sender;
  sender.round_trip(0ms);
  sender.write(kEntries);
  const auto largest = [&] {
    sender.window();
    sender.solo.node.take_sent();
    sender.accept_all();
    std::size_t most = 0;
    for (const AppendRequest& request : sender.solo.sent<AppendRequest>(2))
      most = std::max(most, request.entries.size() * kEntryBytes);
    return most;
  };
  CHECK(about(largest(), kStart / 2));
  while (sender.window() > kMin)
    sender.round_trip(70ms);
  CHECK(about(largest(), kMin));
}

TEST_CASE("a follower that was lost begins with a small window again") {
  Sender sender;
  sender.round_trip(0ms);
  sender.write(kEntries);
  sender.window();
  sender.round_trip(10ms);
  CHECK(about(sender.window(), 2 * kStart));
  sender.solo.core().unreachable({2});
  sender.round_trip(0ms);
  CHECK(about(sender.window(), kStart));
}

TEST_CASE("old entries are read by as many bytes as one message may have") {
  const std::vector<std::uint64_t> terms(100, 2);
  Solo solo(with_log(three(), 2, terms), core_config(1), 1, 3);
  solo.lead_with_old_entries_wanted();
  CHECK(solo.node.log_reads[0].bytes_max == kStart / 2);
}

TEST_CASE("a follower does not stand while a message of its leader comes in parts") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  for (int i = 0; i < 9; ++i) {
    solo.wait(99ms);
    solo.core().receiving(solo.now, {2});
  }
  CHECK(solo.role() == Role::kFollower);
  CHECK(solo.core().role().leader == NodeId{2});
  // What others are told is what it knows: of this leader it has had nothing whole for long.
  solo.node.take_sent();
  solo.ask_pre_vote(3, 3, 1, 1);
  CHECK(solo.vote_granted());
  solo.append(2, 2, 1, 1);
  solo.node.take_sent();
  solo.core().receiving(solo.now, {2});
  solo.ask_pre_vote(3, 3, 1, 1);
  CHECK(solo.sent<VoteReply>().empty());
}

TEST_CASE("parts of a message that never ends do not keep a leader for ever") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  const Instant heard = solo.now;
  while (solo.role() == Role::kFollower && solo.now < heard + 5000ms) {
    solo.wait(10ms);
    solo.core().receiving(solo.now, {2});
  }
  CHECK(solo.role() == Role::kPreCandidate);
  CHECK(solo.now - heard > 1000ms);
  CHECK(solo.now - heard <= 1210ms);
}

TEST_CASE("only parts of the leader's messages count") {
  Solo solo(first_start(three()));
  solo.append(2, 2, 1, 1);
  for (int i = 0; i < 25; ++i) {
    solo.wait(9ms);
    solo.core().receiving(solo.now, {3});
  }
  CHECK(solo.role() == Role::kPreCandidate);
}

}  // namespace
}  // namespace raftd::raft::testing
