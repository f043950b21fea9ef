// The happy path is: a connection is accepted, its hello comes, and the doorkeeper takes it over.
//
// Possible failure modes are: it says nothing before the deadline; it speaks HTTP, TLS, JSON or
// anything else; it says hello in a version that is not known here; too many wait (the oldest goes:
// a real peer needs one round trip, so a crowd of silent strangers cannot lock it out). Each is
// closed, with one line a minute in the log for each kind.
#include "uv/peer_listener.h"

#include <algorithm>

#include "base/text.h"

namespace raftd::uv {
namespace {

constexpr int kBacklog = 128;

bool no_such_interface(int status) {
  return status == UV_EADDRNOTAVAIL || status == UV_EAFNOSUPPORT;
}

}  // namespace

PeerListener::PeerListener(PeerContext& context, Doorkeeper& doorkeeper)
    : context_(context), doorkeeper_(doorkeeper) {}

PeerListener::~PeerListener() {
  close();
}

void PeerListener::close() {
  listeners_.clear();
  for (auto& stranger : strangers_)
    context_.bury(std::move(stranger));
  strangers_.clear();
}

Result<std::string> PeerListener::listen(const std::string& address) {
  TRY(const HostPort place, parse_host_port(address));
  TRY(std::vector<SocketAddress> found, resolve_now(context_.loop, place));
  std::string in_use;
  int last = 0;
  for (SocketAddress& at : found) {
    const Bound bound = bind_one(at);
    last = bound.status;
    if (bound.status == 0 && in_use.empty()) in_use = bound.address;
    if (bound.status != 0 && !no_such_interface(bound.status)) {
      in_use.clear();  // In use, or not allowed: half a name is not what was asked for.
      break;
    }
    if (place.port == 0) break;  // Another address would get another port.
  }
  if (in_use.empty()) {
    return Error{Errc::kIo, strf("peer.listen: %s cannot be listened on: %s",
                                 percent_escape(address).c_str(), uv_strerror(last))};
  }
  return in_use;
}

PeerListener::Bound PeerListener::bind_one(const SocketAddress& address) {
  Handle<uv_tcp_t> tcp(this, [&](uv_tcp_t* raw) { return uv_tcp_init(context_.loop.get(), raw); });
  int rc = uv_tcp_bind(tcp.get(), address.get(), 0);
  if (rc < 0) return {rc, ""};
  const auto on_connection = [](uv_stream_t* raw, int status) noexcept {
    auto* self = static_cast<PeerListener*>(raw->data);
    if (self != nullptr && status == 0) self->on_incoming(raw);
  };
  rc = uv_listen(tcp.stream(), kBacklog, on_connection);
  if (rc < 0) return {rc, ""};
  SocketAddress bound;
  int bytes = sizeof(bound.storage);
  rc = uv_tcp_getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bytes);
  if (rc < 0) return {rc, ""};
  listeners_.push_back(std::move(tcp));
  return {0, to_text(bound)};
}

void PeerListener::on_incoming(uv_stream_t* listener) noexcept {
  auto connection = std::make_unique<PeerConnection>(context_.loop, *this, context_.timeouts());
  const int rc = connection->accept(listener);
  if (rc < 0) {
    complain("", "accept", strf("a connection could not be accepted: %s", uv_strerror(rc)));
    return;
  }
  connection->set_deadline(context_.options.hello_timeout);
  if (strangers_.size() >= limits::kPeerStrangersMax) {
    complain(strangers_.front()->remote(), "crowd",
             "too many connections say no hello; closing the oldest");
    context_.bury(std::move(strangers_.front()));
    strangers_.erase(strangers_.begin());
  }
  strangers_.push_back(std::move(connection));
}

std::unique_ptr<PeerConnection> PeerListener::take(PeerConnection& connection) {
  const auto at = std::find_if(strangers_.begin(), strangers_.end(),
                               [&](const auto& s) { return s.get() == &connection; });
  ASSERT(at != strangers_.end());
  std::unique_ptr<PeerConnection> taken = std::move(*at);
  strangers_.erase(at);
  return taken;
}

void PeerListener::complain(const std::string& remote, const char* key, const std::string& what) {
  if (!context_.limiter.pass(key, peer_clock())) return;
  context_.log.warn("peer.listen: %s%s%s", remote.c_str(), remote.empty() ? "" : ": ",
                    what.c_str());
}

void PeerListener::on_connect(PeerConnection&, int) {
  PANIC("nothing is dialled here");
}

void PeerListener::on_handshake(PeerConnection& connection, wire::Handshake handshake) {
  std::unique_ptr<PeerConnection> taken = take(connection);
  if (const auto* hello = std::get_if<wire::Hello>(&handshake)) {
    doorkeeper_.admit(std::move(taken), *hello);
    return;
  }
  if (const auto* other = std::get_if<wire::OtherVersion>(&handshake)) {
    context_.refuse(std::move(taken), wire::refuse_version(context_.own_hello({}), other->version));
    return;
  }
  complain(taken->remote(), "no hello", "it does not begin with a hello; connection closed");
  context_.bury(std::move(taken));
}

void PeerListener::on_frame(PeerConnection&, SharedBytes) {
  PANIC("nothing is opened here");
}

void PeerListener::on_part(PeerConnection&) {
  PANIC("nothing is opened here");
}

void PeerListener::on_ended(PeerConnection& connection, PeerEnd end, const std::string& why) {
  const std::string remote = connection.remote();
  context_.bury(take(connection));
  switch (end) {
    case PeerEnd::kStranger:
      complain(remote, why.c_str(), why + "; connection closed");
      break;
    case PeerEnd::kTimedOut:
      complain(remote, "silent", "no hello in time; connection closed");
      break;
    case PeerEnd::kMalformed:
      ++context_.bad_messages;
      complain(remote, "malformed", "it has sent " + why + "; connection closed");
      break;
    case PeerEnd::kClosed:   // A port scan, a health check of a load balancer: not worth a line.
    case PeerEnd::kStalled:  // Nothing is written here but a refusal.
      break;
  }
}

}  // namespace raftd::uv
