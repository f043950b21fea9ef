// Goal: whoever must not talk to a node is told why, once, and costs it nothing; strangers too.
#include "base/rng.h"
#include "unit/uv/peer_harness.h"

namespace raftd::uv {
namespace {

struct Pair {
  explicit Pair(const PeerOptions& first, const PeerOptions& second)
      : one(world.add(first)), two(world.add(second)) {
    one.listen();
    two.listen();
  }
  void introduce() {
    const auto members = configuration_of({{1, one.address}, {2, two.address}});
    one.network->members(members);
    two.network->members(members);
  }
  // Both logs say why, once, although it is tried several times.
  void expect_refusal(std::string_view why) {
    introduce();
    REQUIRE(world.until([&] { return one.said(why) > 0 && two.said(why) > 0; }));
    for (int i = 0; i < 100; ++i)
      world.turn();
    CHECK(one.said(why) <= 2);  // Once as the one that knocks, once as the one that is dialled.
    CHECK(two.said(why) <= 2);
    CHECK(one.connects == 0);
    CHECK(two.connects == 0);
  }
  World world;
  TestNode& one;
  TestNode& two;
};

// A node 1 that knows members 1, 2 and 3, with nobody else there.
struct Alone {
  Alone() : Alone(options_of(1)) {}
  explicit Alone(const PeerOptions& options) : one(world.add(options)) {
    one.listen();
    one.network->members(
        configuration_of({{1, one.address}, {2, "127.0.0.1:1"}, {3, "127.0.0.1:1"}}));
  }
  wire::Refusal refusal_of(const wire::Hello& hello) {
    RawSocket raw(one.address);
    raw.write(first_words(hello));
    REQUIRE(world.until([&] { return raw.closed(); }));
    const auto answer = raw.handshake(0);
    REQUIRE(answer);
    REQUIRE(std::holds_alternative<wire::Refusal>(*answer));
    return std::get<wire::Refusal>(*answer);
  }
  World world;
  TestNode& one;
};

// As node 2, until the link is up on both sides.
void join_as(Alone& alone, RawSocket& raw, const PeerOptions& options) {
  raw.write(first_words(hello_of(options)));
  REQUIRE(alone.world.until([&] { return raw.handshake(0).has_value(); }));
  REQUIRE(std::holds_alternative<wire::Hello>(*raw.handshake(0)));
  Bytes welcome;
  wire::encode(wire::Welcome{}, welcome);
  raw.write(welcome);
  REQUIRE(alone.world.until([&] { return alone.one.up[options.identity.node_id.value]; }));
}

TEST_CASE("[RF-17] [row 81] nodes of different clusters refuse each other") {
  PeerOptions other = options_of(2);
  other.cluster_name = "staging";
  Pair(options_of(1), other).expect_refusal("belongs to cluster \"staging\"");
  other = options_of(2);
  other.identity.cluster_id[5] = 1;
  Pair(options_of(1), other).expect_refusal("with different lists of members");
}

TEST_CASE("nodes with different settings of replicated data refuse each other") {
  PeerOptions other = options_of(2);
  other.settings_hash = 99;
  Pair(options_of(1), other).expect_refusal("differ in settings");
}

TEST_CASE("an address that leads to another node is said so") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& nine = world.add(options_of(9));
  one.listen();
  nine.network->members(configuration_of({{2, one.address}, {9, "127.0.0.1:1"}}));
  REQUIRE(world.until(
      [&] { return nine.said("the address that is known for node 2 leads to node 1") == 1; }));
  CHECK(nine.connects == 0);
}

TEST_CASE("[SR-6] a node that reaches itself, and a second process with its id, are refused") {
  World world;
  TestNode& two = world.add(options_of(2));
  two.listen();
  two.network->members(configuration_of({{1, two.address}, {2, two.address}}));
  REQUIRE(world.until([&] { return two.said("node 2 reaches itself") >= 1; }));

  Alone alone;
  wire::Hello twin = hello_of(options_of(1, 2));
  const wire::Refusal refusal = alone.refusal_of(twin);
  CHECK(refusal.reason == wire::Reason::kOwnId);
  CHECK(refusal.sentence.starts_with("two processes run as node 1"));
}

TEST_CASE("[F75] an id that is no member is refused; without a configuration it is let in") {
  Alone alone;
  CHECK(alone.refusal_of(hello_of(options_of(8))).reason == wire::Reason::kNotMember);
  World world;
  // Node 7 was away while 9 was added: it learns of that from 9.
  TestNode& away = world.add(options_of(7));
  away.listen();
  away.network->members(configuration_of({{7, away.address}, {1, "127.0.0.1:1"}}));
  TestNode& added = world.add(options_of(9));
  raft::ConfigurationAt newer = configuration_of({{7, away.address}, {9, "127.0.0.1:1"}});
  newer.index = newer.index.next();
  added.network->members(newer);
  REQUIRE(world.until([&] { return away.up[9] && added.up[7]; }));
  TestNode& joining = world.add(options_of(5));
  joining.listen();
  TestNode& eight = world.add(options_of(8));
  eight.network->members(configuration_of({{5, joining.address}, {8, "127.0.0.1:1"}}));
  REQUIRE(world.until([&] { return joining.up[8] && eight.up[5]; }));
  joining.send_number(8, 3);
  REQUIRE(world.until([&] { return eight.messages.size() == 1; }));
}

TEST_CASE("an empty disk under a known id: the node is told to end, whichever side dials") {
  for (const bool first_is_new : {true, false}) {
    Pair pair(options_of(1), options_of(2));
    TestNode& known = first_is_new ? pair.two : pair.one;
    TestNode& wiped = first_is_new ? pair.one : pair.two;
    known.published[wiped.id.value] = 4711;
    pair.introduce();
    REQUIRE(pair.world.until([&] { return wiped.network->fatal().has_value(); }));
    CHECK(wiped.network->fatal()->message.ends_with(
        strf("node %llu is known to the cluster with another data directory than the one that it "
             "runs on; remove the member, add it again",
             static_cast<unsigned long long>(wiped.id.value))));
    CHECK(!known.network->fatal());
    CHECK(known.connects == 0);
  }
}

TEST_CASE("a refusal from another cluster ends nobody") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.listen();
  RawSocket raw(one.address);
  raw.write(first_words(hello_of(options_of(2))));
  REQUIRE(world.until([&] { return raw.handshake(0).has_value(); }));
  Bytes refusal;
  wire::ClusterId other{};
  wire::encode(wire::Refusal{other, {2}, wire::Reason::kRemoved, "go away"}, refusal);
  raw.write(refusal);
  REQUIRE(world.until([&] { return one.said("node 2 refuses this node: go away") == 1; }));
  CHECK(!one.network->fatal());
}

