// Goal: a transaction does to a store what it does to a map, and leaves no trace when it fails.
// Method: random transactions on both; the map is copied before each of them.
#include <deque>

#include "base/rng.h"
#include "unit/kv/transaction_fixture.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;
using Relation = Guard::Relation;
using Target = Guard::Target;

// A map of keys and what they have, and transactions on it, in the simplest way.
struct Naive {
  struct Key {
    std::string value;
    Revision mod = 0;
    Revision create = 0;
    std::uint64_t version = 0;
    LeaseId lease = 0;
  };
  using Keys = std::map<std::string, Key>;
  Keys keys;
  std::map<Revision, Keys> history;         // What they were, without gaps from 1 on.
  std::map<std::string, Revision> written;  // By deletes, too.
  const Naive* guarded = nullptr;           // What guards are about, if it is not this.
  Revision compacted = 0;
  Result unreadable = Result::kDone;  // What fails at the end.
  Revision revision = 1;
  LeaseId leases = 0;
  Result result = Result::kDone;
  std::string failed_key;

  bool fail(Result why, std::string_view name) {
    result = why;
    failed_key = name;
    return false;
  }
  bool may_write(std::string_view name) {
    const auto found = written.find(std::string(name));
    if (found == written.end() || found->second <= revision) return true;
    return fail(Result::kBadCommand, name);
  }
  bool write(std::string_view name, std::string value, const LeaseChoice& choice) {
    Key& at = keys[std::string(name)];
    at.value = std::move(value);
    at.mod = revision + 1;
    if (at.create == 0) at.create = at.mod;
    ++at.version;
    if (choice.kind == LeaseChoice::Kind::kNone) at.lease = 0;
    if (choice.kind == LeaseChoice::Kind::kPrivate) at.lease = ++leases;
    written[std::string(name)] = at.mod;
    return true;
  }
  bool erase(const std::string& name) {
    written[name] = revision + 1;
    return keys.erase(name) != 0;
  }

  bool holds(const Guard& guard) const {
    std::vector<const Key*> in_span;
    for (const auto& [name, at] : keys) {
      if (guard.span.contains(name)) in_span.push_back(&at);
    }
    if (guard.target == Target::kExists) return in_span.empty() == (guard.number == 0);
    static const Key absent;
    const bool empty = in_span.empty();
    if (empty) in_span.push_back(&absent);
    return std::ranges::all_of(in_span, [&](const Key* at) {
      if (guard.target == Target::kValue) {
        return !empty && related(guard.relation, at->value.compare(guard.value));
      }
      const std::uint64_t number = guard.target == Target::kMod      ? at->mod
                                   : guard.target == Target::kCreate ? at->create
                                   : guard.target == Target::kLease  ? at->lease
                                                                     : at->version;
      return related(guard.relation, number < guard.number ? -1 : number > guard.number ? 1 : 0);
    });
  }
  static bool related(Relation relation, int order) {
    switch (relation) {
      case Relation::kEqual:
        return order == 0;
      case Relation::kNotEqual:
        return order != 0;
      case Relation::kLess:
        return order < 0;
      case Relation::kGreater:
        return order > 0;
      case Relation::kLessEqual:
        return order <= 0;
      case Relation::kGreaterEqual:
        return order >= 0;
    }
    return false;
  }
  Item item(const std::string& name, const Key& at) const {
    return {name, at.value, at.mod, at.create, at.version, at.lease, 0};
  }

