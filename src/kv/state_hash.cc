// One number for the whole state, kept with every write: the sum of the hashes of all items that a
// snapshot would hold (each key as it was when history began, every change since, the time marks,
// the leases, the published members, the tickets, the replies that are kept), mixed with the
// counts. A sum takes items in any order and gives them back, so that a write costs what its own
// bytes cost.
//
// Which versions belong to the state depends on the compacted revision alone, not on what has been
// freed: a version ends with the next change of its key (a tombstone with its own), and is
// forgotten when the compacted revision passes that change. So each change carries the sum of all
// that has ended so far, and a compaction takes the difference of two of them off.
#include <algorithm>

#include "base/digest.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

// Apart, so that no item of one kind counts as one of another.
enum Kind : std::uint64_t {
  kVersion = 1,
  kTimeMark,
  kMember,
  kContent,
  kTime,
  kTicket,
  kMaxId,
  kLease,
  kLeaseCounter,
  kReply,
};

class Words {
 public:
  explicit Words(Kind kind) : value_(digest_mix(kind)) {}
  Words& add(std::uint64_t word) {
    value_ = digest_mix(value_ ^ word) + 0x9e3779b97f4a7c15;
    return *this;
  }
  Words& add(std::string_view text) { return add(hash64(as_bytes(text))); }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

}  // namespace

std::uint64_t hash_of_text(const Key& key) {
  return hash64(as_bytes(key.text()));
}

std::uint64_t hash_of(const Key& key, std::uint64_t hash_of_text, const Version& version) {
  Words words(kVersion);
  words.add(version.mod()).add(version.create()).add(version.version());
  words.add(hash_of_text).add(version.value());
  // The first builds had neither, and their snapshots hold hashes.
  if (key.space() != Space::kKeys || version.lease() != 0) {
    words.add(static_cast<std::uint64_t>(key.space())).add(version.lease());
  }
  return words.value();
}

std::uint64_t hash_of(LeaseId id, const LeaseTimes& lease) {
  Words words(kLease);
  words.add(id).add(lease.ttl_ms).add(lease.deadline.value).add(lease.owned ? 1 : 0);
  return words.value();
}

// A store that has never chosen one has none.
std::uint64_t hash_of_lease_counter(LeaseId id) {
  return id == 0 ? 0 : Words(kLeaseCounter).add(id).value();
}

std::uint64_t hash_of(const TimeMark& mark) {
  return Words(kTimeMark).add(mark.first.value).add(mark.last.value).add(mark.revision).value();
}

std::uint64_t hash_of(const PublishedMember& member) {
  Words words(kMember);
  words.add(member.id).add(member.instance);
  return words.add(member.name).add(member.client).add(member.version).value();
}

std::uint64_t hash_of(const Ticket& ticket) {
  Words words(kTicket);
  words.add(ticket.id).add(static_cast<std::uint64_t>(ticket.stage)).add(ticket.token_hash);
  words.add(ticket.name).add(ticket.voter ? 1 : 0).add(ticket.replaces).add(ticket.instance);
  return words.add(ticket.expires.value).value();
}

std::uint64_t hash_of(const KeptReply& kept) {
  Words words(kReply);
  words.add(kept.key).add(kept.request_hash).add(kept.time.value).add(kept.index);
  return words.add(as_text(kept.reply)).value();
}

// A store that has never heard of members has none.
std::uint64_t hash_of_max_id(std::uint64_t id) {
  return id == 0 ? 0 : Words(kMaxId).add(id).value();
}

std::uint64_t content_hash(const StoreStats& stats, std::uint64_t sum) {
  Words words(kContent);
  words.add(stats.revision).add(stats.compact_revision).add(stats.keys).add(stats.bytes);
  return words.add(sum).value();
}

void Store::State::forget_up_to_compacted() {
  const std::size_t after = window_begin();
  if (after == 0) return;  // What there was is forgotten already, and freed.
  const Ended up_to = ended_with(after - 1);
  hash_sum -= (up_to - forgotten).hash;
  forgotten = up_to;
}

Store::State::Ended Store::State::ended_by(const Change& change) const {
  const Version& version = version_of(change);
  const Version* before = change.key->at(change.revision - 1);
  Ended by{0, kChangeWeight};
  if (!version.live()) by += {hash_of(*change.key, version), history_weight(version)};
  if (before != nullptr) by += {hash_of(*change.key, *before), history_weight(*before)};
  return by;
}

// Back from the next one that is known: all of these changes are above what may have been freed.
Store::State::Ended Store::State::ended_with(std::size_t at) const {
  Ended since;
  while (!marked(at)) {
    if (++at == changes.size()) return ended_so_far - since;
    since += ended_by(changes[at]);
  }
  const std::size_t first = (changes_dropped + kChangesPerMark - 1) / kChangesPerMark;
  return ended_marks[(changes_dropped + at) / kChangesPerMark - first] - since;
}

std::uint64_t Store::State::computed_sum() const {
  std::uint64_t sum = 0;
  const Revision from = stats.compact_revision;
  for (const Keys& keys : spaces) {
    for (const Key& key : keys) {
      if (const Version* base = key.at(from)) sum += hash_of(key, *base);
      for (std::size_t k = 0; k < key.older_count(); ++k) {
        const Version& older = key.older(k);
        if (older.mod() > from) sum += hash_of(key, older);
      }
      if (key.newest().mod() > from) sum += hash_of(key, key.newest());
    }
  }
  for (const auto& [id, lease] : leases)
    sum += hash_of(id, lease);
  sum += hash_of_lease_counter(lease_counter);
  for (const TimeMark& mark : times)
    sum += hash_of(mark);
  for (const PublishedMember& member : members)
    sum += hash_of(member);
  for (const Ticket& ticket : tickets)
    sum += hash_of(ticket);
  return sum + hash_of_max_id(max_id);
}

std::uint64_t Store::state_hash() const {
  ASSERT(!state_->in_slices());
  return Words(kTime).add(state_->now.value).add(state_->content_hash()).value();
}

}  // namespace raftd::kv
