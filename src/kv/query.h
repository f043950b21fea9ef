// Questions to the store and its answers: the types that the store and its front ends share. They
// never leave the process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/state_machine.h"

namespace raftd::kv {

using Revision = std::uint64_t;  // 1: an empty store; +1 per write that changes something.

struct Item {
  std::string key;
  std::string value;  // Empty where only keys were asked.
  Revision mod = 0;
  Revision create = 0;
  std::uint64_t version = 0;  // Writes since creation, from 1.
};

// Of Put, Delete, DeletePrefix.
struct WriteReply final : machine::Reply {
  enum class Result : std::uint8_t {
    kDone,
    kModDiffers,  // The condition kModIs does not hold; also when the key is absent.
    kExists,      // kAbsent does not hold.
    kAbsent,      // kExists does not hold.
    kBadCommand,  // It did not decode: nothing was changed.
  };
  Result result = Result::kDone;
  Revision revision = 0;      // Of this write; the store's if nothing changed.
  bool created = false;       // Put: the key was not there.
  std::uint64_t deleted = 0;  // Keys.
  bool more = false;          // DeletePrefix: some are left beyond the limit.
  std::optional<Item> prev;   // Before the write if asked for; the present one if refused.
  std::string message;        // kBadCommand: why.
};

struct GetQuery final : machine::Query {
  std::string key;
  Revision rev = 0;           // 0: the latest.
  Revision min_revision = 0;  // Wait until the store is there.
};

struct GetReply final : machine::Reply {
  enum class Result : std::uint8_t { kFound, kNotFound, kCompacted, kFuture };
  Result result = Result::kFound;
  Revision revision = 0;  // The store's.
  Revision compact_revision = 0;
  Item item;  // If found.
};

// One bounded piece of a range: the caller goes on from next_key at the same rev.
struct RangeQuery final : machine::Query {
  std::string prefix;
  std::string start;  // Not empty: begin at this key, included (reverse: at the last key below it).
  Revision rev = 0;
  Revision min_revision = 0;
  std::uint64_t limit = 0;    // Items plus prefixes; 0: only the slice's own bound.
  std::size_t bytes_max = 0;  // Of keys and values; at least one item is given. 0: no bound.
  bool keys_only = false;
  bool count_only = false;
  bool reverse = false;
  std::string delimiter;  // Not empty: what follows the first one after prefix is collapsed.
};

struct RangeReply final : machine::Reply {
  enum class Result : std::uint8_t { kDone, kCompacted, kFuture };
  struct Row {
    bool is_prefix = false;  // item.key is then a collapsed prefix, with its delimiter.
    Item item;
  };
  Result result = Result::kDone;
  Revision revision = 0;  // At which the rows were read: rev, or the store's.
  Revision compact_revision = 0;
  std::vector<Row> rows;    // In the order asked for.
  std::uint64_t count = 0;  // count_only: keys in this piece.
  bool more = false;        // Something may be left: continue with start = next.
  std::string next;
  // The reason to stop was limit or bytes_max, not the slice's bound (kRangeKeysPerSliceMax).
  bool page_full = false;
};

// Of ReserveMember, ClaimMember, DropTickets.
struct MemberReply final : machine::Reply {
  enum class Result : std::uint8_t {
    kDone,
    kBadTicket,  // Unknown, of another token, used by somebody else, or expired.
    kIdUsed,     // Somebody has or had it, or it is reserved.
    kNameTaken,  // By a member, or a ticket.
    kTooMany,    // Tickets, or members, or no id is left.
  };
  Result result = Result::kDone;
  std::uint64_t id = 0;
  bool voter = true;  // As it will be.
  machine::ClusterTime expires;
  std::uint64_t dropped = 0;  // Tickets.
};

struct PublishedMember {
  std::uint64_t id = 0;
  std::uint64_t instance = 0;
  std::string name;
  std::string client;
  std::string version;
};

// A member on its way in.
struct Ticket {
  enum class Stage : std::uint8_t {
    kOpen = 0,        // Nobody has used it.
    kClaimed = 1,     // By instance; the change of members is to come.
    kCatchingUp = 2,  // A learner that shall vote.
  };
  std::uint64_t id = 0;
  Stage stage = Stage::kOpen;
  std::string token_hash;  // Empty: it was claimed without a ticket.
  std::string name;
  bool voter = true;
  std::uint64_t replaces = 0;
  std::uint64_t instance = 0;    // Who has claimed it.
  machine::ClusterTime expires;  // Of an open one.
  bool operator==(const Ticket&) const = default;
};

struct StoreStats {
  Revision revision = 1;
  Revision compact_revision = 0;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;          // Of live keys and values.
  std::uint64_t history_bytes = 0;  // Of versions that only old revisions see.
};

}  // namespace raftd::kv
