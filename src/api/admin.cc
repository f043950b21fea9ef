// The raw internals of this node, for `raftd describe node` (native API, section 15).
#include "api/answer.h"
#include "api/members.h"

namespace raftd::api {
namespace {

void add_ids(std::string& json, std::string_view name, const std::vector<raft::NodeId>& ids) {
  add_name(json, name);
  json += '[';
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i != 0) json += ',';
    add_number(json, ids[i].value);
  }
  json += ']';
}

void add_storage(std::string& json, const node::ReplicaStatus& status) {
  const raft::Configuration& configuration = status.configuration.configuration;
  add_name(json, "storage");
  json += "{\"hard_state\":{";
  add_member(json, "term", status.hard_state.term.value);
  add_member(json, "vote", status.hard_state.voted_for.value);
  add_member(json, "commit", status.commit.value);
  json += "},\"conf_state\":{";
  add_ids(json, "voters", configuration.voters);
  add_ids(json, "learners", configuration.learners);
  add_ids(json, "voters_outgoing", configuration.voters_outgoing);
  add_ids(json, "learners_next", {});
  add_flag(json, "auto_leave", configuration.joint());  // A joint phase always ends by itself.
  const storage::KeptSnapshot snapshot = status.snapshot.value_or(storage::KeptSnapshot());
  json += "},\"snapshot\":{";
  add_member(json, "index", snapshot.index.value);
  add_member(json, "term", snapshot.term.value);
  add_member(json, "bytes", snapshot.bytes);
  json += '}';
  add_member(json, "last_index", status.last.value);
  json += '}';
}

const char* state_name(raft::PeerProgress::State state) {
  switch (state) {
    case raft::PeerProgress::State::kProbe:
      return "probe";
    case raft::PeerProgress::State::kReplicate:
      return "replicate";
    case raft::PeerProgress::State::kSnapshot:
      return "snapshot";
  }
  return "unknown";
}

void add_progress(std::string& json, const Site& site, const node::ReplicaStatus& status,
                  Instant now) {
  add_name(json, "progress");
  json += '{';
  for (const raft::PeerProgress& peer : status.progress) {
    if (peer.id == site.options.self) continue;
    const bool probe = peer.state == raft::PeerProgress::State::kProbe;
    const bool full = peer.inflight_messages >= limits::kAppendsInFlightMax;
    const bool active =
        peer.last_contact && now - *peer.last_contact <= 2 * site.options.election_timeout_min;
    add_name(json, std::to_string(peer.id.value));
    json += '{';
    add_member(json, "matched", peer.match.value);
    add_member(json, "next_idx", peer.next.value);
    add_member(json, "state", state_name(peer.state));
    add_flag(json, "paused", full || (probe && peer.inflight_messages != 0));
    add_member(json, "pending_snapshot", peer.snapshot.last_index.value);
    add_flag(json, "recent_active", active);
    add_member(json, "inflight", peer.inflight_messages);
    add_member(json, "inflight_bytes", peer.inflight_bytes);
    json += '}';
  }
  json += '}';
}

void add_fsync(std::string& json, const Histogram& histogram) {
  add_quantiles(json, "fsync", histogram, true);
  json.pop_back();
  add_member(json, "count", histogram.count());
  json += '}';
}

}  // namespace

Handled handle_debug(const Site& site, const Context& context) {
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  const node::ReplicaStatus status = site.backend.status(context.now);
  std::string json = "{";
  add_member(json, "node_id", site.options.self.value);
  add_member(json, "leader_id", status.role.leader.value);
  add_member(json, "term", status.role.term.value);
  add_storage(json, status);
  add_progress(json, site, status, context.now);
  add_name(json, "raft_log");
  json += '{';
  add_member(json, "committed", status.commit.value);
  add_member(json, "applied", status.applied.value);
  add_member(json, "persisted", status.persisted.value);
  json += '}';
  add_ids(json, "connections", site.vitals.connected_peers);
  add_fsync(json, site.backend.times().sync.recent(context.now));
  json += "}\n";
  return json_answer(200, site.headers, std::move(json));
}

}  // namespace raftd::api
