// Goal: two nodes that may talk to each other do, in order, whatever happened before; a node that
// is away, deaf or slow costs nobody else anything. Method: several networks on one loop, loopback.
#include "uv/peer_network.h"

#include "unit/uv/peer_harness.h"

namespace raftd::uv {
namespace {

using Members = std::vector<std::pair<std::uint64_t, std::string>>;

Members members_of(const World& world) {
  Members members;
  for (const auto& node : world.nodes)
    members.emplace_back(node->id.value, node->address);
  return members;
}

void introduce(World& world) {
  const Members members = members_of(world);
  for (const auto& node : world.nodes)
    node->network->members(configuration_of(members));
}

bool all_connected(const World& world) {
  for (const auto& node : world.nodes) {
    if (node->network->connected().size() + 1 != world.nodes.size()) return false;
  }
  return true;
}

TEST_CASE("[row 76] two nodes connect and 10,000 messages each way arrive in order") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  one.listen();
  two.listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
  CHECK(one.priorities[2] == 2);
  CHECK(two.priorities[1] == 1);
  constexpr std::uint64_t kMessages = 10'000;
  std::uint64_t sent = 0;
  REQUIRE(world.until([&] {
    for (int i = 0; i < 100 && sent < kMessages; ++i) {
      ++sent;
      one.send_number(2, sent);
      two.send_number(1, sent);
    }
    return one.messages.size() >= kMessages && two.messages.size() >= kMessages;
  }));
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    REQUIRE(number_of(one.messages[i]) == i + 1);
    REQUIRE(number_of(two.messages[i]) == i + 1);
  }
  CHECK(one.dropped.empty());
  CHECK(one.connects == 1);
  CHECK(two.connects == 1);
  CHECK(one.network->bad_messages() == 0);
}

TEST_CASE("three nodes have one connection for each pair") {
  World world;
  for (std::uint64_t id = 1; id <= 3; ++id)
    world.add(options_of(id)).listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
  for (int i = 0; i < 50; ++i)
    world.turn();
  for (const auto& node : world.nodes) {
    CHECK(node->connects == 2);
    CHECK(node->disconnects == 0);
    CHECK(node->network->every_peer_answered());
  }
}

TEST_CASE("a message of the largest size passes, and so do those after it") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  one.listen();
  two.listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
  std::vector<raft::Entry> entries;
  for (std::uint64_t i = 0; i < 2; ++i) {
    Bytes large(limits::kEntryBytesMax, static_cast<std::byte>(i));
    entries.push_back({{i + 1}, {1}, raft::EntryKind::kCommand, share(std::move(large))});
  }
  for (int i = 0; i < 3; ++i) {
    one.network->send(raft::Message{{1}, {2}, {1}, raft::AppendRequest{{}, {}, {}, {}, entries}});
    one.send_number(2, 5);
  }
  REQUIRE(world.until([&] { return two.messages.size() == 6; }));
  const auto& message = std::get<raft::Message>(two.messages[4]);
  const auto& request = std::get<raft::AppendRequest>(message.body);
  REQUIRE(request.entries.size() == 2);
  CHECK(request.entries[1].payload.bytes.size() == limits::kEntryBytesMax);
  CHECK(request.entries[1].payload.bytes[777] == std::byte{1});
  CHECK(number_of(two.messages[5]) == 5);
}

TEST_CASE("[F17] a peer that dies and comes back is connected anew, time after time") {
  World world;
  TestNode& two = world.add(options_of(2));
  two.listen();
  std::string address = "127.0.0.1:0";
  for (std::uint64_t life = 1; life <= 5; ++life) {
    TestNode& one = world.add(options_of(1, life));
    address = one.listen(address);
    introduce(world);
    REQUIRE(world.until([&] { return one.up[2] && two.up[1]; }));
    two.messages.clear();
    one.send_number(2, life);
    two.send_number(1, life);
    REQUIRE(world.until([&] { return !two.messages.empty() && !one.messages.empty(); }));
    CHECK(number_of(two.messages[0]) == life);
    CHECK(number_of(one.messages[0]) == life);
    world.remove(one);
    REQUIRE(world.until([&] { return !two.up[1]; }));
  }
  CHECK(two.connects == 5);
  CHECK(two.disconnects == 5);
  CHECK(two.said("lost the connection to node 1") == 1);  // Once a minute, however often it dies.
}

