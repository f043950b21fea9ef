// Goal: whatever a transfer of a snapshot has waiting at a link, everything else goes before it,
// and neither is lost or out of order among its kind. Method: as in peer_network_test.
#include "base/endian.h"
#include "node/transfer_pace.h"
#include "unit/uv/peer_harness.h"
#include "uv/peer_network.h"

namespace raftd::uv {
namespace {

constexpr std::uint64_t kPiece = limits::kSnapshotWireBytes;

node::PeerMessage piece(std::uint64_t to, std::uint64_t number) {
  raft::SnapshotChunk chunk;
  chunk.meta.id = {{100}, {1}, 1000 * kPiece, 7};
  chunk.meta.configuration = configuration_of({{1, "a:1"}, {2, "b:1"}});
  chunk.offset = number * kPiece;
  chunk.bytes = kPiece;
  chunk.data = share(Bytes(kPiece, static_cast<std::byte>(number)));
  return raft::Message{{1}, {to}, {1}, std::move(chunk)};
}

const raft::SnapshotChunk& chunk_of(const node::PeerMessage& message) {
  return std::get<raft::SnapshotChunk>(std::get<raft::Message>(message).body);
}

std::size_t pieces_in(const TestNode& node) {
  return static_cast<std::size_t>(
      std::count_if(node.messages.begin(), node.messages.end(), node::is_snapshot_piece));
}

// Of all that has come, magic first: whether each message was a piece. How many there were.
std::size_t messages_of(const Bytes& bytes, std::vector<bool>& are_pieces) {
  are_pieces.clear();
  std::size_t at = wire::kMagic.size();
  while (at + wire::kFrameHeaderBytes <= bytes.size()) {
    const std::size_t size = load_le<std::uint32_t>(bytes, at);
    if (at + wire::kFrameHeaderBytes + size > bytes.size()) break;
    const Bytes body(
        bytes.begin() + static_cast<std::ptrdiff_t>(at + wire::kFrameHeaderBytes),
        bytes.begin() + static_cast<std::ptrdiff_t>(at + wire::kFrameHeaderBytes + size));
    at += wire::kFrameHeaderBytes + size;
    if (wire::is_handshake(body)) continue;
    const auto message = wire::decode(share(body));
    REQUIRE(message);
    are_pieces.push_back(node::is_snapshot_piece(*message));
  }
  return are_pieces.size();
}

void connect(World& world) {
  std::vector<std::pair<std::uint64_t, std::string>> members;
  for (const auto& node : world.nodes)
    members.emplace_back(node->id.value, node->listen());
  for (const auto& node : world.nodes)
    node->network->members(configuration_of(members));
  REQUIRE(world.until([&] {
    return std::all_of(world.nodes.begin(), world.nodes.end(), [&](const auto& node) {
      return node->network->connected().size() + 1 == world.nodes.size();
    });
  }));
}

TEST_CASE("what is said after a whole window of pieces arrives before all of them") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  connect(world);
  constexpr std::uint64_t kPieces = limits::kSnapshotWireInFlightMax;
  constexpr std::uint64_t kWords = 100;
  for (std::uint64_t i = 0; i < kPieces; ++i)
    one.network->send(piece(2, i));
  for (std::uint64_t i = 1; i <= kWords; ++i)
    one.send_number(2, i);
  REQUIRE(world.until([&] { return two.messages.size() == kPieces + kWords; }));
  for (std::uint64_t i = 0; i < kWords; ++i)
    REQUIRE(number_of(two.messages[i]) == i + 1);
  for (std::uint64_t i = 0; i < kPieces; ++i) {
    const raft::SnapshotChunk& chunk = chunk_of(two.messages[kWords + i]);
    REQUIRE(chunk.offset == i * kPiece);
    REQUIRE(chunk.data.bytes.size() == kPiece);
    REQUIRE(chunk.data.bytes[0] == static_cast<std::byte>(i));
  }
  CHECK(one.dropped.empty());
}

TEST_CASE("the kernel is not given what a heartbeat would have to wait for") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.listen();
  one.network->members(configuration_of({{1, one.address}, {2, "127.0.0.1:1"}}));
  RawSocket two(one.address);
  two.write(first_words(hello_of(options_of(2))));
  REQUIRE(world.until([&] { return two.handshake(0).has_value(); }));
  Bytes welcome;
  wire::encode(wire::Welcome{}, welcome);
  two.write(welcome);
  REQUIRE(world.until([&] { return one.up[2]; }));
  for (std::uint64_t i = 0; i < limits::kPeerPiecesMax; ++i)
    one.network->send(piece(2, i));
  // Nobody reads: the kernels take what they take.
  int turns = 0;
  REQUIRE(world.until([&] { return ++turns > 20; }));
  one.send_number(2, 42);
  std::vector<bool> order;  // Whether each message was a piece.
  std::size_t seen = 0;
  REQUIRE(world.until([&] {
    seen = messages_of(two.read(), order);
    return seen == limits::kPeerPiecesMax + 1;
  }));
  const auto number = std::find(order.begin(), order.end(), false) - order.begin();
  CHECK(number < static_cast<std::ptrdiff_t>(limits::kPeerPiecesMax) / 2);
}

