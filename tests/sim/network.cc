#include "sim/network.h"

#include <algorithm>

#include "base/limits.h"
#include "node/transfer_pace.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kHeldMax = 2000;  // As the buffers of a connection: then it does not drain.
constexpr Duration kPartEvery = milliseconds(20);  // What comes of a large message, so often.
constexpr Duration kBacklogMax = std::chrono::seconds(2);  // The same, of a link that is too slow.

// About as many as on the wire.
std::uint64_t bytes_of(const node::PeerMessage& message) {
  std::uint64_t bytes = 100;
  if (const auto* raft = std::get_if<raft::Message>(&message)) {
    if (const auto* append = std::get_if<raft::AppendRequest>(&raft->body)) {
      for (const raft::Entry& entry : append->entries)
        bytes += 20 + entry.payload.bytes.size();
    } else if (const auto* chunk = std::get_if<raft::SnapshotChunk>(&raft->body)) {
      bytes += chunk->bytes;
    }
  } else if (const auto* forward = std::get_if<node::Forward>(&message)) {
    const auto* propose = std::get_if<node::Propose>(&forward->op);
    if (propose != nullptr) bytes += propose->command.size();
  }
  return bytes;
}

}  // namespace

SimNetwork::SimNetwork(Schedule& schedule, const Options& options, std::uint64_t seed, Peers& peers)
    : schedule_(schedule), options_(options), rng_(seed), peers_(peers), running_(options.nodes) {
  for (std::size_t a = 0; a < options.nodes; ++a) {
    for (std::size_t b = a + 1; b < options.nodes; ++b)
      links_[{a, b}];
  }
}

SimNetwork::Link& SimNetwork::link(std::size_t a, std::size_t b) {
  return links_.at({std::min(a, b), std::max(a, b)});
}

SimNetwork::Side& SimNetwork::side(Link& link, std::size_t from, std::size_t to) {
  return link.sides[from < to ? 0 : 1];
}

void SimNetwork::send(std::size_t from, std::size_t to, node::PeerMessage message) {
  Link& connection = link(from, to);
  Side& ours = side(connection, from, to);
  if (!ours.up) return peers_.dropped(from, to);
  if (!connection.alive) return;  // The other end is gone, and this one does not know yet.
  if (std::holds_alternative<raft::Message>(message)) {
    if (chance(rng_, options_.loss_percent)) return;
    if (chance(rng_, options_.duplicate_percent)) transmit(from, to, message);
  }
  if (bandwidth(from, to) != 0 && node::is_snapshot_piece(message)) {
    return queue_piece(from, to, std::move(message));
  }
  transmit(from, to, std::move(message));
}

// As on a real link: behind everything else, one at a time, and none twice.
void SimNetwork::queue_piece(std::size_t from, std::size_t to, node::PeerMessage message) {
  Link& connection = link(from, to);
  std::deque<node::PeerMessage>& pieces = side(connection, from, to).pieces;
  if (std::ranges::any_of(
          pieces, [&](const node::PeerMessage& each) { return node::same_piece(each, message); })) {
    return;
  }
  if (pieces.size() == limits::kPeerPiecesMax) return peers_.dropped(from, to);
  pieces.push_back(std::move(message));
  if (pieces.size() == 1) send_piece(from, to, connection.epoch);
}

void SimNetwork::send_piece(std::size_t from, std::size_t to, std::uint64_t epoch) {
  Link& connection = link(from, to);
  if (!connection.alive || connection.epoch != epoch) return;
  Side& ours = side(connection, from, to);
  if (ours.free_at <= schedule_.now()) {
    node::PeerMessage piece = std::move(ours.pieces.front());
    ours.pieces.pop_front();
    transmit(from, to, std::move(piece));
  }
  if (ours.pieces.empty()) return;
  schedule_.at(std::max(ours.free_at, schedule_.now()),
               [this, from, to, epoch] { send_piece(from, to, epoch); });
}

void SimNetwork::transmit(std::size_t from, std::size_t to, node::PeerMessage message) {
  Link& connection = link(from, to);
  Side& ours = side(connection, from, to);
  if (blocked_.contains({from, to}) || !ours.held.empty()) {
    if (ours.held.size() >= kHeldMax) return peers_.dropped(from, to);
    ours.held.push_back(std::move(message));
    return;
  }
  Duration delay = between(rng_, options_.delay_min, options_.delay_max);
  if (chance(rng_, options_.slow_percent)) delay += between(rng_, {}, milliseconds(200));
  const Instant now = schedule_.now();
  if (const std::uint64_t bandwidth = this->bandwidth(from, to); bandwidth != 0) {
    if (ours.free_at > now + kBacklogMax) return peers_.dropped(from, to);
    const auto takes = bytes_of(message) * 1'000'000'000 / bandwidth;
    const Instant begin = std::max(ours.free_at, now);
    ours.free_at = begin + std::chrono::nanoseconds(static_cast<std::int64_t>(takes));
    transmit_parts(from, to, delay, begin, ours.free_at);
    delay += ours.free_at - now;
  }
  ours.last_arrival = std::max({ours.last_arrival, now + delay, ours.clogged_until});
  ++messages_;
  const std::uint64_t epoch = connection.epoch;
  schedule_.at(ours.last_arrival, [this, from, to, epoch, message = std::move(message)]() mutable {
    arrive(from, to, epoch, std::move(message));
  });
}

