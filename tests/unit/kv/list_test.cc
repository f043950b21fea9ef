// Goal: a List in a transaction gives the rows that it asks for, in order, with the count of all,
// at a revision; whatever it is asked it costs a bounded memory and is the same everywhere.
#include "base/limits.h"
#include "unit/kv/transaction_fixture.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;
using Target = Sort::Target;

std::string row_name(std::size_t i) {
  const std::string digits = std::to_string(100'000 + i);
  return "k" + digits;
}

OpReply list(Fed& fed, const List& list) {
  TransactionReply reply = transact(fed, all_of({{list}}));
  REQUIRE(reply.result == Result::kDone);
  return std::move(reply.results.at(0));
}

std::string keys_of(const OpReply& reply) {
  std::string keys;
  for (const Item& item : reply.items)
    keys += item.key;
  return keys;
}

const Span kAll{"", Span::kEndless};

}  // namespace

TEST_CASE("rows stand in the order asked for, equal ones in the order of their keys") {
  Fed fed;
  fed.put("c", "1");  // 2
  fed.put("a", "2");  // 3
  fed.put("b", "1");  // 4
  fed.put("c", "3");  // 5
  const struct {
    Sort sort;
    std::string_view keys;
  } rows[] = {
      {{Target::kKey, false}, "abc"},     {{Target::kKey, true}, "cba"},
      {{Target::kVersion, false}, "abc"}, {{Target::kVersion, true}, "cab"},
      {{Target::kCreate, false}, "cab"},  {{Target::kCreate, true}, "bac"},
      {{Target::kMod, false}, "abc"},     {{Target::kMod, true}, "cba"},
      {{Target::kValue, false}, "bac"},   {{Target::kValue, true}, "cab"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.keys);
    List asked{kAll};
    asked.sort = row.sort;
    OpReply reply = list(fed, asked);
    CHECK(keys_of(reply) == row.keys);
    CHECK_FALSE(reply.more);
    CHECK(reply.count == 0);
    for (asked.limit = 1; asked.limit <= 3; ++asked.limit) {
      reply = list(fed, asked);
      CHECK(keys_of(reply) == row.keys.substr(0, asked.limit));
      CHECK(reply.more == (asked.limit < 3));
    }
  }
}

TEST_CASE("the count is of the whole span, without limit and bounds, at the revision") {
  Fed fed;
  for (const char* key : {"a", "b", "c", "d"})
    fed.put(key, "v");  // 2 to 5
  fed.del("b");         // 6
  fed.put("a", "w");    // 7
  List asked{kAll, 1};
  asked.count_all = true;
  OpReply reply = list(fed, asked);
  CHECK(keys_of(reply) == "a");
  CHECK(reply.more);
  CHECK(reply.count == 3);
  asked.min_mod = 5;
  asked.max_create = 2;
  reply = list(fed, asked);
  CHECK(keys_of(reply) == "a");
  CHECK_FALSE(reply.more);
  CHECK(reply.count == 3);
  asked.min_mod = 0;
  asked.rev = 5;
  asked.max_create = 3;
  asked.limit = 0;
  reply = list(fed, asked);
  CHECK(keys_of(reply) == "ab");
  CHECK(reply.items.front().value == "v");
  CHECK(reply.count == 4);
  asked.count_only = true;
  reply = list(fed, asked);
  CHECK(reply.items.empty());
  CHECK(reply.count == 4);
  CHECK(list(fed, {{"b", ""}, 0, false, 0, true}).count == 0);
  CHECK(list(fed, {{"b", ""}, 0, false, 5, true}).count == 1);
}

TEST_CASE("a revision that cannot be read undoes the transaction and says up to where is lost") {
  Fed fed;
  for (int i = 0; i < 8; ++i)
    fed.put("a", std::to_string(i));  // 2 to 9
  fed.apply(Compact{5});
  for (const Revision rev : {Revision{4}, Revision{10}, Revision{5}, Revision{9}}) {
    CAPTURE(rev);
    const Trace trace(fed);
    Transaction nested = all_of({{List{key("a"), 0, false, rev}}});
    const TransactionReply reply = transact(fed, all_of({{Put{"b", "1"}}, {nested}}));
    if (rev == 4 || rev == 10) {
      CHECK(reply.result == (rev == 4 ? Result::kCompacted : Result::kFuture));
      CHECK(reply.number == 5);
      CHECK(reply.failed_key.empty());
      trace.check(fed);
      const TransactionReply asked = ask(fed, nested).transaction;
      CHECK(asked.result == reply.result);
      continue;
    }
    CHECK(reply.result == Result::kDone);
    CHECK(reply.results.at(1).transaction->results.at(0).items.at(0).mod == rev);
    fed.start(Delete{"b"});
  }
}

