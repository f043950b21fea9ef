// The header lines that every answer of this node begins with, kept until something in them
// changes; and where the members' clients are served.
#pragma once

#include <string>
#include <string_view>

#include "api/service.h"

namespace raftd::api {

class NodeHeaders {
 public:
  NodeHeaders(const ServiceOptions& options, const kv::Store& store);

  // Before each answer; does nothing but compare while nothing has changed.
  void refresh(const raft::RoleView& role);

  const raft::RoleView& role() const { return role_; }
  bool is_leader() const { return role_.role == raft::Role::kLeader; }
  const std::string& block() const { return block_; }
  std::string_view leader_url() const { return leader_url_; }  // Empty: not known.

  // What the member published of itself, else what the configuration file lists. Empty: unknown.
  std::string_view client_url(raft::NodeId id) const;
  std::string name(raft::NodeId id) const;  // Never empty.

 private:
  const ServiceOptions& options_;
  const std::string_view own_url_;  // Of options_.
  const kv::Store& store_;
  raft::RoleView role_;
  std::string leader_url_;
  std::string block_;
};

}  // namespace raftd::api
