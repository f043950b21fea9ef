// raftd: one binary, server and client. Subcommands are in cli/; without one, a node is run: the
// configuration is read, the data directory recovered, and everything wired on one loop.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <string>

#include "base/digest.h"
#include "base/endian.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "cli/offline.h"
#include "cli/ticket.h"
#include "cli/version.h"
#include "config/config.h"
#include "etcd/gateway.h"
#include "storage/data_dir.h"
#include "storage/removal.h"
#include "uv/node.h"
#include "uv/open_files.h"
#include "uv/start_progress.h"

namespace raftd {
namespace {

// Exit statuses (config-cli; sysexits.h).
constexpr int kExitCorrupt = 65;
constexpr int kExitCannotCreate = 73;
constexpr int kExitIo = 74;
constexpr int kExitNotTaken = 75;
constexpr int kExitConfig = 78;

std::int64_t unix_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

LogFormat log_format(config::Format format) {
  switch (format) {
    case config::Format::kText:
      return LogFormat::kText;
    case config::Format::kJson:
      return LogFormat::kJson;
    case config::Format::kJournald:
      return LogFormat::kJournald;
    case config::Format::kAuto:
      break;
  }
  // Set by systemd when standard error goes to the journal.
  return std::getenv("JOURNAL_STREAM") != nullptr ? LogFormat::kJournald : LogFormat::kText;
}

Log make_log(const config::Config& config) {
  const LogFormat format = log_format(config.logging.format);
  return Log(config.logging.level, [format](LogLevel level, std::string_view text) {
    const std::string line = format_log_line(format, level, unix_ns() / 1'000'000, text);
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    static_cast<void>(written);  // Nobody reads it: nothing to do about it.
  });
}

// Connections of clients must leave file descriptors for the log: it cannot do without.
void fit_connections(config::Config& config, Log& log) {
  constexpr std::uint64_t kKept = uv::kOwnOpenFilesMax + limits::kHttpTurnedAwayMax;
  constexpr std::uint64_t kConnectionsMin = 16;
  const std::uint64_t files = uv::raise_open_files();
  if (files >= kKept && config.client.max_connections <= files - kKept) return;
  const std::uint64_t fits = std::max(files, kKept + kConnectionsMin) - kKept;
  log.warn(
      "client.max_connections is %llu, but only %llu files may be open: it is %llu; raise "
      "LimitNOFILE, or ulimit -n",
      static_cast<unsigned long long>(config.client.max_connections),
      static_cast<unsigned long long>(files), static_cast<unsigned long long>(fits));
  config.client.max_connections = std::min(config.client.max_connections, fits);
}

uv::Adjustable adjustable(const config::Config& config) {
  uv::Adjustable out;
  out.limits = {.key_bytes = config.limits.key_bytes,
                .value_bytes = config.limits.value_bytes,
                .request_bytes = config.limits.request_bytes,
                .txn_ops = config.limits.txn_ops,
                .etcd_txn_ops = std::min(config.etcd.max_txn_ops, config.limits.txn_ops),
                .page_items = config.limits.page_items,
                .page_bytes = config.limits.page_bytes,
                .watchers = config.limits.watchers,
                .wait = config.limits.wait,
                .etcd_progress = config.etcd.progress_interval,
                .store_bytes = config.limits.store_bytes,
                .request_timeout = config.client.request_timeout,
                .redirect = config.client.follower == config::Follower::kRedirect};
  out.http = {.connections_max = config.client.max_connections,
              .header_bytes = config.limits.header_bytes,
              .request_bytes = config.limits.request_bytes,
              .header_timeout = config.client.header_timeout,
              .body_timeout = config.client.body_timeout,
              .idle_timeout = config.client.idle_timeout};
  out.history = {.age_ms = static_cast<std::uint64_t>(config.history.age.count()),
                 .bytes = config.history.bytes};
  out.max_pending_bytes = config.raft.max_pending_bytes;
  return out;
}

// Keys that take effect at SIGHUP; all others need a restart.
bool adjustable_key(std::string_view line) {
  static constexpr std::string_view kPrefixes[] = {"limits.",
                                                   "etcd.max_txn_ops",
                                                   "etcd.progress_interval",
                                                   "history.",
                                                   "logging.level",
                                                   "raft.max_pending_bytes",
                                                   "client.follower",
                                                   "client.idle_timeout",
                                                   "client.body_timeout",
                                                   "client.header_timeout",
                                                   "client.request_timeout"};
  for (const std::string_view prefix : kPrefixes) {
    if (line.starts_with(prefix)) return true;
  }
  return false;
}

// "key = value" without the origin.
std::set<std::string> settings_of(const config::Loaded& loaded) {
  std::set<std::string> out;
  for (const std::string& line : loaded.effective)
    out.insert(line.substr(0, line.rfind("  #")));
  return out;
}

// Reads the file again. An error changes nothing and is one warning; so are keys that differ from
// those of the start and need a restart.
std::optional<uv::Adjustable> reload(const config::Sources& sources, const config::Loaded& started,
                                     config::Config& current, Log& log) {
  Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    log.warn("the configuration was not reloaded: %s", loaded.error().message.c_str());
    return std::nullopt;
  }
  const std::set<std::string> before = settings_of(started);
  std::string needs_restart;
  for (const std::string& setting : settings_of(*loaded)) {
    if (before.contains(setting) || adjustable_key(setting)) continue;
    needs_restart += (needs_restart.empty() ? "" : ", ") + setting.substr(0, setting.find(' '));
  }
  if (!needs_restart.empty()) {
    log.warn("changed, but needs a restart to take effect: %s", needs_restart.c_str());
  }
  log.set_level(loaded->config.logging.level);
  current = std::move(loaded->config);
  current.client.max_connections = started.config.client.max_connections;
  log.info("the configuration was reloaded");
  return adjustable(current);
}

int exit_status_of(const Error& error) {
  switch (error.code) {
    case Errc::kCorrupt:
    case Errc::kUnsupported:
      return kExitCorrupt;
    case Errc::kIo:
      return kExitIo;
    case Errc::kBadInput:
    case Errc::kTooBig:
    case Errc::kBusy:
    case Errc::kNotLeader:
    case Errc::kConflict:
    case Errc::kDiskFull:
    case Errc::kTransferring:
    case Errc::kSuperseded:
    case Errc::kTimeout:
    case Errc::kShuttingDown:
    case Errc::kNotReady:
      break;
  }
  return kExitCannotCreate;
}

// The members in the log are the truth; a list in the file that says something else is a warning.
bool members_differ(const config::Config& config, const storage::Recovered& recovered) {
  if (config.cluster.members.empty() || recovered.durable.configurations.empty()) return false;
  return !(cli::first_configuration(config) ==
           recovered.durable.configurations.back().configuration);
}

// What must agree on all nodes and is not in the log: the bounds of replicated data. Nodes that
// disagree refuse each other.
std::uint64_t settings_hash() {
  Bytes settings;
  append_le<std::uint64_t>(settings, limits::kKeyBytesMax);
  append_le<std::uint64_t>(settings, limits::kRequestBytesMax);
  append_le<std::uint64_t>(settings, limits::kEntryBytesMax);
  append_le<std::uint64_t>(settings, limits::kPublishedMembersMax);
  return digest128(settings).low;
}

// Whom the node dials while its log does not name it: those of the ticket with which it joined, or
// those of the file. Precondition: the data directory has not been opened, which removes a ticket
// that has done its work.
std::vector<raft::MemberAddress> listed_peers(const config::Config& config, Log& log) {
  Result<std::vector<raft::MemberAddress>> members = cli::ticket_members(config.data_dir);
  if (!members) log.warn("%s: %s", config.data_dir.c_str(), members.error().message.c_str());
  if (members && !members->empty()) return *std::move(members);
  if (config.cluster.members.empty()) return {};
  return cli::first_configuration(config).addresses;
}

uv::NodeOptions node_options(const config::Config& config, const storage::Opened& opened,
                             Rng& entropy, raft::Incarnation incarnation) {
  const storage::Identity& identity = opened.identity;
  const std::string name =
      config.name.empty() ? "n" + std::to_string(identity.node_id.value) : config.name;
  uv::NodeOptions out;
  out.core = {.self = identity.node_id,
              .incarnation = incarnation,
              .heartbeat_interval = config.raft.heartbeat_interval,
              .election_timeout_min = config.raft.election_timeout,
              .priority = config.raft.priority,
              .log_cache_bytes = config.log.cache_bytes,
              .max_pending_bytes = config.raft.max_pending_bytes,
              .max_inflight_bytes = config.raft.max_inflight_bytes};
  constexpr std::size_t kFirstSegmentBytes = limits::kSegmentBytesMin;
  out.journal = {
      .identity = identity,
      .segment_bytes = config.log.segment_bytes,
      .first_segment_bytes = std::min<std::size_t>(kFirstSegmentBytes, config.log.segment_bytes),
      .created_unix_ns = unix_ns()};
  out.snapshots = {.entries = config.snapshot.entries,
                   .bytes = config.snapshot.bytes,
                   .interval = config.snapshot.interval,
                   .keep = config.snapshot.keep};
  out.peer = {.identity = identity,
              .cluster_name = config.cluster.name,
              .incarnation = incarnation,
              .priority = config.raft.priority,
              .settings_hash = settings_hash(),
              .election_timeout_min = config.raft.election_timeout,
              .connect_timeout = config.raft.election_timeout,
              .listed = {},
              .advertised = config.peer.advertise};
  out.service = {.self = identity.node_id,
                 .name = name,
                 .cluster_id = cli::cluster_text(identity.cluster_id),
                 .cluster_name = config.cluster.name,
                 .client_url = config.client.advertise,
                 .version = cli::kVersion,
                 .etcd_version = config.etcd.version,
                 .protocol = &etcd::gateway(),
                 .election_timeout_min = config.raft.election_timeout,
                 .started = uv::monotonic_now(),
                 .listed_members = {},
                 .config_differs = members_differ(config, opened.recovered),
                 .limits_shown = {}};
  for (const config::Member& member : config.cluster.members) {
    out.service.listed_members.push_back({{member.id}, member.name, member.client});
  }
  out.adjustable = adjustable(config);
  out.data_dir = config.data_dir;
  out.sync = config.log.sync == config::Sync::kBatch;
  out.client_listen = config.client.listen;
  out.peer_listen = config.peer.listen;
  out.shutdown_timeout = config.shutdown_timeout;
  out.first_start = opened.first_start;
  out.seed = entropy.next();
  out.service.seed = entropy.next();
  return out;
}

// Once recovery has decided which snapshot counts.
void take_state(cli::StoreSink& sink, const storage::Recovered& recovered, Log& log) {
  if (!recovered.durable.snapshot) return;
  const raft::Index index = recovered.durable.snapshot->id.last_index;
  sink.commit(index, recovered.snapshot_time_ms);
  log.info("restored the snapshot at index %llu", static_cast<unsigned long long>(index.value));
}

storage::OpenOptions open_options(const config::Config& config, raft::Incarnation incarnation) {
  storage::OpenOptions out;
  out.path = config.data_dir;
  out.node_id = {config.id};
  out.cluster_name = config.cluster.name;
  out.first_configuration = cli::first_configuration(config);
  out.instance = os_entropy();
  out.incarnation = incarnation;
  out.tail_bytes_max = limits::kLogCacheIdleBytes;
  out.sync = config.log.sync == config::Sync::kBatch;
  out.created_unix_ns = unix_ns();
  return out;
}

// What keeps this directory from being started; nullopt: nothing.
std::optional<int> refuse_removed(const std::string& path, Log& log) {
  const Result<std::optional<std::string>> removal = storage::read_removal(path);
  if (!removal) {
    log.error("start: %s", removal.error().message.c_str());
    return exit_status_of(removal.error());
  }
  if (!*removal) return std::nullopt;
  log.error("%s", storage::removal_sentence(path, **removal).c_str());
  return kExitNotTaken;
}

// Else the next start would have to be told again.
void note_removal(const uv::Node& node, const std::string& path, Log& log) {
  if (!node.removal()) return;
  const Status written = storage::write_removal(path, *node.removal());
  if (!written) log.error("REMOVED: %s", written.error().message.c_str());
}

int run_node(const config::Sources& sources) {
  Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) {
    std::fprintf(stderr, "raftd: %s\n", loaded.error().message.c_str());
    return kExitConfig;
  }
  config::Loaded started = std::move(*loaded);
  const config::Config& config = started.config;
  Log log = make_log(config);
  for (const std::string& warning : started.warnings)
    log.warn("%s", warning.c_str());
  fit_connections(started.config, log);
  if (config.log.sync == config::Sync::kNone) {
    log.warn(
        "log.sync is \"none\": nothing is synced to disk, a power cut loses acknowledged "
        "writes; for tests only");
  }

