// The state as bytes and back: what a reader can see is the same, and what follows stays the same.
#include <functional>

#include "base/endian.h"
#include "base/rng.h"
#include "kv/lock_record.h"
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
  const LeaseId lease = 1 + rng.below(12);
  switch (rng.below(18)) {
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
    case 4:
      fed.start(GrantLease{rng.one_in(2) ? 0 : lease, 1000 + rng.below(9000)});
      break;
    case 5:
      fed.start(KeepLeases{{lease, 1 + rng.below(12)}});
      break;
    case 6:
      fed.start(rng.one_in(3) ? Command(RevokeLease{lease}) : Command(ExpireLeases{}));
      break;
    case 7:
      fed.start(Put{key, "leased", {}, false, {LeaseChoice::Kind::kAttach, lease}});
      break;
    case 8:
      fed.start(Put{key, "own", {}, false, {LeaseChoice::Kind::kPrivate, 1000 + rng.below(9000)}});
      break;
    case 9:
      fed.start(Touch{key, rng.below(2) * 5000});
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
    CHECK(other.store.stats().leases == stats.leases);
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
  fed.start(GrantLease{9, 1000});
  fed.start(Put{"c", "4", {}, false, {LeaseChoice::Kind::kAttach, 9}});
  fed.start(Put{"d", "5", {}, false, {LeaseChoice::Kind::kPrivate, 7000}});
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

TEST_CASE(
    "leases stand before the keys, by id; those that changed since the cut as they were then") {
  Fed fed;
  fed.start(GrantLease{7, 2000});
  fed.start(GrantLease{258, 3000});
  fed.start(Put{"a", "x", {}, false, {LeaseChoice::Kind::kPrivate, 0x1122}});
  fed.start(GrantLease{9, 4000});
  const auto writer = fed.store.snapshot();
  const std::uint64_t hash = fed.store.state_hash();
  fed.time = 500;
  fed.start(KeepLeases{{7, 258}});
  fed.start(RevokeLease{9});
  fed.start(GrantLease{8, 1000});
  fed.start(GrantLease{9, 1000});  // Another one of that name.
  fed.del("a");                    // And its own lease with it.
  const Bytes bytes = whole(*writer, 1);
  REQUIRE(writer->intact());
  Bytes wanted;
  const auto text = [&](std::string_view part) {
    for (const char c : part)
      wanted.push_back(static_cast<std::byte>(c));
  };
  const std::string zeros(8, '\0');
  text(std::string("n\x01", 2) + zeros.substr(1));
  text(std::string("l\x01", 2) + zeros.substr(1) + "\x22\x11" + zeros.substr(2) + "\x22\x11" +
       zeros.substr(2) + "\x01");
  text(std::string("l\x07", 2) + zeros.substr(1) + "\xd0\x07" + zeros.substr(2) + "\xd0\x07" +
       zeros.substr(2) + zeros.substr(7));
  text(std::string("l\x09", 2) + zeros.substr(1) + "\xa0\x0f" + zeros.substr(2) + "\xa0\x0f" +
       zeros.substr(2) + zeros.substr(7));
  text(std::string("l\x02\x01", 3) + zeros.substr(2) + "\xb8\x0b" + zeros.substr(2) + "\xb8\x0b" +
       zeros.substr(2) + zeros.substr(7));
  text(std::string("C\0\x01", 3));
  CHECK(std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()) != bytes.end());
  Fed other;
  REQUIRE(restore(other, bytes, 4, 0));
  CHECK(other.store.state_hash() == hash);
  CHECK(other.store.stats().leases == 4);
  other.store.check_invariants();
}