TEST_CASE("a node of the higher id that restarts replaces its old connection") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.listen();
  {
    TestNode& two = world.add(options_of(2, 1));
    two.listen();
    introduce(world);
    REQUIRE(world.until([&] { return one.up[2]; }));
    // The machine of node 2 dies without a word: its connection stays open, and a new process
    // with the same data directory comes.
    TestNode& again = world.add(options_of(2, 2));
    again.network->members(configuration_of({{1, one.address}, {2, "127.0.0.1:1"}}));
    REQUIRE(world.until([&] { return again.up[1] && one.connects == 2; }));
    CHECK(one.up[2]);
    CHECK(one.connects == 2);
    CHECK(one.disconnects == 1);
    again.send_number(1, 9);
    REQUIRE(world.until([&] { return !one.messages.empty(); }));
    CHECK(number_of(one.messages[0]) == 9);
    // [SR-6] The old process was not dead after all: there are two. The newer one keeps the link.
    REQUIRE(world.until([&] { return one.said("two processes run as node 2") > 0; }));
    for (int i = 0; i < 50; ++i)
      world.turn();
    CHECK(again.up[1]);
    CHECK(!two.up[1]);
    CHECK(two.said("copies of one data directory; stop one of them") == 1);
    CHECK(!two.network->fatal());
  }
}

TEST_CASE("what is sent while there is no link is dropped and told once per flush") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.network->members(configuration_of({{1, "127.0.0.1:1"}, {2, "127.0.0.1:1"}}));
  for (std::uint64_t i = 0; i < 5; ++i)
    one.send_number(2, i);
  one.send_number(77, 1);
  CHECK(one.dropped.empty());  // Not from within send.
  one.network->flush(test_now());
  CHECK(one.dropped == std::vector<std::uint64_t>{2, 77});
  one.network->flush(test_now());
  CHECK(one.dropped.size() == 2);
}

TEST_CASE("[RF-14] [CP-11] deaf and black-holed peers hold nobody up, and are tried again") {
  World world;
  // Connects, but nobody answers the hello.
  const DeafListener deaf(16);
  // The queue of connections is full: packets are dropped, as behind a wrong firewall rule.
  const DeafListener hole(0);
  const RawSocket full(hole.address);
  PeerOptions patient = options_of(9);
  patient.hello_timeout = std::chrono::milliseconds(100);
  patient.connect_timeout = std::chrono::milliseconds(100);
  TestNode& one = world.add(options_of(1));
  TestNode& nine = world.add(patient);
  one.listen();
  nine.listen();
  const auto members =
      configuration_of({{1, one.address}, {2, deaf.address}, {3, hole.address}, {9, nine.address}});
  one.network->members(members);
  nine.network->members(members);
  REQUIRE(world.until([&] { return one.up[9] && nine.up[1]; }));
  REQUIRE(world.until([&] { return nine.said("no connection to node 2") == 1; }));
  REQUIRE(world.until([&] { return nine.said("no connection to node 3") == 1; }));
  CHECK(!nine.network->every_peer_answered());
  for (std::uint64_t i = 1; i <= 100; ++i) {
    nine.send_number(2, i);
    nine.send_number(3, i);
    nine.send_number(1, i);
  }
  REQUIRE(world.until([&] { return one.messages.size() == 100; }));
  CHECK(nine.connects == 1);
  CHECK(nine.disconnects == 0);
}

