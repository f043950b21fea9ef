// Goal: a transaction is done as a whole, at one revision, or leaves nothing behind; increments
// count. Method: each rule by hand.

#include "base/limits.h"
#include "unit/kv/transaction_fixture.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;
using Relation = Guard::Relation;
using Target = Guard::Target;

WriteReply increment(Fed& fed, std::string_view name, std::int64_t by) {
  return fed.apply(Increment{name, by});
}

}  // namespace

TEST_CASE("increments count from 0, keep signs and bounds, and refuse what is no number") {
  Fed fed;
  WriteReply reply = increment(fed, "n", 5);
  CHECK(reply.created);
  CHECK(reply.value == 5);
  CHECK(reply.revision == 2);
  reply = increment(fed, "n", -7);
  CHECK_FALSE(reply.created);
  CHECK(reply.value == -2);
  CHECK(fed.get("n").item.value == "-2");
  CHECK(fed.get("n").item.version == 2);

  const struct {
    std::string_view value;
    std::int64_t by;
    Result result;
    std::int64_t sum;
  } rows[] = {
      {" \t\n\v\f\r 41 \n", 1, Result::kDone, 42},
      {"-007", 1, Result::kDone, -6},
      {"9223372036854775806", 1, Result::kDone, INT64_MAX},
      {"9223372036854775807", 1, Result::kOverflow, 0},
      {"-9223372036854775808", -1, Result::kOverflow, 0},
      {"-1", INT64_MIN, Result::kOverflow, 0},
      {"0", INT64_MIN, Result::kDone, INT64_MIN},
      {"9223372036854775808", -1, Result::kOverflow, 0},
      {"", 1, Result::kNotANumber, 0},
      {"-", 1, Result::kNotANumber, 0},
      {"+1", 1, Result::kNotANumber, 0},
      {"1 2", 1, Result::kNotANumber, 0},
      {"0x10", 1, Result::kNotANumber, 0},
      {"1.0", 1, Result::kNotANumber, 0},
      {std::string_view("1\0", 2), 1, Result::kNotANumber, 0},
  };
  for (const auto& row : rows) {
    CAPTURE(row.value);
    fed.put("m", row.value);
    const Revision before = fed.revision();
    reply = increment(fed, "m", row.by);
    CHECK(reply.result == row.result);
    if (row.result == Result::kDone) CHECK(reply.value == row.sum);
    if (row.result == Result::kDone) CHECK(fed.get("m").item.value == std::to_string(row.sum));
    CHECK(fed.revision() == before + (row.result == Result::kDone ? 1 : 0));
    CHECK(reply.revision == fed.revision());
    fed.store.check_invariants();
  }
}

TEST_CASE("an increment is subject to its condition, and keeps or changes the lease of its key") {
  using Kind = Condition::Kind;
  Fed fed;
  CHECK(fed.apply(Increment{"n", 1, {Kind::kExists, 0}}).result == Result::kAbsent);
  CHECK(fed.apply(Increment{"n", 1, {Kind::kAbsent, 0}}).result == Result::kDone);
  const WriteReply refused = fed.apply(Increment{"n", 1, {Kind::kModIs, 9}});
  CHECK(refused.result == Result::kModDiffers);
  REQUIRE(refused.prev);
  CHECK(refused.prev->mod == 2);
  fed.apply(Put{"n", "1", {}, false, {LeaseChoice::Kind::kPrivate, 5000}});
  const LeaseId lease = fed.get("n").item.lease;
  CHECK(lease != 0);
  CHECK(increment(fed, "n", 1).lease == lease);
  CHECK(fed.get("n").item.lease == lease);
  const WriteReply renewed = fed.apply(Increment{"n", 1, {}, {LeaseChoice::Kind::kPrivate, 7000}});
  CHECK(renewed.lease != lease);
  CHECK(renewed.ttl_ms == 7000);
  CHECK(fed.store.stats().leases == 1);

  // The lease is looked for before the number, but none is made for a value that is no number.
  fed.put("text", "no number");
  const Trace trace(fed);
  const WriteReply unknown = fed.apply(Increment{"text", 1, {}, {LeaseChoice::Kind::kAttach, 999}});
  CHECK(unknown.result == Result::kLeaseNotFound);
  CHECK(unknown.number == 999);
  CHECK(fed.apply(Increment{"text", 1, {}, {LeaseChoice::Kind::kPrivate, 5000}}).result ==
        Result::kNotANumber);
  trace.check(fed);
}

