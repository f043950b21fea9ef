// The happy path is: begin() hands the name to a thread of libuv's pool; on_done brings the
// addresses back to the loop and frees the request.
//
// Possible failure modes are: the name is unknown or the name server does not answer (the callback
// gets the error); the Resolver dies meanwhile: the request forgets its owner, is cancelled if no
// thread has begun it, and frees itself.
#include "uv/resolver.h"

#include <cstring>

#include "base/text.h"

namespace raftd::uv {
namespace {

addrinfo hints() {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  return hints;
}

std::vector<SocketAddress> addresses_of(const addrinfo* found) {
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    addresses.push_back(address);
  }
  return addresses;
}

Error unknown_name(const std::string& host, int status) {
  return {Errc::kIo, strf("the name %s is not resolved: %s", percent_escape(host).c_str(),
                          status < 0 ? uv_strerror(status) : "it has no address")};
}

}  // namespace

std::string to_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.storage.ss_family == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    uv_ip6_name(six, text, sizeof(text));
    return strf("[%s]:%u", text, ntohs(six->sin6_port));
  }
  const auto* four = reinterpret_cast<const sockaddr_in*>(&address.storage);
  uv_ip4_name(four, text, sizeof(text));
  return strf("%s:%u", text, ntohs(four->sin_port));
}

Result<HostPort> parse_host_port(std::string_view text) {
  const Error bad{Errc::kBadInput, percent_escape(text) + " is not HOST:PORT"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::uint64_t port = 0;
  if (!parse_u64(text.substr(colon + 1), port) || port > 65535) return bad;
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad;  // "::1:80" could be cut in two ways.
  }
  if (host.empty() || host.find('\0') != std::string_view::npos) return bad;
  return HostPort{std::string(host), static_cast<std::uint16_t>(port)};
}

std::optional<SocketAddress> numeric_address(const HostPort& place) {
  SocketAddress address;
  auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (uv_ip4_addr(place.host.c_str(), place.port, four) == 0) return address;
  auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (uv_ip6_addr(place.host.c_str(), place.port, six) == 0) return address;
  return std::nullopt;
}

Result<std::vector<SocketAddress>> resolve_now(Loop& loop, const HostPort& place) {
  if (const auto numeric = numeric_address(place)) return std::vector<SocketAddress>{*numeric};
  uv_getaddrinfo_t request{};
  const addrinfo wanted = hints();
  const std::string port = std::to_string(place.port);
  const int rc =
      uv_getaddrinfo(loop.get(), &request, nullptr, place.host.c_str(), port.c_str(), &wanted);
  if (rc < 0) return unknown_name(place.host, rc);
  std::vector<SocketAddress> addresses = addresses_of(request.addrinfo);
  uv_freeaddrinfo(request.addrinfo);
  if (addresses.empty()) return unknown_name(place.host, 0);
  return addresses;
}

struct Resolver::Request {
  uv_getaddrinfo_t raw{};
  Resolver* owner = nullptr;  // nullptr: nobody waits any more.
  std::string host;
};

Status Resolver::begin(const HostPort& place) {
  ASSERT(!busy());
  auto request = std::make_unique<Request>();
  request->owner = this;
  request->host = place.host;
  request->raw.data = request.get();
  const addrinfo wanted = hints();
  const std::string port = std::to_string(place.port);
  const int rc = uv_getaddrinfo(loop_.get(), &request->raw, &Resolver::on_done, place.host.c_str(),
                                port.c_str(), &wanted);
  if (rc < 0) return unknown_name(place.host, rc);
  request_ = request.release();
  return Done{};
}

void Resolver::cancel() {
  if (request_ == nullptr) return;
  request_->owner = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_->raw));  // Too late is fine: on_done frees it.
  request_ = nullptr;
}

void Resolver::on_done(uv_getaddrinfo_t* raw, int status, addrinfo* found) noexcept {
  const std::unique_ptr<Request> request(static_cast<Request*>(raw->data));
  std::vector<SocketAddress> addresses = addresses_of(found);
  uv_freeaddrinfo(found);
  if (request->owner == nullptr) return;
  Resolver& self = *request->owner;
  self.request_ = nullptr;
  if (status < 0 || addresses.empty()) {
    self.callback_(unknown_name(request->host, status));
  } else {
    self.callback_(std::move(addresses));
  }
}

}  // namespace raftd::uv
