// What a node says of itself: /status, the probes, /version, and the index of roots (native API,
// section 12).
#include <algorithm>
#include <array>

#include "api/answer.h"
#include "api/members.h"
#include "api/native_kv.h"

namespace raftd::api {
namespace {

constexpr ParamSet kStatusParams = kCommonParams | ParamSet{Param::kLimits};
constexpr std::uint64_t kLagEntriesMax = 1000;

bool heard_leader(const Site& site, const node::ReplicaStatus& status, Instant now) {
  if (!status.role.leader || !status.leader_contact) return false;
  return now - *status.leader_contact <= 2 * site.options.election_timeout_min;
}

void add_warnings(std::string& json, const Site& site, const node::ReplicaStatus& status,
                  const Histogram& fsync) {
  std::string list;
  const auto warn = [&list](bool on, const char* code) {
    if (!on) return;
    if (!list.empty()) list += ',';
    list.append("\"").append(code).append("\"");
  };
  warn(fsync.quantile(0.99) > site.options.election_timeout_min / 4, "slow_disk");
  warn(status.disk_full, "disk_full");
  warn(stored_bytes(site) >= site.limits.store_bytes, "quota");
  warn(status.doubt.has_value(), "hash_mismatch");
  warn(site.options.config_differs, "config_differs");
  warn(!status.role.leader, "no_leader");
  add_name(json, "warnings");
  json.append("[").append(list).append("]");
}

void add_limits(std::string& json, const Site& site) {
  add_name(json, "limits");
  json += '{';
  if (site.options.limits_shown) {
    for (const auto& [key, value] : site.options.limits_shown()) {
      add_name(json, key);
      json += value;
    }
  }
  json += '}';
}

std::string status_json(const Site& site, Instant now, bool with_limits) {
  const node::ReplicaStatus status = site.backend.status(now);
  const kv::StoreStats stats = site.store.stats();
  const Histogram fsync = site.backend.times().sync.recent(now);
  std::string json = "{";
  add_member(json, "id", site.options.self.value);
  add_member(json, "name", site.headers.name(site.options.self));
  add_member(json, "cluster_id", site.options.cluster_id);
  add_member(json, "role", role_name(status, site.options.self));
  add_member(json, "term", status.role.term.value);
  add_leader(json, site);
  add_member(json, "commit_index", status.commit.value);
  add_member(json, "applied_index", status.applied.value);
  add_member(json, "first_index", status.first.value);
  add_member(json, "last_index", status.last.value);
  add_member(json, "snapshot_index", status.snapshot ? status.snapshot->index.value : 0);
  add_member(json, "revision", stats.revision);
  add_member(json, "keys", stats.keys);
  add_member(json, "bytes", stats.bytes);
  add_member(json, "leases", stats.leases);
  add_member(json, "watchers", site.watches.hub.watchers());
  add_name(json, "members");
  json += '[';
  bool first = true;
  for (const MemberView& member : members_of(site, status, now)) {
    if (!std::exchange(first, false)) json += ',';
    add_member_json(json, member, true);
  }
  json += ']';
  add_quantiles(json, "fsync", fsync, false);
  add_quantiles(json, "loop", site.vitals.loop_stalls.recent(now), true);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(now - site.options.started);
  add_member(json, "uptime_s",
             static_cast<std::uint64_t>(std::max<std::int64_t>(0, uptime.count())));
  add_member(json, "version", site.options.version);
  add_warnings(json, site, status, fsync);
  if (with_limits) add_limits(json, site);
  json += "}\n";
  return json;
}

struct Check {
  const char* name;
  bool passed;
};

std::array<Check, 5> checks_of(const Site& site, const node::ReplicaStatus& status, Instant now) {
  const std::uint64_t behind = status.commit.value - std::min(status.commit, status.applied).value;
  const auto& learners = status.configuration.configuration.learners;
  const bool learner =
      std::find(learners.begin(), learners.end(), site.options.self) != learners.end();
  return {Check{"recovered", status.recovered && !status.doubt},
          Check{"leader", heard_leader(site, status, now)}, Check{"lag", behind <= kLagEntriesMax},
          Check{"voter", !learner},
          Check{"disk", !status.disk_full && site.vitals.data_dir_writable}};
}

bool is_excluded(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == name) return true;
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return false;
}

// A misspelt check must not be "excluded" without a word.
std::optional<ApiError> unknown_check(std::string_view list, const std::array<Check, 5>& checks) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view name = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    const bool known = std::any_of(checks.begin(), checks.end(),
                                   [&](const Check& check) { return name == check.name; });
    if (!known) {
      return bad_parameter("exclude", "exclude names checks: recovered, leader, lag, voter, disk");
    }
  }
  return std::nullopt;
}

}  // namespace

