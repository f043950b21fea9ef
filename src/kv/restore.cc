// The state of the bytes that snapshot.cc writes; what they are made of stands there. Keys,
// versions and ring are built by appending, and each record is checked against those before it.
#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "base/text.h"
#include "kv/lock_record.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

// No store comes so far, and behind it there is room to go on.
constexpr Revision kRevisionMax = 1ULL << 60;
constexpr std::size_t kHeadBytes = 32;
constexpr std::size_t kItemBytes = 30;  // Of its record, without its kind, key and value.
constexpr std::size_t kSpaceBytes = 9;  // Before them: space and lease.
constexpr std::size_t kMarkBytes = 25;
constexpr std::size_t kMaxIdBytes = 9;
constexpr std::size_t kLeaseCounterBytes = 9;
constexpr std::size_t kLeaseBytes = 26;
constexpr std::size_t kTicketBytes = 35;  // Without its texts.
constexpr std::size_t kHashBytes = 9;
constexpr std::size_t kEndBytes = 9;
constexpr std::size_t kTextBytesMax = limits::kKeyBytesMax;  // Of a member or a ticket.

Error corrupt(std::string why) {
  return {Errc::kCorrupt, std::move(why)};
}

}  // namespace

class Store::Reader final : public machine::RestoreReader {
 public:
  explicit Reader(Store& store)
      : store_(store), next_(std::make_unique<State>(store.state_->history)) {}

