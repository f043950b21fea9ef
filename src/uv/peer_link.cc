// The happy path is: the name is resolved, TCP connects, the hellos pass both ways, frames flow
// until one of the two processes ends; then the same again after a pause, from the name on.
//
// Possible failure modes are: the name is unknown; nobody listens; the address swallows packets or
// accepts and says nothing (deadlines); somebody else is there (refusals, strangers); a message is
// bad or the other side stops reading (the connection is made anew). Each is one line in the log,
// once a minute at most, and a pause of 50 ms to 1 s with jitter. Each link has its own connection
// and timer, so none waits for another.
#include "uv/peer_link.h"

#include <algorithm>
#include <array>

#include "base/overloaded.h"
#include "base/text.h"
#include "wire/codec.h"

namespace raftd::uv {
namespace {

constexpr std::uint64_t kPauseMsMin = 50;
constexpr std::uint64_t kPauseMsMax = 1000;
constexpr int kFailuresMax = 5;          // 50 ms << 5 is above the longest pause.
constexpr int kFailuresAfterMisuse = 4;  // A peer that talks nonsense is not dialled at once.

unsigned long long ull(raft::NodeId id) {
  return id.value;
}

struct Route {
  raft::NodeId from;
  raft::NodeId to;
};

Route route_of(const node::PeerMessage& message) {
  return std::visit([](const auto& m) { return Route{m.from, m.to}; }, message);
}

}  // namespace

PeerLink::PeerLink(PeerContext& context, raft::NodeId peer, std::uint64_t seed)
    : context_(context),
      peer_(peer),
      rng_(seed ^ peer.value),
      resolver_(
          context.loop,
          [this](Result<std::vector<SocketAddress>> found) { on_resolved(std::move(found)); }),
      timer_(context.loop, this) {
  for (const raft::MemberAddress& member : context.options.listed) {
    if (member.id == peer) listed_ = member.peer;
  }
}

PeerLink::~PeerLink() {
  close();
}

std::string PeerLink::name() const {
  return dialled_.empty() ? strf("node %llu", ull(peer_))
                          : strf("node %llu at %s", ull(peer_), percent_escape(dialled_).c_str());
}

void PeerLink::close() {
  timer_.stop();
  resolver_.cancel();
  if (connection_) context_.bury(std::move(connection_));
  state_ = State::kIdle;
}

void PeerLink::set_address(const std::string& address) {
  if (address_ == address) return;
  address_ = address;
  dialled_ = address;
  if (state_ == State::kUp || state_ == State::kAwaited) return;  // It holds for the next time.
  if (!dials() && knocked_) return;
  knocked_ = true;
  failures_ = 0;
  close();
  dial();
}

// The next one in turn.
const std::string& PeerLink::after_dialled() const {
  const std::array<const std::string*, 3> all{&address_, &announced_, &listed_};
  const auto present = std::ranges::find(all, dialled_, [](const auto* each) { return *each; });
  const auto from = static_cast<std::size_t>(present - all.begin());
  for (std::size_t i = 1; i <= all.size(); ++i) {
    const std::string& next = *all[(from + i) % all.size()];
    if (!next.empty() && next != dialled_) return next;
  }
  return dialled_;
}

void PeerLink::dial() noexcept {
  if (dialled_.empty()) return;
  ASSERT(!connection_);
  const auto place = parse_host_port(dialled_);
  if (!place) return fail(place.error().message);
  candidates_.clear();
  if (const auto numeric = numeric_address(*place)) {
    candidates_.push_back(*numeric);
    return try_next_address();
  }
  state_ = State::kResolving;
  const Status begun = resolver_.begin(*place);
  if (!begun) fail(begun.error().message);
}

void PeerLink::on_resolved(Result<std::vector<SocketAddress>> addresses) {
  ASSERT(state_ == State::kResolving);
  if (!addresses) return fail(addresses.error().message);
  candidates_ = std::move(*addresses);
  std::reverse(candidates_.begin(), candidates_.end());
  try_next_address();
}

void PeerLink::try_next_address() {
  ASSERT(!candidates_.empty());
  const SocketAddress next = candidates_.back();
  candidates_.pop_back();
  state_ = State::kConnecting;
  connection_ = std::make_unique<PeerConnection>(context_.loop, *this, context_.timeouts());
  connection_->connect(next, context_.options.connect_timeout);
}

void PeerLink::on_connect(PeerConnection& connection, int status) {
  ASSERT(connection_.get() == &connection);
  if (status == 0) {
    state_ = State::kGreeting;
    connection.set_deadline(context_.options.hello_timeout);
    connection.say(context_.own_hello(peer_), peer_clock());
    return;
  }
  if (status == UV_ECONNREFUSED) answered_ = true;  // The machine is there, the process is not.
  context_.bury(std::move(connection_));
  if (!candidates_.empty()) return try_next_address();
  fail(uv_strerror(status));
}

void PeerLink::on_handshake(PeerConnection& connection, wire::Handshake handshake) {
  ASSERT(connection_.get() == &connection);
  const bool greeting = state_ == State::kGreeting;
  std::visit(overloaded{[&](const wire::Hello& hello) {
                          greeting ? greet(hello) : bad("a hello at the wrong time");
                        },
                        [&](const wire::Refusal& refusal) { be_refused(refusal); },
                        [&](const wire::Welcome&) {
                          state_ == State::kAwaited ? go_up() : bad("a welcome at the wrong time");
                        },
                        [&](const wire::OtherVersion& other) {
                          refuse(wire::refuse_version(context_.own_hello({}), other.version));
                        }},
             handshake);
}

// The one that was dialled has answered with its hello.
void PeerLink::greet(const wire::Hello& hello) {
  const wire::Expectation expectation{peer_, true, context_.directory.published_instance(peer_)};
  std::optional<wire::Refusal> refusal =
      wire::check_hello(context_.own_hello(peer_), hello, expectation);
  if (!refusal) refusal = check_double(hello);
  if (refusal) return refuse(*refusal);
  remember(hello);
  connection_->say(wire::Welcome{}, peer_clock());
  if (connection_) go_up();
}

std::optional<wire::Refusal> PeerLink::check_double(const wire::Hello& hello) const {
  const wire::Hello own = context_.own_hello({});
  const bool returns = superseded_ && hello.incarnation == superseded_;
  const bool other_directory = up() && hello.instance != instance_;
  if (!returns && !other_directory) return std::nullopt;
  return wire::Refusal{
      own.cluster_id, own.node_id, wire::Reason::kDuplicate,
      strf("two processes run as node %llu%s; stop one of them", ull(peer_),
           returns ? " on copies of one data directory" : " on different data directories")};
}

void PeerLink::remember(const wire::Hello& hello) {
  if (hello.incarnation != incarnation_) {
    superseded_ = incarnation_;
    incarnation_ = hello.incarnation;
  }
  instance_ = hello.instance;
  configuration_ = hello.configuration;
  priority_ = hello.priority;
  if (!hello.address.empty()) announced_ = hello.address;
}

void PeerLink::adopt(std::unique_ptr<PeerConnection> connection, const wire::Hello& hello) {
  if (up()) lose("it has connected anew", 0);
  close();
  remember(hello);
  connection_ = std::move(connection);
  connection_->set_owner(*this);
  state_ = State::kAwaited;
  connection_->say(context_.own_hello(peer_), peer_clock());
}

void PeerLink::call_back(const wire::Hello& hello) {
  if (up()) {
    if (hello.incarnation == incarnation_) return;  // It knocked before it was reached.
    lose("its process was replaced", 0);
  }
  if (state_ == State::kGreeting) return;
  failures_ = 0;
  close();
  if (!hello.address.empty()) dialled_ = announced_ = hello.address;
  dial();
}

void PeerLink::go_up() {
  ASSERT(connection_);
  connection_->establish();
  state_ = State::kUp;
  answered_ = true;
  failures_ = 0;
  candidates_.clear();
  if (!loss_unsaid_) {
    context_.log.info("connected to node %llu (%s)", ull(peer_), connection_->remote().c_str());
  }
  if (context_.events != nullptr) context_.events->on_connected(peer_, priority_);
}

void PeerLink::be_refused(const wire::Refusal& refusal) {
  const bool ours = refusal.cluster_id == context_.options.identity.cluster_id;
  answered_ = true;
  if (refusal.reason == wire::Reason::kCallBack) {
    context_.bury(std::move(connection_));
    await_dial();
    return;
  }
  const std::string why =
      strf("node %llu refuses this node: %s", ull(refusal.node_id), refusal.sentence.c_str());
  const bool final =
      refusal.reason == wire::Reason::kInstance || refusal.reason == wire::Reason::kRemoved;
  if (final && ours && !context_.fatal) context_.fatal = PeerVerdict{refusal.reason, why};
  if (up()) return lose(why, kFailuresAfterMisuse);
  context_.bury(std::move(connection_));
  failures_ = std::max(failures_, kFailuresAfterMisuse);
  fail(why);
}

void PeerLink::refuse(const wire::Refusal& refusal) {
  answered_ = true;
  connection_->say_last(refusal, peer_clock());
  if (up()) return lose(refusal.sentence, kFailuresAfterMisuse);
  context_.bury(std::move(connection_));
  failures_ = std::max(failures_, kFailuresAfterMisuse);
  fail(refusal.sentence);
}

void PeerLink::on_frame(PeerConnection& connection, SharedBytes body) {
  ASSERT(connection_.get() == &connection);
  ASSERT(up());
  auto message = wire::decode(body);
  if (!message) return bad(message.error().message);
  const Route route = route_of(*message);
  if (route.from != peer_ || route.to != context_.options.identity.node_id) {
    return bad(
        strf("a message from node %llu to node %llu on this link", ull(route.from), ull(route.to)));
  }
  if (context_.events != nullptr) context_.events->on_message(std::move(*message));
}

void PeerLink::on_part(PeerConnection& connection) {
  ASSERT(connection_.get() == &connection);
  if (up() && context_.events != nullptr) context_.events->on_part(peer_);
}

void PeerLink::bad(const std::string& why) {
  ++context_.bad_messages;
  if (up()) return lose("it has sent " + why, kFailuresAfterMisuse);
  context_.bury(std::move(connection_));
  failures_ = std::max(failures_, kFailuresAfterMisuse);
  fail("it has sent " + why);
}

void PeerLink::on_ended(PeerConnection& connection, PeerEnd end, const std::string& why) {
  ASSERT(connection_.get() == &connection);
  const bool misuse = end == PeerEnd::kMalformed || end == PeerEnd::kStranger;
  if (end == PeerEnd::kMalformed) ++context_.bad_messages;
  if (up()) {
    return lose(misuse ? "it has sent " + why : why, misuse ? kFailuresAfterMisuse : 0);
  }
  context_.bury(std::move(connection_));
  if (state_ == State::kConnecting && !candidates_.empty()) return try_next_address();
  if (misuse) failures_ = std::max(failures_, kFailuresAfterMisuse);
  fail(end == PeerEnd::kStranger ? "what answers there " + why : why);
}

// The link was up and is not any more.
void PeerLink::lose(const std::string& why, int failures_min) {
  ASSERT(up());
  if (connection_) context_.bury(std::move(connection_));
  failures_ = std::max(failures_, failures_min);
  loss_unsaid_ = !context_.limiter.pass("lost " + name() + why, peer_clock());
  if (!loss_unsaid_) {
    context_.log.warn("lost the connection to node %llu: %s", ull(peer_), why.c_str());
  }
  pause();
  if (context_.events != nullptr) context_.events->on_disconnected(peer_);
}

// An attempt to get it up has failed.
void PeerLink::fail(const std::string& why) {
  ASSERT(!up());
  ASSERT(!connection_);
  const std::string key = name();
  const Instant now = peer_clock();
  if (context_.limiter.pass("fail " + key + why, now)) {
    context_.log.warn("no connection to %s: %s%s", key.c_str(), why.c_str(),
                      dials() ? "; trying again" : "; waiting for it to connect");
  }
  dialled_ = after_dialled();
  pause();
}

void PeerLink::pause() {
  state_ = State::kIdle;
  if (dialled_.empty()) return;
  state_ = State::kPause;
  if (!dials() && dialled_ == address_) return await_dial();
  const std::uint64_t ms = std::min(kPauseMsMin << failures_, kPauseMsMax);
  failures_ = std::min(failures_ + 1, kFailuresMax);
  timer_.start_once<PeerLink, &PeerLink::dial>(ms / 2 + rng_.below(ms / 2 + 1));
}

// By the other side; if it does not come, this one knocks again.
void PeerLink::await_dial() {
  state_ = State::kPause;
  const auto pause =
      std::chrono::duration_cast<std::chrono::milliseconds>(context_.options.knock_pause);
  const auto ms = static_cast<std::uint64_t>(pause.count());
  timer_.start_once<PeerLink, &PeerLink::dial>(ms / 2 + rng_.below(ms + 1));
}

bool PeerLink::send(const node::PeerMessage& message) {
  return up() && connection_->send(message);
}

void PeerLink::flush(Instant now) {
  if (connection_) connection_->flush(now);
}

std::size_t PeerLink::send_piece(Instant now) {
  return up() ? connection_->send_piece(now) : 0;
}

void PeerLink::trim() {
  if (connection_) connection_->trim();
}

}  // namespace raftd::uv
