#include "api/node_headers.h"

#include "api/answer.h"

namespace raftd::api {
namespace {

// A URL is put in header lines: what would break one is as good as unknown.
bool is_header_safe(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return false;
  }
  return true;
}

std::string_view without_slash(std::string_view url) {
  while (url.ends_with('/'))
    url.remove_suffix(1);
  return is_header_safe(url) ? url : std::string_view();
}

}  // namespace

NodeHeaders::NodeHeaders(const ServiceOptions& options, const kv::Store& store)
    : options_(options), own_url_(without_slash(options.client_url)), store_(store) {}

void NodeHeaders::refresh(const raft::RoleView& role) {
  const std::string_view url = role.leader ? client_url(role.leader) : std::string_view();
  if (!block_.empty() && role == role_ && url == leader_url_) return;
  role_ = role;
  leader_url_ = url;
  block_.clear();
  add_header(block_, "Raftd-Node", options_.self.value);
  if (!options_.cluster_id.empty()) add_header(block_, "Raftd-Cluster", options_.cluster_id);
  add_header(block_, "Raftd-Term", role_.term.value);
  if (!leader_url_.empty()) add_header(block_, "Raftd-Leader", leader_url_);
}

std::string_view NodeHeaders::client_url(raft::NodeId id) const {
  if (id == options_.self && !options_.client_url.empty()) return own_url_;
  for (const kv::PublishedMember& member : store_.members()) {
    if (member.id == id.value && !member.client.empty()) return without_slash(member.client);
  }
  for (const MemberInfo& member : options_.listed_members) {
    if (member.id == id) return without_slash(member.client);
  }
  return {};
}

std::string NodeHeaders::name(raft::NodeId id) const {
  if (id == options_.self && !options_.name.empty()) return options_.name;
  for (const kv::PublishedMember& member : store_.members()) {
    if (member.id == id.value && !member.name.empty()) return member.name;
  }
  for (const MemberInfo& member : options_.listed_members) {
    if (member.id == id && !member.name.empty()) return member.name;
  }
  return "n" + std::to_string(id.value);
}

}  // namespace raftd::api