namespace {

// Why a state of these records is refused; without the hash, which would show it as well.
std::string refusal_of(const std::function<void(Bytes&)>& records, Revision revision = 2) {
  Bytes bytes;
  append_le(bytes, revision);
  append_le(bytes, revision);  // All history is gone.
  append_le(bytes, std::uint64_t{0});
  append_le(bytes, std::uint64_t{0});
  records(bytes);
  Fed fed;
  const Status status = restore(fed, bytes, 1, 1);
  REQUIRE_FALSE(status);
  return status.error().message;
}

void lease_record(Bytes& out, std::uint64_t id, std::uint64_t ttl, std::uint64_t deadline,
                  std::uint8_t owned) {
  out.push_back(std::byte{'l'});
  append_le(out, id);
  append_le(out, ttl);
  append_le(out, deadline);
  out.push_back(std::byte{owned});
}

// With the lease 5, and as of revision 2.
void key_record(Bytes& out, Space space, std::string_view name, std::string_view value,
                std::uint64_t version = 1) {
  out.push_back(std::byte{'K'});
  out.push_back(static_cast<std::byte>(space));
  append_le(out, std::uint64_t{5});
  append_le(out, static_cast<std::uint16_t>(name.size()));
  append_le(out, static_cast<std::uint32_t>(value.size()));
  append_le(out, std::uint64_t{2});
  append_le(out, std::uint64_t{2});
  append_le(out, version);
  for (const std::string_view text : {name, value}) {
    const ByteView raw = as_bytes(text);
    out.insert(out.end(), raw.begin(), raw.end());
  }
}

void end_record(Bytes& out, std::uint64_t records) {
  out.push_back(std::byte{'e'});
  append_le(out, records);
}

}  // namespace

TEST_CASE("a state whose leases are impossible is refused") {
  const std::string kBad = "the leases are out of order, too many, or impossible";
  const std::string kEarly = "the state ends before its end record";
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 5, 10, 10, 0); }) ==
        kEarly);  // This one is good.
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 0, 10, 10, 0); }) == kBad);
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 1ULL << 63, 10, 10, 0); }) == kBad);
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 5, 0, 10, 0); }) == kBad);
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 5, 10, 9, 0); }) == kBad);
  CHECK(refusal_of([&](Bytes& out) { lease_record(out, 5, 10, 10, 2); }) == kBad);
  CHECK(refusal_of([&](Bytes& out) {
          lease_record(out, 5, 10, 10, 0);
          lease_record(out, 5, 10, 10, 0);
        }) == kBad);
}

TEST_CASE("a state that no store can be in is refused: locks, versions, revisions") {
  LockRecord record;
  record.ttl_ms = 1000;
  const std::string good = encode(record);
  record.ttl_ms = 0;
  const std::string endless = encode(record);
  const std::string waiter = waiter_key(queue_key(Space::kLocks, "job"), 2);
  const std::string kNoLock = "record 1 is neither a lock nor somebody who waits for one";
  const auto with = [&](Space space, std::string_view name, std::string_view value,
                        std::uint64_t version = 1) {
    return refusal_of([&](Bytes& out) {
      lease_record(out, 5, 10, 10, 1);
      key_record(out, space, name, value, version);
      end_record(out, 2);
    });
  };
  CHECK(with(Space::kWaiters, waiter, good) == "somebody waits for a lock that is free");
  CHECK(with(Space::kWaiters, "job", good) == kNoLock);
  CHECK(with(Space::kLocks, "job", "text") == kNoLock);
  CHECK(with(Space::kLocks, "job", endless) == kNoLock);
  CHECK(with(Space::kLocks, "job", good, 3) ==
        "record 1, key job, does not follow from those before");
  const auto nothing = [](Bytes& out) { end_record(out, 0); };
  CHECK(refusal_of(nothing, UINT64_MAX) == "the head's revisions are impossible");
  Bytes bytes;
  append_le(bytes, std::uint64_t{2});
  append_le(bytes, std::uint64_t{2});
  append_le(bytes, std::uint64_t{0});
  append_le(bytes, std::uint64_t{0});
  lease_record(bytes, 5, 10, 10, 1);
  key_record(bytes, Space::kLocks, "job", good);
  end_record(bytes, 2);
  Fed fed;
  CHECK(restore(fed, bytes, 1, 1));  // This one is good.
  fed.store.check_invariants();
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
