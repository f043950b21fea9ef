// Goal: the store answers every read as a map of all keys at every revision would.
// Method: random commands on both, then random reads at all revisions of the window; long ranges
// are read page by page while writes go on.
#include <optional>

#include "base/limits.h"
#include "base/rng.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using namespace std::string_literals;

std::string random_key(Rng& rng) {
  static const std::string pieces[] = {"a", "b", "/", "//", "\xff", "\0"s, "ab/"};
  std::string key;
  for (std::uint64_t n = 1 + rng.below(4); n > 0; --n)
    key += pieces[rng.below(std::size(pieces))];
  return key;
}

Condition random_condition(Rng& rng, Revision revision) {
  const auto kind = static_cast<Condition::Kind>(rng.below(8));
  if (kind == Condition::Kind::kModIs) return {kind, 1 + rng.below(revision)};
  if (kind == Condition::Kind::kExists || kind == Condition::Kind::kAbsent) return {kind, 0};
  return {};
}

bool holds(const Condition& condition, const Model::Keys& keys, const std::string& key) {
  const auto found = keys.find(key);
  switch (condition.kind) {
    case Condition::Kind::kNone:
      return true;
    case Condition::Kind::kModIs:
      return found != keys.end() && found->second.mod == condition.mod;
    case Condition::Kind::kExists:
      return found != keys.end();
    case Condition::Kind::kAbsent:
      return found == keys.end();
  }
  return false;
}

// One random write, on both.
void write(Rng& rng, Fed& fed, Model& model) {
  const std::string key = random_key(rng);
  const Condition condition = random_condition(rng, model.revision());
  const bool allowed = holds(condition, model.latest(), key);
  fed.time += rng.below(300);
  const std::uint64_t draw = rng.below(20);
  if (draw < 12) {
    const std::string value(rng.below(20), static_cast<char>('a' + rng.below(26)));
    const WriteReply reply = fed.put(key, value, condition);
    CHECK((reply.result == WriteReply::Result::kDone) == allowed);
    if (allowed) model.put(key, value);
  } else if (draw < 18) {
    const WriteReply reply = fed.del(key, condition);
    CHECK((reply.result == WriteReply::Result::kDone) == allowed);
    if (allowed) CHECK(reply.deleted == model.remove(key, true, 0));
  } else if (draw < 19) {
    const std::uint64_t limit = rng.below(4);
    CHECK(fed.apply(DeletePrefix{key, limit}).deleted == model.remove(key, false, limit));
  } else {
    fed.start(as_bytes("\xc1 no command"));
  }
  CHECK(fed.revision() == model.revision());
}

RangeQuery random_range(Rng& rng, Revision low, Revision high) {
  RangeQuery query;
  if (!rng.one_in(3)) query.prefix = random_key(rng).substr(0, 2);
  query.rev = low + rng.below(high - low + 1);
  query.limit = rng.below(4);
  query.bytes_max = rng.one_in(2) ? 0 : 1 + rng.below(40);
  query.keys_only = rng.one_in(2);
  query.reverse = rng.one_in(2);
  static const std::string delimiters[] = {"", "/", "//", "\xff", "b"};
  query.delimiter = delimiters[rng.below(std::size(delimiters))];
  return query;
}

// All pages of a range, writing in between.
std::vector<RangeReply::Row> pages(Rng& rng, Fed& fed, Model& model, RangeQuery query) {
  std::vector<RangeReply::Row> all;
  for (;;) {
    const RangeReply reply = fed.range(query);
    REQUIRE(reply.result == RangeReply::Result::kDone);
    CHECK(reply.revision == query.rev);
    if (query.limit != 0) CHECK(reply.rows.size() <= query.limit);
    std::size_t bytes = 0;
    for (const RangeReply::Row& row : reply.rows)
      bytes += row.item.key.size() + row.item.value.size();
    if (query.bytes_max != 0 && reply.rows.size() > 1) CHECK(bytes <= query.bytes_max);
    all.insert(all.end(), reply.rows.begin(), reply.rows.end());
    if (!reply.more) return all;
    CHECK(reply.page_full);
    REQUIRE_FALSE(reply.rows.empty());
    query.start = reply.next;
    if (rng.one_in(2)) write(rng, fed, model);
    if (rng.one_in(4)) fed.store.tidy_slice();
  }
}

}  // namespace

TEST_CASE("[F56] every read of every revision in the window is as in a map of all versions") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Fed fed;
    Model model;
    Revision compacted = 0;
    for (int round = 0; round < 60; ++round) {
      for (std::uint64_t n = rng.below(12); n > 0; --n)
        write(rng, fed, model);
      if (rng.one_in(8)) {
        compacted = std::max(compacted, rng.below(model.revision() + 1));
        fed.apply(Compact{compacted});
      }
      if (rng.one_in(3)) fed.tidy();
      fed.store.check_invariants();
      const Revision low = std::max<Revision>(compacted, 1);
      const Revision rev = low + rng.below(model.revision() - low + 1);
      const std::string key = random_key(rng);
      const GetReply got = fed.get(key, rev);
      const auto expected = model.at[rev].find(key);
      CHECK((got.result == GetReply::Result::kFound) == (expected != model.at[rev].end()));
      if (expected != model.at[rev].end()) CHECK(same(got.item, expected->second));

      const RangeQuery query = random_range(rng, low, model.revision());
      CAPTURE(query.prefix);
      CAPTURE(query.delimiter);
      CAPTURE(query.reverse);
      CHECK(same(pages(rng, fed, model, query), model.rows(query, query.rev)));
      RangeQuery count = query;
      count.count_only = true;
      count.delimiter.clear();
      count.limit = 0;
      CHECK(fed.range(count).count == model.rows(count, count.rev).size());
    }
    CHECK(fed.store.stats().keys == model.latest().size());
  }
}

TEST_CASE("[F56] stores fed the same commands have equal digests, whenever they tidy") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    Fed busy;
    Fed lazy;
    Model model;
    for (int i = 0; i < 200; ++i) {
      Rng before = rng;
      Model copy = model;
      write(rng, busy, model);
      write(before, lazy, copy);
      if (rng.one_in(10)) {
        const Revision revision = rng.below(model.revision() + 1);
        busy.apply(Compact{revision});
        lazy.apply(Compact{revision});
      }
      if (rng.one_in(2)) busy.store.tidy_slice();
      CHECK(busy.store.digest() == lazy.store.digest());
    }
    const std::uint64_t digest = lazy.store.digest();
    lazy.tidy();
    CHECK(lazy.store.digest() == digest);
    const Item stored = busy.put("x", "1").prev.value_or(Item());
    lazy.put("x", "2");
    CHECK(busy.store.digest() != lazy.store.digest());
  }
}

}  // namespace raftd::kv
