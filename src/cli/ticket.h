// What a node that joins was told, and what it remembers of that until it is a member: the answer
// of POST /cluster/tickets, and the file TICKET in its data directory, which is the same with the
// directory's own number.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/json.h"
#include "raft/configuration.h"
#include "storage/recovery.h"

namespace raftd::cli {

struct Ticket {
  raft::NodeId id;
  std::string name;  // Empty: none is asked for.
  bool learner = false;
  raft::NodeId replaces;     // 0: nobody.
  std::string token;         // The cluster knows its digest.
  std::string cluster_id;    // 16 hexadecimal digits.
  std::string cluster_name;  // Empty: it was not said.
  // To be dialled while the log names no members.
  std::vector<raft::MemberAddress> members;
  std::uint64_t instance = 0;  // Of the data directory; 0: it has none yet.
};

// kBadInput: a sentence about the first thing that is wrong with it.
Result<Ticket> parse_ticket(std::string_view text);
// The members of such an object, or of GET /cluster: at least one. kBadInput.
Result<std::vector<raft::MemberAddress>> parse_members(const http::JsonValue& object);
std::string ticket_text(const Ticket& ticket);      // One object and a newline.
std::string instance_text(std::uint64_t instance);  // 16 hexadecimal digits.

// The whole id of its cluster, given the name that this node knows it by.
storage::ClusterId cluster_of(const Ticket& ticket, std::string_view cluster_name);

// TICKET of a data directory. nullopt: there is none, or no directory. kCorrupt, kIo.
Result<std::optional<Ticket>> stored_ticket(storage::DirectoryReader& directory);
// Whom a node dials whose log names no members yet. Empty: there is no TICKET.
Result<std::vector<raft::MemberAddress>> ticket_members(const std::string& data_dir);

}  // namespace raftd::cli