TEST_CASE("guards compare what a key has; an absent one has zeros and no value") {
  Fed fed;
  fed.put("a", "m");  // 2
  fed.put("a", "m");  // 3, version 2
  fed.apply(Put{"b", "x", {}, false, {LeaseChoice::Kind::kPrivate, 5000}});
  const std::uint64_t lease = fed.get("b").item.lease;
  const struct {
    Guard guard;
    bool held;
  } rows[] = {
      {{Target::kMod, Relation::kEqual, key("a"), 3, {}}, true},
      {{Target::kMod, Relation::kNotEqual, key("a"), 3, {}}, false},
      {{Target::kMod, Relation::kLess, key("a"), 4, {}}, true},
      {{Target::kMod, Relation::kLess, key("a"), 3, {}}, false},
      {{Target::kMod, Relation::kGreater, key("a"), 2, {}}, true},
      {{Target::kMod, Relation::kLessEqual, key("a"), 3, {}}, true},
      {{Target::kMod, Relation::kGreaterEqual, key("a"), 4, {}}, false},
      {{Target::kCreate, Relation::kEqual, key("a"), 2, {}}, true},
      {{Target::kVersion, Relation::kEqual, key("a"), 2, {}}, true},
      {{Target::kLease, Relation::kEqual, key("a"), 0, {}}, true},
      {{Target::kLease, Relation::kEqual, key("b"), lease, {}}, true},
      {{Target::kValue, Relation::kEqual, key("a"), 0, "m"}, true},
      {{Target::kValue, Relation::kLess, key("a"), 0, "m\xff"}, true},
      {{Target::kValue, Relation::kGreater, key("a"), 0, ""}, true},
      {{Target::kMod, Relation::kEqual, key("none"), 0, {}}, true},
      {{Target::kVersion, Relation::kGreater, key("none"), 0, {}}, false},
      {{Target::kLease, Relation::kEqual, key("none"), 0, {}}, true},
      {{Target::kValue, Relation::kEqual, key("none"), 0, ""}, false},
      {{Target::kValue, Relation::kNotEqual, key("none"), 0, "m"}, false},
      {{Target::kValue, Relation::kLess, key("none"), 0, "m"}, false},
      {{Target::kExists, Relation::kEqual, key("a"), 1, {}}, true},
      {{Target::kExists, Relation::kEqual, key("a"), 0, {}}, false},
      {{Target::kExists, Relation::kEqual, key("none"), 0, {}}, true},
      {{Target::kExists, Relation::kEqual, {"a", "c"}, 1, {}}, true},
      {{Target::kExists, Relation::kEqual, {"c", Span::kEndless}, 1, {}}, false},
      {{Target::kExists, Relation::kEqual, {"c", Span::kEndless}, 0, {}}, true},
      {{Target::kMod, Relation::kGreater, {"", Span::kEndless}, 2, {}}, true},
      {{Target::kMod, Relation::kEqual, {"", Span::kEndless}, 3, {}}, false},
      {{Target::kVersion, Relation::kEqual, {"c", "d"}, 0, {}}, true},
      {{Target::kFence, Relation::kEqual, key("job"), 17, {}}, false},
  };
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CAPTURE(i);
    Transaction transaction;
    const Guard held{Target::kMod, Relation::kEqual, key("a"), 3, {}};
    transaction.guards = {held, rows[i].guard};
    transaction.then = {{Get{"a"}}};
    const TransactionReply reply = transact(fed, transaction);
    CHECK(reply.succeeded == rows[i].held);
    CHECK(reply.failed_guard == (rows[i].held ? 0U : 1U));
    CHECK(reply.results.size() == (rows[i].held ? 1U : 0U));
    CHECK(ask(fed, transaction).transaction.succeeded == rows[i].held);
  }
  CHECK(fed.revision() == 4);
}

