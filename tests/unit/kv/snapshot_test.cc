// The state as bytes and back: what a reader can see is the same, and what follows stays the same.
#include "base/rng.h"
#include "kv/store.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

Bytes whole(machine::SnapshotWriter& writer, std::size_t slice = 4096) {
  Bytes out;
  while (!writer.write_slice(out, slice)) {
  }
  return out;
}

Status restore(Fed& into, ByteView bytes, std::uint64_t index, std::uint64_t time,
               std::size_t piece = 4096) {
  const auto reader = into.store.restore();
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const Status fed = reader->feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    if (!fed) return fed;
  }
  const Status whole = reader->complete();
  if (!whole) return whole;
  reader->commit({index}, {time});
  into.index = index;
  into.time = time;
  return Done{};
}

void random_write(Rng& rng, Fed& fed) {
  const std::string key = "k" + std::to_string(rng.below(30));
  switch (rng.below(12)) {
    case 0:
      fed.del(key);
      break;
    case 1:
      fed.apply(DeletePrefix{"k" + std::to_string(rng.below(10)), rng.below(3)});
      break;
    case 2:
      fed.apply(Compact{fed.revision() - std::min(fed.revision(), rng.below(40))});
      break;
    case 3:
      fed.apply(PublishMember{1 + rng.below(4), rng.below(9), "n", "http://a", "1"});
      break;
    default:
      fed.put(key, std::string(rng.below(20), static_cast<char>('a' + rng.below(26))));
  }
  fed.time += rng.below(900);
}

}  // namespace

TEST_CASE("a state that is written while writes go on is the one of its cut, whatever is cut") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Fed fed;
    for (std::uint64_t i = rng.below(300); i > 0; --i)
      random_write(rng, fed);
    if (rng.one_in(2)) fed.store.tidy_slice();
    fed.start(ByteView());  // Nothing, but the time of the last entry is the present one now.
    const auto writer = fed.store.snapshot();
    const std::uint64_t digest = fed.store.digest();
    const std::uint64_t hash = fed.store.state_hash();
    const StoreStats stats = fed.store.stats();
    const std::uint64_t index = fed.index;
    const std::uint64_t time = fed.time;
    Bytes bytes;
    while (!writer->write_slice(bytes, 1 + rng.below(200))) {
      for (std::uint64_t i = rng.below(4); i > 0; --i)
        random_write(rng, fed);
      fed.store.tidy_slice();
      fed.store.check_invariants();
    }
    REQUIRE(writer->intact());
    Fed other;
    for (std::uint64_t i = rng.below(20); i > 0; --i)
      random_write(rng, other);  // Is replaced.
    REQUIRE(restore(other, bytes, index, time, 1 + rng.below(300)));
    CHECK(other.store.digest() == digest);
    CHECK(other.store.state_hash() == hash);
    CHECK(other.store.stats().revision == stats.revision);
    CHECK(other.store.stats().keys == stats.keys);
    CHECK(other.store.stats().bytes == stats.bytes);
    other.tidy();
    other.store.check_invariants();
    CHECK(other.store.digest() == digest);
    Fed third;  // And once more, from what was restored.
    REQUIRE(restore(third, whole(*other.store.snapshot()), index, time));
    CHECK(third.store.digest() == digest);
    for (int i = 0; i < 50; ++i) {
      Rng same = rng;
      random_write(same, third);
      random_write(rng, other);
    }
    CHECK(third.store.digest() == other.store.digest());
    CHECK(third.store.state_hash() == other.store.state_hash());
    CHECK(third.store.next_chore().has_value() == other.store.next_chore().has_value());
  }
}

TEST_CASE(
    "what a living writer still has to write is not dropped, and is when the writer is gone") {
  Fed fed;
  fed.put("a", "1");
  fed.put("a", "2");
  fed.put("b", "1");
  auto writer = fed.store.snapshot();
  const std::uint64_t digest = fed.store.digest();
  fed.put("a", "3");
  fed.apply(Compact{fed.revision()});
  fed.tidy();
  CHECK(fed.get("a", 2).result == GetReply::Result::kCompacted);
  CHECK(fed.store.stats().history_bytes > 0);
  Fed other;
  REQUIRE(restore(other, whole(*writer), 3, 0));
  CHECK(other.store.digest() == digest);
  CHECK(other.get("a", 2).item.value == "1");
  writer.reset();
  fed.tidy();
  CHECK(fed.store.stats().history_bytes == 0);
}

TEST_CASE("a restored store keeps the ages of its history") {
  Fed fed({.age_ms = 10'000, .bytes = 1 << 20});
  fed.time = 1000;
  fed.put("a", "1");
  fed.time = 5000;
  fed.put("a", "2");
  Fed other({.age_ms = 10'000, .bytes = 1 << 20});
  REQUIRE(restore(other, whole(*fed.store.snapshot()), fed.index, fed.time));
  CHECK(other.store.next_chore() == fed.store.next_chore());
  CHECK(other.store.chore({12'300}) == fed.store.chore({12'300}));
}

TEST_CASE("an empty store is a snapshot too") {
  Fed fed;
  Fed other;
  other.put("a", "1");
  REQUIRE(restore(other, whole(*fed.store.snapshot()), 0, 0));
  CHECK(other.store.digest() == fed.store.digest());
  CHECK(other.store.stats().keys == 0);
}

TEST_CASE(
    "a state that ends early, goes on too long or contradicts itself is refused, and the old "
    "one stays") {
  Fed fed;
  fed.put("a", "1");
  fed.put("b", "2");
  fed.apply(Compact{3});
  fed.put("a", "3");
  fed.del("b");
  fed.apply(PublishMember{1, 2, "n1", "http://a", "1"});
  const Bytes good = whole(*fed.store.snapshot());
  Fed other;
  other.put("old", "x");
  const std::uint64_t digest = other.store.digest();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Status status = restore(other, ByteView(good).first(size), 9, 9);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::kCorrupt);
  }
  Bytes longer = good;
  longer.push_back(std::byte{'k'});
  CHECK_FALSE(restore(other, longer, 9, 9));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= std::byte{0x81};
    Fed target;
    CAPTURE(at);
    CHECK_FALSE(restore(target, bad, 9, 9));
    target.store.check_invariants();
  }
  CHECK(other.store.digest() == digest);
  CHECK(other.get("old").item.value == "x");
}

TEST_CASE("two writers of one state write the same, however their slices are cut") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Fed fed;
    for (std::uint64_t i = rng.below(300); i > 0; --i)
      random_write(rng, fed);
    const auto first = fed.store.snapshot();
    const auto second = fed.store.snapshot();
    const Bytes counted = whole(*first, 1 + rng.below(4096));
    for (std::uint64_t i = rng.below(300); i > 0; --i) {
      random_write(rng, fed);
      if (rng.one_in(3)) fed.tidy();
    }
    CHECK(whole(*second, 1 + rng.below(4096)) == counted);
  }
}

TEST_CASE("members that published themselves can be forgotten, and nothing else is") {
  Fed fed;
  fed.put("a", "1");
  fed.apply(PublishMember{1, 77, "n1", "http://a", "1"});
  fed.store.forget_members(0);
  CHECK(fed.store.members().empty());
  CHECK(fed.get("a").item.value == "1");
  Fed restored;
  REQUIRE(restore(restored, whole(*fed.store.snapshot()), fed.index, fed.time));
  CHECK(restored.store.members().empty());
  CHECK(restored.store.digest() == fed.store.digest());
}

}  // namespace raftd::kv
