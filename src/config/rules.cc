#include "config/rules.h"

#include <algorithm>

#include "base/address.h"
#include "config/units.h"
#include "config/value.h"

namespace raftd::config {
namespace {

using Found = std::optional<Contradiction>;

Address address_of(const std::string& text) {
  Address address;
  ASSERT(parse_address(text, true, address));  // load() has checked it.
  return address;
}

bool collide(const Address& a, const Address& b) {
  if (a.is_unix() || b.is_unix()) return a == b;
  return a.port == b.port && (a.host == b.host || a.is_wildcard() || b.is_wildcard());
}

std::string ids_of(const std::vector<Member>& members) {
  std::string out;
  for (const Member& member : members)
    out += (out.empty() ? "" : ", ") + std::to_string(member.id);
  return out;
}

Found check_members(const Config& config) {
  const std::vector<Member>& members = config.cluster.members;
  if (members.empty()) return std::nullopt;
  if (config.id == 0) {
    return Contradiction{{"id", "cluster.members"},
                         "nothing",
                         "which of the members " + ids_of(members) + " this node is"};
  }
  const auto self = std::find_if(members.begin(), members.end(),
                                 [&](const Member& m) { return m.id == config.id; });
  if (self == members.end()) {
    return Contradiction{{"id", "cluster.members"},
                         "the id " + std::to_string(config.id),
                         "one of cluster.members: " + ids_of(members)};
  }
  if (!config.name.empty() && !self->name.empty() && self->name != config.name) {
    return Contradiction{{"name", "cluster.members"},
                         "the string " + toml_quote(config.name),
                         toml_quote(self->name) + " as in cluster.members"};
  }
  for (const Member& member : members) {
    if (member.id != config.id && node_name(config) == member.name) {
      return Contradiction{{"name", "cluster.members"},
                           "the string " + toml_quote(member.name),
                           "another name than that of member " + std::to_string(member.id)};
    }
  }
  return std::nullopt;
}

Found check_raft(const Config& config) {
  const milliseconds least = 3 * config.raft.heartbeat_interval;
  if (config.raft.election_timeout < least) {
    return Contradiction{{"raft.election_timeout", "raft.heartbeat_interval"},
                         "an election timeout of " + duration_text(config.raft.election_timeout),
                         "at least 3 heartbeat intervals, " + duration_text(least)};
  }
  return std::nullopt;
}

Found check_limits(const Config& config) {
  if (config.limits.value_bytes > config.limits.request_bytes) {
    return Contradiction{{"limits.value_bytes", "limits.request_bytes"},
                         "values of " + size_text(config.limits.value_bytes),
                         "at most limits.request_bytes, " + size_text(config.limits.request_bytes)};
  }
  return std::nullopt;
}

Found check_addresses(const Config& config) {
  std::vector<Address> taken;
  for (const std::string& text : config.client.listen) {
    const Address address = address_of(text);
    for (const Address& other : taken) {
      if (collide(address, other)) {
        return Contradiction{{"client.listen"},
                             toml_quote(text) + " beside " + toml_quote(other.text()),
                             "addresses that can be listened on together"};
      }
    }
    taken.push_back(address);
  }
  const Address peer = address_of(config.peer.listen);
  for (const Address& address : taken) {
    if (collide(address, peer)) {
      return Contradiction{{"peer.listen", "client.listen"},
                           toml_quote(config.peer.listen),
                           "another port than that of client.listen, " + address.text()};
    }
  }
  return std::nullopt;
}

const Member* own_entry(const Config& config) {
  for (const Member& member : config.cluster.members)
    if (member.id == config.id) return &member;
  return nullptr;
}

std::string reachable(const std::string& listen, const std::string& host_name) {
  Address address = address_of(listen);
  if (address.is_wildcard()) address.host = host_name;
  return address.text();
}

}  // namespace

std::optional<Contradiction> contradiction(const Config& config) {
  for (const auto check : {check_members, check_raft, check_limits, check_addresses}) {
    if (Found found = check(config)) return found;
  }
  return std::nullopt;
}

std::vector<std::string> doubts(const Config& config) {
  std::vector<std::string> out;
  std::string open;
  const auto look = [&](const std::string& key, const std::string& text) {
    if (!address_of(text).is_loopback()) open += (open.empty() ? "" : ", ") + key + " " + text;
  };
  for (const std::string& listen : config.client.listen)
    look("client.listen", listen);
  look("peer.listen", config.peer.listen);
  if (!open.empty()) {
    out.push_back(
        "whoever reaches these addresses may read and change everything, because "
        "there is neither TLS nor a token: " +
        open);
  }
  return out;
}

std::string client_url(const Config& config, const std::string& host_name) {
  if (!config.client.advertise.empty()) return config.client.advertise;
  const Member* self = own_entry(config);
  if (self != nullptr && !self->client.empty()) return self->client;
  for (const std::string& listen : config.client.listen) {
    if (!address_of(listen).is_unix()) return "http://" + reachable(listen, host_name);
  }
  return "";
}

std::string peer_address(const Config& config, const std::string& host_name) {
  if (!config.peer.advertise.empty()) return config.peer.advertise;
  const Member* self = own_entry(config);
  if (self != nullptr) return self->peer;
  return reachable(config.peer.listen, host_name);
}

}  // namespace raftd::config
