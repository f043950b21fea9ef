#include "api/metrics.h"

#include <algorithm>

#include "api/answer.h"
#include "api/call.h"
#include "api/members.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::api {
namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += '=';
  http::JsonWriter(out).value(value);  // Escapes quotes, backslashes and newlines likewise.
  return out;
}

void add_gauge(std::string& out, const char* name, const char* help, std::uint64_t value) {
  add_metric_type(out, name, "gauge", help);
  add_metric(out, name, "", value);
}

void add_counter(std::string& out, const char* name, const char* help, std::uint64_t value) {
  add_metric_type(out, name, "counter", help);
  add_metric(out, name, "", value);
}

void add_identity(std::string& out, const Site& site, const node::ReplicaStatus& status) {
  add_metric_type(out, "raftd_info", "gauge", "What runs here.");
  add_metric(out, "raftd_info",
             label("version", site.options.version) + ',' +
                 label("id", std::to_string(site.options.self.value)) + ',' +
                 label("name", site.headers.name(site.options.self)) + ',' +
                 label("cluster_id", site.options.cluster_id),
             1);
  add_metric_type(out, "raftd_role", "gauge", "1 for the role of this node.");
  const std::string_view role = role_name(status, site.options.self);
  for (const char* each :
       {"leader", "follower", "precandidate", "candidate", "learner", "starting"}) {
    add_metric(out, "raftd_role", label("role", each), role == each ? 1 : 0);
  }
}

void add_raft(std::string& out, const Site& site, const node::ReplicaStatus& status) {
  add_gauge(out, "raftd_term", "Current term.", status.role.term.value);
  add_gauge(out, "raftd_has_leader", "1 if a leader is known.", status.role.leader ? 1 : 0);
  add_counter(out, "raftd_leader_changes_total", "Leaders that became known.",
              status.counters.leader_changes);
  add_counter(out, "raftd_elections_started_total", "Elections that this node began.",
              status.counters.elections_started);
  add_gauge(out, "raftd_commit_index", "Highest index known to be committed.", status.commit.value);
  add_gauge(out, "raftd_applied_index", "Highest index applied.", status.applied.value);
  add_gauge(out, "raftd_last_index", "Last index of the log.", status.last.value);
  add_gauge(out, "raftd_snapshot_index", "Index of the newest snapshot.",
            status.snapshot ? status.snapshot->index.value : 0);
  add_gauge(out, "raftd_snapshot_bytes", "Size of the newest snapshot.",
            status.snapshot ? status.snapshot->bytes : 0);
  add_counter(out, "raftd_snapshots_total", "Snapshots made by this node.", status.snapshots_made);
  add_counter(out, "raftd_snapshots_installed_total",
              "Snapshots received from a leader and installed.",
              status.counters.snapshots_installed);
  add_counter(out, "raftd_snapshots_sent_total", "Snapshots sent to followers.",
              status.counters.snapshots_sent);
  add_gauge(out, "raftd_hash_mismatch",
            "1 while this node does not serve because its state differs from the others'.",
            status.doubt ? 1 : 0);
  add_counter(out, "raftd_hash_mismatches_total", "How often that was found.", status.doubts);
  add_counter(out, "raftd_state_reloads_total", "Snapshots that replaced a state which differed.",
              status.reloads);
  add_gauge(out, "raftd_log_bytes", "Log files on disk.", status.log_bytes_on_disk);
  add_gauge(out, "raftd_pending_bytes", "Proposed and not yet committed.", status.pending_bytes);
  add_counter(out, "raftd_forwarded_total", "Writes passed on to the leader.",
              status.forwarded_total);
  add_counter(out, "raftd_peer_bad_messages_total", "Messages that no correct peer sends.",
              status.counters.bad_messages + site.vitals.bad_peer_messages);
}

void add_store(std::string& out, const Site& site) {
  const kv::StoreStats stats = site.store.stats();
  add_gauge(out, "raftd_revision", "Revision of the store.", stats.revision);
  add_gauge(out, "raftd_compact_revision", "History at or below this is gone.",
            stats.compact_revision);
  add_gauge(out, "raftd_keys", "Live keys.", stats.keys);
  add_gauge(out, "raftd_bytes", "Of live keys and values.", stats.bytes);
  add_gauge(out, "raftd_lock_bytes", "Of locks, elections and who waits for them.",
            stats.lock_bytes);
  add_gauge(out, "raftd_history_bytes", "Of versions that only old revisions see.",
            stats.history_bytes);
  add_gauge(out, "raftd_replies", "Answers kept for retries.", stats.replies);
  add_gauge(out, "raftd_reply_bytes", "Memory that they take.", stats.reply_bytes);
  add_gauge(out, "raftd_leases", "Leases in the store.", stats.leases);
  add_gauge(out, "raftd_watchers", "Watch streams and long-polls here.",
            site.watches.hub.watchers());
  add_gauge(out, "raftd_clients", "Open client connections.", site.vitals.clients);
}

