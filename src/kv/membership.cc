// Who is and was a member, as far as the log says: what members publish of themselves, the largest
// id ever used, and tickets for those that are to come.
//
// The happy path of a ticket is: ReserveMember takes the next id and keeps the hash of a token;
// ClaimMember, with the token, gives the id to one data directory; the configuration that has the
// id spends it, or, if the member shall vote, keeps it until the leader has made a voter of it.
// Possible failure modes are: a ticket expires by cluster time before it is claimed (a chore drops
// it; its id is never used); somebody else comes with the same token (refused: it belongs to the
// first); the claim is repeated, since an answer was lost (done again, which changes nothing); the
// change of members never comes (the claim stays until somebody takes it back: as long as the
// change may come, nobody must take the id for that of a member that was removed); the member is
// removed while it catches up.
#include <algorithm>

#include "base/limits.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

MemberReply refusal(MemberReply::Result result) {
  MemberReply reply;
  reply.result = result;
  return reply;
}

MemberReply reply_for(const Ticket& ticket) {
  MemberReply reply;
  reply.id = ticket.id;
  reply.voter = ticket.voter;
  reply.expires = ticket.expires;
  return reply;
}

bool contains(const std::vector<raft::NodeId>& sorted, std::uint64_t id) {
  return std::ranges::binary_search(sorted, raft::NodeId{id});
}

}  // namespace

WriteReply Store::State::publish(const PublishMember& member) {
  const bool known = std::ranges::binary_search(members, member.id, {}, &PublishedMember::id);
  if (!known && members.size() == limits::kPublishedMembersMax) {
    WriteReply reply;
    reply.result = WriteReply::Result::kBadCommand;
    reply.message = "too many members have published themselves";
    return reply;
  }
  put_member({member.id, member.instance, std::string(member.name), std::string(member.client),
              std::string(member.version)});
  return {};
}

MemberReply Store::State::reserve(const ReserveMember& reserve) {
  if (name_taken(reserve.name, 0, reserve.replaces)) {
    return refusal(MemberReply::Result::kNameTaken);
  }
  // Snapshots of the first builds do not have the largest id.
  const std::uint64_t used = members.empty() ? max_id : std::max(max_id, members.back().id);
  if (tickets.size() >= limits::kTicketsMax || used >= limits::kNodeIdMax) {
    return refusal(MemberReply::Result::kTooMany);
  }
  Ticket ticket;
  ticket.id = used + 1;
  ticket.token_hash = reserve.token_hash;
  ticket.name = reserve.name;
  ticket.voter = reserve.voter;
  ticket.replaces = reserve.replaces;
  ticket.expires = {now.value + reserve.ttl_ms};
  add_ticket(ticket);
  return reply_for(ticket);
}

MemberReply Store::State::claim(const ClaimMember& claim) {
  const bool with_ticket = !claim.token_hash.empty();
  Ticket* known = find_ticket(claim.id);
  Ticket after;
  if (known != nullptr) {
    const bool expired = known->stage == Ticket::Stage::kOpen && known->expires <= now;
    const bool theirs = known->stage == Ticket::Stage::kOpen || known->instance == claim.instance;
    if (known->token_hash != claim.token_hash || expired || !theirs) {
      return refusal(with_ticket ? MemberReply::Result::kBadTicket : MemberReply::Result::kIdUsed);
    }
    after = *known;
  } else {
    if (with_ticket) return refusal(MemberReply::Result::kBadTicket);
    if (claim.id <= max_id) return refusal(MemberReply::Result::kIdUsed);
    after.id = claim.id;
  }
  if (!claim.name.empty()) after.name = claim.name;
  if (claim.replaces != 0) after.replaces = claim.replaces;
  after.voter = after.voter && claim.voter;
  after.instance = claim.instance;
  if (name_taken(after.name, claim.id, after.replaces)) {
    return refusal(MemberReply::Result::kNameTaken);
  }
  const bool room = std::ranges::binary_search(members, claim.id, {}, &PublishedMember::id) ||
                    members.size() < limits::kPublishedMembersMax;
  if (!room || (known == nullptr && tickets.size() >= limits::kTicketsMax)) {
    return refusal(MemberReply::Result::kTooMany);
  }
  if (after.stage == Ticket::Stage::kOpen) after.stage = Ticket::Stage::kClaimed;
  if (known != nullptr) {
    change_ticket(*known, after);
  } else {
    add_ticket(after);
  }
  put_member({claim.id, claim.instance, after.name, std::string(claim.client), {}});
  return reply_for(after);
}

