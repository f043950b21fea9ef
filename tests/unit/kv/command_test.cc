#include "kv/command.h"

#include <doctest/doctest.h>

#include "base/limits.h"
#include "base/rng.h"
#include "machine/state_machine.h"

namespace raftd::kv {
namespace {

using Kind = Condition::Kind;

Bytes unstamped(const Command& command) {
  const Bytes bytes = encode(command);
  return {bytes.begin() + machine::kStampBytes, bytes.end()};
}

Transaction transaction() {
  using Target = Guard::Target;
  using Relation = Guard::Relation;
  Transaction nested;
  nested.guards = {{Target::kExists, Relation::kEqual, {"p/", "p0"}, 1, ""}};
  nested.then = {{Touch{"t", 5000}}};
  const Sort by_value{Sort::Target::kValue, true};
  Transaction all;
  all.guards = {{Target::kMod, Relation::kLess, {"a", ""}, 5, ""},
                {Target::kValue, Relation::kEqual, {"b", Span::kEndless}, 0, "v"},
                {Target::kFence, Relation::kEqual, {"job", ""}, 17, ""}};
  all.then = {{Put{"a", "1", {}, true, {LeaseChoice::Kind::kPrivate, 30'000}}},
              {DeleteSpan{{"tmp/", "tmp0"}, true}},
              {Increment{"n", -3, {}}},
              {nested}};
  all.otherwise = {{Get{"a"}},
                   {List{{"", Span::kEndless}, 10, true}},
                   {Delete{"b", {}, false}},
                   {Put{"c", "", {}, true, {LeaseChoice::Kind::kAttach, 9}, true, true}},
                   {Put{"d", "1", {}, false, {LeaseChoice::Kind::kKeep, 0}, false, true}},
                   {List{{"a", ""}, 0, false, 7}},
                   {List{{"a", "b"}, 1, true, 0, true, true, 1, 2, 3, UINT64_MAX, by_value}}};
  return all;
}

const std::vector<Command>& samples() {
  static const std::string binary("\0\xff key", 6);
  static const std::string big(limits::kKeyBytesMax, 'k');
  static const std::string value(100'000, 'v');
  static const std::string hash(kTokenHashBytes, '\xff');
  static const std::vector<Command> all = {
      Put{"a", "1", {}, false},
      Put{binary, binary, {Kind::kModIs, UINT64_MAX}, true},
      Put{big, value, {Kind::kExists, 0}, true},
      Put{"a", "", {Kind::kAbsent, 0}, false},
      Delete{"a", {}, false},
      Delete{big, {Kind::kModIs, 1}, true},
      DeletePrefix{"", 0},
      DeletePrefix{"app/", UINT64_MAX},
      PublishMember{limits::kNodeIdMax, UINT64_MAX, "one", "http://10.0.0.1:2379", "1.0"},
      Compact{UINT64_MAX},
      ReserveMember{hash, "n4", true, 3, limits::kTicketTtlMsMax},
      ReserveMember{hash, "", false, 0, 0},
      ClaimMember{4, hash, UINT64_MAX, "n4", "http://h", true, limits::kNodeIdMax},
      ClaimMember{limits::kNodeIdMax, "", 0, "", "", false, 0},
      DropTickets{0},
      DropTickets{limits::kNodeIdMax},
      Put{"a", "1", {}, false, {LeaseChoice::Kind::kPrivate, limits::kLeaseTtlMsMax}},
      Put{"a", "1", {}, false, {LeaseChoice::Kind::kKeep, 0}},
      Increment{"n", INT64_MIN, {Kind::kAbsent, 0}, {LeaseChoice::Kind::kAttach, 7}},
      Touch{"a", 0},
      Touch{"a", 15'000},
      transaction(),
      Transaction{},
      Transaction{{}, {{Put{"a", "1"}}}, {}, true},
      GrantLease{0, 1000},
      GrantLease{limits::kLeaseIdMax, limits::kLeaseTtlMsMax},
      KeepLeases{{1, 2, limits::kLeaseIdMax}},
      KeepLeases{},
      RevokeLease{9},
      ExpireLeases{},
      Acquire{Space::kLocks, binary, 30'000, "host", "", true},
      Acquire{Space::kElections, "db", 1000, "", value, false},
      KeepLock{Space::kLocks, "l", 57, 0},
      Release{Space::kElections, "db", 70},
      Proclaim{"db", 70, binary},
      LeaveQueue{Space::kLocks, "l", 58},
      Put{"a", "1", {}, true, {LeaseChoice::Kind::kKeep, 0}, false, true},
      Put{"a", "", {Kind::kModIs, 9}, false, {}, true},
  };
  return all;
}

Result<Request> decode_text(std::string_view text) {
  return decode(as_bytes(text));
}

}  // namespace

TEST_CASE("a command is the same after encode and decode, behind room for the stamp") {
  for (const Command& command : samples()) {
    const Bytes bytes = encode(command);
    REQUIRE(bytes.size() > machine::kStampBytes);
    for (std::size_t i = 0; i < machine::kStampBytes; ++i)
      CHECK(bytes[i] == std::byte{0});
    const Bytes body = unstamped(command);
    const auto again = decode(body);
    REQUIRE(again);
    CHECK(again->command.index() == command.index());
    CHECK(again->terms.none());
    CHECK(encode(again->command) == bytes);
  }
}

TEST_CASE("the terms of a command are the same after encode and decode") {
  Terms terms;
  terms.idempotency_key = "order-7";
  terms.request_hash = UINT64_MAX;
  terms.fences = {{Space::kKeys, "backup", 57}, {Space::kElections, "db", 70}};
  for (const Command& command : samples()) {
    const Bytes bytes = encode(command, terms);
    const auto again = decode(ByteView(bytes).subspan(machine::kStampBytes));
    REQUIRE(again);
    CHECK(again->terms.idempotency_key == "order-7");
    CHECK(again->terms.fences.size() == 2);
    CHECK(encode(again->command, again->terms) == bytes);
  }
}

TEST_CASE("decoded texts are views into the bytes that were given") {
  const Bytes body = unstamped(Put{"key", "value", {}, false});
  const auto command = decode(body);
  REQUIRE(command);
  const auto& put = std::get<Put>(command->command);
  CHECK(put.key == "key");
  CHECK(put.value == "value");
  CHECK(as_bytes(put.value).data() > body.data());
  CHECK(as_bytes(put.value).data() < body.data() + body.size());
}

// Of every length near which a head grows, and of those of other bytes.
TEST_CASE("a put without condition, lease and terms is decoded straight away") {
  for (const std::size_t size :
       std::initializer_list<std::size_t>{0, 1, 31, 255, 256, 65535, 65536}) {
    const std::string value(size, 'v');
    for (const bool want_prev : {false, true}) {
      const Bytes body = unstamped(Put{"key", value, {}, want_prev});
      const std::optional<Put> put = decode_put(body);
      REQUIRE(put.has_value() == (size <= 0xffff));
      if (!put) continue;
      CHECK(put->key == "key");
      CHECK(put->value == value);
      CHECK(put->want_prev == want_prev);
    }
  }
  const Bytes longest = unstamped(Put{std::string(limits::kKeyBytesMax, 'k'), "v"});
  CHECK(decode_put(longest)->key.size() == limits::kKeyBytesMax);
  CHECK_FALSE(decode_put(unstamped(Put{"k", "v", {Kind::kExists, 0}})));
  CHECK_FALSE(decode_put(unstamped(Put{"k", "v", {}, false, {LeaseChoice::Kind::kKeep, 0}})));
  CHECK_FALSE(decode_put(unstamped(Put{"k", "v", {}, false, {}, false, true})));
}

TEST_CASE("[RF-6] what is decoded straight away is what decode() reads, whatever the bytes are") {
  Rng rng(11);
  std::size_t puts = 0;
  for (int round = 0; round < 50'000; ++round) {
    const std::string value(rng.below(round % 16 == 0 ? 600 : 8), 'v');
    Bytes body = unstamped(Put{"key", value, {}, rng.below(2) == 1});
    for (std::size_t left = rng.below(3); left > 0; --left)
      body[rng.below(body.size())] = static_cast<std::byte>(rng.next());
    if (rng.below(4) == 0) body.resize(rng.below(body.size() + 2));
    const std::optional<Put> put = decode_put(body);
    if (!put) continue;
    ++puts;
    const auto command = decode(body);
    REQUIRE(command);
    CHECK(command->terms.none());
    CHECK(encode(command->command) == encode(*put));
    const auto& same = std::get<Put>(command->command);
    CHECK(same.key.data() == put->key.data());
    CHECK(same.value.data() == put->value.data());
  }
  CHECK(puts > 10'000);
}

TEST_CASE("[RF-6] every truncation of a command, and anything after one, is refused") {
  for (const Command& command : samples()) {
    Bytes body = unstamped(command);
    const std::size_t step = body.size() > 1000 ? 997 : 1;
    for (std::size_t size = 0; size < body.size(); size += step) {
      const auto cut = decode(ByteView(body).first(size));
      REQUIRE_FALSE(cut);
      CHECK(cut.error().code == Errc::kBadInput);
    }
    body.push_back(std::byte{0});
    CHECK_FALSE(decode(body));
  }
}

TEST_CASE("[RF-6] random bytes and flipped bits never throw and never read beyond their end") {
  Rng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes body;
    if (round % 2 == 0) {
      body.resize(rng.below(40));
      for (std::byte& byte : body)
        byte = static_cast<std::byte>(rng.next());
    } else {
      body = unstamped(samples()[rng.below(samples().size())]);
      if (body.size() > 4096) continue;
      body[rng.below(body.size())] ^= static_cast<std::byte>(1U << rng.below(8));
    }
    const auto command = decode(body);
    if (!command) {
      CHECK_FALSE(command.error().message.empty());
    } else {
      CHECK(encode(command->command, command->terms).size() <= 2 * body.size() + 64);
    }
  }
}

TEST_CASE("huge length prefixes in a few bytes, nesting and other types are refused") {
  using namespace std::string_view_literals;
  const std::string deep(100'000, '\x91');
  for (const std::string_view text : {
           ""sv,
           "\xdd\xff\xff\xff\xff"sv,              // array32 of 2^32-1.
           "\xdf\xff\xff\xff\xff"sv,              // map32.
           "\xc6\xff\xff\xff\xff"sv,              // bin32.
           "\xdb\xff\xff\xff\xff"sv,              // str32.
           "\xc9\xff\xff\xff\xff"sv,              // ext32.
           "\x94\x01\x03\xc6\xff\xff\xff\xff"sv,  // DeletePrefix with a prefix of 4 GiB.
           "\x93\x01\x05\x91\x01"sv,              // A nested array for a number.
           "\x93\x01\x05\xff"sv,                  // A negative number.
           "\x93\x01\x05\xc0"sv,                  // Nil.
           "\x93\x01\x05\xcb\0\0\0\0\0\0\0\0"sv,  // A float.
           "\x93\x01\x05\x81\x01\x01"sv,          // A map.
           "\x05"sv,
           "\x90"sv,
           "\x91\x01"sv,
       }) {
    CAPTURE(text.size());
    const auto command = decode_text(text);
    REQUIRE_FALSE(command);
    CHECK(command.error().code == Errc::kBadInput);
  }
  CHECK_FALSE(decode_text(deep));
}

TEST_CASE("numbers and lengths are written in the fewest bytes, and read in any") {
  using namespace std::string_literals;
  using namespace std::string_view_literals;
  const auto text_of = [](const Command& command) {
    const Bytes body = unstamped(command);
    return std::string(as_text(body));
  };
  const std::pair<std::uint64_t, std::string_view> kNumbers[] = {
      {0, "\0"sv},
      {0x7f, "\x7f"sv},
      {0x80, "\xcc\x80"sv},
      {0xff, "\xcc\xff"sv},
      {0x100, "\xcd\x01\0"sv},
      {0xffff, "\xcd\xff\xff"sv},
      {0x10000, "\xce\0\x01\0\0"sv},
      {0xffffffff, "\xce\xff\xff\xff\xff"sv},
      {0x100000000, "\xcf\0\0\0\x01\0\0\0\0"sv},
      {UINT64_MAX, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"sv},
  };
  for (const auto& number : kNumbers)
    CHECK(text_of(Compact{number.first}) == "\x93\x01\x05" + std::string(number.second));
  const std::pair<std::size_t, std::string_view> kLengths[] = {
      {0, "\xc4\0"sv},
      {0xff, "\xc4\xff"sv},
      {0x100, "\xc5\x01\0"sv},
      {0xffff, "\xc5\xff\xff"sv},
      {0x10000, "\xc6\0\x01\0\0"sv},
  };
  for (const auto& length : kLengths) {
    const std::string value(length.first, 'v');
    CHECK(text_of(Put{"k", value}) ==
          "\x97\x01\x01\xc4\x01k" + std::string(length.second) + value + std::string(3, '\0'));
  }
  for (const std::size_t ids : {13u, 14u, 4096u}) {
    const Bytes body = unstamped(KeepLeases{std::vector<LeaseId>(ids, 1)});
    CHECK(std::to_integer<unsigned>(body[0]) == (ids == 13 ? 0x9fU : 0xdcU));
    CHECK(decode(body));
  }
  for (const std::string_view seven :
       {"\x07"sv, "\xcc\x07"sv, "\xcd\0\x07"sv, "\xce\0\0\0\x07"sv, "\xcf\0\0\0\0\0\0\0\x07"sv}) {
    const std::string text = "\xdd\0\0\0\x03\x01\x05"s + std::string(seven);
    const auto command = decode_text(text);
    REQUIRE(command);
    CHECK(std::get<Compact>(command->command).revision == 7);
  }
  for (const std::string_view seven : {"\xd0\x07"sv, "\xd1\0\x07"sv, "\xd2\0\0\0\x07"sv,
                                       "\xd3\0\0\0\0\0\0\0\x07"sv, "\xc1"sv, "\xc2"sv, "\xc3"sv})
    CHECK_FALSE(decode_text("\xdc\0\x03\x01\x05"s + std::string(seven)));
}

TEST_CASE("what logs hold already is written and read in the same bytes") {
  using namespace std::string_view_literals;
  const std::pair<Command, std::string_view> kWritten[] = {
      {Put{"k", "v", {Kind::kModIs, 5}, true}, "\x97\x01\x01\xc4\x01k\xc4\x01v\x01\x05\x01"sv},
      {Put{"k", "v", {}, false, {LeaseChoice::Kind::kKeep, 0}},
       "\x99\x01\x01\xc4\x01k\xc4\x01v\0\0\0\x01\0"sv},
      {Transaction{{}, {{Put{"k", "v"}}, {List{{"a", "b"}, 3, true}}}, {}},
       "\xdd\0\0\0\x10\x01\x0b\0\x02\x01\xc4\x01k\xc4\x01v\0\0\0"
       "\x05\xc4\x01"
       "a\xc4\x01"
       "b\x03\x01\0"sv},
  };
  for (const auto& [command, bytes] : kWritten) {
    CHECK(as_text(unstamped(command)) == bytes);
    const auto read = decode_text(bytes);
    REQUIRE(read);
    CHECK(encode(read->command) == encode(command));
  }
}

TEST_CASE("a put that keeps or must find nothing has no kind of its own") {
  using namespace std::string_view_literals;
  CHECK_FALSE(decode_text("\x9b\x01\x15\xc4\x01k\xc4\0\0\0\0\0\0\0\0"sv));
  const auto read = decode_text("\x9b\x01\x15\xc4\x01k\xc4\0\0\0\0\0\0\x01\0"sv);
  REQUIRE(read);
  CHECK(std::get<Put>(read->command).keep_value);
}

TEST_CASE("a version or kind of command that this version does not know is unsupported") {
  for (const std::string_view text : {"\x93\x03\x05\x01", "\x93\x01\x7f\x01"}) {
    const auto command = decode_text(text);
    REQUIRE_FALSE(command);
    CHECK(command.error().code == Errc::kUnsupported);
  }
  CHECK(decode_text("\x93\x01\x05\x01"));
}

TEST_CASE("fields out of bounds are refused: keys, conditions, members") {
  const std::string long_key(limits::kKeyBytesMax + 1, 'k');
  const std::string long_name(limits::kNameBytesMax + 1, 'n');
  const std::string long_client(limits::kAddressBytesMax + 1, 'c');
  const std::string hash(kTokenHashBytes, 'h');
  const std::string token = hash + "x";
  const std::string short_hash = hash.substr(1);
  const Sort no_sort{static_cast<Sort::Target>(5), false};
  const std::vector<Command> bad = {
      Put{"", "1", {}, false},
      Put{long_key, "1", {}, false},
      Put{"a", "1", {Kind::kModIs, 0}, false},
      Put{"a", "1", {Kind::kExists, 3}, false},
      Put{"a", "1", {static_cast<Kind>(4), 0}, false},
      Delete{"", {}, false},
      Delete{long_key, {}, false},
      DeletePrefix{long_key, 0},
      PublishMember{0, 1, "n", "c", "v"},
      PublishMember{limits::kNodeIdMax + 1, 1, "n", "c", "v"},
      PublishMember{1, 1, long_name, "c", "v"},
      PublishMember{1, 1, "n", long_client, "v"},
      PublishMember{1, 1, "n", "c", long_name},
      ReserveMember{"", "n4", true, 0, 0},
      ReserveMember{short_hash, "n4", true, 0, 0},
      ReserveMember{hash, long_name, true, 0, 0},
      ReserveMember{hash, "n4", true, limits::kNodeIdMax + 1, 0},
      ReserveMember{hash, "n4", true, 0, limits::kTicketTtlMsMax + 1},
      ClaimMember{0, hash, 1, "n", "c", true, 0},
      ClaimMember{1, token, 1, "n", "c", true, 0},
      ClaimMember{1, hash, 1, long_name, "c", true, 0},
      ClaimMember{1, hash, 1, "n", long_client, true, 0},
      ClaimMember{1, hash, 1, "n", "c", true, limits::kNodeIdMax + 1},
      DropTickets{limits::kNodeIdMax + 1},
      Put{"a", "1", {}, false, {LeaseChoice::Kind::kAttach, 0}},
      Put{"a", "1", {}, false, {LeaseChoice::Kind::kPrivate, limits::kLeaseTtlMsMax + 1}},
      Touch{"", 0},
      GrantLease{0, 0},
      GrantLease{limits::kLeaseIdMax + 1, 1000},
      KeepLeases{{0}},
      KeepLeases{std::vector<LeaseId>(limits::kLeasesKeptMax + 1, 1)},
      RevokeLease{0},
      Acquire{Space::kKeys, "l", 1000, "", "", false},
      Acquire{Space::kLocks, "", 1000, "", "", false},
      Release{Space::kWaiters, "l", 1},
      Transaction{{{Guard::Target::kFence, Guard::Relation::kLess, {"l", ""}, 1, ""}}, {}, {}},
      Transaction{{}, {{DeleteSpan{{"", ""}, false}}}, {}},
      Put{"a", "1", {}, false, {}, true},
      Put{"", "", {}, false, {}, true},
      Transaction{{}, {{Put{"a", "1", {}, false, {}, true}}}, {}},
      Transaction{{}, {{List{{"a", ""}, 0, false, 0, false, false, 0, 0, 0, 0, no_sort}}}, {}},
  };
  for (const Command& command : bad) {
    const auto decoded = decode(unstamped(command));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::kBadInput);
  }
}

}  // namespace raftd::kv
