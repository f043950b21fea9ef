// The front end: turns HTTP requests into reads and writes of the replica and their results into
// HTTP responses. Knows no sockets: uv::HttpServer hands requests in and takes responses out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/histogram.h"
#include "base/strong.h"
#include "http/message.h"
#include "kv/store.h"
#include "node/replica.h"

namespace raftd::api {

using RequestId = Strong<struct RequestIdTag>;  // Given by the connection; never reused.

class Responder {
 public:
  virtual ~Responder() = default;
  virtual void respond(RequestId id, http::Response response) = 0;
  virtual void wake(RequestId id) = 0;  // The request's BodySource has more.
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

// Changed by SIGHUP.
struct ServiceLimits {
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  std::size_t request_bytes = 0;
  std::uint64_t page_items = 0;
  std::size_t page_bytes = 0;
  std::uint64_t store_bytes = 0;
  Duration request_timeout{};
  bool redirect = false;  // [client] follower = "redirect".
};

struct MemberInfo {  // From [cluster] members: until the member has published itself.
  raft::NodeId id;
  std::string name;
  std::string client;
};

struct ServiceOptions {
  raft::NodeId self;
  std::string name;
  std::string cluster_id;  // 16 hex digits.
  std::string client_url;  // Advertised.
  std::string version;     // raftd's.
  std::string etcd_version;
  Duration election_timeout_min{};
  Instant started;
  std::vector<MemberInfo> listed_members;
  // Shown by /status?limits: dotted key and its value as JSON.
  std::function<std::vector<std::pair<std::string, std::string>>()> limits_shown;
};

class Service final : public node::Clients {
 public:
  Service(const ServiceOptions& options, const ServiceLimits& limits, const kv::Store& store,
          const Vitals& vitals, Log& log);
  ~Service() override;
  void bind(node::Replica& replica, Responder& responder);  // Once, before the first request.
  void set_limits(const ServiceLimits& limits);

  // Once the head of a request with a body is complete: a response (413, 307, 405...) that does
  // not wait for the body, or nothing.
  std::optional<http::Response> on_head(Instant now, const http::Request& head);
  // Exactly one Responder::respond(id) follows, now or later, unless on_gone(id) comes first.
  void on_request(Instant now, RequestId id, http::Request request);
  void on_gone(RequestId id);  // The connection closed.
  http::Response refusal(Instant now, const http::Refusal& refusal);

  void complete(node::ClientToken token, node::ClientResult result) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::api
