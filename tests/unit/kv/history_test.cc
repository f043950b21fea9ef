#include "base/limits.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

std::optional<Revision> proposed(const Fed& fed, std::uint64_t now) {
  const std::optional<Bytes> bytes = fed.store.chore({now});
  if (!bytes) return std::nullopt;
  const auto command = decode(ByteView(*bytes).subspan(machine::kStampBytes));
  REQUIRE(command);
  return std::get<Compact>(command->command).revision;
}

}  // namespace

TEST_CASE("below the compacted revision reads are refused, at and above it they are exact") {
  Fed fed;
  for (int i = 0; i < 8; ++i)
    fed.put("a", std::to_string(i));  // Revisions 2..9.
  fed.apply(Compact{5});
  for (int round = 0; round < 2; ++round) {
    CHECK(fed.get("a", 4).result == GetReply::Result::kCompacted);
    CHECK(fed.get("a", 4).compact_revision == 5);
    for (Revision rev = 5; rev <= 9; ++rev)
      CHECK(fed.get("a", rev).item.value == std::to_string(rev - 2));
    RangeQuery query;
    query.rev = 4;
    CHECK(fed.range(query).result == RangeReply::Result::kCompacted);
    query.rev = 10;
    CHECK(fed.range(query).result == RangeReply::Result::kFuture);
    fed.tidy();
  }
  const std::uint64_t before = fed.store.digest();
  for (const Revision gone : {Revision{0}, Revision{3}, Revision{5}}) {
    const WriteReply reply = fed.apply(Compact{gone});  // Never goes back.
    CHECK(reply.result == StoreReply::Result::kCompacted);
    CHECK(reply.number == 5);
    CHECK(reply.revision == 9);
  }
  const WriteReply beyond = fed.apply(Compact{10});
  CHECK(beyond.result == StoreReply::Result::kFuture);
  CHECK(beyond.number == 5);
  CHECK(fed.store.digest() == before);
  CHECK(fed.apply(Compact{9}).result == StoreReply::Result::kDone);
  CHECK(fed.store.stats().compact_revision == 9);
  fed.store.check_invariants();
}

TEST_CASE("tidying frees old versions and tombstones in bounded slices, down to nothing") {
  Fed fed;
  constexpr std::size_t kWrites = 3 * limits::kTidyVersionsPerSliceMax;
  for (std::size_t i = 0; i < kWrites; ++i)
    fed.start(Put{"hot", "v", {}, false}, false);
  for (std::size_t i = 0; i < 100; ++i) {
    fed.put("x" + std::to_string(i), "v");
    fed.del("x" + std::to_string(i));
  }
  CHECK_FALSE(fed.store.tidy_slice());
  CHECK(fed.store.stats().history_bytes > kWrites * sizeof(Revision));
  fed.apply(Compact{fed.revision()});
  int slices = 1;
  while (fed.store.tidy_slice()) {
    ++slices;
    fed.store.check_invariants();
  }
  CHECK(slices >= 3);
  CHECK(fed.store.stats().history_bytes == 0);
  CHECK(fed.store.stats().keys == 1);
  CHECK(fed.get("hot", fed.revision()).item.version == kWrites);
  fed.store.check_invariants();
}

TEST_CASE("a key that is created again keeps its tombstone while a reader may want it") {
  Fed fed;
  fed.put("a", "1");  // 2
  fed.del("a");       // 3
  fed.put("a", "2");  // 4
  fed.apply(Compact{3});
  fed.tidy();
  CHECK(fed.get("a", 3).result == GetReply::Result::kNotFound);
  CHECK(fed.get("a", 4).item.value == "2");
  fed.apply(Compact{4});
  fed.tidy();
  CHECK(fed.get("a").item.version == 1);
  CHECK(fed.store.stats().history_bytes == 0);
  fed.store.check_invariants();
}

