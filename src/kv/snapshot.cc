// The state as bytes; restore.cc reads them. Two walks, both in order: every key as it was when
// history began (the compacted revision), then every change since, as the event ring has them; so
// that the reader builds keys, versions and ring by appending, and checks on the way that each
// change follows from the state before it.
//
//   head     u64 revision, compact revision, keys, bytes
//   records  u8 kind, then
//            'k'  a key's version when history began, 'c' a change:
//                 u16 key bytes, u32 value bytes, u64 mod, create, version; key; value
//            'K'  the same of another space than the keys', or with a lease; 'C' likewise:
//                 u8 space, u64 lease, then as 'k'
//            'n'  the lease that was chosen last: u64
//            'l'  a lease: u64 id, time to live, deadline; u8 owned. By id, before all keys
//            't'  a time mark: u64 first, last, revision
//            'm'  a published member: u64 id, instance; u16 and text: name, client, version
//            'i'  the largest id that a member had or a ticket reserves: u64
//            'p'  a ticket: u64 id, replaces, instance, expires; u8 stage, voter; u16 and text:
//                 hash of the token, name
//            'r'  a reply that is kept for retries, the oldest first: u64 hash of the request,
//            time,
//                 index; u8 key bytes, u16 reply bytes; idempotency key; encoded reply
//            'h'  the state's hash: u64; all files have it but those of the first builds
//            'e'  the end: u64 number of the records before
#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "base/text.h"
#include "kv/lock_record.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

void append_text(Bytes& out, std::string_view text) {
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_text_field(Bytes& out, std::string_view text) {
  append_le(out, static_cast<std::uint16_t>(text.size()));
  append_text(out, text);
}

// kind: 'k' or 'c'.
void append_item(Bytes& out, char kind, const Key& key, const Version& version) {
  const std::string_view value = version.value();
  const bool plain = key.space() == Space::kKeys && version.lease() == 0;
  out.push_back(static_cast<std::byte>(plain ? kind : kind - 'a' + 'A'));
  if (!plain) {
    out.push_back(static_cast<std::byte>(key.space()));
    append_le(out, version.lease());
  }
  append_le(out, static_cast<std::uint16_t>(key.text().size()));
  append_le(out, static_cast<std::uint32_t>(value.size()));
  append_le(out, version.mod());
  append_le(out, version.create());
  append_le(out, version.version());
  append_text(out, key.text());
  append_text(out, value);
}

void append_member(Bytes& out, const PublishedMember& member) {
  out.push_back(std::byte{'m'});
  append_le(out, member.id);
  append_le(out, member.instance);
  for (const std::string* text : {&member.name, &member.client, &member.version})
    append_text_field(out, *text);
}

void append_ticket(Bytes& out, const Ticket& ticket) {
  out.push_back(std::byte{'p'});
  for (const std::uint64_t word :
       {ticket.id, ticket.replaces, ticket.instance, ticket.expires.value}) {
    append_le(out, word);
  }
  out.push_back(static_cast<std::byte>(ticket.stage));
  out.push_back(static_cast<std::byte>(ticket.voter));
  append_text_field(out, ticket.token_hash);
  append_text_field(out, ticket.name);
}

void append_lease(Bytes& out, LeaseId id, const LeaseTimes& lease) {
  out.push_back(std::byte{'l'});
  append_le(out, id);
  append_le(out, lease.ttl_ms);
  append_le(out, lease.deadline.value);
  out.push_back(static_cast<std::byte>(lease.owned));
}

}  // namespace

