// One number for a whole state: equal where the states are, another one where anything differs.
#include <functional>
#include <set>

#include "base/digest.h"
#include "base/endian.h"
#include "base/rng.h"
#include "kv/store.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using Last = std::function<void(Fed&)>;

// The same writes, and one of its own.
struct Written : Fed {
  explicit Written(const Last& last = [](Fed&) {}) {
    time = 1000;
    put("a", "1");
    put("b", "2");
    put("a", "3");
    del("b");
    last(*this);
  }
};

Bytes whole(Store& store) {
  const auto writer = store.snapshot();
  Bytes out;
  while (!writer->write_slice(out, 4096)) {
  }
  return out;
}

}  // namespace

TEST_CASE("the hash of a text never changes: it is on disk and on the wire") {
  CHECK(hash64({}) == 0xcc7b8caa129dde6c);
  CHECK(hash64(as_bytes("a")) == 0xee81b75848c34524);
  CHECK(hash64(as_bytes("12345678")) == 0xddcf92ef221b6ca1);
  CHECK(hash64(as_bytes("a text of more than 32 bytes, with a rest")) == 0x057285bfe274a6c0);
  CHECK(hash64(as_bytes("a"), 1) != hash64(as_bytes("a")));
}

TEST_CASE("two texts that differ in a bit, a byte, a length or an order have other hashes") {
  std::string text(100, '\0');
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(i);
  const std::uint64_t hash = hash64(as_bytes(text));
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ 1 << bit % 8);
    CHECK(hash64(as_bytes(other)) != hash);
  }
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK(hash64(as_bytes(text.substr(0, size))) != hash);
    const std::string zeros(size, '\0');
    CHECK(hash64(as_bytes(zeros)) != hash64(as_bytes(zeros + '\0')));
  }
  std::string turned = text.substr(32, 32) + text.substr(0, 32) + text.substr(64);
  CHECK(hash64(as_bytes(turned)) != hash);
}

TEST_CASE("the same entries give the same hash, whatever has been freed") {
  Rng rng(1);
  Fed busy;
  Fed lazy;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = "k" + std::to_string(rng.below(20));
    const std::string value(rng.below(50), static_cast<char>('a' + rng.below(26)));
    const std::uint64_t what = rng.below(10);
    const std::uint64_t at = rng.below(20);
    for (Fed* fed : {&busy, &lazy}) {
      if (what == 0) fed->del(key);
      if (what == 1) fed->apply(DeletePrefix{"k1", 3});
      if (what == 2) fed->apply(Compact{fed->revision() - std::min(fed->revision(), at)});
      if (what > 2) fed->put(key, value);
      fed->time += at * 40;
    }
    busy.tidy();
    REQUIRE(busy.store.state_hash() == lazy.store.state_hash());
  }
  busy.store.check_invariants();  // Computes it anew.
  lazy.store.check_invariants();
}

