// Host names to socket addresses, off the loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "uv/handle.h"

namespace raftd::uv {

struct SocketAddress {
  sockaddr_storage storage{};
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::string to_text(const SocketAddress& address);  // "127.0.0.1:2380", "[::1]:2380"

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

// "HOST:PORT" or "[IPV6]:PORT". kBadInput: it is neither.
Result<HostPort> parse_host_port(std::string_view text);

// An address in digits needs no look-up.
std::optional<SocketAddress> numeric_address(const HostPort& place);

// Blocks; for addresses to listen on, before the loop runs. kIo: the name is not known.
Result<std::vector<SocketAddress>> resolve_now(Loop& loop, const HostPort& place);

// One look-up at a time. It may die at any time: then nobody is called back.
class Resolver {
 public:
  // Never an empty list.
  using Callback = std::function<void(Result<std::vector<SocketAddress>>)>;

  Resolver(Loop& loop, Callback callback) : loop_(loop), callback_(std::move(callback)) {}
  ~Resolver() { cancel(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Precondition: none is under way. Calls back later, never from within. kIo: could not begin.
  Status begin(const HostPort& place);
  bool busy() const { return request_ != nullptr; }
  void cancel();

 private:
  struct Request;
  static void on_done(uv_getaddrinfo_t* raw, int status, addrinfo* found) noexcept;

  Loop& loop_;
  Callback callback_;
  Request* request_ = nullptr;  // Owned by libuv until on_done.
};

}  // namespace raftd::uv
