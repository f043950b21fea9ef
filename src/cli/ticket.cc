#include "cli/ticket.h"

#include <algorithm>
#include <array>

#include "base/address.h"
#include "base/text.h"
#include "config/members.h"
#include "storage/data_dir.h"
#include "storage/posix_files.h"

namespace raftd::cli {
namespace {

constexpr std::size_t kTokenBytesMax = 128;
constexpr std::size_t kClusterHalfBytes = 8;

Error wrong(std::string_view field, std::string_view expected) {
  return {Errc::kBadInput,
          strf("a ticket's %s is %s", std::string(field).c_str(), std::string(expected).c_str())};
}

// Of a field that may be absent.
std::string text_of(const http::JsonValue& object, std::string_view name) {
  const http::JsonValue* field = object.field(name);
  return field == nullptr || field->text() == nullptr ? "" : *field->text();
}

Result<raft::NodeId> id_of(const http::JsonValue& object, std::string_view name) {
  const http::JsonValue* field = object.field(name);
  const std::uint64_t* id = field == nullptr ? nullptr : field->whole();
  if (id == nullptr || *id < 1 || *id > limits::kNodeIdMax) {
    return wrong(name, "a number from 1 to 2^53 - 1");
  }
  return raft::NodeId{*id};
}

Status read_instance(const http::JsonValue& object, Ticket& ticket) {
  const std::string text = text_of(object, "instance");
  if (text.empty()) return Done{};
  if (!parse_hex_u64(text, ticket.instance)) return wrong("instance", "16 hexadecimal digits");
  return Done{};
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<std::vector<raft::MemberAddress>> parse_members(const http::JsonValue& object) {
  const http::JsonValue* list = object.field("members");
  if (list == nullptr || list->array() == nullptr || list->array()->empty() ||
      list->array()->size() > limits::kMembersMax) {
    return wrong("members", strf("a list of 1 to %zu", limits::kMembersMax));
  }
  std::vector<raft::MemberAddress> members;
  for (const http::JsonValue& entry : *list->array()) {
    TRY(const raft::NodeId id, id_of(entry, "id"));
    const std::string peer = text_of(entry, "peer");
    Address address;
    if (!parse_address(peer, false, address)) return wrong("peer of a member", "HOST:PORT");
    members.push_back({id, peer});
  }
  return members;
}

Result<Ticket> parse_ticket(std::string_view text) {
  auto parsed = http::parse_json(text);
  if (!parsed) return Error{Errc::kBadInput, "a ticket is JSON: " + parsed.error().message};
  const http::JsonValue& object = *parsed;
  if (object.object() == nullptr) return Error{Errc::kBadInput, "a ticket is a JSON object"};
  Ticket ticket;
  TRY(ticket.id, id_of(object, "id"));
  if (object.field("replaces") != nullptr) {
    TRY(ticket.replaces, id_of(object, "replaces"));
  }
  ticket.name = text_of(object, "name");
  if (!ticket.name.empty() && !is_member_name(ticket.name)) {
    return wrong("name", "1 to 64 bytes of text that are not all digits");
  }
  const std::string role = text_of(object, "role");
  if (!role.empty() && role != "voter" && role != "learner") {
    return wrong("role", "\"voter\" or \"learner\"");
  }
  ticket.learner = role == "learner";
  ticket.token = text_of(object, "token");
  if (!is_token(ticket.token)) return wrong("token", "one word of printable characters");
  ticket.cluster_id = text_of(object, "cluster_id");
  std::uint64_t half = 0;
  if (!parse_hex_u64(ticket.cluster_id, half)) return wrong("cluster_id", "16 hexadecimal digits");
  ticket.cluster_name = text_of(object, "cluster_name");
  TRY(ticket.members, parse_members(object));
  TRY([[maybe_unused]] const Done read, read_instance(object, ticket));
  return ticket;
}

std::string ticket_text(const Ticket& ticket) {
  std::string text;
  http::JsonWriter writer(text);
  writer.begin_object().field("id", ticket.id.value);
  if (!ticket.name.empty()) writer.field("name", std::string_view(ticket.name));
  writer.field("role", std::string_view(ticket.learner ? "learner" : "voter"));
  if (ticket.replaces) writer.field("replaces", ticket.replaces.value);
  writer.field("token", std::string_view(ticket.token));
  writer.field("cluster_id", std::string_view(ticket.cluster_id));
  if (!ticket.cluster_name.empty()) {
    writer.field("cluster_name", std::string_view(ticket.cluster_name));
  }
  writer.name("members").begin_array();
  for (const raft::MemberAddress& member : ticket.members) {
    writer.begin_object().field("id", member.id.value);
    writer.field("peer", std::string_view(member.peer)).end_object();
  }
  writer.end_array();
  writer.field("instance", std::string_view(instance_text(ticket.instance))).end_object();
  return text + "\n";
}

std::string instance_text(std::uint64_t instance) {
  return strf("%016llx", static_cast<unsigned long long>(instance));
}

storage::ClusterId cluster_of(const Ticket& ticket, std::string_view cluster_name) {
  std::uint64_t half = 0;
  const bool parsed = parse_hex_u64(ticket.cluster_id, half);
  ASSERT(parsed);  // parse_ticket() has looked.
  std::array<std::uint8_t, kClusterHalfBytes> bytes{};
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, half >>= 8)
    *byte = static_cast<std::uint8_t>(half);
  return storage::joined_cluster_id(cluster_name, bytes);
}

Result<std::optional<Ticket>> stored_ticket(storage::DirectoryReader& directory) {
  TRY(const std::optional<Bytes> bytes, storage::read_ticket(directory));
  if (!bytes) return std::optional<Ticket>{};
  auto ticket = parse_ticket(as_text(*bytes));
  if (!ticket) return Error{Errc::kCorrupt, "TICKET: " + ticket.error().message};
  if (ticket->instance == 0) return Error{Errc::kCorrupt, "TICKET: it has no instance"};
  return std::optional(*std::move(ticket));
}

Result<std::vector<raft::MemberAddress>> ticket_members(const std::string& data_dir) {
  const auto directory = storage::PosixDirectoryReader::open(data_dir);
  if (!directory) return std::vector<raft::MemberAddress>{};  // A first start makes it.
  TRY(std::optional<Ticket> ticket, stored_ticket(**directory));
  if (!ticket) return std::vector<raft::MemberAddress>{};
  return std::move(ticket->members);
}

}  // namespace raftd::cli