  Status feed(ByteView bytes) override {
    rest_.insert(rest_.end(), bytes.begin(), bytes.end());
    std::size_t used = 0;
    for (;;) {
      const ByteView left = ByteView(rest_).subspan(used);
      const Result<std::size_t> taken = take(left);
      if (!taken) return taken.error();
      if (*taken == 0) break;
      used += *taken;
    }
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(used));
    return Done{};
  }

  Status complete() const override {
    if (!ended_ || !rest_.empty()) return corrupt("the state ends before its end record");
    if (next_->stats.revision != head_.revision || next_->stats.keys != head_.keys ||
        next_->stats.bytes != head_.bytes) {
      return corrupt("the state is not the one that its head announces");
    }
    if (lost_leases_ != 0 || idle_leases_ != 0) {
      return corrupt("a key has a lease that is not there, or a key's own lease has no key");
    }
    if (!next_->waiters_have_locks()) return corrupt("somebody waits for a lock that is free");
    if (hash_ && *hash_ != next_->content_hash()) {
      return corrupt("the state does not have the hash that it had when it was written");
    }
    return Done{};
  }

  void commit(raft::Index index, machine::ClusterTime time) override {
    ASSERT(complete());
    State& before = *store_.state_;
    ASSERT(before.held.empty());
    ASSERT(before.cuts.empty());
    ASSERT(!before.in_slices());
    next_->applied = index;
    next_->now = time;
    next_->discarded = std::move(before.spaces);
    next_->discarded_leases = std::move(before.leases);
    next_->discarded_retries = std::move(before.retries);
    // Places in the ring are never used twice, not even that behind its end; and those that are
    // marked stay so.
    const std::uint64_t used = before.changes_dropped + before.changes.size() + 1;
    next_->changes_dropped = used + State::kChangesPerMark - used % State::kChangesPerMark;
    next_->trimmed = next_->stats.compact_revision;
    next_->watched_after = before.watched_after;
    next_->history = before.history;
    store_.state_ = std::move(next_);
  }

 private:
  // How many bytes the first record takes; 0: it is not all there.
  Result<std::size_t> take(ByteView bytes) {
    if (!begun_) return take_head(bytes);
    if (bytes.empty()) return std::size_t{0};
    if (ended_) return corrupt("bytes after the end of the state");
    const char kind = static_cast<char>(bytes[0]);
    Result<std::size_t> taken = std::size_t{0};
    if (kind == 'k' || kind == 'c' || kind == 'K' || kind == 'C') {
      taken = take_item(bytes, kind);
    } else if (kind == 't') {
      taken = take_mark(bytes);
    } else if (kind == 'n') {
      taken = take_lease_counter(bytes);
    } else if (kind == 'l') {
      taken = take_lease(bytes);
    } else if (kind == 'm') {
      taken = take_member(bytes);
    } else if (kind == 'i') {
      taken = take_max_id(bytes);
    } else if (kind == 'p') {
      taken = take_ticket(bytes);
    } else if (kind == 'r') {
      taken = next_->retries.take_record(bytes);
    } else if (kind == 'h') {
      taken = take_hash(bytes);
    } else if (kind == 'e') {
      taken = take_end(bytes);
    } else {
      return corrupt(strf("record %llu has the unknown kind %d",
                          static_cast<unsigned long long>(records_), static_cast<int>(kind)));
    }
    if (taken && *taken > 0) ++records_;
    return taken;
  }

  Result<std::size_t> take_head(ByteView bytes) {
    if (bytes.size() < kHeadBytes) return std::size_t{0};
    head_.revision = load_le<std::uint64_t>(bytes, 0);
    head_.compact_revision = load_le<std::uint64_t>(bytes, 8);
    head_.keys = load_le<std::uint64_t>(bytes, 16);
    head_.bytes = load_le<std::uint64_t>(bytes, 24);
    if (head_.revision == 0 || head_.revision > kRevisionMax ||
        head_.compact_revision > head_.revision) {
      return corrupt("the head's revisions are impossible");
    }
    next_->stats.compact_revision = head_.compact_revision;
    next_->stats.revision = std::max<Revision>(head_.compact_revision, 1);
    begun_ = true;
    return kHeadBytes;
  }

  Result<std::size_t> take_item(ByteView bytes, char kind) {
    const bool plain = kind == 'k' || kind == 'c';
    const bool base = kind == 'k' || kind == 'K';
    std::size_t at = plain ? 1 : 1 + kSpaceBytes;
    if (bytes.size() < at + kItemBytes) return std::size_t{0};
    const std::size_t space = plain ? 0 : std::to_integer<std::size_t>(bytes[1]);
    const LeaseId lease = plain ? 0 : load_le<std::uint64_t>(bytes, 2);
    const std::size_t key_bytes = load_le<std::uint16_t>(bytes, at);
    const std::size_t value_bytes = load_le<std::uint32_t>(bytes, at + 2);
    if (space >= kSpaces || key_bytes == 0 || key_bytes > limits::kKeyBytesMax ||
        value_bytes > limits::kRequestBytesMax + kLockRecordHeadBytesMax) {
      return corrupt(strf("a key of %zu bytes with a value of %zu in space %zu", key_bytes,
                          value_bytes, space));
    }
    const std::size_t size = at + kItemBytes + key_bytes + value_bytes;
    if (bytes.size() < size) return std::size_t{0};
    VersionFields version;
    version.mod = load_le<std::uint64_t>(bytes, at + 6);
    version.create = load_le<std::uint64_t>(bytes, at + 14);
    version.version = load_le<std::uint64_t>(bytes, at + 22);
    at += kItemBytes;
    const std::string_view key = as_text(bytes.subspan(at, key_bytes));
    version.value = as_text(bytes.subspan(at + key_bytes, value_bytes));
    version.lease = lease;
    const auto of = static_cast<Space>(space);
    const bool locks = of != Space::kKeys && version.live();
    if (locks && (lease == 0 || !is_possible_lock(of, key, version.value))) {
      return corrupt(strf("record %llu is neither a lock nor somebody who waits for one",
                          static_cast<unsigned long long>(records_)));
    }
    const bool good = base ? add_base(of, key, version) : add_change(of, key, version);
    if (!good) {
      return corrupt(strf("record %llu, key %s, does not follow from those before",
                          static_cast<unsigned long long>(records_), percent_escape(key).c_str()));
    }
    return size;
  }

  bool add_base(Space space, std::string_view text, const VersionFields& version) {
    State& s = *next_;
    Keys& keys = s.in(space);
    const bool ascending =
        space >= last_space_ && (keys.empty() || std::prev(keys.end())->text() < text);
    const bool possible = version.live() && version.version > 0 && version.create <= version.mod &&
                          version.version <= version.mod && version.mod > 1 &&
                          version.mod <= head_.compact_revision;
    if (!ascending || !possible || changes_begun_) return false;
    last_space_ = space;
    if (space == Space::kKeys) {
      ++s.stats.keys;
      s.stats.bytes += text.size() + version.value.size();
    } else {
      s.stats.lock_bytes += text.size() + version.value.size();
    }
    Key& key = keys.insert(keys.end(), space, text);
    s.hash_sum += hash_of(key, keys.push(key, version));
    idle_leases_ -= idle(version.lease);
    if (version.lease != 0) s.attach(version.lease, key);
    if (space == Space::kWaiters) s.note_waiter(key, true);
    idle_leases_ += idle(version.lease);
    lost_leases_ += lost(version.lease);
    return true;
  }

  bool add_change(Space space, std::string_view key, const VersionFields& version) {
    State& s = *next_;
    changes_begun_ = true;
    const bool in_order = version.mod >= s.stats.revision &&
                          version.mod > s.stats.compact_revision && version.mod <= head_.revision &&
                          version.mod <= s.stats.revision + 1;
    if (!in_order) return false;
    Keys& keys = s.in(space);
    const auto found = keys.lower_bound(key);
    Key* known = State::known(keys, found, key);
    if (known != nullptr && known->newest().mod() >= version.mod) return false;
    const Version* present = State::live(known);
    if (version.live()) {
      const Revision create = present == nullptr ? version.mod : present->create();
      const std::uint64_t count = present == nullptr ? 1 : present->version() + 1;
      if (version.create != create || version.version != count) return false;
    } else if (present == nullptr || version.version != 0 || !version.value.empty()) {
      return false;
    }
    s.stats.revision = version.mod;
    if (space == Space::kKeys && present != nullptr) {
      --s.stats.keys;
      s.stats.bytes -= key.size() + present->value().size();
    }
    if (space == Space::kKeys && version.live()) {
      ++s.stats.keys;
      s.stats.bytes += key.size() + version.value.size();
    }
    const LeaseId before = present == nullptr ? 0 : present->lease();
    const LeaseId after = version.live() ? version.lease : 0;
    idle_leases_ -= idle(before) + (after != before ? idle(after) : 0);
    s.add_version(known != nullptr ? *known : keys.insert(found, space, key), version);
    s.orphans.clear();
    idle_leases_ += idle(before) + (after != before ? idle(after) : 0);
    lost_leases_ += lost(after) - lost(before);
    return true;
  }

  // While its history is read a key may have a lease that is gone since, or be without its own one
  // for a time; what is newest of it may not.
  std::int64_t lost(LeaseId id) const {
    return id != 0 && next_->find_lease(id) == nullptr ? 1 : 0;
  }
  std::int64_t idle(LeaseId id) const {
    const Lease* lease = id == 0 ? nullptr : next_->find_lease(id);
    return lease != nullptr && lease->owned && lease->keys.empty() ? 1 : 0;
  }

  bool keys_begun() const {
    return changes_begun_ ||
           std::ranges::any_of(next_->spaces, [](const Keys& keys) { return !keys.empty(); });
  }

  Result<std::size_t> take_lease_counter(ByteView bytes) {
    if (bytes.size() < kLeaseCounterBytes) return std::size_t{0};
    const auto id = load_le<std::uint64_t>(bytes, 1);
    if (id == 0 || id > limits::kLeaseIdMax || next_->lease_counter != 0) {
      return corrupt("the last lease is there twice, or impossible");
    }
    next_->lease_counter = id;
    next_->hash_sum += hash_of_lease_counter(id);
    return kLeaseCounterBytes;
  }

  Result<std::size_t> take_lease(ByteView bytes) {
    if (bytes.size() < kLeaseBytes) return std::size_t{0};
    const auto id = load_le<std::uint64_t>(bytes, 1);
    Lease lease;
    lease.ttl_ms = load_le<std::uint64_t>(bytes, 9);
    lease.deadline = {load_le<std::uint64_t>(bytes, 17)};
    const auto owned = std::to_integer<std::uint8_t>(bytes[25]);
    lease.owned = owned == 1;
    const Leases& leases = next_->leases;
    const bool ascending = leases.empty() || std::prev(leases.end())->first < id;
    const bool possible = id != 0 && id <= limits::kLeaseIdMax && owned <= 1 && lease.ttl_ms != 0 &&
                          lease.ttl_ms <= limits::kLeaseTtlMsMax &&
                          lease.ttl_ms <= lease.deadline.value;
    if (!ascending || !possible || keys_begun() || leases.size() == limits::kLeasesMax) {
      return corrupt("the leases are out of order, too many, or impossible");
    }
    next_->add_lease(id, std::move(lease));
    idle_leases_ += idle(id);
    return kLeaseBytes;
  }

  Result<std::size_t> take_mark(ByteView bytes) {
    if (bytes.size() < kMarkBytes) return std::size_t{0};
    const TimeMark mark{{load_le<std::uint64_t>(bytes, 1)},
                        {load_le<std::uint64_t>(bytes, 9)},
                        load_le<std::uint64_t>(bytes, 17)};
    const auto& times = next_->times;
    const Revision before = times.empty() ? head_.compact_revision : times.back().revision;
    const bool later = times.empty() || times.back().last <= mark.first;
    if (mark.revision <= before || mark.revision > head_.revision || mark.last < mark.first ||
        !later) {
      return corrupt("the times of history are out of order");
    }
    next_->hash_sum += hash_of(mark);
    next_->times.push_back(mark);
    return kMarkBytes;
  }

  Result<std::size_t> take_member(ByteView bytes) {
    PublishedMember member;
    if (bytes.size() < 17) return std::size_t{0};
    member.id = load_le<std::uint64_t>(bytes, 1);
    member.instance = load_le<std::uint64_t>(bytes, 9);
    std::size_t at = 17;
    TRY(const bool whole, take_texts(bytes, at, {&member.name, &member.client, &member.version}));
    if (!whole) return std::size_t{0};
    auto& members = next_->members;
    const bool ascending = members.empty() || members.back().id < member.id;
    if (!ascending || members.size() == limits::kPublishedMembersMax) {
      return corrupt("the published members are out of order, or too many");
    }
    next_->hash_sum += hash_of(member);
    members.push_back(std::move(member));
    return at;
  }

  Result<std::size_t> take_max_id(ByteView bytes) {
    if (bytes.size() < kMaxIdBytes) return std::size_t{0};
    const auto id = load_le<std::uint64_t>(bytes, 1);
    if (id == 0 || id > limits::kNodeIdMax || next_->max_id != 0) {
      return corrupt("the largest id is there twice, or impossible");
    }
    next_->raise_max_id(id);
    return kMaxIdBytes;
  }

  Result<std::size_t> take_ticket(ByteView bytes) {
    if (bytes.size() < kTicketBytes) return std::size_t{0};
    Ticket ticket;
    ticket.id = load_le<std::uint64_t>(bytes, 1);
    ticket.replaces = load_le<std::uint64_t>(bytes, 9);
    ticket.instance = load_le<std::uint64_t>(bytes, 17);
    ticket.expires = {load_le<std::uint64_t>(bytes, 25)};
    const auto stage = std::to_integer<std::uint8_t>(bytes[33]);
    const auto voter = std::to_integer<std::uint8_t>(bytes[34]);
    if (stage > static_cast<std::uint8_t>(Ticket::Stage::kCatchingUp) || voter > 1) {
      return corrupt("a ticket of a stage that there is not");
    }
    ticket.stage = static_cast<Ticket::Stage>(stage);
    ticket.voter = voter == 1;
    std::size_t at = kTicketBytes;
    TRY(const bool whole, take_texts(bytes, at, {&ticket.token_hash, &ticket.name}));
    if (!whole) return std::size_t{0};
    const auto& tickets = next_->tickets;
    const bool ascending = tickets.empty() || tickets.back().id < ticket.id;
    const bool hashed = ticket.token_hash.empty() || ticket.token_hash.size() == kTokenHashBytes;
    if (!ascending || !hashed || ticket.id == 0 || ticket.id > next_->max_id ||
        tickets.size() == limits::kTicketsMax) {
      return corrupt("the tickets are out of order, too many, or impossible");
    }
    next_->add_ticket(std::move(ticket));
    return at;
  }

  // False: they are not all there.
  static Result<bool> take_texts(ByteView bytes, std::size_t& at,
                                 std::initializer_list<std::string*> texts) {
    for (std::string* text : texts) {
      if (bytes.size() < at + 2) return false;
      const std::size_t size = load_le<std::uint16_t>(bytes, at);
      at += 2;
      if (size > kTextBytesMax) return corrupt("a text of a member or a ticket is too long");
      if (bytes.size() < at + size) return false;
      *text = as_text(bytes.subspan(at, size));
      at += size;
    }
    return true;
  }

  Result<std::size_t> take_hash(ByteView bytes) {
    if (bytes.size() < kHashBytes) return std::size_t{0};
    if (hash_) return corrupt("the state has two hashes");
    hash_ = load_le<std::uint64_t>(bytes, 1);
    return kHashBytes;
  }

  Result<std::size_t> take_end(ByteView bytes) {
    if (bytes.size() < kEndBytes) return std::size_t{0};
    if (load_le<std::uint64_t>(bytes, 1) != records_) return corrupt("records are missing");
    ended_ = true;
    return kEndBytes;
  }

  Store& store_;
  std::unique_ptr<State> next_;
  StoreStats head_;
  std::optional<std::uint64_t> hash_;
  Bytes rest_;  // The beginning of a record: less than the largest one.
  std::uint64_t records_ = 0;
  std::int64_t lost_leases_ = 0;     // Live keys whose lease is not there.
  std::int64_t idle_leases_ = 0;     // Owned leases without a key.
  Space last_space_ = Space::kKeys;  // Of the bases.
  bool begun_ = false;
  bool changes_begun_ = false;
  bool ended_ = false;
};

std::unique_ptr<machine::RestoreReader> Store::restore() {
  return std::make_unique<Reader>(*this);
}

}  // namespace raftd::kv
