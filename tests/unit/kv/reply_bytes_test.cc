// What a reply says it holds is what was read: who bounds answers by it relies on that.
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kValueBytes = 100'000;

struct Large : Fed {
  Large() {
    for (const char* key : {"a", "b", "c"})
      put(key, std::string(kValueBytes, 'v'));
  }
  std::size_t asked(const machine::Query& query) const {
    const auto reply = store.query(query, {time});
    REQUIRE(reply != nullptr);
    return reply->bytes();
  }
  std::size_t applied(const Command& command) {
    machine::Outcome outcome = start(command);
    while (!outcome.finished)
      outcome = store.apply_slice();
    return outcome.reply->bytes();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Large, "a read says how much it has found") {
  GetQuery get;
  get.key = "a";
  CHECK(asked(get) == kValueBytes + 1);
  get.key = "absent";
  CHECK(asked(get) == 0);
  RangeQuery range;
  CHECK(asked(range) == 3 * (kValueBytes + 1));
  range.keys_only = true;
  CHECK(asked(range) == 3);
  SpanQuery span;
  span.from = "a";
  span.to = "c";
  CHECK(asked(span) == 2 * (kValueBytes + 1));
}

TEST_CASE_FIXTURE(Large, "a write says how much it gives back of what was there") {
  CHECK(applied(Put{.key = "a", .value = "x", .condition = {}}) == 0);
  CHECK(applied(Delete{.key = "b", .want_prev = true}) == kValueBytes + 1);
  Transaction transaction;
  List list;
  list.span.from = "c";
  transaction.then.push_back({list});
  CHECK(applied(transaction) >= kValueBytes + 1);
}

}  // namespace raftd::kv