  const std::uint64_t seed = os_entropy();
  log.info("raftd %s starts; random seed %llu", cli::kVersion,
           static_cast<unsigned long long>(seed));
  Rng entropy(seed);
  const raft::Incarnation incarnation{entropy.next()};
  if (const auto refused = refuse_removed(config.data_dir, log)) return *refused;
  kv::Store store(adjustable(config).history);
  cli::StoreSink sink(store);
  const uv::Notifier notifier;
  uv::StartProgress progress(log, notifier, uv::monotonic_now());
  storage::OpenOptions open = open_options(config, incarnation);
  open.machine_name = std::string(store.name());
  open.sink = &sink;
  open.progress = [&](const storage::RecoveryProgress& at) {
    progress.on_read(uv::monotonic_now(), at);
  };
  std::vector<raft::MemberAddress> listed = listed_peers(config, log);
  Result<storage::Opened> opened = storage::open_data_dir(open);
  if (!opened) {
    const bool corrupt = opened.error().code == Errc::kCorrupt;
    log.error(
        "%s%s", opened.error().message.c_str(),
        corrupt ? "; a damaged log is fetched from the others by raftd repair, see raftd(8)" : "");
    return exit_status_of(opened.error());
  }
  for (const std::string& note : opened->recovered.notes)
    log.warn("%s", note.c_str());
  take_state(sink, opened->recovered, log);

  uv::NodeOptions options = node_options(config, *opened, entropy, incarnation);
  options.peer.listed = std::move(listed);
  if (options.service.config_differs) {
    log.warn(
        "the members in the file differ from those in the log; the log decides "
        "(config_differs)");
  }
  config::Config current = config;
  options.service.limits_shown = [&current] { return config::limits_as_json(current); };
  uv::Node node(options, std::move(opened->recovered), store, log,
                [&] { return reload(sources, started, current, log); });
  const uv::Ended ended = node.run();
  note_removal(node, config.data_dir, log);
  log.info("stopped");
  return static_cast<int>(ended);
}

}  // namespace
}  // namespace raftd

int main(int argc, char** argv) {
  // What a disk thread has given back serves all: in arenas of their own it would be kept for each.
  mallopt(M_ARENA_MAX, 1);
  std::signal(SIGPIPE, SIG_IGN);  // A peer or client that hangs up is an error code, not our end.
  const raftd::cli::Parsed parsed = raftd::cli::run(argc, argv);
  return parsed.run_node ? raftd::run_node(*parsed.run_node) : parsed.exit_status;
}
