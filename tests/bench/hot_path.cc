// What a request costs, in instructions and allocations, without sockets and clocks: three nodes in
// one process, made of the rooms that the program is made of. From the bytes of a request to those
// of its answer everything is real but the system calls.
//
// Usage: hot_path put|get|v3put leader|follower BATCH REQUESTS
//
// v3put: through etcd's JSON gateway.
//
// BATCH requests, one of each connection, arrive in one iteration of the leader's loop; then all
// nodes take turns until they are answered. After a warm-up, callgrind collects while the leader,
// or one follower, works, and not while the network, the disks and the clients do: see
// instructions.py.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/service.h"
#include "base/text.h"
#include "etcd/gateway.h"
#include "http/base64.h"
#include "http/parser.h"
#include "http/response.h"
#include "node/replica.h"
#include "support/memory_disk.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace raftd::bench {
namespace {

constexpr std::uint64_t kNodes = 3;
constexpr std::size_t kSegmentBytes = limits::kSegmentBytesMin;
constexpr std::size_t kKeys = 1024;
constexpr std::size_t kWarmUpRequests = 2 * kKeys;
constexpr Duration kHop = std::chrono::microseconds(20);  // Between two turns of all nodes.
constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

storage::Identity identity_of(std::uint64_t id) {
  return {{1, 2, 3, 4}, {id}, id};
}

storage::JournalOptions journal_of(std::uint64_t id) {
  return {identity_of(id), kSegmentBytes, kSegmentBytes, 0};
}

// What the first start of a node writes: who the members are.
void format(test::MemoryDisk& disk, std::uint64_t id) {
  storage::JournalPosition position;
  position.incarnation = {1};
  position.first_index = {1};
  storage::Journal journal(journal_of(id), std::move(position));
  journal.finish(disk.run(journal.prepare_next_segment().value()));
  raft::Configuration members;
  for (std::uint64_t each = 1; each <= kNodes; ++each) {
    members.voters.push_back({each});
    members.addresses.push_back({{each}, strf("node%llu:2380", each + 0ULL)});
  }
  raft::PersistBatch batch;
  batch.hard_state = raft::HardState{{1}, {}};
  batch.entries.push_back(
      {{1}, {1}, raft::EntryKind::kConfiguration, share(raft::encode(members))});
  journal.finish(disk.run(journal.begin(batch)));
}

storage::Recovered recover(test::MemoryDisk& disk, std::uint64_t id) {
  storage::RecoverOptions options{identity_of(id), {id}};
  options.tail_bytes_max = limits::kLogCacheIdleBytes;
  options.machine_name = kv::Store::kName;
  storage::Recovered recovered = *storage::recover(disk, options);
  disk.run(recovered.repairs);
  return recovered;
}

raft::CoreConfig core_of(std::uint64_t id) {
  raft::CoreConfig core;
  core.self = {id};
  core.incarnation = {id};
  core.heartbeat_interval = std::chrono::milliseconds(50);
  core.election_timeout_min = std::chrono::milliseconds(500);
  core.log_cache_bytes = 64 * limits::kMiB;
  core.max_pending_bytes = 64 * limits::kMiB;
  core.max_inflight_bytes = limits::kAppendsInFlightBytesMax;
  return core;
}

api::ServiceOptions service_of(std::uint64_t id) {
  api::ServiceOptions options;
  options.self = {id};
  options.name = strf("n%llu", id + 0ULL);
  options.cluster_id = "8f1c0a93d2be7745";
  options.cluster_name = "bench";
  options.client_url = strf("http://10.0.0.%llu:2379", id + 0ULL);
  options.version = "0.1.0";
  options.election_timeout_min = std::chrono::milliseconds(500);
  options.seed = id;
  options.protocol = &etcd::gateway();
  return options;
}

constexpr api::ServiceLimits kLimits{.key_bytes = 1024,
                                     .value_bytes = limits::kMiB,
                                     .request_bytes = limits::kRequestBytesMax,
                                     .txn_ops = 128,
                                     .page_items = 10'000,
                                     .page_bytes = limits::kMiB,
                                     .watchers = 100,
                                     .wait = std::chrono::minutes(10),
                                     .store_bytes = 8ULL << 30,
                                     .request_timeout = std::chrono::seconds(5)};

class Node final : node::Network, node::Disk, node::Clients, api::Responder {
 public:
  Node(std::uint64_t id, Instant now)
      : id_(id),
        formatted_((format(disk_, id), true)),
        service_(service_of(id), kLimits, store_, vitals_, log_),
        replica_(core_of(id), journal_of(id), recover(disk_, id), id, now,
                 {*this, *this, *this, store_, log_}, {}),
        backend_(replica_),
        out_(kNodes),
        in_(kNodes, {64 * limits::kKiB, limits::kWireMessageBytesMax}) {
    service_.bind(backend_, *this);
    for (std::uint64_t peer = 1; peer <= kNodes; ++peer) {
      if (peer != id) replica_.on_peer_connected(now, {peer}, 0);
    }
  }

