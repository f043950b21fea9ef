// Goal: a span is read and counted as the map that it is, piece by piece, at one revision, and
// stores that hold the same there have the same hash. Method: random spans against every version.
#include "base/limits.h"
#include "base/rng.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kSlice = limits::kRangeKeysPerSliceMax;

SpanReply ask(const Fed& fed, const SpanQuery& query) {
  const auto reply = fed.store.query(query, {fed.time});
  REQUIRE(reply != nullptr);
  return std::move(dynamic_cast<SpanReply&>(*reply));
}

HashReply ask(const Fed& fed, const HashQuery& query) {
  const auto reply = fed.store.query(query, {fed.time});
  REQUIRE(reply != nullptr);
  return dynamic_cast<const HashReply&>(*reply);
}

std::uint64_t hash_at(const Fed& fed, Revision rev) {
  HashQuery query;
  query.rev = rev;
  for (;;) {
    const HashReply reply = ask(fed, query);
    REQUIRE(reply.result == HashReply::Result::kDone);
    if (!reply.more) return reply.hash;
    query.start = reply.next;
    query.seed = reply.hash;
  }
}

std::string keys_of(const std::vector<Item>& rows) {
  std::string keys;
  for (const Item& row : rows)
    keys += row.key;
  return keys;
}

std::string row_name(std::size_t i) {
  const std::string digits = std::to_string(100'000 + i);
  return "k" + digits;
}

SpanQuery everything() {
  SpanQuery query;
  query.to = Span::kEndless;
  return query;
}

std::string random_key(Rng& rng) {
  static const std::string keys[] = {"a", "ab", "abc", "b", "ba", "c", "\xff", "\xff\xff"};
  return keys[rng.below(std::size(keys))];
}

SpanQuery random_span(Rng& rng, Revision revision) {
  SpanQuery query = everything();
  if (!rng.one_in(4)) query.from = random_key(rng);
  if (rng.one_in(3)) query.to = random_key(rng);
  if (rng.one_in(4)) query.to.clear();
  query.rev = 1 + rng.below(revision);
  query.limit = rng.below(4);
  query.bytes_max = rng.one_in(2) ? 0 : 1 + rng.below(10);
  query.keys_only = rng.one_in(3);
  query.count_only = rng.one_in(8);
  query.count_rest = rng.one_in(2);
  query.reverse = rng.one_in(2);
  for (Revision* bound : {&query.min_mod, &query.max_mod, &query.min_create, &query.max_create}) {
    if (rng.one_in(5)) *bound = rng.below(revision + 2);
  }
  return query;
}

// What all pages of a question give together.
SpanReply expected(const Model& model, const SpanQuery& query) {
  SpanReply reply;
  for (const auto& [key, item] : model.at[query.rev]) {
    if (!Span{query.from, query.to}.contains(key)) continue;
    ++reply.count;
    if (query.count_only || item.mod < query.min_mod || item.create < query.min_create) continue;
    if (query.max_mod != 0 && item.mod > query.max_mod) continue;
    if (query.max_create != 0 && item.create > query.max_create) continue;
    reply.rows.push_back(item);
    if (query.keys_only) reply.rows.back().value.clear();
  }
  if (query.reverse) std::ranges::reverse(reply.rows);
  return reply;
}

}  // namespace

TEST_CASE("a span has the rows and the number of keys that all versions say it has") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Fed fed;
    Model model;
    for (int round = 0; round < 100; ++round) {
      CAPTURE(round);
      const std::string name = random_key(rng);
      if (rng.one_in(3)) {
        fed.del(name);
        model.remove(name, true, 0);
      } else {
        const std::string value = std::to_string(round);
        fed.put(name, value);
        model.put(name, value);
      }
      SpanQuery query = random_span(rng, model.revision());
      const SpanReply all = expected(model, query);
      SpanReply got;
      for (;;) {
        const SpanReply page = ask(fed, query);
        REQUIRE(page.result == SpanReply::Result::kDone);
        CHECK(page.rev == query.rev);
        CHECK(page.revision == model.revision());
        if (query.limit != 0) CHECK(page.rows.size() <= query.limit);
        got.rows.insert(got.rows.end(), page.rows.begin(), page.rows.end());
        got.count += page.count;
        if (page.page_full && query.count_rest) {
          CHECK_FALSE(page.more);
          break;
        }
        CHECK(page.more == page.page_full);
        if (!page.more) break;
        REQUIRE_FALSE(page.rows.empty());
        query.start = page.next;
      }
      CHECK(got.count == all.count);
      REQUIRE(got.rows.size() <= all.rows.size());
      if (!query.count_rest) CHECK(got.rows.size() == all.rows.size());
      for (std::size_t i = 0; i < got.rows.size(); ++i)
        CHECK(same(got.rows[i], all.rows[i]));
    }
  }
}

TEST_CASE("a page says whether a row was left out, and by what") {
  Fed fed;
  for (const char* key : {"a", "b", "c"})
    fed.put(key, "0123456789");
  SpanQuery query = everything();
  query.limit = 3;
  SpanReply reply = ask(fed, query);
  CHECK(keys_of(reply.rows) == "abc");
  CHECK_FALSE(reply.more);
  CHECK_FALSE(reply.page_full);
  query.limit = 2;
  reply = ask(fed, query);
  CHECK(keys_of(reply.rows) == "ab");
  CHECK(reply.page_full);
  CHECK(reply.more);
  CHECK(reply.next == "c");
  CHECK(reply.count == 2);
  query.count_rest = true;
  reply = ask(fed, query);
  CHECK(reply.page_full);
  CHECK_FALSE(reply.more);
  CHECK(reply.count == 3);
  query.limit = 0;
  query.bytes_max = 1;
  query.reverse = true;
  reply = ask(fed, query);
  CHECK(keys_of(reply.rows) == "c");
  CHECK(reply.page_full);
  CHECK(reply.count == 3);
  query.min_mod = 4;  // What the bounds leave out was not left out by the page.
  CHECK_FALSE(ask(fed, query).page_full);
}

