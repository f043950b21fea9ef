// Nodes of one test on one loop, over loopback; and a hand-driven stranger to talk to them.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <set>

#include "base/text.h"
#include "uv/peer_network.h"
#include "uv/resolver.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/hello.h"

namespace raftd::uv {

inline Instant test_now() {
  return {std::chrono::nanoseconds(uv_hrtime())};
}

// A message that carries a number, so that order can be checked.
inline node::PeerMessage numbered(std::uint64_t from, std::uint64_t to, std::uint64_t number) {
  return raft::Message{{from}, {to}, {1}, raft::ReadIndexRequest{{1}, number}};
}

inline std::uint64_t number_of(const node::PeerMessage& message) {
  const auto* core = std::get_if<raft::Message>(&message);
  if (core == nullptr) return 0;
  const auto* request = std::get_if<raft::ReadIndexRequest>(&core->body);
  return request == nullptr ? 0 : request->seq;
}

inline PeerOptions options_of(std::uint64_t id, std::uint64_t life = 1) {
  PeerOptions options;
  options.identity.cluster_id[0] = 7;
  options.identity.node_id = {id};
  options.identity.instance = 100 + id;
  options.cluster_name = "test";
  options.incarnation = {1000 * life + id};
  options.priority = static_cast<std::int32_t>(id);
  options.election_timeout_min = std::chrono::milliseconds(500);
  options.connect_timeout = std::chrono::seconds(1);
  return options;
}

class TestNode final : public PeerEvents, public PeerDirectory {
 public:
  TestNode(Loop& loop, const PeerOptions& options)
      : id(options.identity.node_id),
        log(LogLevel::kTrace,
            [this](LogLevel, std::string_view line) { lines.emplace_back(line); }),
        network(std::make_unique<PeerNetwork>(loop, options, *this, log, 42)) {
    network->bind(*this);
  }

  std::string listen(const std::string& at = "127.0.0.1:0") {
    const auto listened = network->listen(at);
    REQUIRE_MESSAGE(listened, listened.error().message);
    address = *listened;
    return address;
  }
  void send_number(std::uint64_t to, std::uint64_t number) {
    network->send(numbered(id.value, to, number));
  }
  bool connected_to(std::uint64_t peer) const {
    for (const raft::NodeId other : network->connected()) {
      if (other.value == peer) return true;
    }
    return false;
  }
  // How many lines have all of these words.
  int said(std::string_view words) const {
    int n = 0;
    for (const std::string& line : lines)
      n += line.find(words) != std::string::npos ? 1 : 0;
    return n;
  }

  void on_message(node::PeerMessage message) override { messages.push_back(std::move(message)); }
  void on_part(raft::NodeId peer) override { ++parts[peer.value]; }
  void on_connected(raft::NodeId peer, std::int32_t priority) override {
    CHECK(!up[peer.value]);  // Connected and disconnected alternate.
    up[peer.value] = true;
    priorities[peer.value] = priority;
    ++connects;
  }
  void on_disconnected(raft::NodeId peer) override {
    CHECK(up[peer.value]);
    up[peer.value] = false;
    ++disconnects;
  }
  void on_dropped(raft::NodeId peer) override { dropped.push_back(peer.value); }
  std::uint64_t published_instance(raft::NodeId peer) const override {
    const auto found = published.find(peer.value);
    return found == published.end() ? 0 : found->second;
  }

  bool removed(raft::NodeId peer) const override { return gone.contains(peer.value); }

  const raft::NodeId id;
  std::string address;
  std::vector<std::string> lines;
  std::vector<node::PeerMessage> messages;
  std::map<std::uint64_t, bool> up;
  std::map<std::uint64_t, int> parts;  // Reads in which no message ended.
  std::map<std::uint64_t, std::int32_t> priorities;
  std::map<std::uint64_t, std::uint64_t> published;
  std::set<std::uint64_t> gone;  // Members that are none any more.
  std::vector<std::uint64_t> dropped;
  int connects = 0;
  int disconnects = 0;
  Log log;
  std::unique_ptr<PeerNetwork> network;
};

inline raft::ConfigurationAt configuration_of(
    const std::vector<std::pair<std::uint64_t, std::string>>& members) {
  raft::ConfigurationAt at;
  at.index = {1};
  for (const auto& [id, address] : members) {
    at.configuration.voters.push_back({id});
    at.configuration.addresses.push_back({{id}, address});
  }
  std::ranges::sort(at.configuration.voters);
  std::ranges::sort(at.configuration.addresses, {}, &raft::MemberAddress::id);
  return at;
}

class World {
 public:
  World() : tick_(loop, this) {
    std::signal(SIGPIPE, SIG_IGN);  // As main does.
    tick_.start_repeating<World, &World::on_tick>(5);
  }

