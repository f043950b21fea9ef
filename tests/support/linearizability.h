// Decides whether a history of operations on one key is linearizable: whether each operation can be
// given one moment between its call and its return so that, done in that order one after the other,
// they give the results that were seen.
//
// The search is Wing and Gong's with Lowe's memoization (Testing for Linearizability, 2017). An
// operation whose outcome is unknown may have happened at any moment after its call, or never.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace raftd::support {

// Every write of a history writes another value; 0 stands for "the key is absent".
struct Operation {
  enum class Kind : std::uint8_t {
    kPut,     // value.
    kGet,     // found is what it returned.
    kCas,     // value, if the key's value was expect. succeeded says whether it was.
    kDelete,  // found is what was there before, if known_before.
  };
  Kind kind = Kind::kGet;
  std::uint64_t value = 0;
  std::uint64_t expect = 0;
  std::uint64_t found = 0;
  bool succeeded = false;
  bool known_before = false;
  bool unknown = false;     // Nobody knows whether it happened: results and return say nothing.
  std::int64_t called = 0;  // Any clock that all clients share.
  std::int64_t returned = 0;
};

enum class Verdict : std::uint8_t {
  kLinearizable,
  kNotLinearizable,
  kGaveUp,  // More than steps_max steps: counts as a failure of the test, not as a pass.
};

Verdict check_linearizable(const std::vector<Operation>& history, std::uint64_t steps_max);

std::string text_of(const Operation& operation);  // For the report of a bad history.

}  // namespace raftd::support
