#include "base/limits.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kSlice = limits::kRangeKeysPerSliceMax;

std::vector<std::string> keys_of(const RangeReply& reply) {
  std::vector<std::string> keys;
  for (const RangeReply::Row& row : reply.rows)
    keys.push_back(row.item.key);
  return keys;
}

std::string numbered(std::string_view prefix, std::size_t i) {
  const std::string digits = std::to_string(100'000 + i);
  return std::string(prefix) + digits;
}

}  // namespace

TEST_CASE("one query visits a bounded number of keys and is continued where it stopped") {
  Fed fed;
  for (std::size_t i = 0; i < 2 * kSlice + 5; ++i)
    fed.start(Put{numbered("k", i), "v", {}, false}, false);
  for (const bool reverse : {false, true}) {
    RangeQuery query;
    query.reverse = reverse;
    query.keys_only = true;
    std::vector<std::string> all;
    for (const std::size_t expected : {kSlice, kSlice, std::size_t{5}}) {
      const RangeReply reply = fed.range(query);
      CHECK(reply.rows.size() == expected);
      CHECK(reply.more == (expected == kSlice));
      CHECK_FALSE(reply.page_full);
      for (std::string& key : keys_of(reply))
        all.push_back(std::move(key));
      query.start = reply.next;
    }
    if (reverse) std::reverse(all.begin(), all.end());
    REQUIRE(all.size() == 2 * kSlice + 5);
    for (std::size_t i = 0; i < all.size(); ++i)
      REQUIRE(all[i] == numbered("k", i));
  }
}

TEST_CASE("counting is bounded too") {
  Fed fed;
  for (std::size_t i = 0; i < kSlice + 3; ++i)
    fed.start(Put{numbered("k", i), "v", {}, false}, false);
  RangeQuery query;
  query.count_only = true;
  RangeReply reply = fed.range(query);
  CHECK(reply.count == kSlice);
  REQUIRE(reply.more);
  query.start = reply.next;
  reply = fed.range(query);
  CHECK(reply.count == 3);
  CHECK_FALSE(reply.more);
}

TEST_CASE("a collapsed prefix is skipped as a whole, however many keys are under it") {
  Fed fed;
  for (std::size_t i = 0; i < 2 * kSlice; ++i)
    fed.start(Put{numbered("b/", i), "v", {}, false}, false);
  fed.put("a", "1");
  fed.put("c", "1");
  for (const bool reverse : {false, true}) {
    RangeQuery query;
    query.delimiter = "/";
    query.reverse = reverse;
    const RangeReply reply = fed.range(query);
    CHECK_FALSE(reply.more);  // One visit each: within a single slice.
    REQUIRE(reply.rows.size() == 3);
    CHECK(reply.rows[1].is_prefix);
    CHECK(reply.rows[1].item.key == "b/");
    query.limit = 2;
    RangeReply page = fed.range(query);
    CHECK(page.rows.size() == 2);
    CHECK(page.page_full);
    REQUIRE(page.more);
    query.start = page.next;
    page = fed.range(query);
    CHECK(keys_of(page) == std::vector<std::string>{reverse ? "a" : "c"});
    CHECK_FALSE(page.more);
  }
}

TEST_CASE("a page that ends with the last item does not promise more") {
  Fed fed;
  fed.put("a1", "v");
  fed.put("a2", "v");
  fed.put("a3", "v");
  fed.del("a3");
  fed.put("b", "v");
  RangeQuery query;
  query.prefix = "a";
  query.limit = 2;
  const RangeReply reply = fed.range(query);
  CHECK(keys_of(reply) == std::vector<std::string>{"a1", "a2"});
  CHECK_FALSE(reply.more);
  CHECK_FALSE(reply.page_full);
}

TEST_CASE("a page has at least one item, however large") {
  Fed fed;
  fed.put("a", std::string(1000, 'v'));
  fed.put("b", std::string(1000, 'v'));
  RangeQuery query;
  query.bytes_max = 10;
  const RangeReply reply = fed.range(query);
  CHECK(keys_of(reply) == std::vector<std::string>{"a"});
  CHECK(reply.page_full);
  CHECK(reply.more);
}

TEST_CASE("a start outside the prefix, as only a forged cursor has it, is harmless") {
  Fed fed;
  for (std::size_t i = 0; i < 2 * kSlice; ++i)
    fed.start(Put{numbered("z", i), "v", {}, false}, false);
  fed.put("b1", "v");
  fed.put("b2", "v");
  RangeQuery query;
  query.prefix = "b";
  query.start = "zzzz";
  CHECK(fed.range(query).rows.empty());
  query.start = "a";
  CHECK(fed.range(query).rows.size() == 2);
  query.reverse = true;
  CHECK(fed.range(query).rows.empty());
  query.start = "zzzz";
  CHECK(keys_of(fed.range(query)) == std::vector<std::string>{"b2", "b1"});
}

TEST_CASE("a prefix of 0xff bytes has no end but the end of all keys") {
  Fed fed;
  fed.put("\xfe", "v");
  fed.put("\xff", "v");
  fed.put("\xff\xff", "v");
  RangeQuery query;
  query.prefix = "\xff";
  CHECK(fed.range(query).rows.size() == 2);
  query.reverse = true;
  CHECK(keys_of(fed.range(query)) == std::vector<std::string>{"\xff\xff", "\xff"});
  query.prefix.clear();
  query.delimiter = "\xff";
  query.reverse = false;
  CHECK(fed.range(query).rows.size() == 2);
}

}  // namespace raftd::kv
