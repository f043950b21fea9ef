#include "kv/store.h"

#include <algorithm>

#include "base/limits.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using Kind = Condition::Kind;
using Result = WriteReply::Result;

constexpr std::size_t kSlice = limits::kApplyKeysPerSliceMax;

std::string key_number(std::size_t i) {
  std::string digits = std::to_string(i);
  return "k" + std::string(7 - digits.size(), '0') + digits;
}

void fill(Fed& fed, std::size_t keys) {
  for (std::size_t i = 0; i < keys; ++i)
    fed.start(Put{key_number(i), "v", {}, false}, false);
}

}  // namespace

TEST_CASE("an empty store is at revision 1 and its first write at 2") {
  Fed fed;
  CHECK(fed.revision() == 1);
  CHECK(fed.get("a").result == GetReply::Result::kNotFound);
  const WriteReply reply = fed.put("a", "1");
  CHECK(reply.result == Result::kDone);
  CHECK(reply.revision == 2);
  CHECK(reply.created);
  CHECK_FALSE(reply.prev);
}

TEST_CASE("a reply that was read is made into the next one, and says nothing of what it said") {
  Fed fed;
  fed.put("a", std::string(100, '1'));
  machine::Outcome before = fed.start(Put{"a", "2", {}, true});
  const machine::Reply* const memory = before.reply.get();
  fed.store.take_back(std::move(before.reply));
  const machine::Outcome after = fed.start(Delete{"b", {}, false});
  REQUIRE(after.reply.get() == memory);
  const auto& written = dynamic_cast<const WriteReply&>(*after.reply);
  CHECK(written.revision == 3);
  CHECK(!written.prev);
  CHECK(written.deleted == 0);
  GetQuery query;
  query.key = "a";
  std::unique_ptr<machine::Reply> read = fed.store.query(query, {});
  const machine::Reply* const found = read.get();
  fed.store.take_back(std::move(read));
  query.key = "b";
  read = fed.store.query(query, {});
  REQUIRE(read.get() == found);
  const auto& got = dynamic_cast<const GetReply&>(*read);
  CHECK(got.result == GetReply::Result::kNotFound);
  CHECK(got.changed == 0);
  CHECK(got.item.mod == 0);
  CHECK(got.item.value.empty());
}

TEST_CASE("a put keeps create and counts the version; after a delete it starts anew") {
  Fed fed;
  fed.put("a", "1");
  const WriteReply second = fed.put("a", "2");
  CHECK_FALSE(second.created);
  REQUIRE(second.prev);
  CHECK(same(*second.prev, {"a", "1", 2, 2, 1}));
  CHECK(same(fed.get("a").item, {"a", "2", 3, 2, 2}));
  const WriteReply gone = fed.del("a");
  CHECK(gone.deleted == 1);
  CHECK(gone.revision == 4);
  REQUIRE(gone.prev);
  CHECK(same(*gone.prev, {"a", "2", 3, 2, 2}));
  CHECK(fed.get("a").result == GetReply::Result::kNotFound);
  CHECK(fed.get("a").revision == 4);
  CHECK(fed.put("a", "3").created);
  CHECK(same(fed.get("a").item, {"a", "3", 5, 5, 1}));
  CHECK(same(fed.get("a", 3).item, {"a", "2", 3, 2, 2}));
  CHECK(fed.get("a", 4).result == GetReply::Result::kNotFound);
  CHECK(fed.get("a", 6).result == GetReply::Result::kFuture);
  fed.store.check_invariants();
}

TEST_CASE("a write of the same value is a change, a delete of nothing is not") {
  Fed fed;
  fed.put("a", "1");
  CHECK(fed.put("a", "1").revision == 3);
  const WriteReply nothing = fed.del("b");
  CHECK(nothing.result == Result::kDone);
  CHECK(nothing.deleted == 0);
  CHECK(nothing.revision == 3);
  CHECK(fed.apply(DeletePrefix{"b", 0}).revision == 3);
}