void add_peers(std::string& out, const Site& site, const node::ReplicaStatus& status, Instant now) {
  const std::vector<MemberView> members = members_of(site, status, now);
  const auto id_of = [](const MemberView& member) {
    return label("id", std::to_string(member.id.value));
  };
  add_metric_type(out, "raftd_peer_lag", "gauge", "Entries that the member lacks; leader only.");
  for (const MemberView& member : members) {
    if (!member.self && member.lag) add_metric(out, "raftd_peer_lag", id_of(member), *member.lag);
  }
  add_metric_type(out, "raftd_peer_last_contact_seconds", "gauge",
                  "Since the last message from the member.");
  for (const MemberView& member : members) {
    if (member.self || !member.last_contact) continue;
    out += strf("raftd_peer_last_contact_seconds{%s} %.6f\n", id_of(member).c_str(),
                seconds(*member.last_contact));
  }
  add_metric_type(out, "raftd_peer_connected", "gauge", "1 if the link to the member is open.");
  const auto& connected = site.vitals.connected_peers;
  for (const MemberView& member : members) {
    if (member.self) continue;
    const bool open = std::find(connected.begin(), connected.end(), member.id) != connected.end();
    add_metric(out, "raftd_peer_connected", id_of(member), open ? 1 : 0);
  }
}

void add_times(std::string& out, const Site& site) {
  const ReplicaTimes times = site.backend.times();
  add_metric_type(out, "raftd_fsync_seconds", "histogram", "Writes of the log, synced.");
  add_histogram(out, "raftd_fsync_seconds", "", times.sync.total());
  add_metric_type(out, "raftd_commit_seconds", "histogram", "From proposal to application.");
  add_histogram(out, "raftd_commit_seconds", "", times.commit.total());
  add_metric_type(out, "raftd_apply_seconds", "histogram", "One round of applying entries.");
  add_histogram(out, "raftd_apply_seconds", "", times.apply.total());
  add_metric_type(out, "raftd_loop_lag_seconds", "histogram", "Busy time of the event loop.");
  add_histogram(out, "raftd_loop_lag_seconds", "", site.vitals.loop_stalls.total());
}

}  // namespace

void Metrics::count_request(Root root, int status, Duration took) {
  const auto* found = std::find(kStatuses.begin(), kStatuses.end() - 1, status);
  ++requests_[static_cast<std::size_t>(root)][static_cast<std::size_t>(found - kStatuses.begin())];
  native_.add(took);
}

void Metrics::write(std::string& out) const {
  add_metric_type(out, "raftd_proposals_total", "counter", "Writes asked for at this node.");
  add_metric(out, "raftd_proposals_total", "result=\"done\"", proposed_);
  add_metric(out, "raftd_proposals_total", "result=\"refused\"", refused_);
  add_metric(out, "raftd_proposals_total", "result=\"unknown\"", unknown_);
  add_metric_type(out, "raftd_http_requests_total", "counter", "Requests answered.");
  for (std::size_t root = 0; root < kRoots; ++root) {
    for (std::size_t i = 0; i < kStatuses.size(); ++i) {
      if (requests_[root][i] == 0) continue;
      add_metric(out, "raftd_http_requests_total",
                 strf("api=\"native\",path=\"%s\",code=\"%d\"", root_name(static_cast<Root>(root)),
                      kStatuses[i]),
                 requests_[root][i]);
    }
  }
  add_metric_type(out, "raftd_http_request_seconds", "histogram", "From request to answer.");
  add_histogram(out, "raftd_http_request_seconds", "api=\"native\"", native_);
}

void add_metric_type(std::string& out, const char* name, const char* type, const char* help) {
  out.append("# HELP ").append(name).append(" ").append(help);
  out.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void add_metric(std::string& out, const char* name, std::string_view labels, std::uint64_t value) {
  out.append(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out += ' ';
  add_number(out, value);
  out += '\n';
}

void add_histogram(std::string& out, const char* name, std::string_view labels,
                   const Histogram& histogram) {
  static constexpr int kBoundsUs[] = {100,     250,     500,       1'000,    2'500,
                                      5'000,   10'000,  25'000,    50'000,   100'000,
                                      250'000, 500'000, 1'000'000, 5'000'000};
  const std::string comma = labels.empty() ? "" : std::string(labels) + ',';
  const std::string bucket = std::string(name) + "_bucket";
  for (const int us : kBoundsUs) {
    add_metric(out, bucket.c_str(), comma + strf("le=\"%g\"", us / 1e6),
               histogram.count_at_most(std::chrono::microseconds(us)));
  }
  add_metric(out, bucket.c_str(), comma + "le=\"+Inf\"", histogram.count());
  const std::string braces = labels.empty() ? "" : '{' + std::string(labels) + '}';
  out += strf("%s_sum%s %.9f\n", name, braces.c_str(), seconds(histogram.sum()));
  add_metric(out, (std::string(name) + "_count").c_str(), labels, histogram.count());
}

Handled handle_metrics(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  const node::ReplicaStatus status = site.backend.status(context.now);
  std::string out;
  add_identity(out, site, status);
  add_raft(out, site, status);
  add_store(out, site);
  add_peers(out, site, status, context.now);
  site.metrics.write(out);
  add_times(out, site);
  http::Response response;
  add_header(response.fields, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.fields += site.headers.block();
  response.body = std::move(out);
  return response;
}

}  // namespace raftd::api
