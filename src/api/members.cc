#include "api/members.h"

#include <algorithm>

#include "api/answer.h"
#include "base/text.h"

namespace raftd::api {
namespace {

bool contains(const std::vector<raft::NodeId>& sorted, raft::NodeId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

const raft::PeerProgress* find(const std::vector<raft::PeerProgress>& all, raft::NodeId id) {
  for (const raft::PeerProgress& progress : all) {
    if (progress.id == id) return &progress;
  }
  return nullptr;
}

// What the leader knows of the member: that it has its log, and how fresh that is.
void add_progress(MemberView& view, const Site& site, const node::ReplicaStatus& status,
                  Instant now) {
  const raft::PeerProgress* progress = find(status.progress, view.id);
  if (progress == nullptr) return;
  view.match_index = progress->match.value;
  view.lag = status.last.value - std::min(status.last, progress->match).value;
  if (progress->last_contact) view.last_contact = now - *progress->last_contact;
  const bool fresh =
      view.last_contact && *view.last_contact <= 2 * site.options.election_timeout_min;
  if (!fresh) {
    view.state = "unreachable";
    return;
  }
  switch (progress->state) {
    case raft::PeerProgress::State::kProbe:
      view.state = "probe";
      break;
    case raft::PeerProgress::State::kReplicate:
      view.state = "replicate";
      break;
    case raft::PeerProgress::State::kSnapshot:
      view.state = "snapshot";
      break;
  }
}

void add_number_or_null(std::string& json, std::string_view name,
                        const std::optional<std::uint64_t>& value) {
  add_name(json, name);
  if (value) {
    add_number(json, *value);
  } else {
    json += "null";
  }
}

std::uint64_t us_of(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

const MemberView* find_member(const std::vector<MemberView>& members, std::string_view wanted) {
  std::uint64_t id = 0;
  const bool by_id = is_digits(wanted);
  if (by_id && !parse_u64(wanted, id)) return nullptr;
  for (const MemberView& member : members) {
    if (by_id ? member.id.value == id : member.name == wanted) return &member;
  }
  return nullptr;
}

ApiError member_not_found(std::string_view wanted) {
  ApiError error = bad_request("there is no member " + percent_escape(wanted));
  error.status = 404;
  error.code = "member_not_found";
  std::uint64_t id = 0;
  if (is_digits(wanted) && parse_u64(wanted, id)) {
    api::add_member(error.extra, "id", id);
  } else {
    add_bytes(error.extra, "name", wanted);
  }
  return error;
}

std::vector<MemberView> members_of(const Site& site, const node::ReplicaStatus& status,
                                   Instant now) {
  const raft::Configuration& configuration = status.configuration.configuration;
  const bool leader = status.role.role == raft::Role::kLeader;
  std::vector<MemberView> members;
  for (const raft::MemberAddress& address : configuration.addresses) {
    MemberView view;
    view.id = address.id;
    view.name = site.headers.name(address.id);
    view.peer = address.peer;
    view.client = site.headers.client_url(address.id);
    view.self = address.id == site.options.self;
    if (!contains(configuration.voters, view.id)) {
      view.role = contains(configuration.voters_outgoing, view.id) ? "leaving" : "learner";
    }
    if (view.self) {
      view.state = "self";
      view.last_contact = Duration{};
      if (leader) {
        view.match_index = status.persisted.value;
        view.lag = status.last.value - std::min(status.last, status.persisted).value;
      }
    } else if (leader) {
      add_progress(view, site, status, now);
    } else if (view.id == status.role.leader) {
      view.state = "leader";
      if (status.leader_contact) view.last_contact = now - *status.leader_contact;
    }
    members.push_back(std::move(view));
  }
  return members;
}

const char* role_name(const node::ReplicaStatus& status, raft::NodeId self) {
  if (!status.recovered) return "starting";
  switch (status.role.role) {
    case raft::Role::kLeader:
      return "leader";
    case raft::Role::kPreCandidate:
      return "precandidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kFollower:
      break;
  }
  const raft::Configuration& configuration = status.configuration.configuration;
  const bool votes =
      contains(configuration.voters, self) || contains(configuration.voters_outgoing, self);
  return !votes && contains(configuration.learners, self) ? "learner" : "follower";
}

void add_member_json(std::string& json, const MemberView& member, bool with_progress) {
  json += '{';
  api::add_member(json, "id", member.id.value);
  api::add_member(json, "name", member.name);
  api::add_member(json, "role", member.role);
  api::add_member(json, "peer", member.peer);
  api::add_member(json, "client", member.client);
  if (with_progress) {
    add_number_or_null(json, "match_index", member.match_index);
    add_number_or_null(json, "lag", member.lag);
    std::optional<std::uint64_t> ms;
    if (member.last_contact) ms = us_of(std::max(*member.last_contact, Duration{})) / 1000;
    add_number_or_null(json, "last_contact_ms", ms);
    api::add_member(json, "state", member.state);
  }
  json += '}';
}

void add_leader(std::string& json, const Site& site) {
  add_name(json, "leader");
  const raft::NodeId leader = site.headers.role().leader;
  if (!leader) {
    json += "null";
    return;
  }
  json += '{';
  api::add_member(json, "id", leader.value);
  api::add_member(json, "client", site.headers.leader_url());
  json += '}';
}

void add_quantiles(std::string& json, std::string_view name, const Histogram& histogram,
                   bool with_max) {
  add_name(json, name);
  json += '{';
  api::add_member(json, "p50_us", us_of(histogram.quantile(0.5)));
  api::add_member(json, "p99_us", us_of(histogram.quantile(0.99)));
  if (with_max) api::add_member(json, "max_us", us_of(histogram.max()));
  json += '}';
}

}  // namespace raftd::api
