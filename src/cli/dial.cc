#include "cli/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/assert.h"

namespace raftd::cli {
namespace {

struct AddressesDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Error failed(int code) {
  return {Errc::kIo, std::error_code(code, std::generic_category()).message()};
}

SocketAddress copy_of(const void* name, socklen_t bytes) {
  SocketAddress out;
  ASSERT_CMP(bytes, <=, sizeof out.storage);
  std::memcpy(&out.storage, name, bytes);
  out.bytes = bytes;
  return out;
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const Address& address) {
  if (address.is_unix()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.unix_path.size() >= sizeof name.sun_path) return failed(ENAMETOOLONG);
    std::memcpy(name.sun_path, address.unix_path.data(), address.unix_path.size());
    return std::vector{copy_of(&name, sizeof name)};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) return Error{Errc::kIo, gai_strerror(code)};
  const std::unique_ptr<addrinfo, AddressesDeleter> list(found);
  std::vector<SocketAddress> out;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next)
    out.push_back(copy_of(one->ai_addr, one->ai_addrlen));
  return out;
}

Result<int> dial(const SocketAddress& address) {
  const int family = address.storage.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(errno);
  const int on = 1;
  const bool is_set =
      family == AF_UNIX || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  const auto* name = reinterpret_cast<const sockaddr*>(&address.storage);
  if (is_set && (connect(fd, name, address.bytes) == 0 || errno == EINPROGRESS)) return fd;
  const int code = errno;
  close(fd);
  return failed(code);
}

int dial_error(int fd) {
  int code = 0;
  socklen_t bytes = sizeof code;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &bytes) == 0 ? code : errno;
}

bool ready(int fd, short events, Instant deadline) {
  for (;;) {
    const Instant now{std::chrono::steady_clock::now().time_since_epoch()};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now);
    if (left.count() <= 0) return false;
    pollfd wanted{fd, events, 0};
    const int wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    if (poll(&wanted, 1, wait_ms) > 0) return true;
  }
}

Result<int> connect_by(const SocketAddress& address, Instant deadline) {
  TRY(const int fd, dial(address));
  const bool in_time = ready(fd, POLLOUT, deadline);
  const int code = in_time ? dial_error(fd) : 0;
  if (in_time && code == 0) return fd;
  close(fd);
  if (!in_time) return Error{Errc::kIo, "no connection in time"};
  return failed(code);
}

}  // namespace raftd::cli
