// The happy path is: resolve, connect without blocking, send all, receive until the answer is
// complete, each wait bounded by the deadline. Possible failure modes are: no address, nobody
// listens, the deadline, the connection breaks before or after the request has left. Whether it
// had left decides if the caller may ask again.
#include "cli/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/text.h"
#include "cli/dial.h"

namespace raftd::cli {
namespace {

constexpr std::chrono::seconds kConnectTimeout{2};  // So that the next endpoint gets its turn.

std::string error_text(int code) {
  return std::error_code(code, std::generic_category()).message();
}

class Socket {
 public:
  // Owns it.
  Socket(int fd, Transport& clock) : fd_(fd), clock_(clock) { notice_death(); }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Each: an empty text, or why not.
  std::string send_all(std::string_view bytes, Instant deadline) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        if (!ready(fd_, POLLOUT, deadline)) return "the request was not taken in time";
      } else if (errno != EINTR) {
        return error_text(errno);
      }
    }
    return "";
  }

  std::string receive(ResponseReader& reader, Instant deadline, Duration patience) {
    std::string buffer(64 * limits::kKiB, '\0');
    while (!reader.complete()) {
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      Status status = Done{};
      if (got > 0) {
        status = reader.feed(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)));
        if (patience > Duration{}) deadline = std::max(deadline, clock_.now() + patience);
      } else if (got == 0) {
        status = reader.closed();
      } else if (errno == EAGAIN) {
        if (!ready(fd_, POLLIN, deadline)) return "no answer in time";
      } else if (errno != EINTR) {
        return error_text(errno);
      }
      if (!status) return status.error().message;
    }
    return "";
  }

 private:
  // A wait for a lock lasts minutes, in which nothing is said: a machine that has lost its power is
  // noticed by its kernel's silence, half a minute later. Without it the deadline is what is left.
  void notice_death() {
    const std::pair<int, int> probes[] = {{TCP_KEEPIDLE, 15}, {TCP_KEEPINTVL, 5}, {TCP_KEEPCNT, 3}};
    const int on = 1;
    if (setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return;
    for (const auto& [option, seconds] : probes)
      if (setsockopt(fd_, IPPROTO_TCP, option, &seconds, sizeof seconds) != 0) return;
  }

  int fd_;
  Transport& clock_;
};

}  // namespace

// What is said once there is a connection.
struct SocketTransport::Talk {
  std::string_view request;
  Instant deadline;
  Duration patience{};
  const BodySink* sink = nullptr;

  Exchange over(Socket& socket) const {
    ResponseReader reader = sink == nullptr ? ResponseReader() : ResponseReader(*sink);
    const std::string why_not_sent = socket.send_all(request, deadline);
    // A server may refuse before it has read everything, and close: then its answer counts.
    const std::string why_no_answer = socket.receive(reader, deadline, patience);
    if (reader.complete()) return {Exchange::Stage::kAnswered, reader.answer(), ""};
    if (!why_not_sent.empty()) return {Exchange::Stage::kNotSent, {}, why_not_sent};
    return {Exchange::Stage::kSent, reader.answer(), why_no_answer};
  }
};

Instant SocketTransport::now() {
  return {std::chrono::steady_clock::now().time_since_epoch()};
}

void SocketTransport::pause(Duration duration) {
  std::this_thread::sleep_for(duration);
}

Exchange SocketTransport::exchange(const Address& address, std::string_view request,
                                   Instant deadline) {
  return connect_and(address, deadline, {request, deadline, {}, nullptr});
}

Exchange SocketTransport::download(const Address& address, std::string_view request,
                                   Instant deadline, Duration patience, const BodySink& sink) {
  return connect_and(address, deadline, {request, deadline, patience, &sink});
}

Exchange SocketTransport::connect_and(const Address& address, Instant deadline, const Talk& talk) {
  const Instant connect_deadline = std::min(deadline, now() + kConnectTimeout);
  Exchange failed;
  const Result<std::vector<SocketAddress>> found = resolve(address);
  if (!found) {
    failed.problem = found.error().message;
    return failed;
  }
  for (const SocketAddress& one : *found) {
    const Result<int> fd = connect_by(one, connect_deadline);
    if (fd) {
      Socket socket(*fd, *this);
      return talk.over(socket);
    }
    failed.problem = fd.error().message;
  }
  return failed;
}

}  // namespace raftd::cli
