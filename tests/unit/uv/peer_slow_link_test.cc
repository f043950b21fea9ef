// Goal: a link that is slow is no link that stands still, and what comes of a message is told
// before the message is whole. Method: as in peer_network_test; the other side reads at a rate.
#include "unit/uv/peer_harness.h"
#include "uv/peer_network.h"

namespace raftd::uv {
namespace {

constexpr auto kDrain = std::chrono::milliseconds(200);

PeerOptions impatient(std::uint64_t id) {
  PeerOptions options = options_of(id);
  options.election_timeout_min = kDrain;
  return options;
}

node::PeerMessage append_of(std::uint64_t from, std::uint64_t to, std::size_t bytes) {
  const raft::Entry entry{{1}, {1}, raft::EntryKind::kCommand, share(Bytes(bytes, std::byte{1}))};
  return raft::Message{{from}, {to}, {1}, raft::AppendRequest{{}, {}, {}, {}, {entry}}};
}

// The other side of node 1, in the test's hand.
RawSocket& greet(World& world, TestNode& one, std::optional<RawSocket>& two) {
  one.listen();
  one.network->members(configuration_of({{1, one.address}, {2, "127.0.0.1:1"}}));
  two.emplace(one.address);
  two->write(first_words(hello_of(options_of(2))));
  REQUIRE(world.until([&] { return two->handshake(0).has_value(); }));
  Bytes welcome;
  wire::encode(wire::Welcome{}, welcome);
  two->write(welcome);
  REQUIRE(world.until([&] { return one.up[2]; }));
  return *two;
}

TEST_CASE("a peer that reads slowly keeps its connection, whatever one write takes") {
  World world;
  TestNode& one = world.add(impatient(1));
  std::optional<RawSocket> held;
  RawSocket& two = greet(world, one, held);
  two.hold(64 * limits::kKiB);
  constexpr std::size_t kMessages = 12;
  constexpr std::uint64_t kBytesPerMs = 1500;
  for (std::size_t i = 0; i < kMessages; ++i)
    one.network->send(append_of(1, 2, limits::kMiB));
  world.turn();
  const Instant begin = test_now();
  std::size_t taken = 0;
  REQUIRE(world.until([&] {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(test_now() - begin);
    const std::size_t due = static_cast<std::uint64_t>(ms.count()) * kBytesPerMs;
    if (due > taken) taken += two.take(due - taken);
    return taken > 2 * limits::kMiB || one.disconnects > 0;
  }));
  CHECK(one.disconnects == 0);
  REQUIRE(world.until([&] {
    taken += two.take(limits::kMiB);
    return taken > kMessages * limits::kMiB || one.disconnects > 0;
  }));
  CHECK(one.disconnects == 0);
  CHECK(one.dropped.empty());
}

TEST_CASE("of a message that comes in parts each part is told, and at its end the message") {
  World world;
  TestNode& one = world.add(options_of(1));
  std::optional<RawSocket> held;
  RawSocket& two = greet(world, one, held);
  const Bytes message = framed(append_of(2, 1, 30'000));
  const ByteView bytes(message);
  two.write(bytes.first(10'000));
  REQUIRE(world.until([&] { return one.parts[2] > 0; }));
  const int first = one.parts[2];
  two.write(bytes.subspan(10'000, 10'000));
  REQUIRE(world.until([&] { return one.parts[2] > first; }));
  CHECK(one.messages.empty());
  two.write(bytes.subspan(20'000));
  REQUIRE(world.until([&] { return one.messages.size() == 1; }));
  const int before = one.parts[2];
  two.write(framed(numbered(2, 1, 7)));
  REQUIRE(world.until([&] { return one.messages.size() == 2; }));
  CHECK(number_of(one.messages[1]) == 7);
  CHECK(one.parts[2] == before);
}

}  // namespace
}  // namespace raftd::uv
