// The bytes of every message are pinned by golden vectors; what is not such a message is refused
// with the rule that it breaks, whatever it is.
#include "wire/codec.h"

#include <doctest/doctest.h>

#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"

namespace raftd::wire {
namespace {

using node::Forward;
using node::Forwarded;
using node::PeerMessage;

raft::Message core(raft::Body body) {
  return {{3}, {1}, {7}, std::move(body)};
}

raft::Entry entry(std::uint64_t index, std::uint64_t term, raft::EntryKind kind,
                  std::string_view payload) {
  return {{index}, {term}, kind, share(to_bytes(payload))};
}

raft::Entry command(std::uint64_t index, std::uint64_t term, std::string_view text) {
  return entry(index, term, raft::EntryKind::kCommand, std::string(8, '\0') + std::string(text));
}

raft::Message append_with(std::vector<raft::Entry> entries) {
  return core(raft::AppendRequest{{41}, {6}, {40}, {9}, std::move(entries)});
}

std::string hex_of(const PeerMessage& message) {
  Bytes out;
  encode(message, out);
  return to_hex(out);
}

Bytes from_hex(std::string_view hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

std::string refusal_of(Bytes bytes) {
  const auto decoded = decode(share(std::move(bytes)));
  if (decoded) return "accepted";
  CHECK(decoded.error().code == Errc::kBadInput);
  return decoded.error().message;
}

std::string refusal_of_hex(std::string_view hex) {
  return refusal_of(from_hex(hex));
}

std::string refusal_of_message(const PeerMessage& message) {
  Bytes out;
  encode(message, out);
  return refusal_of(std::move(out));
}

raft::SnapshotMeta some_snapshot() {
  raft::Configuration alone;
  alone.voters = {{1}};
  alone.addresses = {{{1}, "a:1"}};
  return {{{42}, {6}, 100, 5}, {{1}, alone}};
}

constexpr std::size_t kSomeConfigurationBytes = 29;
node::ChangeMembers some_change() {
  return {some_snapshot().configuration.configuration, {9}, true};
}

struct Golden {
  PeerMessage message;
  const char* hex;
};

std::vector<Golden> golden() {
  const node::ForwardId id{{0xfedcba9876543210}, 300};
  return {
      {core(raft::VoteRequest{{41}, {6}, true, false}),
       "9801030107"
       "2906c3c2"},
      {core(raft::VoteReply{true, false}), "9602030107c3c2"},
      {append_with({}),
       "990303010729062809"
       "90"},
      {append_with({entry(42, 7, raft::EntryKind::kNoop, ""), command(43, 7, "ab")}),
       "990303010729062809"
       "92942a0701c400"
       "942b0702c40a00000000000000006162"},
      {core(raft::AppendReply{raft::AppendReply::Accepted{{1000}}, {9}}), "9604030107cd03e809"},
      {core(raft::AppendReply{raft::AppendReply::Rejected{{70000}, {60}, {5}, {55}}, {9}}),
       "9905030107ce000111703c053709"},
      {core(raft::ReadIndexRequest{{0xfedcba9876543210}, 300}),
       "9606030107cffedcba9876543210cd012c"},
      {core(raft::ReadIndexReply{{1}, 2, raft::Index{77}}), "970703010701024d"},
      {core(raft::ReadIndexReply{{1}, 2, std::nullopt}), "97070301070102c0"},
      {core(raft::TimeoutNow{}), "9408030107"},
      {Forward{{2}, {1}, id, node::Propose{to_bytes("12345678k")}},
       "96090201cffedcba9876543210cd012cc40931323334353637386b"},
      {Forward{{2}, {1}, id, node::Transfer{{3}}}, "960a0201cffedcba9876543210cd012c03"},
      {Forward{{2}, {1}, id, some_change()},
       "98120201cffedcba9876543210cd012c09"
       "c41d010001000001000001000000000000000100000000000000"
       "0300613a31c3"},
      {Forwarded{{1}, {2}, id, Forwarded::Appended{{1001}, {7}}},
       "970b0102cffedcba9876543210cd012ccd03e907"},
      {Forwarded{{1}, {2}, id, Forwarded::Begun{}}, "950c0102cffedcba9876543210cd012c"},
      {Forwarded{{1}, {2}, id, Forwarded::Refused{Errc::kNotLeader, {3}}},
       "970d0102cffedcba9876543210cd012c0403"},
      {core(raft::SnapshotChunk{some_snapshot(), 10, 2, share(to_bytes("ab"))}),
       "9c0e030107"
       "2a066405"
       "01c41d010001000001000001000000000000000100000000000000"
       "0300613a31"
       "0ac4026162"},
      {core(raft::SnapshotReply{some_snapshot().id, 12, true}), "9a0f0301072a0664050cc3"},
      {node::HashQuestion{{1}, {2}, {7}, {64}, 0xfedcba9876543210, true},
       "971001020740cffedcba9876543210c3"},
      {node::HashAnswer{{2}, {1}, {7}, {64}, 5, {66}, node::HashAnswer::State::kDiffers},
       "9811020107400542"
       "01"},
      {node::HashAnswer{{2}, {1}, {7}, {}, 0, {66}, node::HashAnswer::State::kDamaged},
       "9811020107000042"
       "02"},
  };
}

TEST_CASE("[row 72] every message has exactly these bytes, and they are read back") {
  for (const Golden& g : golden()) {
    CHECK(hex_of(g.message) == g.hex);
    const auto decoded = decode(share(from_hex(g.hex)));
    REQUIRE_MESSAGE(decoded, decoded.error().message);
    CHECK(hex_of(*decoded) == g.hex);
    CHECK((*decoded).index() == g.message.index());
  }
}

TEST_CASE("every refusal code survives the wire") {
  for (const Errc code :
       {Errc::kBadInput, Errc::kTooBig, Errc::kBusy, Errc::kNotLeader, Errc::kConflict, Errc::kIo,
        Errc::kCorrupt, Errc::kDiskFull, Errc::kUnsupported, Errc::kTransferring, Errc::kSuperseded,
        Errc::kTimeout, Errc::kShuttingDown, Errc::kNotReady}) {
    Bytes out;
    encode(Forwarded{{1}, {2}, {}, Forwarded::Refused{code, {}}}, out);
    const auto decoded = decode(share(std::move(out)));
    REQUIRE(decoded);
    const auto& result = std::get<Forwarded>(*decoded).result;
    CHECK(std::get<Forwarded::Refused>(result).code == code);
  }
}

TEST_CASE("the payloads of entries are views into the frame and keep it alive") {
  Bytes out;
  encode(append_with({command(42, 7, "hello"), command(43, 7, "world")}), out);
  SharedBytes body = share(std::move(out));
  const std::byte* begin = body.bytes.data();
  const std::byte* end = begin + body.bytes.size();
  auto decoded = decode(body);
  REQUIRE(decoded);
  const std::weak_ptr<const void> watch = body.owner;
  body = {};
  auto& request = std::get<raft::AppendRequest>(std::get<raft::Message>(*decoded).body);
  REQUIRE(request.entries.size() == 2);
  const ByteView payload = request.entries[1].payload.bytes;
  CHECK(payload.data() >= begin);
  CHECK(payload.data() + payload.size() <= end);
  CHECK(as_text(payload.subspan(8)) == "world");
  CHECK(!watch.expired());
  request.entries.clear();
  CHECK(watch.expired());
}

TEST_CASE("[F28] entries that do not follow one another are refused") {
  // By hand, since the encoder refuses to write them: 42 and then 44.
  CHECK(refusal_of_hex("99030301072906280992942a0701c400942c0701c400") ==
        "an AppendRequest has an entry that does not follow the one before");
  CHECK(refusal_of_hex("99030301072906280991942b0701c400") ==
        "an AppendRequest has an entry that does not follow the one before");
  CHECK(refusal_of_hex("99030301072906280992942a0701c400942a0701c400") ==
        "an AppendRequest has an entry that does not follow the one before");
}

TEST_CASE("[SR-6] entries of impossible terms are refused") {
  CHECK(refusal_of_message(append_with({command(42, 8, "x")})) ==
        "an AppendRequest has an entry of a later term than its own");
  CHECK(refusal_of_message(append_with({command(42, 5, "x")})) ==
        "an AppendRequest has an entry of an earlier term than the one before");
  CHECK(refusal_of_message(append_with({command(42, 7, "x"), command(43, 6, "x")})) ==
        "an AppendRequest has an entry of an earlier term than the one before");
  CHECK(refusal_of_message(core(raft::AppendRequest{{41}, {8}, {}, {}, {}})) ==
        "an AppendRequest has a prev_term later than its own term");
  CHECK(refusal_of_message(core(raft::AppendRequest{{41}, {0}, {}, {}, {}})) ==
        "an AppendRequest has a prev_index and a prev_term of which only one is 0");
  CHECK(refusal_of_message(core(raft::VoteRequest{{41}, {8}, false, false})) ==
        "a VoteRequest has a last_term later than its own term");
}

TEST_CASE("entries whose payload does not fit their kind are refused") {
  using raft::EntryKind;
  CHECK(refusal_of_message(append_with({entry(42, 7, EntryKind::kNoop, "x")})) ==
        "an AppendRequest has a no-op with a payload");
  CHECK(refusal_of_message(append_with({entry(42, 7, EntryKind::kCommand, "short")})) ==
        "an AppendRequest has a command without room for its time stamp");
  const std::string large(limits::kEntryBytesMax + 1, 'x');
  CHECK(refusal_of_message(append_with({entry(42, 7, EntryKind::kCommand, large)})) ==
        "an AppendRequest has a command that is too large");
  CHECK(refusal_of_message(append_with({entry(42, 7, EntryKind::kConfiguration, large)})) ==
        "an AppendRequest has a configuration that is too large");
  CHECK(refusal_of_message(Forward{{2}, {1}, {}, node::Propose{to_bytes("short")}}) ==
        "a Forward has a command of 5 bytes, which is not within 8 and 1576960");
}

TEST_CASE("[F75] a configuration that is none is refused") {
  raft::Configuration good;
  good.voters = {{1}, {2}};
  good.addresses = {{{1}, "a:1"}, {{2}, "b:1"}};
  Bytes bytes = raft::encode(good);
  const auto with = [](Bytes payload) {
    return append_with({{{42}, {7}, raft::EntryKind::kConfiguration, share(std::move(payload))}});
  };
  CHECK(refusal_of_message(with(bytes)) == "accepted");
  const auto refused = "an AppendRequest has a configuration that breaks a rule of configurations";
  CHECK(refusal_of_message(with({})) == refused);
  CHECK(refusal_of_message(with(Bytes(100, std::byte{0}))) == refused);
  CHECK(refusal_of_message(with(Bytes(100, std::byte{0xff}))) == refused);
  bytes.push_back(std::byte{0});
  CHECK(refusal_of_message(with(bytes)) == refused);
  bytes.resize(bytes.size() / 2);
  CHECK(refusal_of_message(with(bytes)) == refused);
  Bytes change;
  encode(PeerMessage{Forward{{2}, {1}, {}, some_change()}}, change);
  change[change.size() - 1 - kSomeConfigurationBytes] ^= std::byte{1};
  CHECK(refusal_of(change) == "a Forward has a configuration that breaks a rule of configurations");
}

TEST_CASE("[ZF-7] an entry of the largest size and a list of the greatest length pass") {
  const std::string large(limits::kEntryBytesMax, 'x');
  CHECK(refusal_of_message(append_with({entry(42, 7, raft::EntryKind::kCommand, large)})) ==
        "accepted");
  std::vector<raft::Entry> entries;
  for (std::uint64_t i = 0; i < limits::kAppendEntriesMax; ++i) {
    entries.push_back(command(42 + i, 7, "x"));
  }
  CHECK(refusal_of_message(append_with(std::move(entries))) == "accepted");
}

TEST_CASE("a piece of a snapshot that cannot be one is refused") {
  const auto refusal = [](auto change) {
    raft::SnapshotChunk chunk{some_snapshot(), 10, 2, share(to_bytes("ab"))};
    change(chunk);
    return refusal_of_message(core(chunk));
  };
  CHECK(refusal([](raft::SnapshotChunk& c) { c.meta.id.last_term = {8}; }) ==
        "a SnapshotChunk has a snapshot of a later term than its own");
  CHECK(refusal([](raft::SnapshotChunk& c) { c.offset = 99; }) ==
        "a SnapshotChunk has a piece that goes beyond the end of its file");
  CHECK(refusal([](raft::SnapshotChunk& c) { c.meta.configuration.index = {43}; }) ==
        "a SnapshotChunk has a configuration from behind its snapshot");
  CHECK(refusal_of_message(core(raft::SnapshotReply{some_snapshot().id, 101, false})) ==
        "a SnapshotReply has an offset behind the end of its file");
  const auto decoded = decode(share([] {
    Bytes bytes;
    encode(core(raft::SnapshotChunk{some_snapshot(), 10, 2, share(to_bytes("ab"))}), bytes);
    return bytes;
  }()));
  REQUIRE(decoded);
  const auto& chunk = std::get<raft::SnapshotChunk>(std::get<raft::Message>(*decoded).body);
  CHECK(chunk.data.owner != nullptr);  // A view into the frame that keeps it alive.
  CHECK(as_text(chunk.data.bytes) == "ab");
  CHECK(chunk.meta.configuration.configuration == some_snapshot().configuration.configuration);
}

TEST_CASE("ids, terms and indices outside their range are refused") {
  PeerMessage from_nobody = raft::Message{{0}, {1}, {7}, raft::TimeoutNow{}};
  CHECK(refusal_of_message(from_nobody) ==
        "a message has sender 0, which is not within 1 and 9007199254740991");
  PeerMessage from_afar = raft::Message{{limits::kNodeIdMax + 1}, {1}, {7}, raft::TimeoutNow{}};
  CHECK(refusal_of_message(from_afar) != "accepted");
  PeerMessage to_nobody = raft::Message{{1}, {0}, {7}, raft::TimeoutNow{}};
  CHECK(refusal_of_message(to_nobody) != "accepted");
  PeerMessage end_of_terms = raft::Message{{1}, {2}, {~0ULL}, raft::TimeoutNow{}};
  CHECK(refusal_of_message(end_of_terms) ==
        "a TimeoutNow has term 18446744073709551615, which is not within 0 and "
        "9223372036854775807");
  CHECK(refusal_of_message(core(raft::AppendReply{raft::AppendReply::Accepted{{~0ULL}}, {}})) !=
        "accepted");
  CHECK(refusal_of_message(Forwarded{{1}, {2}, {}, Forwarded::Appended{{0}, {7}}}) ==
        "a Forwarded has index 0, which is not within 1 and 9223372036854775807");
}

TEST_CASE("[F75] what is no message of this version is refused with the rule that it breaks") {
  CHECK(refusal_of_hex("") == "a message ends too early");
  CHECK(refusal_of_hex("c1") == "a message is not msgpack");
  CHECK(refusal_of_hex("90") == "a message is empty");
  CHECK(refusal_of_hex("07") == "a message is not a list");
  CHECK(refusal_of_hex("80") == "a message has a map");
  CHECK(refusal_of_hex("9408030107c0") == "a message has bytes after its end");
  CHECK(refusal_of_hex("9408030107"
                       "9408030107") == "a message has bytes after its end");
  CHECK(refusal_of_hex("93080301") == "a TimeoutNow has no term");
  CHECK(refusal_of_hex("950803010707") == "a TimeoutNow has more elements than it should");
  CHECK(refusal_of_hex("94080301c0") != "accepted");
  CHECK(refusal_of_hex("94080301c0") == "a TimeoutNow has a term of another type");
  CHECK(refusal_of_hex("94080301c3") == "a TimeoutNow has a term of another type");
  CHECK(refusal_of_hex("94080301ff") == "a message has a negative number");
  CHECK(refusal_of_hex("94080301ca3f800000") == "a message has a floating point number");
  CHECK(refusal_of_hex("94080301cb3ff0000000000000") == "a message has a floating point number");
  CHECK(refusal_of_hex("94080301d40000") == "a message has an extension type");
  CHECK(refusal_of_hex("94080301a0") == "a TimeoutNow has a term of another type");
  CHECK(refusal_of_hex("9408030190") == "a TimeoutNow has a term of another type");
  CHECK(refusal_of_hex("9413030107") == "a message has type 19, which is not within 1 and 18");
  CHECK(refusal_of_hex("9100") == "a message has type 0, which is not within 1 and 18");
  CHECK(refusal_of_hex("9164") == "a message has type 100, which is not within 1 and 18");
  CHECK(refusal_of_hex("97100102070005c3") ==
        "a HashQuestion has index 0, which is not within 1 and 9223372036854775807");
  CHECK(refusal_of_hex("981102010740054203") ==
        "a HashAnswer has state 3, which is not within 0 and 2");
  // A list of entries that has something else in it, or twice.
  CHECK(refusal_of_hex("9903030107290628099107") == "a message has an entry that is not a list");
  CHECK(refusal_of_hex("99030301072906280991932a0701") ==
        "a message has an entry without four elements");
  CHECK(refusal_of_hex("99030301072906280991942a0704c400") ==
        "a message has an entry of an unknown kind");
  CHECK(refusal_of_hex("99030301072906280991942a0702a400000000") ==
        "a message has an entry whose payload is not bin");
  CHECK(refusal_of_hex("9a03030107290628099090") == "a message has two lists");
}

TEST_CASE("[CP-12] [SR-7] lengths of four billion in a few bytes are refused at once") {
  CHECK(refusal_of_hex("ddffffffff") == "a message has a list that is longer than the message");
  CHECK(refusal_of_hex("dfffffffff") == "a message has a map");
  CHECK(refusal_of_hex("99030301072906280"
                       "9ddffffffff") == "a message has a list that is longer than the message");
  CHECK(refusal_of_hex("94080301c6ffffffff") == "a message ends too early");
  CHECK(refusal_of_hex("94080301dbffffffff") == "a message ends too early");
  CHECK(refusal_of_hex("94080301c9ffffffff00") != "accepted");
  // As many entries as there are bytes, but no room for them.
  Bytes many = from_hex("990303010729062809dd00001000");
  many.resize(many.size() + 4096, std::byte{0xc0});
  CHECK(refusal_of(std::move(many)) == "a message has a list that is longer than the message");
  // More entries than are allowed.
  Bytes more = from_hex("990303010729062809dd00002001");
  more.resize(more.size() + 200000, std::byte{0xc0});
  CHECK(refusal_of(std::move(more)) == "a message has more entries than are allowed");
}

TEST_CASE("[F75] depth bombs are refused at the first level too many") {
  CHECK(refusal_of(Bytes(100'000, std::byte{0x91})) ==
        "a message has an entry without four elements");
  CHECK(refusal_of(Bytes(100'000, std::byte{0x94})) == "a message is nested too deeply");
  CHECK(refusal_of(Bytes(100'000, std::byte{0x81})) == "a message has a map");
}

TEST_CASE("a message that is cut off anywhere is refused") {
  for (const Golden& g : golden()) {
    const Bytes whole = from_hex(g.hex);
    for (std::size_t n = 0; n < whole.size(); ++n) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
      const std::string refusal = refusal_of(part);
      const bool cut = refusal == "a message ends too early" ||
                       refusal == "a message has a list that is longer than the message";
      CHECK_MESSAGE(cut, refusal);
    }
  }
}

// Goal: no input makes decode do anything but answer. Method: golden messages with random bytes
// changed, and plain random bytes; what is accepted must be encodable again without assertion.
TEST_CASE("[F75] random changes of messages are refused or mean a message") {
  Rng rng(1);
  const std::vector<Golden> all = golden();
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < 60'000; ++round) {
    Bytes bytes = from_hex(all[rng.below(all.size())].hex);
    if (rng.one_in(4)) {
      bytes.resize(1 + rng.below(64));
      for (std::byte& b : bytes)
        b = static_cast<std::byte>(rng.next());
    }
    for (std::uint64_t i = rng.below(4); i > 0; --i) {
      bytes[rng.below(bytes.size())] = static_cast<std::byte>(rng.next());
    }
    const auto decoded = decode(share(std::move(bytes)));
    if (decoded) {
      Bytes again;
      encode(*decoded, again);
      const auto twice = decode(share(std::move(again)));
      REQUIRE(twice);
      ++accepted;
    } else {
      REQUIRE(!decoded.error().message.empty());
      ++refused;
    }
  }
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}

}  // namespace
}  // namespace raftd::wire