TEST_CASE("a peer that never reads is bounded in memory and its link is made anew") {
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
  Bytes large(1 * limits::kMiB, std::byte{1});
  const raft::Entry entry{{1}, {1}, raft::EntryKind::kCommand, share(std::move(large))};
  int sent = 0;
  REQUIRE(world.until([&] {
    if (one.dropped.empty()) {
      ++sent;
      one.network->send(raft::Message{{1}, {2}, {1}, raft::AppendRequest{{}, {}, {}, {}, {entry}}});
    }
    return one.disconnects == 1;
  }));
  CHECK(one.dropped == std::vector<std::uint64_t>{2});
  // What fits in the queue, and what two sockets' buffers hold.
  CHECK(sent < 64);
  CHECK(one.said("lost the connection to node 2: the other side does not read") == 1);
}

TEST_CASE("[row 94] host names are resolved off the loop, and again at each attempt") {
  World world;
  TestNode& one = world.add(options_of(1));
  const std::string numeric = one.listen("localhost:0");
  const std::string port = numeric.substr(numeric.rfind(':'));
  TestNode& two = world.add(options_of(2));
  two.listen();
  const auto members = configuration_of({{1, "localhost" + port}, {2, two.address}});
  one.network->members(members);
  two.network->members(members);
  REQUIRE(world.until([&] { return one.up[2] && two.up[1]; }));
}

TEST_CASE("a name that nobody knows is one line, and the node tries on") {
  World world;
  TestNode& two = world.add(options_of(2));
  two.network->members(configuration_of({{1, "no-such-host.invalid:2380"}}));
  REQUIRE(world.until([&] { return two.said("is not resolved") == 1; }));
  CHECK(two.said("no connection to node 1 at no-such-host.invalid:2380") == 1);
}

TEST_CASE("IPv6 works like IPv4") {
  World world;
  TestNode& one = world.add(options_of(1));
  const auto listened = one.network->listen("[::1]:0");
  if (!listened) return;  // A machine without IPv6.
  one.address = *listened;
  TestNode& two = world.add(options_of(2));
  two.listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
}

TEST_CASE("a node whose log names no members dials the listed ones, until it names them") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.listen();
  PeerOptions repaired = options_of(2);
  repaired.listed = {{{1}, one.address}, {{2}, "127.0.0.1:1"}, {{3}, "127.0.0.1:1"}};
  TestNode& two = world.add(repaired);
  // Node 1 has had its knock, or never knew where: it waits to be dialled.
  one.network->members(configuration_of({{1, one.address}, {2, "127.0.0.1:1"}}));
  two.network->members({});
  REQUIRE(world.until([&] { return one.up[2] && two.up[1]; }));
  REQUIRE(world.until([&] { return two.said("node 3 at 127.0.0.1:1") == 1; }));
  two.network->members(configuration_of({{1, one.address}, {2, two.address}}));
  CHECK(world.until([&] { return two.network->every_peer_answered(); }));  // The third is gone.
  CHECK(two.up[1]);
}

TEST_CASE(
    "a node that joins keeps those it joined through while its log names members of long ago") {
  World world;
  TestNode& one = world.add(options_of(1));
  one.listen();
  PeerOptions joins = options_of(5);
  joins.listed = {{{1}, one.address}};
  TestNode& five = world.add(joins);
  five.listen();
  one.network->members(configuration_of({{1, one.address}, {5, five.address}}));
  five.network->members({});
  REQUIRE(world.until([&] { return one.up[5] && five.up[1]; }));
  const Members long_ago{{1, "127.0.0.1:1"}, {2, "127.0.0.1:1"}};
  Instant then = test_now();
  for (const Members& members : {long_ago, Members{{2, "127.0.0.1:1"}}}) {
    five.network->members(configuration_of(members));
    then = then + std::chrono::seconds(11);  // Longer than a farewell.
    five.network->flush(then);
    CHECK(five.up[1]);
  }
  five.network->members(configuration_of({{2, "127.0.0.1:1"}, {5, five.address}}));
  five.network->flush(then + std::chrono::seconds(11));
  CHECK(!five.up[1]);
}