  // False: it cannot be done.
  bool run(const Transaction& transaction, TransactionReply& reply) {
    const Naive& seen = guarded != nullptr ? *guarded : *this;
    const auto failed = std::ranges::find_if_not(
        transaction.guards, [&](const Guard& guard) { return seen.holds(guard); });
    reply.succeeded = failed == transaction.guards.end();
    if (!reply.succeeded) {
      reply.failed_guard = static_cast<std::size_t>(failed - transaction.guards.begin());
    }
    for (const TransactionOp& op : reply.succeeded ? transaction.then : transaction.otherwise) {
      if (!std::visit([&](const auto& body) { return run(body, reply.results.emplace_back()); },
                      op.op)) {
        return false;
      }
    }
    return true;
  }
  bool run(const Transaction& nested, OpReply& reply) {
    reply.transaction = std::make_unique<TransactionReply>();
    return run(nested, *reply.transaction);
  }
  bool run(const Put& put, OpReply& reply) {
    if (!may_write(put.key)) return false;
    const auto found = keys.find(std::string(put.key));
    if (put.lease.kind == LeaseChoice::Kind::kAttach) return fail(Result::kLeaseNotFound, put.key);
    if (found == keys.end() && (put.keep_value || put.must_exist)) {
      return fail(Result::kNotFound, put.key);
    }
    reply.write.created = found == keys.end();
    if (put.want_prev && found != keys.end()) reply.write.prev = item(found->first, found->second);
    return write(put.key, put.keep_value ? found->second.value : std::string(put.value), put.lease);
  }
  bool run(const Delete& del, OpReply& reply) {
    if (!may_write(del.key)) return false;
    if (keys.contains(std::string(del.key))) reply.write.deleted = erase(std::string(del.key));
    return true;
  }
  bool run(const DeleteSpan& del, OpReply& reply) {
    std::vector<std::string> names;
    for (const auto& [name, at] : keys) {
      if (del.span.contains(name)) names.push_back(name);
    }
    for (const std::string& name : names) {
      if (!may_write(name)) return false;
      if (del.want_prev) reply.items.push_back(item(name, keys[name]));
      reply.write.deleted += erase(name) ? 1 : 0;
    }
    return true;
  }
  bool run(const Get& get, OpReply& reply) {
    const auto found = keys.find(std::string(get.key));
    if (found != keys.end()) reply.items.push_back(item(found->first, found->second));
    return true;
  }
  bool run(const List& list, OpReply& reply) {
    if (list.rev > revision || (list.rev != 0 && list.rev < compacted)) {
      if (unreadable == Result::kDone) {
        unreadable = list.rev > revision ? Result::kFuture : Result::kCompacted;
      }
      return true;
    }
    std::vector<Item>& rows = reply.items;
    for (const auto& [name, at] : list.rev == 0 ? keys : history.at(list.rev)) {
      if (!list.span.contains(name)) continue;
      if (list.count_only || list.count_all) ++reply.count;
      const bool in_bounds = at.mod >= list.min_mod && at.create >= list.min_create &&
                             (list.max_mod == 0 || at.mod <= list.max_mod) &&
                             (list.max_create == 0 || at.create <= list.max_create);
      if (in_bounds && !list.count_only) rows.push_back(item(name, at));
    }
    sort(rows, list.sort);
    reply.more = list.limit != 0 && rows.size() > list.limit;
    if (reply.more) rows.resize(list.limit);
    for (Item& row : rows) {
      if (list.keys_only) row.value.clear();
    }
    return true;
  }
  static void sort(std::vector<Item>& rows, const Sort& by) {
    const auto stable = [&](const auto& field) {
      std::ranges::stable_sort(rows, [&](const Item& a, const Item& b) {
        return by.descending ? field(b) < field(a) : field(a) < field(b);
      });
    };
    switch (by.target) {
      case Sort::Target::kKey:
        return stable([](const Item& row) { return row.key; });
      case Sort::Target::kVersion:
        return stable([](const Item& row) { return row.version; });
      case Sort::Target::kCreate:
        return stable([](const Item& row) { return row.create; });
      case Sort::Target::kMod:
        return stable([](const Item& row) { return row.mod; });
      case Sort::Target::kValue:
        return stable([](const Item& row) { return row.value; });
    }
  }
  bool run(const Increment& increment, OpReply& reply) {
    if (!may_write(increment.key)) return false;
    const auto found = keys.find(std::string(increment.key));
    const std::string text = found == keys.end() ? "0" : found->second.value;
    if (text.find_first_not_of("0123456789-") != std::string::npos || text.empty()) {
      return fail(Result::kNotANumber, increment.key);
    }
    reply.write.created = found == keys.end();
    reply.write.value = std::stoll(text) + increment.by;
    return write(increment.key, std::to_string(reply.write.value), increment.lease);
  }
  bool run(const Touch&, OpReply&) { return true; }
};

bool same(const std::vector<Item>& a, const std::vector<Item>& b) {
  return std::ranges::equal(
      a, b, [](const Item& x, const Item& y) { return kv::same(x, y) && x.lease == y.lease; });
}

void check_same(const TransactionReply& got, const TransactionReply& expected) {
  CHECK(got.succeeded == expected.succeeded);
  CHECK(got.failed_guard == expected.failed_guard);
  REQUIRE(got.results.size() == expected.results.size());
  for (std::size_t i = 0; i < got.results.size(); ++i) {
    CAPTURE(i);
    const OpReply& a = got.results[i];
    const OpReply& b = expected.results[i];
    CHECK(a.write.created == b.write.created);
    CHECK(a.write.deleted == b.write.deleted);
    CHECK(a.write.value == b.write.value);
    CHECK(a.write.prev.has_value() == b.write.prev.has_value());
    if (a.write.prev && b.write.prev) CHECK(kv::same(*a.write.prev, *b.write.prev));
    CHECK(same(a.items, b.items));
    CHECK(a.more == b.more);
    CHECK(a.count == b.count);
    REQUIRE((a.transaction == nullptr) == (b.transaction == nullptr));
    if (a.transaction) check_same(*a.transaction, *b.transaction);
  }
}