TEST_CASE("a condition that does not hold changes nothing and says what is there") {
  Fed fed;
  fed.put("a", "1");
  struct Row {
    const char* key;
    Condition condition;
    Result result;
  };
  for (const Row& row : {
           Row{"a", {Kind::kModIs, 3}, Result::kModDiffers},
           Row{"b", {Kind::kModIs, 2}, Result::kModDiffers},
           Row{"a", {Kind::kAbsent, 0}, Result::kExists},
           Row{"b", {Kind::kExists, 0}, Result::kAbsent},
       }) {
    const std::uint64_t before = fed.store.digest();
    for (const WriteReply& reply :
         {fed.put(row.key, "2", row.condition), fed.del(row.key, row.condition)}) {
      CHECK(reply.result == row.result);
      CHECK(reply.revision == 2);
      CHECK(reply.prev.has_value() == (row.key == std::string("a")));
      if (reply.prev) CHECK(same(*reply.prev, {"a", "1", 2, 2, 1}));
    }
    CHECK(fed.store.digest() == before);
  }
  CHECK(fed.put("a", "2", {Kind::kModIs, 2}).revision == 3);
  CHECK(fed.put("a", "3", {Kind::kExists, 0}).revision == 4);
  CHECK(fed.put("b", "1", {Kind::kAbsent, 0}).revision == 5);
  CHECK(fed.del("b", {Kind::kModIs, 5}).revision == 6);
  // What was deleted is absent, whatever its last mod was.
  CHECK(fed.put("b", "2", {Kind::kModIs, 6}).result == Result::kModDiffers);
  CHECK(fed.put("b", "2", {Kind::kAbsent, 0}).result == Result::kDone);
}

TEST_CASE("[RF-6] a command that does not decode is a reply, changes nothing, and stops nothing") {
  Fed fed;
  fed.put("a", "1");
  const std::uint64_t before = fed.store.digest();
  for (const std::string_view text : {"\xdd\xff\xff\xff\xff", "hello", "\x93\x02\x05\x01"}) {
    const machine::Outcome outcome = fed.start(as_bytes(text));
    CHECK(outcome.finished);
    const auto* reply = dynamic_cast<const WriteReply*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    CHECK(reply->result == Result::kBadCommand);
    CHECK(reply->revision == 2);
    CHECK_FALSE(reply->message.empty());
    CHECK(fed.store.digest() == before);
  }
  CHECK(fed.store.digest() == before);
  CHECK(fed.put("a", "2").revision == 3);
}

