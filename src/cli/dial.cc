#include "cli/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace raftd::cli {
namespace {

struct AddressesDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Error failed(int code) {
  return {Errc::kIo, std::error_code(code, std::generic_category()).message()};
}

}  // namespace

Result<SocketAddress> resolve(const Address& address) {
  SocketAddress out;
  if (address.is_unix()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.unix_path.size() >= sizeof name.sun_path) return failed(ENAMETOOLONG);
    std::memcpy(name.sun_path, address.unix_path.data(), address.unix_path.size());
    std::memcpy(&out.storage, &name, sizeof name);
    out.bytes = sizeof name;
    return out;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) return Error{Errc::kIo, gai_strerror(code)};
  const std::unique_ptr<addrinfo, AddressesDeleter> list(found);
  std::memcpy(&out.storage, list->ai_addr, list->ai_addrlen);
  out.bytes = list->ai_addrlen;
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

}  // namespace raftd::cli
