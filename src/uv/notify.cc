#include "uv/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace raftd::uv {

Notifier::Notifier() {
  if (const char* address = std::getenv("NOTIFY_SOCKET")) address_ = address;
  const char* limit = std::getenv("WATCHDOG_USEC");
  const char* for_pid = std::getenv("WATCHDOG_PID");
  const bool ours = for_pid == nullptr || std::to_string(getpid()) == for_pid;
  std::uint64_t limit_us = 0;
  if (limit != nullptr && ours && parse_u64(limit, limit_us)) {
    watchdog_interval_ = std::chrono::microseconds(limit_us / 4);
  }
}

void Notifier::send(std::string_view state) const {
  sockaddr_un to{};
  if (address_.empty() || address_.size() >= sizeof to.sun_path) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // An abstract address.
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const ssize_t sent = sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&to), bytes);
  static_cast<void>(sent);  // Nobody listens: nothing to do about it.
  close(fd);
}

}  // namespace raftd::uv