TEST_CASE("a put that cannot be done is told before a revision that cannot be read") {
  Fed fed;
  const TransactionReply reply =
      transact(fed, all_of({{List{kAll, 0, false, 99}}, {Put{"a", "", {}, false, {}, true}}}));
  CHECK(reply.result == Result::kNotFound);
  CHECK(reply.failed_key == "a");
}

TEST_CASE("a revision in a branch that is not taken does not matter") {
  Fed fed;
  Transaction transaction = all_of({{Put{"a", "1"}}});
  transaction.otherwise = {{List{kAll, 0, false, 99}}};
  CHECK(transact(fed, transaction).result == Result::kDone);
}

TEST_CASE("guards that are first see what was there before the first operation") {
  for (const bool first : {false, true}) {
    Fed fed;
    Transaction nested;
    nested.guards = {{Guard::Target::kExists, Guard::Relation::kEqual, key("a"), 1, {}}};
    Transaction transaction = all_of({{Put{"a", "1"}}, {nested}, {Get{"a"}}});
    transaction.guards_first = first;
    const TransactionReply reply = transact(fed, transaction);
    CHECK(reply.results.at(1).transaction->succeeded == !first);
    CHECK(reply.results.at(2).items.size() == 1);
  }
}

TEST_CASE("the first few of very many are found in slices, and only they are weighed") {
  constexpr std::size_t kKeys = 2 * limits::kApplyKeysPerSliceMax + 10;
  Fed fed;
  const std::string large(1000, 'x');  // All of them are too much for one answer.
  for (std::size_t i = 0; i < kKeys; ++i)
    fed.start(Put{row_name(i), large}, false);
  for (const std::size_t i : {kKeys - 1, std::size_t{0}, std::size_t{5000}})
    fed.start(Put{row_name(i), "y"}, false);
  List asked{kAll, 3};
  asked.count_all = true;
  asked.sort = {Target::kMod, true};
  machine::Outcome outcome = fed.start(Command{all_of({{Put{"z", "1"}}, {asked}})});
  int slices = 1;
  for (; !outcome.finished; ++slices) {
    fed.tidy();
    outcome = fed.store.apply_slice();
  }
  CHECK(slices >= 3);
  const OpReply& reply = dynamic_cast<TransactionReply&>(*outcome.reply).results.at(1);
  CHECK(keys_of(reply) == "z" + row_name(5000) + row_name(0));
  CHECK(reply.more);
  CHECK(reply.count == kKeys + 1);
}

TEST_CASE("rows that are sorted and too large together undo the transaction, wanted or not") {
  const std::string large(1 << 20, 'v');
  for (const bool wanted : {true, false}) {
    Fed fed;
    for (const char* key : {"a", "b", "c", "d"})
      fed.put(key, large);
    fed.put("e", "small");
    const Trace trace(fed);
    List asked{kAll};
    asked.sort = {Target::kValue, false};
    fed.start(Command{all_of({{Put{"z", "1"}}, {asked}})}, wanted);
    trace.check(fed);
    asked.limit = 3;
    fed.start(Command{all_of({{Put{"z", "1"}}, {asked}})}, wanted);
    CHECK(fed.revision() == trace.stats.revision + 1);
  }
}

TEST_CASE("so many rows that they must be too large together are not all remembered") {
  Fed fed;
  for (std::size_t i = 0; i <= limits::kTransactionResultBytesMax / 64; ++i)
    fed.start(Put{row_name(i), ""}, false);
  List asked{kAll, 0, true};
  asked.sort = {Target::kMod, true};
  const TransactionReply reply = transact(fed, all_of({{asked}}));
  CHECK(reply.result == Result::kTooLarge);
  CHECK(reply.number == limits::kTransactionResultBytesMax);
  asked.limit = 2;
  CHECK(list(fed, asked).items.size() == 2);
}

}  // namespace raftd::kv
