// Where HTTP connections and the front end meet: requests go in through Front, responses come out
// through Responder. Neither side knows how the other works.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/histogram.h"
#include "base/strong.h"
#include "base/time.h"
#include "http/message.h"
#include "raft/types.h"

namespace raftd::api {

using RequestId = Strong<struct RequestIdTag>;  // Given by the connection; never reused.

class Responder {
 public:
  virtual ~Responder() = default;
  virtual void respond(RequestId id, http::Response response) = 0;
  virtual void wake(RequestId id) = 0;  // The request's BodySource has more.
};

class Front {
 public:
  virtual ~Front() = default;
  // The body of a POST to one of these paths is given as it comes: it may have any length, take any
  // time and go on while the answer is sent. on_request() follows on its head, and has none of it;
  // on_head() is not asked. If the answer is a stream, the body goes to BodySource::on_body() and
  // on_body_end(), but nothing of it is read before the answer begins: until then the client is
  // not heard, not even if it hangs up. A stream that ends before the body is the last answer of
  // its connection. These are always the same paths.
  virtual std::span<const std::string_view> streamed_paths() const = 0;
  // Once the head of a request with a body is complete: a response (413, 307, 405...) that does
  // not wait for the body, or nothing.
  virtual std::optional<http::Response> on_head(Instant now, const http::Request& head) = 0;
  // Exactly one Responder::respond(id) follows, now or later, unless on_gone(id) comes first.
  virtual void on_request(Instant now, RequestId id, const http::Request& request) = 0;
  // The connection closed before the whole answer was given. A stream of it is destroyed already.
  virtual void on_gone(RequestId id) = 0;
  // The client sends nothing more. It may wait for its answer, or be gone: nobody can tell before
  // something is sent to it.
  virtual void on_input_end(RequestId id) = 0;
  virtual http::Response refusal(Instant now, const http::Refusal& refusal) = 0;
  // It has been sent: its memory may be used for another one.
  virtual void take_back(http::Response response) = 0;
};

// What the operating system side knows and /status and /metrics show.
struct Vitals {
  RecentHistogram loop_stalls;  // From the end of poll to the start of the next one.
  std::uint64_t clients = 0;    // Open connections.
  std::uint64_t bad_peer_messages = 0;
  std::vector<raft::NodeId> connected_peers;
  bool data_dir_writable = true;
  bool stopping = false;
};

// What clients want of this node itself; the operating system side looks.
struct Wishes {
  bool leave = false;  // The cluster, for good.
};

}  // namespace raftd::api