void SimNetwork::transmit_parts(std::size_t from, std::size_t to, Duration delay, Instant begin,
                                Instant done) {
  const std::uint64_t epoch = link(from, to).epoch;
  for (Instant sent = begin + kPartEvery; sent < done; sent = sent + kPartEvery) {
    schedule_.at(sent + delay, [this, from, to, epoch] {
      Link& then = link(from, to);
      const Side& end = side(then, from, to);
      const bool waits = blocked_.contains({from, to}) || !end.held.empty() ||
                         schedule_.now() < end.clogged_until || peers_.stalled(to);
      if (then.alive && then.epoch == epoch && !waits) peers_.part(to, from);
    });
  }
}

void SimNetwork::arrive(std::size_t from, std::size_t to, std::uint64_t epoch,
                        node::PeerMessage message) {
  Link& then = link(from, to);
  if (!then.alive || then.epoch != epoch) {
    const bool read = then.epoch == epoch + 1 && side(then, to, from).up;
    if (!then.alive && read && schedule_.now() <= then.drained) {
      return peers_.deliver(to, std::move(message));
    }
    return arrive_late(to, std::move(message));
  }
  Side& end = side(then, from, to);
  if (blocked_.contains({from, to}) || !end.held.empty() || peers_.stalled(to)) {
    end.held.push_back(std::move(message));
    return;
  }
  peers_.deliver(to, std::move(message));
}

// Of a connection that is no more, perhaps of a process that is no more: it is somewhere on its
// way still, as if it had been read and not yet looked at.
void SimNetwork::arrive_late(std::size_t to, node::PeerMessage message) {
  if (!chance(rng_, options_.late_percent)) return;
  ++late_;
  schedule_.after(between(rng_, {}, std::chrono::seconds(2)),
                  [this, to, message = std::move(message)]() mutable {
                    if (!peers_.stalled(to)) peers_.deliver(to, std::move(message));
                  });
}

void SimNetwork::started(std::size_t node) {
  running_[node] = true;
  for (std::size_t peer = 0; peer < running_.size(); ++peer) {
    if (peer != node) retry(node, peer);
  }
}

void SimNetwork::ended(std::size_t node, bool told) {
  running_[node] = false;
  for (std::size_t peer = 0; peer < running_.size(); ++peer) {
    if (peer == node) continue;
    Link& connection = link(node, peer);
    side(connection, node, peer).up = false;
    if (connection.alive) {
      break_link(node, peer, told ? milliseconds(5) : milliseconds(2000));
    }
  }
}

void SimNetwork::reset(std::size_t a, std::size_t b) {
  if (!link(a, b).alive) return;
  ++resets_;
  break_link(a, b, milliseconds(20));
  link(a, b).drained = schedule_.now() + between(rng_, {}, options_.delay_max);
  retry(a, b);
}

// Whatever is on its way is lost. Each end that still runs notices in its own time.
void SimNetwork::break_link(std::size_t a, std::size_t b, Duration notice_max) {
  Link& connection = link(a, b);
  connection.alive = false;
  ++connection.epoch;
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    for (node::PeerMessage& message : std::exchange(side(connection, from, to).held, {}))
      arrive_late(to, std::move(message));
  }
  for (const auto& [node, peer] : {std::pair{a, b}, std::pair{b, a}}) {
    if (!side(connection, node, peer).up) continue;
    schedule_.after(between(rng_, {}, notice_max),
                    [this, n = node, p = peer, epoch = connection.epoch] { notice(n, p, epoch); });
  }
}

void SimNetwork::notice(std::size_t node, std::size_t peer, std::uint64_t epoch) {
  Link& connection = link(node, peer);
  if (connection.epoch != epoch || !side(connection, node, peer).up) return;
  side(connection, node, peer).up = false;
  peers_.disconnected(node, peer);
  retry(node, peer);
}