  bool leads() const { return replica_.role().role == raft::Role::kLeader; }
  std::uint64_t answered() const { return answered_; }
  std::uint64_t refused() const { return refused_; }
  bool busy() const {
    bool waits = disk_done_.has_value() || !plans_.empty() || has_input_ || replica_.has_more();
    for (const Bytes& bytes : out_)
      waits = waits || !bytes.empty();
    return waits;
  }

  // ---- What is measured: one iteration of the loop ----

  // One request of each connection.
  void receive_requests(Instant now, const std::vector<std::string>& requests) {
    if (parsers_.size() < requests.size()) parsers_.resize(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      http::RequestParser& parser = parsers_[i];
      std::string_view bytes = requests[i];
      while (!bytes.empty()) {
        const http::RequestParser::Step step = parser.feed(bytes, kParserLimits);
        bytes.remove_prefix(step.consumed);
        if (step.event == http::RequestParser::Event::kHead) {
          ASSERT(!service_.on_head(now, parser.request()));
        } else if (step.event == http::RequestParser::Event::kRequest) {
          service_.on_request(now, {++last_request_}, parser.request());
          parser.next();
        }
      }
    }
  }

  void turn(Instant now) {
    for (wire::FrameReader& reader : in_) {
      while (auto body = *reader.next())
        replica_.on_message(now, *wire::decode(*body));
    }
    has_input_ = false;
    for (; disk_done_; disk_done_.reset())
      replica_.on_disk_done(now, *std::move(disk_done_));
    service_.on_turn(now);
    replica_.on_time(now);
    replica_.pump(now);
    service_.pump(now);
  }

  // ---- What is not: disk and network ----

  void run_one_plan() {
    if (plans_.empty()) return;
    disk_done_ = disk_.run(plans_.front());
    plans_.pop_front();
  }

  void deliver_to(Node& peer) {
    Bytes& bytes = out_[peer.id_ - 1];
    for (std::size_t at = 0; at < bytes.size();) {
      const std::span<std::byte> space = peer.in_[id_ - 1].space();
      const std::size_t count = std::min(space.size(), bytes.size() - at);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count, space.begin());
      peer.in_[id_ - 1].received(count);
      at += count;
      peer.has_input_ = true;
    }
    bytes.clear();
  }

  void client_reads() { output_.clear(); }

 private:
  static constexpr http::ParserLimits kParserLimits{limits::kHttpHeaderBytesMax,
                                                    limits::kRequestBytesMax};

  void send(node::PeerMessage message) override {
    const raft::NodeId to = std::visit([](const auto& body) { return body.to; }, message);
    Bytes& out = out_[to.value - 1];
    const std::size_t begin = wire::begin_frame(out);
    wire::encode(message, out);
    wire::end_frame(out, begin);
  }
  void members(const raft::ConfigurationAt&) override {}
  void submit(storage::DiskPlan plan) override { plans_.push_back(std::move(plan)); }
  void complete(node::ClientToken token, node::ClientResult result) override {
    service_.complete(token, std::move(result));
  }
  void respond(api::RequestId, http::Response response) override {
    if (response.status >= 300) ++refused_;
    http::append_head(output_, response, {.date = kDate});
    output_ += response.body;
    service_.take_back(std::move(response));
    ++answered_;
  }
  void wake(api::RequestId) override {}

