// The members of the cluster as /status, /cluster and /metrics show them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/call.h"

namespace raftd::api {

struct MemberView {
  raft::NodeId id;
  std::string name;
  const char* role = "voter";  // Or learner; leaving: only in the outgoing half.
  std::string peer;            // HOST:PORT
  std::string_view client;     // URL; empty: not known.
  bool self = false;
  std::optional<std::uint64_t> match_index;  // Leader only.
  std::optional<std::uint64_t> lag;
  std::optional<Duration> last_contact;
  const char* state = "unknown";
};

std::vector<MemberView> members_of(const Site& site, const node::ReplicaStatus& status,
                                   Instant now);  // By id.

// By id if wanted is all digits, else by name; nullptr: there is none.
const MemberView* find_member(const std::vector<MemberView>& members, std::string_view wanted);
ApiError member_not_found(std::string_view wanted);

const char* role_name(const node::ReplicaStatus& status, raft::NodeId self);

// {"id":1,"name":"n1","role":"voter","peer":"10.0.0.1:2380","client":"http://10.0.0.1:2379"}
void add_member_json(std::string& json, const MemberView& member, bool with_progress);
void add_leader(std::string& json, const Site& site);  // "leader":{...} or null.
// {"p50_us":180,"p99_us":5100}, and "max_us" if wanted.
void add_quantiles(std::string& json, std::string_view name, const Histogram& histogram,
                   bool with_max);

}  // namespace raftd::api
