// Who waits for what, and what decides it.
#include "node/waiting.h"

#include <doctest/doctest.h>

#include <deque>

namespace raftd::node {
namespace {

using std::chrono::milliseconds;

Instant at_ms(std::int64_t ms) {
  return {milliseconds(ms)};
}

struct Decided {
  std::uint64_t token;
  bool superseded;
  bool operator==(const Decided&) const = default;
};

std::vector<Decided> apply(WaitingWrites& writes, std::uint64_t index, std::uint64_t term) {
  std::vector<Decided> decided;
  writes.applied({index}, {term}, [&](const WaitingWrites::Waiter& waiter, bool superseded) {
    decided.push_back({waiter.token.value, superseded});
  });
  return decided;
}

WaitingWrites::Waiter waiter(std::uint64_t index, std::uint64_t token, std::int64_t deadline_ms) {
  return {{index}, {token}, at_ms(deadline_ms), at_ms(0)};
}

struct AnyQuery final : machine::Query {};

WaitingReads::Waiter read_waiter(std::uint64_t token, std::int64_t deadline_ms) {
  return {0, {token}, at_ms(deadline_ms), std::make_unique<AnyQuery>()};
}

}  // namespace

TEST_CASE("[ZF-4] [RF-2] a write is done only by an entry of its own term at its index") {
  WaitingWrites writes;
  writes.add({5}, waiter(10, 1, 1000));
  writes.add({5}, waiter(11, 2, 1000));
  CHECK(writes.wanted({10}, {5}));
  CHECK_FALSE(writes.wanted({10}, {6}));
  CHECK_FALSE(writes.wanted({11}, {5}));  // Not next: nobody asks before its turn.
  CHECK(apply(writes, 9, 5).empty());
  CHECK(apply(writes, 10, 6) == std::vector<Decided>{{1, true}});
  CHECK(apply(writes, 11, 5) == std::vector<Decided>{{2, false}});
  CHECK(writes.size() == 0);
}

TEST_CASE("[ZF-4] two writes of different terms at one index are told apart") {
  WaitingWrites writes;
  writes.add({5}, waiter(10, 1, 1000));
  writes.add({7}, waiter(10, 2, 1000));
  CHECK(apply(writes, 10, 7) == std::vector<Decided>{{1, true}, {2, false}});
}

TEST_CASE("losing the tail decides nothing: an overwritten write may yet be committed") {
  WaitingWrites writes;
  for (std::uint64_t index = 10; index < 20; ++index)
    writes.add({5}, waiter(index, index, 1000));
  writes.add({6}, waiter(12, 99, 1000));  // Led again, with a shorter log.
  CHECK(writes.size() == 11);
  CHECK(apply(writes, 10, 5) == std::vector<Decided>{{10, false}});
  CHECK(apply(writes, 11, 5) == std::vector<Decided>{{11, false}});
  CHECK(apply(writes, 12, 5) == std::vector<Decided>{{12, false}, {99, true}});
}

TEST_CASE("answers of forwarded writes that come out of order wait in order") {
  WaitingWrites writes;
  for (const std::uint64_t index : {12U, 10U, 13U, 11U})
    writes.add({5}, waiter(index, index, 1000));
  writes.check_invariants({9});
  for (std::uint64_t index = 10; index < 14; ++index)
    CHECK(apply(writes, index, 5) == std::vector<Decided>{{index, false}});
}

TEST_CASE("at its deadline a write leaves, and its entry finds nobody afterwards") {
  WaitingWrites writes;
  writes.add({5}, waiter(10, 1, 50));
  writes.add({5}, waiter(11, 2, 500));
  CHECK_FALSE(writes.scan_due(at_ms(49)));
  CHECK(writes.next_scan() == at_ms(50));
  REQUIRE(writes.scan_due(at_ms(50)));
  std::vector<std::uint64_t> expired;
  writes.scan(at_ms(50), {}, [&](const WaitingWrites::Waiter& w, raft::Term term) {
    expired.push_back(w.token.value);
    CHECK(term == raft::Term{5});
  });
  CHECK(expired == std::vector<std::uint64_t>{1});
  CHECK(writes.next_scan() == at_ms(500));
  CHECK_FALSE(writes.wanted({10}, {5}));
  CHECK(apply(writes, 10, 5).empty());
  CHECK(apply(writes, 11, 5).size() == 1);
}

TEST_CASE("deadlines close to each other are looked at once in ten milliseconds") {
  WaitingWrites writes;
  for (std::int64_t i = 0; i < 100; ++i)
    writes.add(
        {5}, waiter(static_cast<std::uint64_t>(10 + i), static_cast<std::uint64_t>(1 + i), 50 + i));
  int scans = 0;
  for (std::int64_t ms = 0; ms < 200; ++ms) {
    if (!writes.scan_due(at_ms(ms))) continue;
    ++scans;
    writes.scan(at_ms(ms), {}, [](const WaitingWrites::Waiter&, raft::Term) {});
  }
  CHECK(writes.size() == 0);
  CHECK(scans <= 12);
}

TEST_CASE("[RF-11] a client that is gone is forgotten without an answer") {
  WaitingWrites writes;
  writes.add({5}, waiter(10, 1, 1000));
  writes.add({5}, waiter(11, 2, 1000));
  writes.scan(at_ms(1), {ClientToken{1}},
              [](const WaitingWrites::Waiter&, raft::Term) { FAIL("nobody is due"); });
  CHECK(writes.size() == 1);
  CHECK(apply(writes, 10, 5).empty());
  CHECK(apply(writes, 11, 5).size() == 1);
}

TEST_CASE("[CP-13] a read is handed out only when its index is applied") {
  WaitingReads reads;
  const std::uint64_t first = reads.next_read();
  reads.asked(read_waiter(1, 1000));
  reads.asked(read_waiter(2, 1000));
  WaitingReads::Waiter ready;
  CHECK_FALSE(reads.next_ready({100}, ready));
  reads.answered(first + 1, raft::Index{7});
  reads.answered(first, raft::Index{8});
  CHECK_FALSE(reads.next_ready({6}, ready));
  REQUIRE(reads.next_ready({7}, ready));
  CHECK(ready.token == ClientToken{2});
  CHECK_FALSE(reads.next_ready({7}, ready));
  REQUIRE(reads.next_ready({8}, ready));
  CHECK(ready.token == ClientToken{1});
  CHECK(reads.size() == 0);
}

TEST_CASE("a read with a lower index behind one with a higher one waits for the higher") {
  WaitingReads reads;
  const std::uint64_t first = reads.next_read();
  reads.asked(read_waiter(1, 1000));
  reads.asked(read_waiter(2, 1000));
  reads.answered(first, raft::Index{9});
  reads.answered(first + 1, raft::Index{5});
  WaitingReads::Waiter ready;
  CHECK_FALSE(reads.next_ready({8}, ready));
  CHECK(reads.next_ready({9}, ready));
  CHECK(reads.next_ready({9}, ready));
}

TEST_CASE("[F68] a read that nobody confirmed is asked again until its deadline") {
  WaitingReads reads;
  const std::uint64_t first = reads.next_read();
  reads.asked(read_waiter(1, 100));
  reads.answered(first, std::nullopt);
  CHECK(reads.size() == 1);
  CHECK(reads.take_unasked(at_ms(0)).empty());  // Not at once: it would be a loop.
  const Instant again = reads.next_wakeup();
  CHECK(again <= at_ms(20));
  std::vector<WaitingReads::Waiter> waiters = reads.take_unasked(again);
  REQUIRE(waiters.size() == 1);
  reads.asked(std::move(waiters.front()));
  std::vector<ClientToken> expired;
  reads.scan(at_ms(100), {}, [&](ClientToken token) { expired.push_back(token); });
  CHECK(expired == std::vector<ClientToken>{{1}});
  reads.answered(first + 1, raft::Index{3});  // Too late: it goes nowhere.
  WaitingReads::Waiter ready;
  CHECK_FALSE(reads.next_ready({9}, ready));
  CHECK(reads.size() == 0);
}

TEST_CASE("a parked read is tried again, and leaves at its deadline") {
  WaitingReads reads;
  reads.park(read_waiter(1, 100));
  reads.park(read_waiter(2, 200));
  CHECK(reads.size() == 2);
  std::vector<ClientToken> expired;
  reads.scan(at_ms(150), {}, [&](ClientToken token) { expired.push_back(token); });
  CHECK(expired == std::vector<ClientToken>{{1}});
  CHECK(reads.take_parked().size() == 1);
  CHECK(reads.size() == 0);
}

TEST_CASE("a ring keeps its order through growth, wrapping, insertion and removal") {
  Ring<int> ring;
  std::deque<int> model;
  for (int i = 0; i < 5000; ++i) {
    switch (i % 7) {
      case 5:
        if (!model.empty()) {
          CHECK(ring.pop_front() == model.front());
          model.pop_front();
        }
        break;
      case 6: {
        const auto place = static_cast<std::ptrdiff_t>(model.size() / 3);
        ring.insert(static_cast<std::size_t>(place), -i);
        model.insert(model.begin() + place, -i);
        break;
      }
      default:
        ring.push_back(i);
        model.push_back(i);
    }
    if (i % 500 == 499) {
      const auto odd = [](int value) { return value % 2 != 0; };
      ring.erase_if(odd);
      std::erase_if(model, odd);
    }
  }
  REQUIRE(ring.size() == model.size());
  for (std::size_t i = 0; i < model.size(); ++i)
    CHECK(ring[i] == model[i]);
}

}  // namespace raftd::node
