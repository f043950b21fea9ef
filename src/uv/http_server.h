// HTTP connections on the loop: bytes in, requests to the service, responses out in order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/front.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/result.h"
#include "uv/handle.h"

namespace raftd::uv {

struct HttpServerOptions {
  std::size_t connections_max = 0;
  std::size_t header_bytes = 0;
  std::size_t request_bytes = 0;
  Duration header_timeout{};
  Duration body_timeout{};
  Duration idle_timeout{};
  std::size_t held_bytes_max = limits::kHttpHeldBytesMax;  // Less for tests alone.
};

class HttpServer final : public api::Responder {
 public:
  HttpServer(Loop& loop, const HttpServerOptions& options, api::Front& front, api::Vitals& vitals,
             Log& log);
  ~HttpServer() override;

  // "HOST:PORT", "[::1]:PORT" or "unix:PATH". kIo: the address cannot be listened on, and why.
  // Port 0: any free one; the address in use is returned ("127.0.0.1:41234").
  Result<std::string> listen(const std::string& address);
  void set_options(const HttpServerOptions& options);  // For what comes from now on.

  void respond(api::RequestId id, http::Response response) override;
  void wake(api::RequestId id) override;

  // At the end of each loop iteration: one write per connection that has something to say, and
  // requests that waited for their turn.
  void flush(Instant now);

  // Closes the listeners and idle connections; the others close after their answer.
  void stop();
  bool stopped() const;  // No connection is left.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::uv