Handled handle_index(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  return text_answer(200, site.headers,
                     "/kv/KEY         read, write, delete and list keys\n"
                     "/watch/KEY      follow the changes of keys\n"
                     "/txn            several reads and writes at once, on conditions\n"
                     "/lease          keys that end by time\n"
                     "/lock/NAME      who may, one at a time\n"
                     "/election/NAME  the same with a value\n"
                     "/cluster        members and leader\n"
                     "/status         this node as JSON\n"
                     "/livez          200 while the process works\n"
                     "/readyz         200 while requests can be served\n"
                     "/v3/            etcd's v3 API\n"
                     "/health         as etcd\n"
                     "/version        as etcd\n"
                     "/metrics        Prometheus\n"
                     "/admin/debug    internals\n");
}

Handled handle_status(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  const bool limits = reader.flag(Param::kLimits);
  if (auto error = context.parameters.only(kStatusParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  return json_answer(200, site.headers, status_json(site, context.now, limits));
}

Handled handle_livez(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (site.vitals.data_dir_writable) return text_answer(200, site.headers, "ok\n");
  http::Response response = text_answer(503, site.headers, "data directory not writable\n");
  response.fields += "Raftd-Error: not_ready\r\nRetry-After: 1\r\n";
  return response;
}

Handled handle_readyz(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams | ParamSet{Param::kExclude})) {
    return refuse(site, *error);
  }
  const node::ReplicaStatus status = site.backend.status(context.now);
  const std::array<Check, 5> checks = checks_of(site, status, context.now);
  const std::string_view excluded = context.parameters.value(Param::kExclude);
  if (auto error = unknown_check(excluded, checks)) return refuse(site, *error);
  if (site.vitals.stopping) {
    return refuse(site, error_of(node::Refused{{Errc::kShuttingDown, ""}}, Asked::kRead,
                                 site.options.election_timeout_min));
  }
  std::string shown;
  bool ready = true;
  for (const Check& check : checks) {
    if (is_excluded(excluded, check.name)) continue;
    ready = ready && check.passed;
    add_flag(shown, check.name, check.passed);
  }
  if (ready) return text_answer(200, site.headers, "ok\n");
  ApiError error;
  error.status = 503;
  error.code = "not_ready";
  error.message = "this node should not get requests now";
  error.retry_after_ms = 1000;
  add_name(error.extra, "checks");
  error.extra.append("{").append(shown).append("}");
  return refuse(site, error);
}

Handled handle_health(const Site& site, const Context& context) {
  constexpr ParamSet kHealthParams =
      kCommonParams | ParamSet{Param::kSerializable, Param::kExclude};
  ParamReader reader(context.parameters);
  const bool serializable = reader.flag(Param::kSerializable);
  if (auto error = context.parameters.only(kHealthParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  const node::ReplicaStatus status = site.backend.status(context.now);
  const bool no_space_matters = !is_excluded(context.parameters.value(Param::kExclude), "NOSPACE");
  const char* reason = "";
  if (!serializable && !heard_leader(site, status, context.now)) reason = "RAFT NO LEADER";
  if (no_space_matters && status.disk_full) reason = "ALARM NOSPACE";
  if (status.doubt) reason = "ALARM CORRUPT";
  const bool healthy = *reason == '\0';
  std::string json = "{";
  add_member(json, "health", healthy ? "true" : "false");
  add_member(json, "reason", reason);
  json += "}\n";
  http::Response response = json_answer(healthy ? 200 : 503, site.headers, std::move(json));
  if (!healthy) response.fields += "Raftd-Error: not_ready\r\nRetry-After: 1\r\n";
  return response;
}

Handled handle_version(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  std::string json = "{";
  add_member(json, "etcdserver", site.options.etcd_version);
  add_member(json, "etcdcluster", site.options.etcd_version);
  add_member(json, "raftd", site.options.version);
  json += "}\n";
  return json_answer(200, site.headers, std::move(json));
}

}  // namespace raftd::api
