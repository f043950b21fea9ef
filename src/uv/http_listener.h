// A listening socket for clients: TCP or unix.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "uv/handle.h"
#include "uv/http_connection.h"

namespace raftd::uv {

class HttpListener {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_accepted(ClientStream stream) = 0;
    // Nothing can be accepted: there are no file descriptors left.
    virtual void on_exhausted() = 0;
  };

  HttpListener(Loop& loop, Owner& owner) : loop_(loop), owner_(owner) {}
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // "HOST:PORT", "[::1]:PORT" or "unix:PATH". Gives the address in use, with the real port. kIo:
  // it cannot be listened on; the message says which address and why.
  Result<std::string> listen(const std::string& address);

  void close() { stream_.reset(); }
  bool listening() const { return stream_.has_value(); }
  const std::string& address() const { return address_; }  // In use, or last in use.

 private:
  Result<std::string> listen_tcp(const std::string& address);
  Result<std::string> listen_unix(const std::string& address);
  Status begin(const std::string& address);
  void on_connection(int status);

  Loop& loop_;
  Owner& owner_;
  std::optional<ClientStream> stream_;
  std::string address_;
};

}  // namespace raftd::uv