TEST_CASE("the leader proposes to drop what is older than the limit, also in an idle store") {
  Fed fed({.age_ms = 8000, .bytes = 1 << 20});
  CHECK_FALSE(fed.store.next_chore());
  CHECK_FALSE(proposed(fed, 1'000'000));
  fed.time = 1000;
  fed.put("a", "1");  // 2
  fed.time = 1500;
  fed.put("a", "2");  // 3, within the same second.
  fed.time = 9000;
  fed.put("a", "3");  // 4
  REQUIRE(fed.store.next_chore());
  CHECK(fed.store.next_chore()->value == 1500 + 8000 + 1000);
  CHECK_FALSE(proposed(fed, 10'499));
  CHECK(proposed(fed, 10'500) == 3U);
  fed.apply(Compact{3});
  CHECK_FALSE(proposed(fed, 10'500));
  REQUIRE(fed.store.next_chore());
  CHECK(fed.store.next_chore()->value == 9000 + 8000 + 1000);
  CHECK(proposed(fed, 18'000) == 4U);
  fed.apply(Compact{4});
  CHECK_FALSE(fed.store.next_chore());
  CHECK_FALSE(proposed(fed, 1'000'000));
  CHECK(fed.get("a", 4).item.value == "3");
}

TEST_CASE("the leader proposes to drop history beyond its bytes, and needs no second proposal") {
  Fed fed({.age_ms = 600'000, .bytes = 64 * limits::kKiB});
  const std::string value(1000, 'v');
  std::uint64_t proposals = 0;
  for (int i = 0; i < 1000; ++i) {
    fed.put("k" + std::to_string(i % 10), value);
    const std::optional<Revision> revision = proposed(fed, fed.time);
    if (!revision) continue;
    CHECK(fed.store.next_chore()->value == 0);
    ++proposals;
    fed.apply(Compact{*revision});
    CHECK_FALSE(proposed(fed, fed.time));
    fed.tidy();
    CHECK_FALSE(proposed(fed, fed.time));
    CHECK(fed.store.stats().history_bytes <= 56 * limits::kKiB);
    CHECK(fed.store.stats().history_bytes >= 40 * limits::kKiB);
  }
  CHECK(proposals > 10);
  CHECK(proposals < 100);
}

TEST_CASE("history that a snapshot holds back is dropped all the same, and not proposed again") {
  Fed fed({.age_ms = 600'000, .bytes = 64 * limits::kKiB});
  const std::string value(1000, 'v');
  fed.put("k0", value);
  std::unique_ptr<machine::SnapshotWriter> slow = fed.store.snapshot();
  std::uint64_t proposals = 0;
  for (int i = 0; i < 1000; ++i) {
    fed.put("k" + std::to_string(i % 10), value);
    if (i % 7 == 0) fed.del("k" + std::to_string(i % 10));
    const std::optional<Revision> revision = proposed(fed, fed.time);
    if (!revision) continue;
    ++proposals;
    CHECK(fed.revision() - *revision > 30);  // What is held is not counted as what could go.
    fed.apply(Compact{*revision});
    CHECK_FALSE(proposed(fed, fed.time));
    fed.tidy();
    fed.store.check_invariants();
  }
  CHECK(proposals > 10);
  CHECK(proposals < 100);
  CHECK(fed.store.stats().history_bytes > 900'000);
  std::unique_ptr<machine::SnapshotWriter> next = fed.store.snapshot();
  Bytes written;
  while (!next->write_slice(written, limits::kMiB)) {
  }
  CHECK(written.size() < 90'000);
  next.reset();
  slow.reset();
  fed.tidy();
  CHECK(fed.store.stats().history_bytes <= 64 * limits::kKiB);
  fed.store.check_invariants();
}

TEST_CASE("limits of history that were changed hold at once") {
  Fed fed({.age_ms = 600'000, .bytes = 1 << 20});
  for (int i = 0; i < 100; ++i)
    fed.put("a", "1");
  CHECK_FALSE(proposed(fed, 0));
  fed.store.set_history_limits({.age_ms = 600'000, .bytes = 0});
  CHECK(proposed(fed, 0) == fed.revision());
}

}  // namespace raftd::kv