TEST_CASE("a transaction has one revision, and its operations see what those before them wrote") {
  Fed fed;
  fed.put("tmp/1", "x");
  fed.put("tmp/2", "y");
  Transaction nested;
  nested.guards = {{Target::kValue, Relation::kEqual, key("a"), 0, "1"}};
  nested.then = {{Put{"c", "3"}}};
  nested.otherwise = {{Put{"d", "4"}}};
  const TransactionReply reply = transact(fed, all_of({{Put{"a", "1", {}, true}},
                                                       {Get{"a"}},
                                                       {DeleteSpan{{"tmp/", "tmp0"}, true}},
                                                       {List{{"", Span::kEndless}, 0, false}},
                                                       {Increment{"n", 3}},
                                                       {nested},
                                                       {Delete{"none", {}, true}},
                                                       {List{{"", Span::kEndless}, 2, true}}}));
  CHECK(reply.result == Result::kDone);
  CHECK(reply.succeeded);
  CHECK(reply.revision == 4);
  REQUIRE(reply.results.size() == 8);
  CHECK(reply.results[0].write.created);
  CHECK_FALSE(reply.results[0].write.prev);
  REQUIRE(reply.results[1].items.size() == 1);
  CHECK(same(reply.results[1].items[0], {"a", "1", 4, 4, 1}));
  CHECK(reply.results[2].write.deleted == 2);
  REQUIRE(reply.results[2].items.size() == 2);
  CHECK(same(reply.results[2].items[1], {"tmp/2", "y", 3, 3, 1}));
  REQUIRE(reply.results[3].items.size() == 1);
  CHECK(reply.results[4].write.value == 3);
  REQUIRE(reply.results[5].transaction != nullptr);
  CHECK(reply.results[5].transaction->succeeded);
  CHECK(reply.results[5].transaction->results.size() == 1);
  CHECK(reply.results[6].write.deleted == 0);
  REQUIRE(reply.results[7].items.size() == 2);
  CHECK(reply.results[7].more);
  CHECK(reply.results[7].items[0].value.empty());
  CHECK(fed.revision() == 4);
  for (const char* name : {"a", "c", "n"})
    CHECK(fed.get(name).item.mod == 4);
  CHECK(fed.store.stats().keys == 3);
  CHECK(fed.get("tmp/1", 3).result == GetReply::Result::kFound);
  fed.store.check_invariants();
}

TEST_CASE("what writes nothing makes no revision") {
  Fed fed;
  fed.put("a", "1");
  const Trace trace(fed);
  transact(fed, all_of({{Get{"a"}}, {Delete{"none"}}, {DeleteSpan{{"x", "y"}, false}}}));
  transact(fed, Transaction());
  trace.check(fed);
}

TEST_CASE("an operation that cannot be done takes back all that was done before it") {
  Fed fed;
  fed.put("a", "old");
  fed.put("n", "no number");
  fed.apply(Put{"leased", "x", {}, false, {LeaseChoice::Kind::kPrivate, 5000}});
  fed.del("a");
  const Trace trace(fed);
  const std::vector<TransactionOp> before = {
      {Put{"a", "new", {}, false, {LeaseChoice::Kind::kPrivate, 1000}}},
      {Put{"b", "new"}},
      {Delete{"leased"}},
      {Increment{"count", 1, {}, {LeaseChoice::Kind::kPrivate, 1000}}}};
  const struct {
    TransactionOp last;
    Result result;
    const char* failed_key;
  } rows[] = {
      {{Increment{"n", 1}}, Result::kNotANumber, "n"},
      {{Put{"z", "v", {}, false, {LeaseChoice::Kind::kAttach, 77}}}, Result::kLeaseNotFound, "z"},
      {{Put{"b", "again"}}, Result::kBadCommand, "b"},
      {{Delete{"b"}}, Result::kBadCommand, "b"},
      {{Increment{"leased", 1}}, Result::kBadCommand, "leased"},
      {{DeleteSpan{{"a", "z"}, false}}, Result::kBadCommand, "a"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.failed_key);
    for (const bool nested : {false, true}) {
      Transaction transaction = all_of(before);
      if (nested) {
        transaction.then.push_back({all_of({row.last})});
      } else {
        transaction.then.push_back(row.last);
      }
      const TransactionReply reply = transact(fed, transaction);
      CHECK(reply.result == row.result);
      CHECK(reply.failed_key == row.failed_key);
      CHECK(reply.results.empty());
      CHECK(reply.revision == trace.stats.revision);
      if (row.result == Result::kLeaseNotFound) CHECK(reply.number == 77);
      trace.check(fed);
    }
  }
  CHECK(transact(fed, all_of(before)).result == Result::kDone);
  CHECK(fed.revision() == trace.stats.revision + 1);
  CHECK(fed.store.stats().leases == 2);
  fed.store.check_invariants();
}