TEST_CASE("a piece that waits already is not queued again; more than the queue holds is dropped") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  connect(world);
  for (int i = 0; i < 100; ++i)
    one.network->send(piece(2, 5));
  REQUIRE(world.until([&] { return pieces_in(two) == 1; }));
  for (std::uint64_t i = 0; i < limits::kPeerPiecesMax; ++i)
    one.network->send(piece(2, i));
  CHECK(one.dropped.empty());
  one.network->send(piece(2, 500));
  one.send_number(2, 1);
  REQUIRE(world.until([&] { return pieces_in(two) == 1 + limits::kPeerPiecesMax; }));
  CHECK(one.dropped == std::vector<std::uint64_t>{2});
  CHECK(std::none_of(two.messages.begin(), two.messages.end(), [](const auto& message) {
    return node::is_snapshot_piece(message) && chunk_of(message).offset == 500 * kPiece;
  }));
}

TEST_CASE("several receivers get their pieces side by side, in order") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  TestNode& three = world.add(options_of(3));
  connect(world);
  constexpr std::uint64_t kPieces = 200;
  std::uint64_t sent[2] = {0, 0};
  TestNode* const receivers[2] = {&two, &three};
  REQUIRE(world.until([&] {
    for (std::size_t r = 0; r < 2; ++r) {
      // As the core does it: a window that is not answered.
      while (sent[r] < kPieces &&
             sent[r] < pieces_in(*receivers[r]) + limits::kSnapshotWireInFlightMax) {
        one.network->send(piece(r + 2, sent[r]++));
      }
    }
    return pieces_in(two) == kPieces && pieces_in(three) == kPieces;
  }));
  CHECK(one.dropped.empty());
  for (const TestNode* receiver : receivers) {
    for (std::uint64_t i = 0; i < kPieces; ++i)
      REQUIRE(chunk_of(receiver->messages[i]).offset == i * kPiece);
  }
}

TEST_CASE("pieces that wait at a link go with it") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode* two = &world.add(options_of(2));
  connect(world);
  for (std::uint64_t i = 0; i < limits::kPeerPiecesMax; ++i)
    one.network->send(piece(2, i));
  world.remove(*two);
  REQUIRE(world.until([&] { return one.disconnects == 1; }));
  TestNode& again = world.add(options_of(2, 2));
  again.listen();
  again.network->members(configuration_of({{1, one.address}, {2, again.address}}));
  REQUIRE(world.until([&] { return one.connected_to(2) && again.connected_to(1); }));
  one.send_number(2, 7);
  one.network->send(piece(2, 77));
  REQUIRE(world.until([&] { return again.messages.size() == 2; }));
  CHECK(number_of(again.messages[0]) == 7);
  CHECK(chunk_of(again.messages[1]).offset == 77 * kPiece);
}

}  // namespace
}  // namespace raftd::uv