TEST_CASE("[SR-6] a second process with a live peer's id and another data directory is refused") {
  Alone alone;
  RawSocket two(alone.one.address);
  join_as(alone, two, options_of(2));
  PeerOptions other = options_of(2, 2);
  other.identity.instance = 999;
  const wire::Refusal refusal = alone.refusal_of(hello_of(other));
  CHECK(refusal.reason == wire::Reason::kDuplicate);
  CHECK(refusal.sentence ==
        "two processes run as node 2 on different data directories; stop one "
        "of them");
  CHECK(alone.one.up[2]);
  CHECK(alone.one.disconnects == 0);
}

TEST_CASE("another version of the protocol is refused with both versions named") {
  Alone alone;
  Bytes body = to_bytes("\x94\x64\x02\xc3\xc0");
  Bytes words = to_bytes(wire::kMagic);
  const std::size_t begin = wire::begin_frame(words);
  words.insert(words.end(), body.begin(), body.end());
  wire::end_frame(words, begin);
  RawSocket raw(alone.one.address);
  raw.write(words);
  REQUIRE(alone.world.until([&] { return raw.closed(); }));
  const auto answer = raw.handshake(0);
  REQUIRE(answer);
  CHECK(std::get<wire::Refusal>(*answer).reason == wire::Reason::kVersion);
  CHECK(alone.one.said("speaks version 1 of the peer protocol, the other side version 2") == 1);
}

TEST_CASE("[row 78] strangers are closed with one line that says what they speak") {
  Alone alone;
  const std::pair<std::string_view, const char*> strangers[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "speaks HTTP"},
      {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01", 8), "speaks TLS"},
      {"{\"hello\": 1}", "speaks JSON"},
      {"SSH-2.0-OpenSSH\r\n", "does not speak raftd's peer protocol"},
      {"RFTDPEEX", "does not speak raftd's peer protocol"},
  };
  for (const auto& [bytes, what] : strangers) {
    for (int again = 0; again < 3; ++again) {
      RawSocket raw(alone.one.address);
      raw.write(bytes);
      REQUIRE(alone.world.until([&] { return raw.closed(); }));
      CHECK(raw.read().empty());  // Nothing is said to strangers.
    }
    CHECK(alone.one.said(what) == 1);
  }
  CHECK(alone.one.network->bad_messages() == 0);
  CHECK(alone.one.connects == 0);
}

