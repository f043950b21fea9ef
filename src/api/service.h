// The front end: turns HTTP requests into reads and writes of the replica and their results into
// HTTP responses. Knows no sockets: uv::HttpServer hands requests in and takes responses out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/backend.h"
#include "api/front.h"
#include "base/log.h"
#include "kv/store.h"
#include "node/replica.h"

namespace raftd::api {

// Changed by SIGHUP.
struct ServiceLimits {
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  std::size_t request_bytes = 0;
  std::uint64_t txn_ops = 0;
  std::uint64_t etcd_txn_ops = 0;
  std::uint64_t page_items = 0;
  std::size_t page_bytes = 0;
  std::uint64_t watchers = 0;
  Duration wait{};
  Duration etcd_progress{};  // Silence on a watch of etcd's API.
  std::uint64_t store_bytes = 0;
  Duration request_timeout{};
  bool redirect = false;  // [client] follower = "redirect".
  std::size_t backup_history_bytes = limits::kBackupHistoryBytesMax;
};

struct MemberInfo {  // From [cluster] members: until the member has published itself.
  raft::NodeId id;
  std::string name;
  std::string client;
};

class Protocol;

struct ServiceOptions {
  raft::NodeId self;
  std::string name;
  std::string cluster_id;  // 16 hex digits.
  std::string cluster_name;
  std::string client_url;  // Advertised.
  std::string version;     // raftd's.
  std::string etcd_version;
  const Protocol* protocol = nullptr;  // Beside the native API; it outlives the service.
  Duration election_timeout_min{};
  Instant started;
  std::uint64_t seed = 0;
  std::vector<MemberInfo> listed_members;
  bool config_differs = false;  // The listed members are not those of the log: a warning.
  // Shown by /status?limits: dotted key and its value as JSON.
  std::function<std::vector<std::pair<std::string, std::string>>()> limits_shown;
};

class Service final : public Front, public node::Clients {
 public:
  Service(const ServiceOptions& options, const ServiceLimits& limits, kv::Store& store,
          const Vitals& vitals, Log& log);
  ~Service() override;
  void bind(Backend& backend, Responder& responder);  // Once, before the first request.
  void set_limits(const ServiceLimits& limits);
  // Before each pump: complete() is not told what time it is, and durations are measured by this.
  void on_turn(Instant now);
  // After each pump: tells those who wait for changes of what was applied, or that it is time.
  void pump(Instant now);
  bool has_more() const;  // Some have not had their turn: do not sleep in the next poll.
  Instant next_wakeup() const;
  const Wishes& wishes() const;

  std::span<const std::string_view> streamed_paths() const override;
  std::optional<http::Response> on_head(Instant now, const http::Request& head) override;
  void on_request(Instant now, RequestId id, const http::Request& request) override;
  void on_gone(RequestId id) override;
  void on_input_end(RequestId id) override;
  http::Response refusal(Instant now, const http::Refusal& refusal) override;
  void take_back(http::Response response) override;

  void complete(node::ClientToken token, node::ClientResult result) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::api