TEST_CASE("a put may keep the value of its key, or insist that the key exists") {
  Fed fed;
  const std::string value(70'000, 'v');
  fed.put("a", value);
  const std::uint64_t before = fed.store.digest();
  for (const Put& put : {Put{"b", "", {}, true, {}, true}, Put{"b", "1", {}, true, {}, false, true},
                         Put{"b", "", {}, true, {LeaseChoice::Kind::kKeep, 0}, true, true}}) {
    const WriteReply reply = fed.apply(put);
    CHECK(reply.result == Result::kNotFound);
    CHECK_FALSE(reply.prev.has_value());
    CHECK(reply.revision == 2);
    CHECK(fed.store.digest() == before);
  }
  WriteReply reply = fed.apply(Put{"a", "", {}, true, {LeaseChoice::Kind::kPrivate, 9000}, true});
  CHECK(reply.result == Result::kDone);
  CHECK_FALSE(reply.created);
  CHECK(reply.prev->value == value);
  CHECK(reply.revision == 3);
  Item item = fed.get("a").item;
  CHECK(item.value == value);
  CHECK(item.version == 2);
  CHECK(item.mod == 3);
  CHECK(item.lease == reply.lease);
  reply = fed.apply(Put{"a", "x", {}, false, {LeaseChoice::Kind::kKeep, 0}, false, true});
  CHECK(reply.result == Result::kDone);
  CHECK(fed.get("a").item.value == "x");
  CHECK(fed.get("a").item.lease == item.lease);
  fed.store.check_invariants();
  fed.del("a");
  CHECK(fed.apply(Put{"a", "", {}, false, {}, true}).result == Result::kNotFound);
}

TEST_CASE("no reply is built when none is wanted, and none for a no-op") {
  Fed fed;
  CHECK(fed.start(Put{"a", "1", {}, true}, false).reply == nullptr);
  CHECK(fed.start(ByteView(), true).reply == nullptr);
  CHECK(fed.start(as_bytes("hello"), false).reply == nullptr);
  CHECK(fed.revision() == 2);
}

TEST_CASE("[CP-6][F73] one path of apply: each write raises the revision by one, in log order") {
  Fed fed;
  for (Revision expected = 2; expected < 100; ++expected) {
    fed.start(ByteView());  // No-ops take an index, not a revision.
    CHECK(fed.put("a", std::to_string(expected)).revision == expected);
  }
  CHECK(fed.index == 2 * 98);
  CHECK(fed.get("a").item.version == 98);
}

TEST_CASE("values are copied out of the command, whose buffer may go") {
  Fed fed;
  Bytes bytes = encode(Put{"a", "value", {}, false});
  fed.start(ByteView(bytes).subspan(machine::kStampBytes));
  std::ranges::fill(bytes, std::byte{0xee});
  CHECK(fed.get("a").item.value == "value");
}

TEST_CASE("a read waits until the store is at min_revision") {
  Fed fed;
  GetQuery get;
  get.key = "a";
  get.min_revision = 2;
  RangeQuery range;
  range.min_revision = 2;
  CHECK(fed.store.query(get, {}) == nullptr);
  CHECK(fed.store.query(range, {}) == nullptr);
  fed.put("a", "1");
  CHECK(fed.store.query(get, {}) != nullptr);
  CHECK(fed.store.query(range, {}) != nullptr);
}

TEST_CASE("[F56] a large range delete is invisible until its last slice, then one revision") {
  Fed fed;
  fill(fed, 2 * kSlice + 10);
  fed.put("z", "stays");
  const Revision before = fed.revision();
  const std::uint64_t digest = fed.store.digest();
  machine::Outcome outcome = fed.start(DeletePrefix{"k", 0});
  int slices = 1;
  while (!outcome.finished) {
    CHECK(outcome.reply == nullptr);
    CHECK(fed.revision() == before);
    CHECK(fed.get(key_number(0)).result == GetReply::Result::kFound);
    CHECK(fed.store.digest() == digest);
    CHECK(fed.store.stats().keys == 2 * kSlice + 11);
    fed.store.check_invariants();
    fed.tidy();
    outcome = fed.store.apply_slice();
    ++slices;
  }
  CHECK(slices == 3);
  const auto& reply = dynamic_cast<const WriteReply&>(*outcome.reply);
  CHECK(reply.deleted == 2 * kSlice + 10);
  CHECK(reply.revision == before + 1);
  CHECK_FALSE(reply.more);
  CHECK(fed.store.stats().keys == 1);
  CHECK(fed.store.stats().bytes == 6);
  CHECK(fed.get(key_number(0)).result == GetReply::Result::kNotFound);
  CHECK(fed.get(key_number(0), before).result == GetReply::Result::kFound);
  fed.store.check_invariants();
}

TEST_CASE("a range delete with a limit takes the smallest keys and says if some are left") {
  Fed fed;
  fill(fed, 10);
  WriteReply reply = fed.apply(DeletePrefix{"k", 4});
  CHECK(reply.deleted == 4);
  CHECK(reply.more);
  CHECK(fed.get(key_number(3)).result == GetReply::Result::kNotFound);
  CHECK(fed.get(key_number(4)).result == GetReply::Result::kFound);
  reply = fed.apply(DeletePrefix{"k", 6});
  CHECK(reply.deleted == 6);
  CHECK_FALSE(reply.more);
}

TEST_CASE("members publish themselves: kept by id, replaced, bounded, no change of revision") {
  Fed fed;
  fed.apply(PublishMember{7, 1, "seven", "http://h:7", "1"});
  fed.apply(PublishMember{3, 1, "three", "http://h:3", "1"});
  fed.apply(PublishMember{7, 2, "seven", "http://g:7", "2"});
  REQUIRE(fed.store.members().size() == 2);
  CHECK(fed.store.members()[0].name == "three");
  CHECK(fed.store.members()[1].client == "http://g:7");
  CHECK(fed.store.members()[1].instance == 2);
  CHECK(fed.revision() == 1);
  for (std::uint64_t id = 100; fed.store.members().size() < limits::kPublishedMembersMax; ++id)
    fed.apply(PublishMember{id, 1, "n", "c", "v"});
  CHECK(fed.apply(PublishMember{1, 1, "n", "c", "v"}).result == Result::kBadCommand);
  CHECK(fed.apply(PublishMember{7, 3, "n", "c", "v"}).result == Result::kDone);
}

TEST_CASE("stats count live keys and values") {
  Fed fed;
  fed.put("ab", "123");
  fed.put("c", "");
  CHECK(fed.store.stats().keys == 2);
  CHECK(fed.store.stats().bytes == 6);
  fed.put("ab", "1");
  CHECK(fed.store.stats().bytes == 4);
  fed.del("ab");
  CHECK(fed.store.stats().keys == 1);
  CHECK(fed.store.stats().bytes == 1);
}

}  // namespace raftd::kv