MemberReply Store::State::drop(const DropTickets& drop) {
  MemberReply reply;
  reply.dropped = erase_tickets([&](const Ticket& ticket) {
    if (ticket.stage == Ticket::Stage::kCatchingUp) return false;
    if (drop.id != 0) return ticket.id == drop.id;
    return ticket.stage == Ticket::Stage::kOpen && ticket.expires <= now;
  });
  return reply;
}

// Committed. It may be joint: who leaves is a member until the end of that.
void Store::State::configure(const raft::Configuration& configuration) {
  const std::vector<raft::NodeId> ids = raft::members_of(configuration);
  if (!ids.empty()) raise_max_id(ids.back().value);
  erase_tickets([&](const Ticket& ticket) {
    if (!contains(ids, ticket.id)) return ticket.stage == Ticket::Stage::kCatchingUp;
    return !ticket.voter || contains(configuration.voters, ticket.id);
  });
  for (Ticket& ticket : tickets) {
    if (!contains(ids, ticket.id)) continue;
    Ticket after = ticket;
    after.stage = Ticket::Stage::kCatchingUp;
    change_ticket(ticket, after);
  }
  std::erase_if(members, [&](const PublishedMember& member) {
    if (contains(ids, member.id) || find_ticket(member.id) != nullptr) return false;
    hash_sum -= hash_of(member);
    return true;
  });
}

// A member may have the name of the one that it replaces. A ticket that nobody uses holds none: the
// answer that gave it may have been lost.
bool Store::State::name_taken(std::string_view name, std::uint64_t id,
                              std::uint64_t replaces) const {
  if (name.empty()) return false;
  const auto taken = [&](const auto& other) {
    return other.name == name && other.id != id && (replaces == 0 || other.id != replaces);
  };
  return std::ranges::any_of(members, taken);
}

Ticket* Store::State::find_ticket(std::uint64_t id) {
  const auto at = std::ranges::lower_bound(tickets, id, {}, &Ticket::id);
  return at != tickets.end() && at->id == id ? &*at : nullptr;
}

void Store::State::change_ticket(Ticket& ticket, const Ticket& after) {
  hash_sum += hash_of(after) - hash_of(ticket);
  ticket = after;
  note_promotions();
}

void Store::State::add_ticket(Ticket ticket) {
  raise_max_id(ticket.id);
  hash_sum += hash_of(ticket);
  const auto at = std::ranges::lower_bound(tickets, ticket.id, {}, &Ticket::id);
  tickets.insert(at, std::move(ticket));
  note_promotions();
}

template <class Predicate>
std::uint64_t Store::State::erase_tickets(const Predicate& unwanted) {
  const std::uint64_t erased = std::erase_if(tickets, [&](const Ticket& ticket) {
    if (!unwanted(ticket)) return false;
    hash_sum -= hash_of(ticket);
    return true;
  });
  if (erased > 0) note_promotions();
  return erased;
}

void Store::State::put_member(PublishedMember member) {
  const auto at = std::ranges::lower_bound(members, member.id, {}, &PublishedMember::id);
  hash_sum += hash_of(member);
  if (at != members.end() && at->id == member.id) {
    hash_sum -= hash_of(*at);
    *at = std::move(member);
  } else {
    members.insert(at, std::move(member));
  }
}

void Store::State::raise_max_id(std::uint64_t id) {
  if (id <= max_id) return;
  hash_sum += hash_of_max_id(id) - hash_of_max_id(max_id);
  max_id = id;
}

std::optional<machine::ClusterTime> Store::State::next_expiry() const {
  std::optional<machine::ClusterTime> next;
  for (const Ticket& ticket : tickets) {
    if (ticket.stage != Ticket::Stage::kOpen) continue;
    if (!next || ticket.expires < *next) next = ticket.expires;
  }
  return next;
}

void Store::State::note_promotions() {
  promotions.clear();
  for (const Ticket& ticket : tickets) {
    if (ticket.stage != Ticket::Stage::kCatchingUp) continue;
    promotions.push_back({{ticket.id}, {ticket.replaces}});
  }
}

void Store::forget_members(std::uint64_t max_id) {
  State& s = *state_;
  for (const PublishedMember& member : s.members)
    s.hash_sum -= hash_of(member);
  s.members.clear();
  s.erase_tickets([](const Ticket&) { return true; });
  s.raise_max_id(max_id);
}

const std::vector<PublishedMember>& Store::members() const {
  return state_->members;
}

const std::vector<Ticket>& Store::tickets() const {
  return state_->tickets;
}

std::uint64_t Store::max_id() const {
  return state_->max_id;
}

const std::vector<machine::Promotion>& Store::promotions() const {
  return state_->promotions;
}

}  // namespace raftd::kv