TEST_CASE("states that differ in anything that is replicated have other hashes") {
  const std::vector<Last> ends = {
      [](Fed& fed) { fed.put("c", "1"); },
      [](Fed& fed) { fed.put("c", "2"); },
      [](Fed& fed) { fed.put("d", "1"); },
      [](Fed& fed) { fed.put("a", "1"); },
      [](Fed& fed) { fed.put("b", "2"); },
      [](Fed& fed) { fed.del("a"); },
      [](Fed& fed) { fed.del("c"); },
      [](Fed& fed) { fed.apply(Compact{3}); },
      [](Fed& fed) { fed.apply(Compact{4}); },
      [](Fed& fed) {
        fed.apply(PublishMember{1, 2, "n", "http://a", "1"});
      },
      [](Fed& fed) {
        fed.apply(PublishMember{1, 3, "n", "http://a", "1"});
      },
      [](Fed& fed) {
        fed.apply(PublishMember{1, 2, "nh", "ttp://a", "1"});
      },
      [](Fed& fed) {
        fed.start(ReserveMember{std::string(kTokenHashBytes, 'a'), "", true, 0, 5});
      },
      [](Fed& fed) {
        fed.start(ReserveMember{std::string(kTokenHashBytes, 'b'), "", true, 0, 5});
      },
      [](Fed& fed) {
        fed.start(ReserveMember{std::string(kTokenHashBytes, 'a'), "", true, 0, 5});
        fed.start(DropTickets{1});
      },
      [](Fed& fed) {
        fed.start(GrantLease{1, 1000});
      },
      [](Fed& fed) {
        fed.start(GrantLease{2, 1000});
      },
      [](Fed& fed) {
        fed.start(GrantLease{0, 1000});  // The next one that is chosen will be another one.
      },
      [](Fed& fed) {
        fed.start(GrantLease{1, 2000});
      },
      [](Fed& fed) {
        fed.start(GrantLease{1, 1000});
        fed.start(Put{"c", "1", {}, false, {LeaseChoice::Kind::kAttach, 1}});
      },
      [](Fed& fed) {
        fed.start(Put{"c", "1", {}, false, {LeaseChoice::Kind::kPrivate, 1000}});
      },
      [](Fed& fed) {
        fed.time = 1001;
        fed.put("c", "1");
      },
  };
  std::set<std::uint64_t> hashes;
  for (const auto& end : ends)
    hashes.insert(Written(end).store.state_hash());
  CHECK(hashes.size() == ends.size());
  for (const auto& end : ends)
    CHECK(hashes.contains(Written(end).store.state_hash()));
}

TEST_CASE("a command that does not decode, and one that is refused, change nothing but the time") {
  Written fed;
  const std::uint64_t hash = fed.store.state_hash();
  fed.start(as_bytes("no command"));
  CHECK(fed.store.state_hash() == hash);
  fed.put("a", "x", {Condition::Kind::kAbsent, 0});
  CHECK(fed.store.state_hash() == hash);
  fed.del("nothing");
  CHECK(fed.store.state_hash() == hash);
}

TEST_CASE(
    "[F56] memory that changes by itself shows when a snapshot is written, and nobody takes it") {
  Written fed([](Fed& f) { f.apply(PublishMember{1, 2, "n", "http://a", "1"}); });
  const std::uint64_t hash = fed.store.state_hash();
  auto& members = const_cast<std::vector<PublishedMember>&>(fed.store.members());
  members[0].client[7] ^= 1;
  CHECK(fed.store.state_hash() == hash);  // Nothing was applied.
  const auto writer = fed.store.snapshot();
  Bytes out;
  while (!writer->write_slice(out, 16)) {
  }
  const Status intact = writer->intact();
  REQUIRE_FALSE(intact);
  CHECK(intact.error().code == Errc::kCorrupt);
  Fed other;
  const auto reader = other.store.restore();
  REQUIRE(reader->feed(out));
  const Status complete = reader->complete();
  REQUIRE_FALSE(complete);
  CHECK(complete.error().message ==
        "the state does not have the hash that it had when it was written");
}

TEST_CASE("a state that was written before there were hashes is taken as it is") {
  Written fed;
  Bytes bytes = whole(fed.store);
  // The last two records: 'h' and its hash, 'e' and how many there were before it.
  const std::size_t at = bytes.size() - 18;
  REQUIRE(bytes[at] == std::byte{'h'});
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at),
              bytes.begin() + static_cast<std::ptrdiff_t>(at) + 9);
  store_le(bytes, bytes.size() - 8, load_le<std::uint64_t>(bytes, bytes.size() - 8) - 1);
  Fed other;
  const auto reader = other.store.restore();
  REQUIRE(reader->feed(bytes));
  REQUIRE(reader->complete());
  reader->commit({fed.index}, {fed.time});
  CHECK(other.store.state_hash() == fed.store.state_hash());
}

TEST_CASE("a state with two hashes is refused") {
  Written fed;
  Bytes bytes = whole(fed.store);
  const auto at = bytes.end() - 18;
  const Bytes hash(at, at + 9);
  bytes.insert(at, hash.begin(), hash.end());
  Fed other;
  CHECK_FALSE(other.store.restore()->feed(bytes));
}

}  // namespace raftd::kv