  TestNode& add(const PeerOptions& options) {
    nodes.push_back(std::make_unique<TestNode>(loop, options));
    return *nodes.back();
  }
  void remove(TestNode& node) {
    std::erase_if(nodes, [&](const auto& n) { return n.get() == &node; });
  }

  // Turns the loop until the condition holds. Gives up only if the test hangs.
  bool until(const std::function<bool()>& condition) {
    const Instant give_up = test_now() + std::chrono::seconds(30);
    while (!condition()) {
      if (test_now() > give_up) return false;
      turn();
    }
    return true;
  }
  void turn() {
    uv_run(loop.get(), UV_RUN_ONCE);
    for (const auto& node : nodes)
      node->network->flush(test_now());
  }

  Loop loop;
  std::vector<std::unique_ptr<TestNode>> nodes;

 private:
  void on_tick() noexcept {}
  Timer tick_;
};

// A plain socket in the test's hand.
class RawSocket {
 public:
  explicit RawSocket(const std::string& address) {
    const auto place = parse_host_port(address);
    REQUIRE(place);
    const auto to = numeric_address(*place);
    REQUIRE(to);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd_, to->get(), sizeof(sockaddr_in)) == 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~RawSocket() { ::close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void write(ByteView bytes) {
    // What a closed connection does not take any more is no failure of the test.
    [[maybe_unused]] const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void write(std::string_view text) { write(as_bytes(text)); }

  // All that has come so far; closed() when the other side has closed.
  const Bytes& read() {
    std::byte buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
      if (n > 0) {
        received_.insert(received_.end(), buffer, buffer + n);
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) closed_ = true;
      return received_;
    }
  }
  // From now on its kernel holds about so many bytes that were not taken.
  void hold(int bytes) {
    REQUIRE(setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
  }
  // Takes no more than so many bytes, and forgets them: how many there were.
  std::size_t take(std::size_t bytes_max) {
    Bytes buffer(bytes_max);
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  bool closed() {
    read();
    return closed_;
  }
  // The nth frame after the magic, if it is there.
  std::optional<wire::Handshake> handshake(std::size_t n) {
    const Bytes& bytes = read();
    if (bytes.size() < wire::kMagic.size()) return std::nullopt;
    wire::FrameReader reader(64 * limits::kKiB, limits::kWireMessageBytesMax);
    const std::span<std::byte> space = reader.space();
    const std::size_t size = std::min(space.size(), bytes.size() - wire::kMagic.size());
    std::copy_n(bytes.begin() + wire::kMagic.size(), size, space.begin());
    reader.received(size);
    for (;;) {
      auto frame = reader.next();
      if (!frame || !*frame) return std::nullopt;
      if (n-- > 0) continue;
      auto decoded = wire::decode_handshake(**frame);
      REQUIRE(decoded);
      return *decoded;
    }
  }

 private:
  int fd_ = -1;
  Bytes received_;
  bool closed_ = false;
};

inline wire::Hello hello_of(const PeerOptions& options) {
  wire::Hello hello;
  hello.cluster_id = options.identity.cluster_id;
  hello.cluster_name = options.cluster_name;
  hello.node_id = options.identity.node_id;
  hello.instance = options.identity.instance;
  hello.incarnation = options.incarnation;
  hello.settings_hash = options.settings_hash;
  return hello;
}

inline Bytes first_words(const wire::Hello& hello) {
  Bytes out = to_bytes(wire::kMagic);
  wire::encode(hello, out);
  return out;
}

inline Bytes framed(const node::PeerMessage& message) {
  Bytes out;
  const std::size_t begin = wire::begin_frame(out);
  wire::encode(message, out);
  wire::end_frame(out, begin);
  return out;
}

// A socket that listens but whose connections nobody ever takes.
class DeafListener {
 public:
  explicit DeafListener(int backlog) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
    REQUIRE(::listen(fd_, backlog) == 0);
    socklen_t size = sizeof(at);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    address = strf("127.0.0.1:%u", ntohs(at.sin_port));
  }
  ~DeafListener() { ::close(fd_); }
  DeafListener(const DeafListener&) = delete;
  DeafListener& operator=(const DeafListener&) = delete;

  std::string address;

 private:
  int fd_ = -1;
};

}  // namespace raftd::uv