// Texts that outlive the transactions made of them.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : rng(seed) {}

  std::string_view name() {
    static const std::string names[] = {"a", "ab", "abc", "b", "ba", "c", "\xff", "\xff\xff"};
    return names[rng.below(std::size(names))];
  }
  Span span() {
    if (rng.one_in(2)) return {name(), {}};
    const std::string_view from = rng.one_in(3) ? std::string_view() : name();
    return {from, texts.emplace_back(prefix_end(from))};
  }
  std::string_view value() { return texts.emplace_back(std::to_string(rng.below(5))); }
  LeaseChoice lease() {
    const std::uint64_t draw = rng.below(12);
    if (draw == 0) return {LeaseChoice::Kind::kAttach, 1ULL << 60};
    if (draw < 4) return {LeaseChoice::Kind::kPrivate, 1'000'000};
    return {draw < 6 ? LeaseChoice::Kind::kKeep : LeaseChoice::Kind::kNone, 0};
  }
  Guard guard(Revision revision) {
    Guard guard;
    guard.target = static_cast<Target>(rng.below(6));
    guard.relation = static_cast<Relation>(rng.below(6));
    guard.span = span();
    guard.number = rng.below(guard.target == Target::kVersion ? 4 : revision + 2);
    guard.value = value();
    if (guard.target == Target::kExists) {
      guard.relation = Relation::kEqual;
      guard.number %= 2;
    }
    return guard;
  }
  Put put() {
    Put put{name(), rng.one_in(6) ? "text" : value(), {}, rng.one_in(2), lease()};
    put.keep_value = rng.one_in(8);
    put.must_exist = rng.one_in(8);
    if (put.keep_value) put.value = {};
    return put;
  }
  List list(Revision revision) {
    List list{span(), rng.below(3), rng.one_in(2)};
    if (rng.one_in(2)) return list;
    if (rng.one_in(4)) list.rev = revision + 2 - std::min(revision + 1, rng.below(20));
    list.count_only = rng.one_in(8);
    list.count_all = rng.one_in(2);
    for (Revision* bound : {&list.min_mod, &list.max_mod, &list.min_create, &list.max_create}) {
      if (rng.one_in(6)) *bound = revision - std::min(revision, rng.below(20));
    }
    list.sort = {static_cast<Sort::Target>(rng.below(5)), rng.one_in(2)};
    return list;
  }
  TransactionOp op(Revision revision, int depth) {
    switch (rng.below(depth == 0 ? 8 : 7)) {
      case 0:
      case 1:
        return {put()};
      case 2:
        return {Delete{name()}};
      case 3:
        return {DeleteSpan{span(), rng.one_in(2)}};
      case 4:
        return {Get{name()}};
      case 5:
        return {list(revision)};
      case 6:
        return {Increment{name(), static_cast<std::int64_t>(rng.below(9)) - 4}};
      default:
        return {transaction(revision, depth + 1)};
    }
  }
  Transaction transaction(Revision revision, int depth) {
    Transaction made;
    for (std::uint64_t n = rng.below(3); n > 0; --n)
      made.guards.push_back(guard(revision));
    for (auto* branch : {&made.then, &made.otherwise}) {
      for (std::uint64_t n = rng.below(5); n > 0; --n)
        branch->push_back(op(revision, depth));
    }
    return made;
  }

  Rng rng;
  std::deque<std::string> texts;
};

}  // namespace

TEST_CASE("random transactions do what they do to a map, and leave no trace when they fail") {
  int failed = 0;
  int done = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    Fed fed;
    Naive naive;
    naive.history[1] = {};
    for (int round = 0; round < 120; ++round) {
      CAPTURE(round);
      dice.texts.clear();
      Transaction transaction = dice.transaction(naive.revision, 0);
      transaction.guards_first = dice.rng.one_in(3);
      const Trace trace(fed);
      Naive after = naive;
      if (transaction.guards_first) after.guarded = &naive;
      TransactionReply expected;
      after.unreadable = Result::kDone;
      bool possible = after.run(transaction, expected);
      if (possible && after.unreadable != Result::kDone) {
        possible = after.fail(after.unreadable, {});
      }
      const TransactionReply reply = transact(fed, transaction);
      fed.store.check_invariants();
      if (possible) {
        ++done;
        after.guarded = nullptr;
        naive = std::move(after);
        const bool wrote = std::ranges::any_of(
            naive.written, [&](const auto& entry) { return entry.second > naive.revision; });
        if (wrote) naive.history[++naive.revision] = naive.keys;
        CHECK(reply.result == Result::kDone);
        check_same(reply, expected);
      } else {
        ++failed;
        CHECK(reply.result == after.result);
        CHECK(reply.failed_key == after.failed_key);
        trace.check(fed);
      }
      CHECK(reply.revision == naive.revision);
      CHECK(fed.revision() == naive.revision);
      CHECK(fed.store.stats().keys == naive.keys.size());
      const TransactionReply all =
          ask(fed, all_of({{List{{"", Span::kEndless}, 0, false}}})).transaction;
      TransactionReply all_expected;
      naive.run(all_of({{List{{"", Span::kEndless}, 0, false}}}), all_expected);
      CHECK(same(all.results.at(0).items, all_expected.results.at(0).items));
      if (dice.rng.one_in(10)) {
        const Revision floor = dice.rng.below(naive.revision + 1);
        fed.apply(Compact{floor});
        naive.compacted = std::max(naive.compacted, floor);
      }
      if (dice.rng.one_in(3)) fed.tidy();
    }
  }
  CHECK(failed > 300);
  CHECK(done > 300);
}

}  // namespace raftd::kv