TEST_CASE("a dialled address where a stranger answers is one line") {
  World world;
  TestNode& two = world.add(options_of(2));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  REQUIRE(listen(listener, 4) == 0);
  socklen_t size = sizeof(at);
  REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  two.network->members(configuration_of({{1, strf("127.0.0.1:%u", ntohs(at.sin_port))}}));
  for (int i = 0; i < 3; ++i)
    world.turn();
  const int served = accept(listener, nullptr, nullptr);
  constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  CHECK(send(served, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) > 0);
  REQUIRE(world.until([&] { return two.said("what answers there speaks HTTP") == 1; }));
  close(served);
  close(listener);
}

TEST_CASE("a connection without a hello is closed at the deadline") {
  PeerOptions options = options_of(1);
  options.hello_timeout = std::chrono::milliseconds(50);
  Alone alone(options);
  RawSocket silent(alone.one.address);
  RawSocket half(alone.one.address);
  half.write("RFTDPE");
  RawSocket no_welcome(alone.one.address);
  no_welcome.write(first_words(hello_of(options_of(2))));
  REQUIRE(alone.world.until([&] { return silent.closed(); }));
  REQUIRE(alone.world.until([&] { return half.closed(); }));
  REQUIRE(alone.world.until([&] { return no_welcome.closed(); }));
  CHECK(alone.one.said("no hello in time") == 1);
  CHECK(alone.one.connects == 0);
}

TEST_CASE("[SR-7] before its hello a connection may say a kilobyte, no more") {
  Alone alone;
  RawSocket raw(alone.one.address);
  raw.write(wire::kMagic);
  Bytes huge(8);
  huge[0] = std::byte{0xff};
  huge[1] = std::byte{0xff};
  raw.write(huge);
  REQUIRE(alone.world.until([&] { return raw.closed(); }));
  CHECK(alone.one.said("a frame of 65535 bytes, which is not within 1 and 1008") == 1);
  CHECK(alone.one.network->bad_messages() == 1);
}

TEST_CASE("a crowd of silent strangers does not lock a peer out") {
  Alone alone;
  std::vector<std::unique_ptr<RawSocket>> crowd;
  for (std::size_t i = 0; i < limits::kPeerStrangersMax + 10; ++i) {
    crowd.push_back(std::make_unique<RawSocket>(alone.one.address));
  }
  REQUIRE(alone.world.until([&] { return crowd[9]->closed(); }));
  CHECK(alone.one.said("too many connections say no hello") == 1);
  RawSocket two(alone.one.address);
  join_as(alone, two, options_of(2));
  CHECK(!crowd.back()->closed());
}

TEST_CASE("[F75] bad messages end the link, are counted, and say what was wrong") {
  const auto garbage = [] {
    Bytes out;
    const std::size_t begin = wire::begin_frame(out);
    out.push_back(std::byte{0xc1});
    wire::end_frame(out, begin);
    return out;
  };
  Bytes flipped = framed(numbered(2, 1, 1));
  flipped.back() ^= std::byte{1};
  const std::pair<Bytes, const char*> cases[] = {
      {garbage(), "it has sent a message is not msgpack"},
      {framed(numbered(3, 1, 1)), "a message from node 3 to node 1 on this link"},
      {framed(numbered(2, 3, 1)), "a message from node 2 to node 3 on this link"},
      {flipped, "whose crc is"},
      {first_words(hello_of(options_of(2))), "a frame of "},
  };
  for (const auto& [bytes, what] : cases) {
    Alone alone;
    RawSocket two(alone.one.address);
    join_as(alone, two, options_of(2));
    two.write(framed(numbered(2, 1, 7)));
    two.write(bytes);
    REQUIRE(alone.world.until([&] { return alone.one.disconnects == 1; }));
    CHECK(alone.one.said(what) == 1);
    CHECK(alone.one.network->bad_messages() == 1);
    REQUIRE(alone.one.messages.size() == 1);  // What came before it counts.
    CHECK(number_of(alone.one.messages[0]) == 7);
    REQUIRE(alone.world.until([&] { return two.closed(); }));
  }
}

TEST_CASE("random bytes after the magic never do more than end the connection") {
  Alone alone;
  Rng rng(5);
  const Bytes good = first_words(hello_of(options_of(2)));
  for (int round = 0; round < 200; ++round) {
    Bytes bytes = good;
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
      bytes[rng.below(bytes.size())] ^= static_cast<std::byte>(1 + rng.below(255));
    }
    RawSocket raw(alone.one.address);
    raw.write(bytes);
    for (int i = 0; i < 2; ++i)
      alone.world.turn();
  }
  RawSocket two(alone.one.address);
  join_as(alone, two, options_of(2));
}

}  // namespace
}  // namespace raftd::uv
