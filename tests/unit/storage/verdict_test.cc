// The decision table of recovery, twice: its rows as data, tried from the top, must say what the
// function says for every combination of facts, and every combination must have a row.
#include "storage/verdict.h"

#include <doctest/doctest.h>

#include <optional>
#include <set>

namespace raftd::storage {
namespace {

using Any = std::optional<bool>;
constexpr Any kAny = std::nullopt;

struct Row {
  bool header_valid;
  Any sealed;
  Any rest_zero;
  Any later_frame;
  Any far_bytes;
  Any newest;
  Any previous_sealed;
  Verdict verdict;
};

// clang-format off
constexpr Row kRows[] = {
    // header sealed zero   later  far    newest previous
    {true,  true,  true,  kAny,  kAny,  kAny,  kAny, Verdict::kSealed},
    {true,  true,  kAny,  kAny,  kAny,  kAny,  kAny, Verdict::kBytesAfterSeal},
    {true,  false, true,  kAny,  kAny,  false, kAny, Verdict::kSealMissing},
    {true,  false, true,  kAny,  kAny,  true,  kAny, Verdict::kEnd},
    {true,  false, kAny,  true,  kAny,  kAny,  kAny, Verdict::kFrameLost},
    {true,  false, kAny,  kAny,  true,  kAny,  kAny, Verdict::kFarBytes},
    {true,  false, kAny,  kAny,  kAny,  false, kAny, Verdict::kBadInside},
    {true,  false, kAny,  kAny,  kAny,  true,  kAny, Verdict::kTorn},
    {false, kAny,  kAny,  false, false, true,  true, Verdict::kNeverWritten},
    {false, kAny,  kAny,  kAny,  kAny,  kAny,  kAny, Verdict::kHeaderBad},
};
// clang-format on

bool fits(Any wanted, bool fact) {
  return !wanted || *wanted == fact;
}

TEST_CASE("every combination of facts has a row, and the row says what judge() says") {
  std::set<const Row*> used;
  for (unsigned bits = 0; bits < 128; ++bits) {
    const auto bit = [&](unsigned n) { return (bits >> n & 1U) != 0; };
    const SegmentEnd end{bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6)};
    const Row* first = nullptr;
    for (const Row& row : kRows) {
      if (row.header_valid == end.header_valid && fits(row.sealed, end.sealed) &&
          fits(row.rest_zero, end.rest_zero) && fits(row.later_frame, end.later_frame) &&
          fits(row.far_bytes, end.far_bytes) && fits(row.newest, end.newest) &&
          fits(row.previous_sealed, end.previous_sealed)) {
        first = &row;
        break;
      }
    }
    REQUIRE(first != nullptr);
    used.insert(first);
    CAPTURE(bits);
    CHECK(judge(end) == first->verdict);
  }
  CHECK(used.size() == std::size(kRows));  // No row is dead.
}

}  // namespace
}  // namespace raftd::storage
