// The checker itself: it is worth nothing if it does not refuse what is known to be wrong.
#include "support/linearizability.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/rng.h"

namespace raftd::support {
namespace {

using Kind = Operation::Kind;

Operation put(std::uint64_t value, std::int64_t called, std::int64_t returned) {
  return {.kind = Kind::kPut, .value = value, .called = called, .returned = returned};
}
Operation get(std::uint64_t found, std::int64_t called, std::int64_t returned) {
  return {.kind = Kind::kGet, .found = found, .called = called, .returned = returned};
}
Operation cas(std::uint64_t expect, std::uint64_t value, bool succeeded, std::int64_t called,
              std::int64_t returned) {
  return {.kind = Kind::kCas,
          .value = value,
          .expect = expect,
          .succeeded = succeeded,
          .called = called,
          .returned = returned};
}
Operation unknown(Operation operation) {
  operation.unknown = true;
  return operation;
}

Verdict check(const std::vector<Operation>& history) {
  return check_linearizable(history, 1'000'000);
}

// All orders, without any cleverness.
bool linearizable_by_force(const std::vector<Operation>& history) {
  std::vector<std::size_t> order(history.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  do {
    for (std::size_t taken = 0; taken < (1U << history.size()); ++taken) {
      std::uint64_t state = 0;
      bool good = true;
      for (std::size_t i = 0; i < order.size() && good; ++i) {
        const Operation& operation = history[order[i]];
        const bool happens = ((taken >> order[i]) & 1) != 0;
        if (!happens) {
          good = operation.unknown;
          continue;
        }
        for (std::size_t j = i + 1; j < order.size(); ++j) {
          const Operation& later = history[order[j]];
          const bool later_happens = ((taken >> order[j]) & 1) != 0;
          if (later_happens && !later.unknown && later.returned < operation.called) good = false;
        }
        if (operation.kind == Kind::kGet) {
          good = good && (operation.unknown || operation.found == state);
        } else if (operation.kind == Kind::kPut) {
          state = operation.value;
        } else {
          const bool succeeds = state == operation.expect;
          good = good && (operation.unknown || succeeds == operation.succeeded);
          if (succeeds) state = operation.value;
        }
      }
      if (good) return true;
    }
  } while (std::ranges::next_permutation(order).found);
  return false;
}

}  // namespace

TEST_CASE("a history without overlap is linearizable only in its own order") {
  CHECK(check({put(1, 0, 1), get(1, 2, 3)}) == Verdict::kLinearizable);
  CHECK(check({put(1, 0, 1), get(0, 2, 3)}) == Verdict::kNotLinearizable);
  CHECK(check({}) == Verdict::kLinearizable);
}

TEST_CASE("a stale read is refused, while the same read of an overlapping write is not") {
  CHECK(check({put(1, 0, 1), put(2, 2, 3), get(1, 4, 5)}) == Verdict::kNotLinearizable);
  CHECK(check({put(1, 0, 1), put(2, 2, 5), get(1, 3, 4)}) == Verdict::kLinearizable);
}

TEST_CASE("reads that go back in time are refused even inside one long write") {
  CHECK(check({put(1, 0, 100), get(1, 10, 20), get(0, 30, 40)}) == Verdict::kNotLinearizable);
  CHECK(check({put(1, 0, 100), get(0, 10, 20), get(1, 30, 40)}) == Verdict::kLinearizable);
}

TEST_CASE("a write of unknown outcome may have happened, late, or never") {
  CHECK(check({unknown(put(1, 0, 0)), get(0, 10, 11), get(1, 20, 21)}) == Verdict::kLinearizable);
  CHECK(check({unknown(put(1, 0, 0)), get(0, 10, 11)}) == Verdict::kLinearizable);
  CHECK(check({unknown(put(1, 5, 0)), get(1, 1, 2)}) == Verdict::kNotLinearizable);
  CHECK(check({unknown(put(1, 0, 0)), get(1, 10, 11), get(0, 20, 21)}) ==
        Verdict::kNotLinearizable);
}

TEST_CASE("two compare-and-sets from one value do not both succeed") {
  CHECK(check({put(1, 0, 1), cas(1, 2, true, 2, 9), cas(1, 3, true, 3, 8)}) ==
        Verdict::kNotLinearizable);
  CHECK(check({put(1, 0, 1), cas(1, 2, true, 2, 9), cas(1, 3, false, 3, 8)}) ==
        Verdict::kLinearizable);
  CHECK(check({put(1, 0, 1), cas(1, 2, false, 2, 3)}) == Verdict::kNotLinearizable);
}

TEST_CASE("a lost update is refused: an acknowledged write that no later read sees") {
  CHECK(check({put(1, 0, 1), put(2, 2, 3), cas(1, 3, true, 4, 5)}) == Verdict::kNotLinearizable);
}

TEST_CASE("a delete that tells what was there is an observation") {
  Operation removal{
      .kind = Kind::kDelete, .found = 1, .known_before = true, .called = 4, .returned = 5};
  CHECK(check({put(1, 0, 1), removal, get(0, 6, 7)}) == Verdict::kLinearizable);
  removal.found = 0;
  CHECK(check({put(1, 0, 1), removal}) == Verdict::kNotLinearizable);
}

TEST_CASE("a search that takes too long says so instead of passing") {
  std::vector<Operation> history;
  for (std::uint64_t i = 1; i <= 20; ++i)
    history.push_back(unknown(put(i, 0, 0)));
  history.push_back(get(99, 1, 2));
  CHECK(check_linearizable(history, 1000) == Verdict::kGaveUp);
}

TEST_CASE("on thousands of small random histories it agrees with trying every order") {
  Rng rng(7);
  int linearizable = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<Operation> history;
    const std::size_t size = 2 + rng.below(4);
    for (std::size_t i = 0; i < size; ++i) {
      const auto called = static_cast<std::int64_t>(rng.below(12));
      const auto returned = called + static_cast<std::int64_t>(rng.below(6));
      const std::uint64_t other = rng.below(size + 1);
      Operation operation;
      switch (rng.below(3)) {
        case 0:
          operation = put(i + 1, called, returned);
          break;
        case 1:
          operation = get(other, called, returned);
          break;
        default:
          operation = cas(other, i + 1, rng.one_in(2), called, returned);
      }
      history.push_back(rng.one_in(5) ? unknown(operation) : operation);
    }
    const bool expected = linearizable_by_force(history);
    linearizable += expected ? 1 : 0;
    CHECK((check(history) == Verdict::kLinearizable) == expected);
  }
  CHECK(linearizable > 400);
  CHECK(linearizable < 3600);
}

}  // namespace raftd::support
