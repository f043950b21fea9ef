// What a store consists of. Included by the store's own files alone: store.cc (apply), range.cc
// (queries), history.cc (dropping old versions), membership.cc (who is and was a member),
// snapshot.cc (the state as bytes and back), state_hash.cc (one number for all of it).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "kv/store.h"
#include "kv/versions.h"

namespace raftd::kv {

using Keys = std::map<std::string, Versions, std::less<>>;

// The revisions after the mark before, up to this one, came between these times: at most a second.
struct TimeMark {
  machine::ClusterTime first;
  machine::ClusterTime last;
  Revision revision;
};

std::uint64_t hash_of(std::string_view key, const Version& version);
std::uint64_t hash_of(const TimeMark& mark);
std::uint64_t hash_of(const PublishedMember& member);
std::uint64_t hash_of(const Ticket& ticket);
std::uint64_t hash_of_max_id(std::uint64_t id);
// Of a whole state but for the time: sum is that of its items.
std::uint64_t content_hash(const StoreStats& stats, std::uint64_t sum);

struct Store::State {
  explicit State(const HistoryLimits& limits) : history(limits) {}

  // store.cc
  machine::Outcome apply(const Command& command, bool reply_wanted);
  WriteReply put(const Put& put, bool reply_wanted);
  WriteReply remove(const Delete& del, bool reply_wanted);
  WriteReply compact(const Compact& compact);
  machine::Outcome delete_slice();
  bool refused(const Condition& condition, const Version* present, WriteReply& reply) const;
  void add_version(Keys::iterator at, Version version);

  // range.cc
  std::unique_ptr<machine::Reply> get(const GetQuery& query) const;
  std::unique_ptr<machine::Reply> range(const RangeQuery& query) const;

  // membership.cc
  WriteReply publish(const PublishMember& member);
  MemberReply reserve(const ReserveMember& reserve);
  MemberReply claim(const ClaimMember& claim);
  MemberReply drop(const DropTickets& drop);
  void configure(const raft::Configuration& configuration);
  bool name_taken(std::string_view name, std::uint64_t id, std::uint64_t replaces) const;
  Ticket* find_ticket(std::uint64_t id);
  void change_ticket(Ticket& ticket, const Ticket& after);
  void add_ticket(Ticket ticket);
  template <class Predicate>
  std::uint64_t erase_tickets(const Predicate& unwanted);
  void put_member(PublishedMember member);
  void raise_max_id(std::uint64_t id);
  std::optional<machine::ClusterTime> next_expiry() const;
  void note_promotions();

  // history.cc
  void note_revision();  // stats.revision was raised.
  Revision compaction_target(machine::ClusterTime at) const;
  bool tidy_slice();
  Revision tidy_up_to() const;

  // state_hash.cc
  std::uint64_t computed_sum() const;  // What hash_sum must be. Slow.
  void forget_up_to_compacted();       // stats.compact_revision was raised.
  std::uint64_t content_hash() const { return raftd::kv::content_hash(stats, hash_sum); }

  // One write of one key, oldest first: who may have versions to drop once history passes it.
  struct Change {
    Revision revision;
    Keys::iterator key;
    std::uint64_t ended;  // hash_ended with it.
  };
  // A DeletePrefix under way. Its tombstones have a revision that no reader sees before it ends.
  struct Deleting {
    std::string prefix;
    std::string next;
    std::uint64_t limit = 0;
    std::uint64_t deleted = 0;
    std::uint64_t deleted_bytes = 0;
    bool more = false;
    bool reply_wanted = false;
  };

  HistoryLimits history;
  Keys keys;
  raft::Index applied;
  machine::ClusterTime now;  // Of the entry applied last.
  std::deque<Change> changes;
  std::uint64_t changes_dropped = 0;  // From the front of changes, ever.
  std::vector<Revision> held;         // What living snapshot writers see from: not dropped.
  std::deque<TimeMark> times;         // Of revisions above compact_revision.
  std::optional<Deleting> deleting;
  std::vector<PublishedMember> members;
  std::vector<Ticket> tickets;                 // By id.
  std::uint64_t max_id = 0;                    // Of all that were ever used or reserved.
  std::vector<machine::Promotion> promotions;  // What the tickets say.
  StoreStats stats;
  // The sum of the hashes of all that a snapshot would hold, and what it loses as history moves on.
  std::uint64_t hash_sum = 0;
  std::uint64_t hash_ended = 0;      // Of what any change so far has put an end to.
  std::uint64_t hash_forgotten = 0;  // Of that, what ended at or before compact_revision.
  Keys discarded;                    // Of the state before a restore, to be freed.
};

// Memory that a version which only history sees takes, roughly: itself, its value, the allocator.
inline std::uint64_t history_weight(const Version& version) {
  return sizeof(Version) + version.value.view().size() + 16;
}

Item make_item(std::string_view key, const Version& version, bool with_value);

}  // namespace raftd::kv