void SimNetwork::retry(std::size_t a, std::size_t b) {
  schedule_.after(between(rng_, milliseconds(1), milliseconds(100)),
                  [this, a, b] { try_connect(a, b); });
}

void SimNetwork::try_connect(std::size_t a, std::size_t b) {
  Link& connection = link(a, b);
  if (connection.alive || !running_[a] || !running_[b]) return;
  if (blocked_.contains({a, b}) || blocked_.contains({b, a})) return retry(a, b);
  // A new connection from a peer tells a node that the old one is dead.
  for (const auto& [node, peer] : {std::pair{a, b}, std::pair{b, a}}) {
    if (std::exchange(side(connection, node, peer).up, false)) peers_.disconnected(node, peer);
  }
  ++connection.epoch;
  connection.alive = true;
  for (Side& end : connection.sides)
    end = {true, schedule_.now(), {}, end.clogged_until, {}, {}};
  peers_.connected(a, b);
  peers_.connected(b, a);
}

void SimNetwork::heal() {
  blocked_.clear();
  for (auto& [pair, connection] : links_) {
    if (!connection.alive) continue;
    const auto [a, b] = pair;
    const bool waiting = !connection.sides[0].held.empty() || !connection.sides[1].held.empty();
    if (waiting && chance(rng_, 40)) {
      reset(a, b);
      continue;
    }
    for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
      release_later(from, to);
    }
  }
}

// Not before what is on its way: a connection keeps the order.
void SimNetwork::release_later(std::size_t from, std::size_t to) {
  Link& connection = link(from, to);
  const Side& end = side(connection, from, to);
  const Duration delay = between(rng_, options_.delay_min, options_.delay_max);
  schedule_.at(std::max(end.last_arrival, schedule_.now() + delay),
               [this, from, to, epoch = connection.epoch] { release(from, to, epoch); });
}

void SimNetwork::unblock(std::size_t from, std::size_t to) {
  if (blocked_.erase({from, to}) == 0 || !link(from, to).alive) return;
  release_later(from, to);
}

void SimNetwork::resumed(std::size_t node) {
  for (std::size_t peer = 0; peer < running_.size(); ++peer) {
    if (peer == node) continue;
    const Link& connection = link(peer, node);
    if (connection.alive) release(peer, node, connection.epoch);
  }
}

void SimNetwork::clog(std::size_t from, std::size_t to, Duration lasting) {
  Side& clogged = side(link(from, to), from, to);
  clogged.clogged_until = std::max(clogged.clogged_until, schedule_.now() + lasting);
}

void SimNetwork::flap(std::size_t a, std::size_t b, Duration every, Duration lasting) {
  flap_on(a, b, every, schedule_.now() + lasting, true);
}

void SimNetwork::flap_on(std::size_t a, std::size_t b, Duration every, Instant until, bool cut) {
  const bool over = kind_ || schedule_.now() >= until;
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    if (cut && !over) {
      block(from, to);
    } else {
      unblock(from, to);
    }
  }
  if (over) return;
  schedule_.after(every, [this, a, b, every, until, cut] { flap_on(a, b, every, until, !cut); });
}

void SimNetwork::narrow(std::size_t a, std::size_t b, std::uint64_t bandwidth) {
  narrow_[{a, b}] = narrow_[{b, a}] = bandwidth;
}

std::uint64_t SimNetwork::bandwidth(std::size_t from, std::size_t to) const {
  const auto at = narrow_.find({from, to});
  return at == narrow_.end() ? options_.bandwidth : at->second;
}

void SimNetwork::swizzle(std::size_t node, Duration lasting) {
  for (std::size_t peer = 0; peer < running_.size(); ++peer) {
    if (peer == node) continue;
    schedule_.after(between(rng_, {}, lasting / 2), [this, node, peer] {
      if (kind_) return;
      block(node, peer);
      block(peer, node);
    });
    schedule_.after(between(rng_, lasting / 2, lasting), [this, node, peer] {
      unblock(node, peer);
      unblock(peer, node);
    });
  }
}

void SimNetwork::release(std::size_t from, std::size_t to, std::uint64_t epoch) {
  Link& connection = link(from, to);
  if (!connection.alive || connection.epoch != epoch || blocked_.contains({from, to})) return;
  if (peers_.stalled(to)) return;
  for (node::PeerMessage& message : std::exchange(side(connection, from, to).held, {})) {
    ++messages_;
    peers_.deliver(to, std::move(message));
  }
}

void SimNetwork::be_kind() {
  kind_ = true;
  options_.late_percent = 0;
  options_.bandwidth = 0;
  narrow_.clear();
  options_.loss_percent = 0;
  options_.duplicate_percent = 0;
  options_.slow_percent = 0;
}

}  // namespace raftd::sim