TEST_CASE("results that are too large undo the transaction, wanted or not") {
  const std::string large(1 << 20, 'v');
  for (const bool wanted : {true, false}) {
    Fed fed;
    fed.put("k", large);
    const Trace trace(fed);
    const Transaction reads =
        all_of({{Put{"b", "1"}}, {Get{"k"}}, {Get{"k"}}, {Get{"k"}}, {Get{"k"}}});
    const machine::Outcome outcome = fed.start(Command{reads}, wanted);
    CHECK(outcome.finished);
    CHECK((outcome.reply != nullptr) == wanted);
    if (wanted) {
      const auto& reply = dynamic_cast<const TransactionReply&>(*outcome.reply);
      CHECK(reply.result == Result::kTooLarge);
      CHECK(reply.number == limits::kTransactionResultBytesMax);
    }
    trace.check(fed);
  }
}

TEST_CASE("large transactions are done in slices, and nothing is seen before the last one") {
  constexpr std::size_t kKeys = 2 * limits::kApplyKeysPerSliceMax + 10;
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    Fed fed;
    for (std::size_t i = 0; i < kKeys; ++i)
      fed.put("k" + std::to_string(i), "v");
    fed.put("z", "stays");
    const Trace trace(fed);
    Transaction transaction = all_of({{Put{"a", "1"}}, {DeleteSpan{{"k", "l"}, false}}});
    transaction.guards = {{Target::kVersion, Relation::kEqual, {"k", "l"}, 1, {}}};
    transaction.then.push_back(fails ? TransactionOp{Increment{"z", 1}}
                                     : TransactionOp{List{{"", Span::kEndless}, 0, false}});
    machine::Outcome outcome = fed.start(Command{transaction});
    int slices = 1;
    for (; !outcome.finished; ++slices) {
      CHECK(fed.get("k7").result == GetReply::Result::kFound);
      CHECK(fed.get("a").result == GetReply::Result::kNotFound);
      CHECK(fed.revision() == trace.stats.revision);
      CHECK(fed.store.stats().keys == trace.stats.keys);
      CHECK(fed.store.stats().bytes == trace.stats.bytes);
      CHECK(fed.store.digest() == trace.digest);
      fed.store.check_invariants();
      fed.tidy();
      outcome = fed.store.apply_slice();
    }
    CHECK(slices >= 5);
    const auto& reply = dynamic_cast<const TransactionReply&>(*outcome.reply);
    if (fails) {
      CHECK(reply.result == Result::kNotANumber);
      trace.check(fed);
      continue;
    }
    CHECK(reply.succeeded);
    REQUIRE(reply.results.size() == 3);
    CHECK(reply.results[1].write.deleted == kKeys);
    CHECK(reply.results[2].items.size() == 2);
    CHECK(fed.revision() == trace.stats.revision + 1);
    CHECK(fed.store.stats().keys == 2);
    fed.store.check_invariants();
  }
}

