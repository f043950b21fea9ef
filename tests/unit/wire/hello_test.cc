#include "wire/hello.h"

#include <doctest/doctest.h>

#include "base/rng.h"
#include "base/text.h"
#include "wire/frame.h"

namespace raftd::wire {
namespace {

Hello hello_of(std::uint64_t id) {
  Hello hello;
  for (std::size_t i = 0; i < hello.cluster_id.size(); ++i) {
    hello.cluster_id[i] = static_cast<std::uint8_t>(i);
  }
  hello.cluster_name = "raftd";
  hello.node_id = {id};
  hello.instance = 1000 + id;
  hello.incarnation = {2000 + id};
  hello.priority = -1;
  hello.settings_hash = 5;
  return hello;
}

template <class T>
SharedBytes body_of(const T& value) {
  Bytes out;
  encode(value, out);
  out.erase(out.begin(), out.begin() + kFrameHeaderBytes);
  return share(std::move(out));
}

std::optional<Refusal> check(const Hello& theirs, Expectation expectation = {{}, true, 0}) {
  return check_hello(hello_of(1), theirs, expectation);
}

Reason reason_of(const std::optional<Refusal>& refusal) {
  REQUIRE(refusal);
  CHECK(refusal->node_id.value == 1);
  return refusal->reason;
}

TEST_CASE("[row 81] hello, refusal and welcome have exactly these bytes, and are read back") {
  Hello hello = hello_of(2);
  hello.expected = {1};
  hello.configuration = {9};
  hello.address = "h:1";
  CHECK(to_hex(body_of(hello).bytes) ==
        "9c6401c410000102030405060708090a0b0c0d0e0fa572616674640201cd03eacd07d2ce7fffffff0509"
        "a3683a31");
  const auto decoded = decode_handshake(body_of(hello));
  REQUIRE(decoded);
  const Hello& read = std::get<Hello>(*decoded);
  CHECK(read.cluster_id == hello.cluster_id);
  CHECK(read.cluster_name == "raftd");
  CHECK(read.node_id.value == 2);
  CHECK(read.expected.value == 1);
  CHECK(read.instance == 1002);
  CHECK(read.incarnation.value == 2002);
  CHECK(read.priority == -1);
  CHECK(read.settings_hash == 5);
  CHECK(read.configuration.value == 9);
  CHECK(read.address == "h:1");

  const Refusal refusal{hello.cluster_id, {2}, Reason::kInstance, "no"};
  CHECK(to_hex(body_of(refusal).bytes) == "966501c410000102030405060708090a0b0c0d0e0f0207a26e6f");
  const auto refused = decode_handshake(body_of(refusal));
  REQUIRE(refused);
  CHECK(std::get<Refusal>(*refused).reason == Reason::kInstance);
  CHECK(std::get<Refusal>(*refused).sentence == "no");

  CHECK(to_hex(body_of(Welcome{}).bytes) == "9166");
  const auto welcome = decode_handshake(body_of(Welcome{}));
  REQUIRE(welcome);
  CHECK(std::holds_alternative<Welcome>(*welcome));
}

TEST_CASE("who has a newer configuration may be a member that this node has not heard of") {
  const Expectation stranger{{}, false, 0};
  Hello own = hello_of(1);
  Hello theirs = hello_of(2);
  theirs.configuration = {9};
  own.configuration = {8};
  CHECK_FALSE(check_hello(own, theirs, stranger));
  own.configuration = {9};
  CHECK(reason_of(check_hello(own, theirs, stranger)) == Reason::kNotMember);
  own.configuration = {20};
  CHECK(reason_of(check_hello(own, theirs, stranger)) == Reason::kNotMember);
  CHECK_FALSE(check_hello(own, theirs, {{}, true, 0}));
}

TEST_CASE("the largest hello and the longest refusal fit in what is read before a hello") {
  Hello hello = hello_of(limits::kNodeIdMax);
  hello.cluster_name = std::string(limits::kNameBytesMax, 'x');
  hello.address = std::string(limits::kAddressBytesMax, 'x');
  hello.instance = hello.incarnation.value = hello.settings_hash = ~0ULL;
  CHECK(kMagic.size() + kFrameHeaderBytes + body_of(hello).bytes.size() <= limits::kHelloBytesMax);
  const Refusal refusal{{}, {limits::kNodeIdMax}, Reason::kCluster, std::string(5000, 'x')};
  CHECK(kMagic.size() + kFrameHeaderBytes + body_of(refusal).bytes.size() <=
        limits::kHelloBytesMax);
}

TEST_CASE("handshakes are told from messages by their type") {
  CHECK(is_handshake(body_of(hello_of(1)).bytes));
  CHECK(is_handshake(body_of(Welcome{}).bytes));
  CHECK(is_handshake(body_of(Refusal{{}, {1}, Reason::kCluster, ""}).bytes));
  CHECK(!is_handshake(to_bytes("\x94\x08\x03\x01\x07")));
  CHECK(!is_handshake({}));
}

TEST_CASE("a hello of a future version is recognised as that, whatever it holds") {
  // Version 2 with a map, floats, extensions, nested lists and more fields than this one knows.
  const std::string_view future =
      "\xdc\x00\x14\x64\x02"
      "\x81\xa1k\x07\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xd4\x01\x00\x92\x91\x01\xff";
  Bytes body = to_bytes({future.data(), 25});
  body.resize(body.size() + 14, std::byte{1});
  const auto decoded = decode_handshake(share(std::move(body)));
  REQUIRE_MESSAGE(decoded, decoded.error().message);
  REQUIRE(std::holds_alternative<OtherVersion>(*decoded));
  CHECK(std::get<OtherVersion>(*decoded).version == 2);
  const Refusal refusal = refuse_version(hello_of(1), 2);
  CHECK(refusal.reason == Reason::kVersion);
  CHECK(refusal.sentence ==
        "node 1 speaks version 1 of the peer protocol, the other side version 2; run versions of "
        "raftd that may work together");
}

TEST_CASE("[SR-7] a hello with impossible lengths, depth or types is refused") {
  const auto refusal_of = [](Bytes bytes) {
    const auto decoded = decode_handshake(share(std::move(bytes)));
    return decoded ? std::string("accepted") : decoded.error().message;
  };
  CHECK(refusal_of({}) == "a hello ends too early");
  CHECK(refusal_of(Bytes(1000, std::byte{0x91})) == "a hello is nested too deeply");
  CHECK(refusal_of(to_bytes("\xdd\xff\xff\xff\xff")) ==
        "a hello has a list that is longer than the message");
  CHECK(refusal_of(to_bytes("\x92\x64\x01")) == "a hello has no cluster id");
  CHECK(refusal_of(to_bytes("\x91\x05")) == "a hello has type 5, which is not within 100 and 102");
  CHECK(refusal_of(to_bytes("{\"a\":1}")) != "accepted");
  const SharedBytes good = body_of(hello_of(2));
  for (std::size_t n = 0; n < good.bytes.size(); ++n) {
    const auto end = good.bytes.begin() + static_cast<std::ptrdiff_t>(n);
    CHECK(refusal_of(Bytes(good.bytes.begin(), end)) != "accepted");
  }
  Rng rng(3);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes(good.bytes.begin(), good.bytes.end());
    for (int i = 0; i < 3; ++i) {
      bytes[rng.below(bytes.size())] = static_cast<std::byte>(rng.next());
    }
    refusal_of(std::move(bytes));  // Answers; ASan and UBSan watch.
  }
}

TEST_CASE("a refusal's sentence cannot forge log lines") {
  const Refusal refusal{{}, {2}, Reason::kCluster, "a\nERROR b\x1b[31m"};
  const auto decoded = decode_handshake(body_of(refusal));
  REQUIRE(decoded);
  CHECK(std::get<Refusal>(*decoded).sentence == "a%0AERROR b%1B[31m");
}

TEST_CASE("a member of the same cluster is let in") {
  CHECK(!check(hello_of(2)));
  Hello knows = hello_of(2);
  knows.expected = {1};
  CHECK(!check(knows));
  CHECK(!check(hello_of(2), {{2}, true, 1002}));
}

TEST_CASE("[RF-17] a node of another cluster is refused, with the difference named") {
  Hello other = hello_of(2);
  other.cluster_name = "staging";
  CHECK(reason_of(check(other)) == Reason::kCluster);
  CHECK(check(other)->sentence ==
        "node 2 belongs to cluster \"staging\", node 1 to cluster \"raftd\"; check [cluster] name "
        "and the peer addresses");
  Hello list = hello_of(2);
  list.cluster_id[3] = 99;
  CHECK(reason_of(check(list)) == Reason::kCluster);
  CHECK(check(list)->sentence.starts_with(
      "nodes 2 and 1 were first started with different lists of members"));
}

TEST_CASE("[SR-6] a node with the own id is refused") {
  Hello twin = hello_of(1);
  twin.incarnation = {9};
  CHECK(reason_of(check(twin)) == Reason::kOwnId);
  CHECK(check(twin)->sentence ==
        "two processes run as node 1; stop one of them and give it an id of its own");
  CHECK(check(hello_of(1))->sentence ==
        "node 1 reaches itself at the address of a peer; check the peer addresses");
}

TEST_CASE("a node that is reached under another one's address is refused") {
  CHECK(reason_of(check(hello_of(3), {{2}, true, 0})) == Reason::kWrongNode);
  Hello seeks_four = hello_of(2);
  seeks_four.expected = {4};
  CHECK(reason_of(check(seeks_four)) == Reason::kWrongNode);
  CHECK(check(seeks_four)->sentence ==
        "the address that is known for node 4 leads to node 1; check the peer addresses");
}

TEST_CASE("an id that is no member is refused") {
  CHECK(reason_of(check(hello_of(9), {{}, false, 0})) == Reason::kNotMember);
}

TEST_CASE("who was removed is told so, unless it knows a newer configuration") {
  const Expectation gone{{}, false, 1009, true};
  const auto refusal = check(hello_of(9), gone);
  CHECK(reason_of(refusal) == Reason::kRemoved);
  CHECK(refusal->sentence == "node 9 was removed from the cluster");
  const auto read = decode_handshake(body_of(*refusal));
  REQUIRE(read);
  CHECK(std::get<Refusal>(*read).reason == Reason::kRemoved);
  Hello newer = hello_of(9);
  newer.configuration = {1};
  CHECK_FALSE(check(newer, gone));
}

TEST_CASE("an empty disk under a known id is refused for good") {
  CHECK(reason_of(check(hello_of(2), {{}, true, 77})) == Reason::kInstance);
  CHECK(check(hello_of(2), {{}, true, 77})->sentence.ends_with("remove the member, add it again"));
}

TEST_CASE("other settings and other versions are refused") {
  Hello other = hello_of(2);
  other.settings_hash = 6;
  CHECK(reason_of(check(other)) == Reason::kSettings);
  other.version = 2;
  CHECK(reason_of(check(other)) == Reason::kVersion);
}

TEST_CASE("[row 78] strangers are known by their first bytes") {
  const auto kind = [](std::string_view text) { return classify(as_bytes(text)); };
  CHECK(kind("") == Stranger::kSilent);
  CHECK(kind("GET / HTTP/1.1\r\n") == Stranger::kHttp);
  CHECK(kind("POST /v3/kv/put HTTP/1.1\r\n") == Stranger::kHttp);
  CHECK(kind("PRI * HTTP/2.0\r\n\r\nSM") == Stranger::kHttp);
  CHECK(kind("HTTP/1.1 400 Bad Request\r\n") == Stranger::kHttp);
  CHECK(kind(std::string_view("\x16\x03\x01\x02\x00\x01", 6)) == Stranger::kTls);
  CHECK(kind(std::string_view("\x15\x03\x03\x00\x02", 5)) == Stranger::kTls);
  CHECK(kind("{\"jsonrpc\":") == Stranger::kJson);
  CHECK(kind(" [1]") == Stranger::kJson);
  CHECK(kind("SSH-2.0-OpenSSH_9.2") == Stranger::kOther);
  CHECK(kind(std::string_view("\0\0\0\0", 4)) == Stranger::kOther);
  CHECK(kind("GETTER") == Stranger::kOther);
}

}  // namespace
}  // namespace raftd::wire