TEST_CASE("a peer that has moved is dialled where it says, and where the file lists it") {
  for (const bool listed : {false, true}) {
    World world;
    TestNode& moved = world.add([&] {
      PeerOptions options = options_of(1);
      options.advertised = "127.0.0.1:1";
      return options;
    }());
    const std::string address = moved.listen();
    PeerOptions options = options_of(2);
    if (listed) options.listed = {{{1}, address}, {{2}, "127.0.0.1:1"}};
    TestNode& two = world.add(options);
    two.listen();
    const Members old{{1, "127.0.0.1:1"}, {2, two.address}};
    two.network->members(configuration_of(old));
    REQUIRE(world.until([&] { return two.said("no connection to node 1") >= 1; }));
    if (!listed) {  // It says so itself: it knocks.
      PeerOptions again = options_of(1, 2);
      again.advertised = address;
      world.remove(moved);
      TestNode& one = world.add(again);
      one.listen(address);
      one.network->members(configuration_of(old));
    }
    REQUIRE(world.until([&] { return two.up[1]; }));
    CHECK(two.said("connected to node 1 (" + address + ")") == 1);
  }
}

TEST_CASE("who waits to be dialled knocks again, since the other may not want to: it was removed") {
  World world;
  TestNode& gone = world.add(options_of(2));
  const std::string address = gone.listen();
  world.remove(gone);
  PeerOptions patient = options_of(1);
  patient.knock_pause = std::chrono::milliseconds(20);
  TestNode& one = world.add(patient);
  one.listen();
  one.network->members(configuration_of({{1, one.address}, {2, address}}));
  REQUIRE(world.until([&] { return one.said("no connection to node 2") == 1; }));
  TestNode& two = world.add(options_of(2));
  two.listen(address);
  two.gone = {1};
  two.network->members(configuration_of({{2, address}, {3, "127.0.0.1:1"}}));
  REQUIRE(world.until([&] { return one.network->fatal().has_value(); }));
}

TEST_CASE("an address that was announced in vain does not keep a link from the log's") {
  World world;
  TestNode& two = world.add(options_of(2));
  two.listen();
  PeerOptions wrong = options_of(1);
  wrong.advertised = "127.0.0.1:1";
  TestNode& one = world.add(wrong);
  one.listen();
  introduce(world);
  REQUIRE(world.until([&] { return one.up[2] && two.up[1]; }));
}

TEST_CASE("members that leave the configuration lose their link, others keep it") {
  World world;
  for (std::uint64_t id = 1; id <= 3; ++id)
    world.add(options_of(id)).listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
  Members members = members_of(world);
  members.pop_back();
  TestNode& one = *world.nodes[0];
  one.network->members(configuration_of(members));
  const Instant then = test_now();
  one.network->flush(then);
  CHECK(one.up[3]);  // A leader that goes has to hear that its removal is committed.
  one.network->members(configuration_of(members));
  one.network->flush(then + std::chrono::seconds(11));  // Twenty election timeouts.
  CHECK(one.disconnects == 1);
  CHECK(!one.up[3]);
  CHECK(one.up[2]);
  // Node 3 does not know yet that it was removed: it is told, by a refusal.
  REQUIRE(world.until([&] { return world.nodes[2]->said("node 3 is not a member") == 1; }));
}

TEST_CASE("a member whose removal is final is told at once, as soon as nothing newer is known") {
  for (const std::uint64_t leaver : {1UL, 3UL}) {
    World world;
    for (std::uint64_t id = 1; id <= 3; ++id)
      world.add(options_of(id)).listen();
    introduce(world);
    REQUIRE(world.until([&] { return all_connected(world); }));
    Members members = members_of(world);
    std::erase_if(members, [&](const auto& member) { return member.first == leaver; });
    TestNode& two = *world.nodes[1];
    TestNode& gone = *world.nodes[leaver - 1];
    two.gone.insert(leaver);
    raft::ConfigurationAt older = configuration_of(members);
    older.index = {};  // Than the one that the member said hello with.
    two.network->members(older);
    for (int i = 0; i < 20; ++i)
      world.turn();
    CHECK(two.up[leaver]);
    two.network->members(configuration_of(members));
    REQUIRE(world.until([&] { return gone.network->fatal().has_value(); }));
    CHECK(gone.network->fatal()->reason == wire::Reason::kRemoved);
    CHECK(gone.network->fatal()->message ==
          strf("node 2 refuses this node: node %lu was removed from the cluster", leaver));
    CHECK(!two.up[leaver]);
    CHECK(!two.network->fatal());
  }
}