TEST_CASE("a piece of a span visits a bounded number of keys, and the count goes on behind it") {
  Fed fed;
  for (const bool reverse : {false, true}) {
    for (std::size_t i = 0; i < 2 * kSlice + 5; ++i)
      fed.start(Put{row_name(i), "v"}, false);
    SpanQuery query = everything();
    query.reverse = reverse;
    query.limit = 10;
    query.count_rest = true;
    std::uint64_t count = 0;
    for (const std::size_t expected : {kSlice, kSlice, std::size_t{5}}) {
      const SpanReply reply = ask(fed, query);
      CHECK(reply.count == expected);
      CHECK(reply.rows.size() == (query.count_only ? 0U : 10U));
      CHECK(reply.more == (expected == kSlice));
      count += reply.count;
      query.count_only = reply.page_full || query.count_only;
      query.start = reply.next;
      query.rev = reply.rev;
      fed.start(Delete{row_name(7)}, false);  // It is there at the revision that is asked for.
    }
    CHECK(count == 2 * kSlice + 5);
  }
}

TEST_CASE("spans and hashes are read at revisions that there are") {
  Fed fed;
  for (int i = 0; i < 8; ++i)
    fed.put("a", std::to_string(i));  // 2 to 9
  fed.apply(Compact{5});
  SpanQuery span = everything();
  HashQuery hash;
  for (const Revision rev : {Revision{0}, Revision{4}, Revision{5}, Revision{9}, Revision{10}}) {
    CAPTURE(rev);
    span.rev = hash.rev = rev;
    const SpanReply reply = ask(fed, span);
    const HashReply hashed = ask(fed, hash);
    CHECK(static_cast<int>(reply.result) == static_cast<int>(hashed.result));
    CHECK(reply.result == (rev == 4    ? SpanReply::Result::kCompacted
                           : rev == 10 ? SpanReply::Result::kFuture
                                       : SpanReply::Result::kDone));
    CHECK(reply.revision == 9);
    CHECK(hashed.revision == 9);
    CHECK(reply.compact_revision == 5);
    CHECK(hashed.compact_revision == 5);
    CHECK(reply.rows.size() == (rev == 4 || rev == 10 ? 0U : 1U));
    if (rev == 0) CHECK(reply.rev == 9);
  }
  span.rev = hash.rev = 0;
  span.min_revision = hash.min_revision = 10;
  CHECK(fed.store.query(span, {}) == nullptr);
  CHECK(fed.store.query(hash, {}) == nullptr);
  fed.put("a", "x");
  CHECK(fed.store.query(span, {}) != nullptr);
  CHECK(fed.store.query(hash, {}) != nullptr);
}

TEST_CASE("a row shows its lease and what is left of its time") {
  Fed fed;
  fed.apply(Put{"a", "1", {}, false, {LeaseChoice::Kind::kPrivate, 5000}});
  fed.time = 2000;
  SpanQuery query;
  query.from = "a";
  const SpanReply reply = ask(fed, query);
  REQUIRE(reply.rows.size() == 1);
  CHECK(reply.rows[0].lease != 0);
  CHECK(reply.rows[0].ttl_ms == 3000);
}

TEST_CASE("the hash at a revision is that of what is there, however it came and was tidied") {
  Fed one;
  Fed other;
  for (Fed* fed : {&one, &other}) {
    fed->put("a", "1");                                                              // 2
    fed->put("b", "2");                                                              // 3
    fed->apply(Put{"c", "3", {}, false, {LeaseChoice::Kind::kPrivate, 9'000'000}});  // 4
  }
  CHECK(hash_at(one, 4) == hash_at(other, 4));
  CHECK(hash_at(one, 3) != hash_at(one, 4));
  CHECK(hash_at(one, 1) == 0);
  const std::uint64_t before = hash_at(one, 0);
  one.put("b", "x");
  CHECK(hash_at(one, 0) != before);
  CHECK(hash_at(one, 4) == before);
  one.apply(Compact{4});
  one.tidy();
  CHECK(hash_at(one, 4) == before);
  other.apply(Put{"b", "x", {}, false, {LeaseChoice::Kind::kPrivate, 9'000'000}});
  CHECK(hash_at(one, 0) != hash_at(other, 0));  // The lease alone.
  one.del("a");
  other.put("a", "1");
  CHECK(hash_at(one, 0) != hash_at(other, 0));
}

TEST_CASE("a hash is made in pieces of bounded keys and bytes, and does not depend on them") {
  Fed fed;
  Fed late;
  const std::string large(limits::kRequestBytesMax / 2, 'v');
  for (Fed* each : {&fed, &late}) {
    for (std::size_t i = 0; i < kSlice; ++i)
      each->start(Put{row_name(i), "v"}, false);
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"})
      each->start(Put{key, large}, false);
  }
  HashQuery query;
  int pieces = 0;
  HashReply reply;
  do {
    reply = ask(fed, query);
    query.start = reply.next;
    query.seed = reply.hash;
    query.rev = reply.rev;
    ++pieces;
    fed.start(Put{"0", std::to_string(pieces)}, false);  // At a later revision.
  } while (reply.more);
  CHECK(pieces == 3);
  CHECK(reply.hash == hash_at(late, 0));
}

}  // namespace raftd::kv
