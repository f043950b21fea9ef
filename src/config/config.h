// The one configuration struct. Defaults are here and nowhere else; every rule of it is checked in
// load(), with its sentence. The keys are those of the contract (config-cli).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "base/result.h"

namespace raftd::config {

using std::chrono::milliseconds;

enum class Follower : std::uint8_t { kForward, kRedirect };
enum class Sync : std::uint8_t { kBatch, kNone };
enum class Format : std::uint8_t { kAuto, kText, kJson, kJournald };

struct Member {
  std::uint64_t id = 0;
  std::string name;    // Empty: "n<id>".
  std::string peer;    // HOST:PORT
  std::string client;  // URL; may be empty.
  bool learner = false;
};

struct Config {
  std::uint64_t id = 0;  // 0: not given, and [cluster] lists no members: 1, or what the data says.
  std::string name;      // Empty: "n<id>".
  std::string data_dir;
  milliseconds shutdown_timeout{10'000};

  struct Client {
    std::vector<std::string> listen{"127.0.0.1:2379"};
    std::string advertise;  // load() fills it in: see client_url().
    std::uint64_t max_connections = 20'000;
    milliseconds header_timeout{10'000};
    milliseconds body_timeout{60'000};
    milliseconds idle_timeout{75'000};
    milliseconds request_timeout{5'000};
    Follower follower = Follower::kForward;
  } client;

  struct Peer {
    std::string listen = "127.0.0.1:2380";
    std::string advertise;  // Filled in by load(): see peer_address().
  } peer;

  struct Cluster {
    std::string name = "raftd";
    std::vector<Member> members;  // By id. Empty: this node alone.
  } cluster;

  struct Raft {
    milliseconds heartbeat_interval{50};
    milliseconds election_timeout{500};
    std::int32_t priority = 0;
    std::uint64_t max_inflight_bytes = 8 * limits::kMiB;
    std::uint64_t max_pending_bytes = 64 * limits::kMiB;
  } raft;

  struct LogFiles {
    std::uint64_t segment_bytes = 64 * limits::kMiB;
    std::uint64_t cache_bytes = 64 * limits::kMiB;
    Sync sync = Sync::kBatch;
  } log;

  struct Snapshot {
    std::uint64_t entries = 100'000;
    std::uint64_t bytes = 256 * limits::kMiB;
    milliseconds interval{0};
    std::uint64_t keep = 2;
  } snapshot;

  struct History {
    milliseconds age{600'000};
    std::uint64_t bytes = 64 * limits::kMiB;
  } history;

  struct Limits {
    std::uint64_t key_bytes = limits::kKeyBytesMax;
    std::uint64_t value_bytes = 1 * limits::kMiB;
    std::uint64_t request_bytes = limits::kRequestBytesMax;
    std::uint64_t header_bytes = limits::kHttpHeaderBytesMax;
    std::uint64_t txn_ops = limits::kTransactionOpsMax;
    std::uint64_t page_items = 10'000;
    std::uint64_t page_bytes = 1 * limits::kMiB;
    milliseconds wait{600'000};
    std::uint64_t watchers = limits::kWatchersMax;
    std::uint64_t store_bytes = 8192 * limits::kMiB;
  } limits;

  struct Etcd {
    std::string version = "3.6.0";
    std::uint64_t max_txn_ops = 128;
    milliseconds progress_interval{600'000};
  } etcd;

  struct Logging {
    LogLevel level = LogLevel::kInfo;
    Format format = Format::kAuto;
  } logging;
};

// Where a value came from: "default", "FILE:LINE", "RAFTD_CLIENT_LISTEN" or "--set".
struct Loaded {
  Config config;
  std::vector<std::string> effective;  // "raft.election_timeout = \"500ms\"  # default", each key.
  std::vector<std::string> warnings;   // Keys whose part this release does not have, RAFTD_* that
                                       // mean nothing, an address that is not loopback.
};

struct Sources {
  std::string file;                                              // Path of the TOML file.
  std::vector<std::string> set;                                  // --set KEY=VALUE, in order.
  std::vector<std::pair<std::string, std::string>> environment;  // RAFTD_* variables.
  std::string host_name;  // For addresses that listen everywhere; empty: the machine's.
};

// What this node is called: name, else that of its entry in [cluster] members, else "n<id>".
std::string node_name(const Config& config);

// What others are told: advertise; else this node's entry in [cluster] members; else the first TCP
// address of listen, with host_name in place of 0.0.0.0 or ::. Empty: it listens on Unix sockets
// only.
std::string client_url(const Config& config, const std::string& host_name);
std::string peer_address(const Config& config, const std::string& host_name);

// The limits that GET /status?limits shows: dotted key and value as JSON.
std::vector<std::pair<std::string, std::string>> limits_as_json(const Config& config);

// --set over environment over file over default. kBadInput: one sentence that begins with
// FILE:LINE:COLUMN (or the variable, or --set), names the key, what was found and what is allowed.
Result<Loaded> load(const Sources& sources);

}  // namespace raftd::config
