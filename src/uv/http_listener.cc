#include "uv/http_listener.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace raftd::uv {

namespace {

constexpr int kBacklog = 1024;
constexpr HttpConnection* kNobody = nullptr;  // Owns a stream until its connection does.
constexpr unsigned kKeepaliveSeconds = 60;
constexpr std::string_view kUnixPrefix = "unix:";

Error cannot_listen(const std::string& address, const char* why) {
  return {Errc::kIo, strf("cannot listen on %s: %s", address.c_str(), why)};
}

// A socket file that nobody listens on any more was left behind by a process that died.
bool is_stale(const sockaddr_un& name) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 &&
      errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

std::string address_text(const sockaddr_storage& name) {
  char host[INET6_ADDRSTRLEN] = {};
  if (name.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
    uv_ip6_name(&v6, host, sizeof host);
    return strf("[%s]:%u", host, static_cast<unsigned>(ntohs(v6.sin6_port)));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
  uv_ip4_name(&v4, host, sizeof host);
  return strf("%s:%u", host, static_cast<unsigned>(ntohs(v4.sin_port)));
}

}  // namespace

Result<std::string> HttpListener::listen(const std::string& address) {
  ASSERT(!listening());
  const bool is_unix = std::string_view(address).substr(0, kUnixPrefix.size()) == kUnixPrefix;
  Result<std::string> in_use = is_unix ? listen_unix(address) : listen_tcp(address);
  if (in_use) {
    address_ = *in_use;
  } else {
    stream_.reset();
  }
  return in_use;
}

Result<std::string> HttpListener::listen_tcp(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return cannot_listen(address, "there is no port in it");
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  std::uint64_t number = 0;
  if (!parse_u64(port, number) || number > 65535) {
    return cannot_listen(address, "the port is not a number from 0 to 65535");
  }
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  // Blocks; before the node runs there is nothing to be blocked.
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  uv_getaddrinfo_t request{};
  const int found =
      uv_getaddrinfo(loop_.get(), &request, nullptr, host.c_str(), port.c_str(), &hints);
  if (found != 0) return cannot_listen(address, uv_strerror(found));
  sockaddr_storage name{};
  std::memcpy(&name, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
  uv_freeaddrinfo(request.addrinfo);

  Handle<uv_tcp_t> tcp(this, [&](uv_tcp_t* h) { return uv_tcp_init(loop_.get(), h); });
  uv_tcp_t* raw = tcp.get();
  stream_.emplace(std::move(tcp));
  const int bound = uv_tcp_bind(raw, reinterpret_cast<const sockaddr*>(&name), 0);
  if (bound != 0) return cannot_listen(address, uv_strerror(bound));
  TRY([[maybe_unused]] const Done listening, begin(address));
  int bytes = sizeof name;
  const int named = uv_tcp_getsockname(raw, reinterpret_cast<sockaddr*>(&name), &bytes);
  if (named != 0) return cannot_listen(address, uv_strerror(named));
  return address_text(name);
}

Result<std::string> HttpListener::listen_unix(const std::string& address) {
  const std::string path = address.substr(kUnixPrefix.size());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // libuv would cut a longer one off and listen somewhere else.
  if (path.empty() || path.size() >= sizeof name.sun_path) {
    return cannot_listen(address, "the path is empty or longer than 107 bytes");
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  // The name of a socket, not a file with something in it: those belong to storage/posix_files.
  if (is_stale(name)) std::remove(path.c_str());
  Handle<uv_pipe_t> pipe(this, [&](uv_pipe_t* h) { return uv_pipe_init(loop_.get(), h, 0); });
  uv_pipe_t* raw = pipe.get();
  stream_.emplace(std::move(pipe));
  const int bound = uv_pipe_bind(raw, path.c_str());
  if (bound != 0) return cannot_listen(address, uv_strerror(bound));
  TRY([[maybe_unused]] const Done listening, begin(address));
  return address;
}

Status HttpListener::begin(const std::string& address) {
  const auto on_connection = [](uv_stream_t* stream, int status) noexcept {
    if (auto* self = owner_of<HttpListener>(stream)) self->on_connection(status);
  };
  const int listened = uv_listen(raw_stream(*stream_), kBacklog, on_connection);
  if (listened != 0) return cannot_listen(address, uv_strerror(listened));
  return Done{};
}

void HttpListener::on_connection(int status) {
  if (status == UV_EMFILE || status == UV_ENFILE) return owner_.on_exhausted();
  if (status != 0) return;  // The client gave up while it waited.
  uv_stream_t* server = raw_stream(*stream_);
  if (server->type == UV_NAMED_PIPE) {
    Handle<uv_pipe_t> pipe(kNobody, [&](uv_pipe_t* h) { return uv_pipe_init(loop_.get(), h, 0); });
    if (uv_accept(server, pipe.stream()) == 0) owner_.on_accepted(std::move(pipe));
    return;
  }
  Handle<uv_tcp_t> tcp(kNobody, [&](uv_tcp_t* h) { return uv_tcp_init(loop_.get(), h); });
  if (uv_accept(server, tcp.stream()) != 0) return;
  // Answers are written whole: waiting for more to send would only delay them.
  uv_tcp_nodelay(tcp.get(), 1);
  uv_tcp_keepalive(tcp.get(), 1, kKeepaliveSeconds);
  owner_.on_accepted(std::move(tcp));
}

}  // namespace raftd::uv