  std::uint64_t id_;
  test::MemoryDisk disk_;
  bool formatted_;
  Log log_{LogLevel::kError, [](LogLevel, std::string_view) {}};
  kv::Store store_{kv::HistoryLimits{600'000, 64 * limits::kMiB}};
  api::Vitals vitals_;
  api::Service service_;
  node::Replica replica_;
  api::ReplicaBackend backend_;
  std::vector<http::RequestParser> parsers_;
  std::uint64_t last_request_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t refused_ = 0;
  std::string output_;
  std::deque<storage::DiskPlan> plans_;
  std::optional<storage::DiskResult> disk_done_;
  std::vector<Bytes> out_;  // To each peer.
  std::vector<wire::FrameReader> in_;
  bool has_input_ = false;
};

// Collects while it is there.
class Measured {
 public:
  explicit Measured(bool wanted) : wanted_(wanted) {
    if (wanted_) CALLGRIND_TOGGLE_COLLECT;
  }
  ~Measured() {
    if (wanted_) CALLGRIND_TOGGLE_COLLECT;
  }
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;

 private:
  bool wanted_;
};

class Cluster {
 public:
  Cluster() {
    for (std::uint64_t id = 1; id <= kNodes; ++id)
      nodes_.push_back(std::make_unique<Node>(id, now_));
    while (leader_ == nullptr) {
      step(std::chrono::milliseconds(1));
      for (const auto& node : nodes_) {
        if (node->leads()) leader_ = node.get();
      }
    }
    for (int i = 0; i < 1000; ++i)
      step(std::chrono::milliseconds(1));
    follower_ = nodes_[leader_ == nodes_[0].get() ? 1 : 0].get();
  }

  void measure(bool leader) { measured_ = leader ? leader_ : follower_; }
  void measure_nothing() { measured_ = nullptr; }

  // Until all are answered, and nobody has anything left to do for them.
  void ask(const std::vector<std::string>& requests) {
    const std::uint64_t wanted = leader_->answered() + requests.size();
    {
      const Measured measured(leader_ == measured_);
      leader_->receive_requests(now_, requests);
    }
    step(kHop);
    while (leader_->answered() < wanted || busy())
      step(kHop);
    ASSERT_CMP(leader_->answered(), ==, wanted);
    ASSERT_CMP(leader_->refused(), ==, 0U);
    leader_->client_reads();
  }

 private:
  bool busy() const {
    for (const auto& node : nodes_) {
      if (node->busy()) return true;
    }
    return false;
  }
  void step(Duration hop) {
    now_ = now_ + hop;
    for (const auto& node : nodes_) {
      const Measured measured(node.get() == measured_);
      node->turn(now_);
    }
    for (const auto& node : nodes_) {
      node->run_one_plan();
      for (const auto& peer : nodes_)
        node->deliver_to(*peer);
    }
  }

  Instant now_{std::chrono::hours(1)};
  std::vector<std::unique_ptr<Node>> nodes_;
  Node* leader_ = nullptr;
  Node* follower_ = nullptr;
  Node* measured_ = nullptr;
};

// As the load generator sends them.
std::string request(std::string_view what, std::size_t key) {
  const std::string value(100, 'v');
  constexpr const char* kHead = "%s HTTP/1.1\r\nHost: 127.0.0.1:2379\r\n";
  if (what == "v3put") {
    const std::string body = strf("{\"key\":\"%s\",\"value\":\"%s\"}",
                                  http::base64_encode(strf("key%08zu", key)).c_str(),
                                  http::base64_encode(value).c_str());
    constexpr const char* kFields = "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n";
    return strf(kHead, "POST /v3/kv/put") + strf(kFields, body.size()) + body;
  }
  const bool put = what == "put";
  const std::string head = strf(kHead, strf("%s /kv/key%08zu", put ? "PUT" : "GET", key).c_str());
  if (!put) return head + "\r\n";
  return head + strf("Content-Length: %zu\r\n\r\n", value.size()) + value;
}

void run(Cluster& cluster, std::string_view what, std::size_t batch, std::size_t requests) {
  std::vector<std::string> asked(batch);
  std::size_t key = 0;
  for (std::size_t done = 0; done < requests; done += batch) {
    for (std::string& each : asked)
      each = request(what, key++ % kKeys);
    cluster.ask(asked);
  }
}

int usage() {
  std::fputs("usage: hot_path put|get|v3put leader|follower BATCH REQUESTS\n", stderr);
  return 64;
}

int main_of(const std::vector<std::string_view>& words) {
  if (words.size() != 4) return usage();
  std::uint64_t batch = 0;
  std::uint64_t requests = 0;
  if (!parse_u64(words[2], batch) || !parse_u64(words[3], requests)) return usage();
  if (batch == 0 || requests % batch != 0) return usage();
  Cluster cluster;
  run(cluster, "put", batch, kWarmUpRequests);
  run(cluster, words[0], batch, kWarmUpRequests);
  cluster.measure(words[1] == "leader");
  run(cluster, words[0], batch, requests);
  cluster.measure_nothing();
  return 0;
}

}  // namespace
}  // namespace raftd::bench

int main(int argc, char** argv) {
  return raftd::bench::main_of({argv + 1, argv + argc});
}