TEST_CASE("a question reads at its revision, within the history, and not without end") {
  Fed fed;
  fed.put("a", "1");  // 2
  fed.put("a", "2");  // 3
  Transaction question = all_of({{Get{"a"}}, {all_of({{List{{"", Span::kEndless}, 0, false}}})}});
  question.guards = {{Target::kMod, Relation::kEqual, key("a"), 2, {}}};
  question.otherwise = {{Get{"none"}}};
  TransactionQueryReply reply = ask(fed, question, 2);
  CHECK(reply.revision == 2);
  CHECK(reply.transaction.succeeded);
  CHECK(reply.transaction.revision == 2);
  REQUIRE(reply.transaction.results.size() == 2);
  CHECK(reply.transaction.results[0].items.at(0).value == "1");
  CHECK(reply.transaction.results[1].transaction->results.at(0).items.size() == 1);
  reply = ask(fed, question);
  CHECK(reply.revision == 3);
  CHECK_FALSE(reply.transaction.succeeded);
  CHECK(reply.transaction.results.at(0).items.empty());
  CHECK(ask(fed, question, 4).result == TransactionQueryReply::Result::kFuture);
  fed.apply(Compact{3});
  reply = ask(fed, question, 2);
  CHECK(reply.result == TransactionQueryReply::Result::kCompacted);
  CHECK(reply.compact_revision == 3);

  TransactionQuery later;
  later.transaction = encode(question);
  later.min_revision = 4;
  CHECK(fed.store.query(later, {}) == nullptr);
  fed.put("b", "1");
  CHECK(fed.store.query(later, {}) != nullptr);

  for (std::size_t i = 0; i <= limits::kTransactionKeysReadMax; ++i)
    fed.start(Put{"many/" + std::to_string(i), ""}, false);
  const Transaction many = all_of({{List{{"many/", "many0"}, 1, true}}});
  CHECK(ask(fed, many).transaction.result == Result::kDone);
  const Guard each{Target::kVersion, Relation::kEqual, {"many/", "many0"}, 1, {}};
  Transaction guarded;
  guarded.guards = {each};
  const TransactionReply endless = ask(fed, guarded).transaction;
  CHECK(endless.result == Result::kTooLarge);
  CHECK(endless.number == limits::kTransactionKeysReadMax);
}

TEST_CASE("a fence in a question holds at the revision of the question") {
  Fed fed;
  const auto fenced = [](Revision token) {
    Transaction question;
    question.guards = {{Target::kFence, Relation::kEqual, key("job"), token, {}}};
    return question;
  };
  fed.start(Acquire{Space::kLocks, "job", 1000, "h1", "", false});  // 2
  fed.start(Release{Space::kLocks, "job", 2});                      // 3
  fed.start(Acquire{Space::kLocks, "job", 1000, "h2", "", false});  // 4
  CHECK_FALSE(ask(fed, fenced(2), 1).transaction.succeeded);
  CHECK(ask(fed, fenced(2), 2).transaction.succeeded);
  CHECK_FALSE(ask(fed, fenced(2), 3).transaction.succeeded);
  CHECK_FALSE(ask(fed, fenced(2)).transaction.succeeded);
  CHECK_FALSE(ask(fed, fenced(4), 3).transaction.succeeded);
  CHECK(ask(fed, fenced(4)).transaction.succeeded);
}

// With it end so many keys that one slice is not enough for them.
TEST_CASE("a fence holds in questions until all of the command that ends it is to be seen") {
  Fed fed;
  fed.start(Acquire{Space::kLocks, "job", 1000, "h1", "", false});  // 2
  fed.start(GrantLease{7, 2000});
  for (std::size_t i = 0; i <= 2 * limits::kApplyKeysPerSliceMax; ++i)
    fed.start(Put{"z" + std::to_string(i), "", {}, false, {LeaseChoice::Kind::kAttach, 7}}, false);
  Transaction question;
  question.guards = {{Target::kFence, Relation::kEqual, key("job"), 2, {}},
                     {Target::kExists, Relation::kEqual, {"z", Span::kEndless}, 1, {}}};
  fed.time = 5000;
  machine::Outcome outcome = fed.start(ExpireLeases{});
  REQUIRE_FALSE(outcome.finished);
  while (!outcome.finished) {
    CHECK(ask(fed, question).transaction.succeeded);
    outcome = fed.store.apply_slice();
  }
  CHECK_FALSE(ask(fed, question).transaction.succeeded);
}

}  // namespace raftd::kv