TEST_CASE("a member that was away is told of its removal when it comes") {
  World world;
  TestNode& two = world.add(options_of(2));
  two.listen();
  two.network->members(configuration_of({{2, two.address}}));
  two.gone = {1, 3};
  for (const std::uint64_t id : {1UL, 3UL}) {
    TestNode& away = world.add(options_of(id));
    away.network->members(configuration_of({{id, "127.0.0.1:1"}, {2, two.address}}));
    REQUIRE(world.until([&] { return away.network->fatal().has_value(); }));
    CHECK(away.network->fatal()->reason == wire::Reason::kRemoved);
  }
  CHECK(two.connects == 0);
}

TEST_CASE("at the first start each peer's answer counts, also that there is no process") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  one.listen();
  two.listen();
  CHECK(!two.network->every_peer_answered());
  const DeafListener deaf(16);
  Members members{{1, one.address}, {2, two.address}, {3, "127.0.0.1:1"}};
  two.network->members(configuration_of(members));
  one.network->members(configuration_of(members));
  REQUIRE(world.until(
      [&] { return two.network->every_peer_answered() && one.network->every_peer_answered(); }));
  members.emplace_back(4, deaf.address);
  two.network->members(configuration_of(members));
  for (int i = 0; i < 20; ++i)
    world.turn();
  CHECK(!two.network->every_peer_answered());
}

TEST_CASE("an address that is in use or makes no sense is said so") {
  World world;
  TestNode& one = world.add(options_of(1));
  const std::string address = one.listen();
  TestNode& two = world.add(options_of(2));
  const auto again = two.network->listen(address);
  REQUIRE(!again);
  CHECK(again.error().code == Errc::kIo);
  CHECK(again.error().message ==
        "peer.listen: " + address + " cannot be listened on: address already in use");
  for (const char* bad :
       {"", "nohost", ":1", "host:", "host:99999", "host:-1", "::1:80", "[]:1", "a:b:1"}) {
    const auto refused = two.network->listen(bad);
    REQUIRE(!refused);
    CHECK(refused.error().message == std::string(bad) + " is not HOST:PORT");
  }
}

TEST_CASE("a stopped network closes everything and tells nothing more") {
  World world;
  TestNode& one = world.add(options_of(1));
  TestNode& two = world.add(options_of(2));
  one.listen();
  two.listen();
  introduce(world);
  REQUIRE(world.until([&] { return all_connected(world); }));
  two.network->stop();
  two.send_number(1, 1);
  two.network->flush(test_now());
  REQUIRE(world.until([&] { return !one.up[2]; }));
  CHECK(two.disconnects == 0);
  CHECK(two.dropped.empty());
  CHECK(two.network->connected().empty());
}

TEST_CASE("a network may die in the middle of look-ups, attempts and greetings") {
  World world;
  const DeafListener deaf(16);
  const DeafListener hole(0);
  const RawSocket full(hole.address);
  TestNode& nine = world.add(options_of(9));
  nine.listen();
  const RawSocket silent(nine.address);
  nine.network->members(configuration_of(
      {{1, deaf.address}, {2, hole.address}, {3, "localhost:1"}, {4, "127.0.0.1:1"}}));
  for (int i = 0; i < 3; ++i)
    world.turn();
  world.remove(nine);  // The loop asserts that no handle is left, the sanitizer that no byte is.
}

}  // namespace
}  // namespace raftd::uv