class Store::Writer final : public machine::SnapshotWriter {
 public:
  explicit Writer(State& state)
      : state_(state),
        stats_(state.stats),
        times_(state.times),
        members_(state.members),
        tickets_(state.tickets),
        max_id_(state.max_id),
        lease_counter_(state.lease_counter),
        replies_(state.retries.entries()),
        hash_(state.content_hash()),
        change_(state.changes_dropped) {
    state_.held.push_back(stats_.compact_revision);
    state_.cuts.push_back(&cut_);
  }
  ~Writer() override {
    state_.held.erase(std::ranges::find(state_.held, stats_.compact_revision));
    std::erase(state_.cuts, &cut_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool write_slice(Bytes& out, std::size_t bytes_max) override {
    const std::size_t end = out.size() + bytes_max;
    std::size_t visits = limits::kSnapshotKeysPerSliceMax;
    while (out.size() < end && visits > 0) {
      switch (part_) {
        case Part::kHead:
          write_head(out);
          part_ = Part::kReplies;
          break;
        case Part::kReplies:
          if (!write_replies(out, end, visits)) part_ = Part::kLeases;
          break;
        case Part::kLeases:
          if (!write_leases(out, end, visits)) part_ = Part::kKeys;
          break;
        case Part::kKeys:
          if (!write_keys(out, end, visits)) part_ = Part::kChanges;
          break;
        case Part::kChanges:
          if (!write_changes(out, end, visits)) part_ = Part::kEnd;
          break;
        case Part::kEnd:
          out.push_back(std::byte{'h'});
          append_le(out, hash_);
          out.push_back(std::byte{'e'});
          append_le(out, records_ + 1);
          return true;
      }
    }
    return false;
  }

  // The one hash was kept with every write, the other is that of what the memory holds now.
  Status intact() const override {
    if (content_hash(stats_, sum_) == hash_) return Done{};
    return Error{Errc::kCorrupt, "the store in memory is not what was applied to it"};
  }

 private:
  enum class Part : std::uint8_t { kHead, kReplies, kLeases, kKeys, kChanges, kEnd };

  // With all that is small, as it was at the cut.
  void write_head(Bytes& out) {
    for (const std::uint64_t word :
         {stats_.revision, stats_.compact_revision, stats_.keys, stats_.bytes}) {
      append_le(out, word);
    }
    for (const TimeMark& mark : times_) {
      out.push_back(std::byte{'t'});
      append_le(out, mark.first.value);
      append_le(out, mark.last.value);
      append_le(out, mark.revision);
      sum_ += hash_of(mark);
    }
    for (const PublishedMember& member : members_) {
      append_member(out, member);
      sum_ += hash_of(member);
    }
    records_ += times_.size() + members_.size() + tickets_.size();
    if (max_id_ != 0) {
      out.push_back(std::byte{'i'});
      append_le(out, max_id_);
      ++records_;
    }
    for (const Ticket& ticket : tickets_) {
      append_ticket(out, ticket);
      sum_ += hash_of(ticket);
    }
    sum_ += hash_of_max_id(max_id_);
    if (lease_counter_ != 0) {
      out.push_back(std::byte{'n'});
      append_le(out, lease_counter_);
      ++records_;
    }
    sum_ += hash_of_lease_counter(lease_counter_);
  }

  // False: there are no more. By id, of those that are there and those that have changed or are
  // gone since the cut.
  bool write_leases(Bytes& out, std::size_t end, std::size_t& visits) {
    auto at = state_.leases.upper_bound(cut_.written);
    for (;;) {
      const auto old = cut_.before.begin();
      const bool changed =
          old != cut_.before.end() && (at == state_.leases.end() || old->first <= at->first);
      if (!changed && at == state_.leases.end()) break;
      if (out.size() >= end || visits == 0) return true;
      --visits;
      const LeaseId id = changed ? old->first : at->first;
      if (!changed) {
        write_lease(out, id, at->second);
      } else if (old->second) {
        write_lease(out, id, *old->second);
      }
      if (at != state_.leases.end() && at->first == id) ++at;
      if (changed) cut_.before.erase(old);
      cut_.written = id;
    }
    cut_.written = limits::kLeaseIdMax;  // What changes from here on is none of the cut's.
    return false;
  }

  void write_lease(Bytes& out, LeaseId id, const LeaseTimes& lease) {
    append_lease(out, id, lease);
    sum_ += hash_of(id, lease);
    ++records_;
  }

  // False: there are no more.
  bool write_replies(Bytes& out, std::size_t end, std::size_t& visits) {
    for (; reply_ < replies_.size(); ++reply_) {
      if (out.size() >= end || visits == 0) return true;
      --visits;
      const Retries::Handle kept = std::move(replies_[reply_]);
      append_record(out, *kept);
      sum_ += hash_of(*kept);
      ++records_;
    }
    return false;
  }

  // False: there are no more. Keys come and go between slices, so the place is a key.
  bool write_keys(Bytes& out, std::size_t end, std::size_t& visits) {
    for (; space_ < kSpaces; ++space_, started_ = false) {
      if (write_space(out, end, visits, static_cast<Space>(space_))) return true;
    }
    return false;
  }

  bool write_space(Bytes& out, std::size_t end, std::size_t& visits, Space space) {
    const Keys& keys = state_.in(space);
    auto at = started_ ? keys.upper_bound(last_key_) : keys.begin();
    for (; at != keys.end(); ++at) {
      if (out.size() >= end || visits == 0) return true;
      --visits;
      started_ = true;
      last_key_ = at->text();
      const Version* base = at->at(stats_.compact_revision);
      if (base == nullptr) continue;
      append_item(out, 'k', *at, *base);
      sum_ += hash_of(*at, *base);
      ++records_;
    }
    return false;
  }

  bool write_changes(Bytes& out, std::size_t end, std::size_t& visits) {
    // What is dropped meanwhile is at or below the compacted revision.
    change_ = std::max(change_, state_.changes_dropped);
    for (;; ++change_) {
      const std::size_t at = change_ - state_.changes_dropped;
      if (at == state_.changes.size()) return false;
      const State::Change& change = state_.changes[at];
      if (change.revision > stats_.revision) return false;
      if (out.size() >= end || visits == 0) return true;
      --visits;
      if (change.revision <= stats_.compact_revision) continue;  // Not freed yet.
      const Version& version = state_.version_of(change);
      append_item(out, 'c', *change.key, version);
      sum_ += hash_of(*change.key, version);
      ++records_;
    }
  }

  State& state_;
  const StoreStats stats_;
  const std::deque<TimeMark> times_;
  const std::vector<PublishedMember> members_;
  const std::vector<Ticket> tickets_;
  const std::uint64_t max_id_;
  const LeaseId lease_counter_;
  std::vector<Retries::Handle> replies_;  // Shared with the state; each goes when it is written.
  const std::uint64_t hash_;              // Of the state at the cut.
  std::uint64_t sum_ = 0;                 // Of what has been written.
  LeaseCut cut_;
  Part part_ = Part::kHead;
  std::size_t reply_ = 0;
  std::size_t space_ = 0;
  bool started_ = false;  // With the space.
  std::string last_key_;
  std::uint64_t change_;  // Counted as changes_dropped is.
  std::uint64_t records_ = 0;
};

std::unique_ptr<machine::SnapshotWriter> Store::snapshot() {
  ASSERT(!state_->in_slices());
  return std::make_unique<Writer>(*state_);
}

}  // namespace raftd::kv
