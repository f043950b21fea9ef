// The state as bytes and back. Two walks, both in order: every key as it was when history began
// (the compacted revision), then every change since, as the event ring has them; so that the reader
// builds keys, versions and ring by appending, and checks on the way that each change follows from
// the state before it.
//
//   head     u64 revision, compact revision, keys, bytes
//   records  u8 kind, then
//            'k'  a key's version when history began, 'c' a change:
//                 u16 key bytes, u32 value bytes, u64 mod, create, version; key; value
//            't'  a time mark: u64 first, last, revision
//            'm'  a published member: u64 id, instance; u16 and text: name, client, version
//            'i'  the largest id that a member had or a ticket reserves: u64
//            'p'  a ticket: u64 id, replaces, instance, expires; u8 stage, voter; u16 and text:
//                 hash of the token, name
//            'h'  the state's hash: u64; all files have it but those of the first builds
//            'e'  the end: u64 number of the records before
#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "base/text.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kHeadBytes = 32;
constexpr std::size_t kItemBytes = 31;  // Of its record, without key and value.
constexpr std::size_t kMarkBytes = 25;
constexpr std::size_t kMaxIdBytes = 9;
constexpr std::size_t kTicketBytes = 35;  // Without its texts.
constexpr std::size_t kHashBytes = 9;
constexpr std::size_t kEndBytes = 9;
constexpr std::size_t kTextBytesMax = limits::kKeyBytesMax;  // Of a member or a ticket.

void append_text(Bytes& out, std::string_view text) {
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_text_field(Bytes& out, std::string_view text) {
  append_le(out, static_cast<std::uint16_t>(text.size()));
  append_text(out, text);
}

void append_item(Bytes& out, char kind, std::string_view key, const Version& version) {
  const std::string_view value = version.value.view();
  out.push_back(static_cast<std::byte>(kind));
  append_le(out, static_cast<std::uint16_t>(key.size()));
  append_le(out, static_cast<std::uint32_t>(value.size()));
  append_le(out, version.mod);
  append_le(out, version.create);
  append_le(out, version.version);
  append_text(out, key);
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

Error corrupt(std::string why) {
  return {Errc::kCorrupt, std::move(why)};
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
        hash_(state.content_hash()),
        change_(state.changes_dropped) {
    state_.held.push_back(stats_.compact_revision);
  }
  ~Writer() override { state_.held.erase(std::ranges::find(state_.held, stats_.compact_revision)); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool write_slice(Bytes& out, std::size_t bytes_max) override {
    const std::size_t end = out.size() + bytes_max;
    std::size_t visits = limits::kSnapshotKeysPerSliceMax;
    while (out.size() < end && visits > 0) {
      switch (part_) {
        case Part::kHead:
          write_head(out);
          part_ = Part::kKeys;
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
    return corrupt("the store in memory is not what was applied to it");
  }

 private:
  enum class Part : std::uint8_t { kHead, kKeys, kChanges, kEnd };

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
  }

  // False: there are no more. Keys come and go between slices, so the place is a key.
  bool write_keys(Bytes& out, std::size_t end, std::size_t& visits) {
    auto at = started_ ? state_.keys.upper_bound(last_key_) : state_.keys.begin();
    for (; at != state_.keys.end(); ++at) {
      if (out.size() >= end || visits == 0) return true;
      --visits;
      started_ = true;
      last_key_ = at->first;
      const Version* base = at->second.at(stats_.compact_revision);
      if (base == nullptr) continue;
      append_item(out, 'k', at->first, *base);
      sum_ += hash_of(at->first, *base);
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
      const Version* version = change.key->second.latest_at(change.revision);
      ASSERT(version != nullptr);
      ASSERT_CMP(version->mod, ==, change.revision);
      append_item(out, 'c', change.key->first, *version);
      sum_ += hash_of(change.key->first, *version);
      ++records_;
    }
  }

  State& state_;
  const StoreStats stats_;
  const std::deque<TimeMark> times_;
  const std::vector<PublishedMember> members_;
  const std::vector<Ticket> tickets_;
  const std::uint64_t max_id_;
  const std::uint64_t hash_;  // Of the state at the cut.
  std::uint64_t sum_ = 0;     // Of what has been written.
  Part part_ = Part::kHead;
  bool started_ = false;
  std::string last_key_;
  std::uint64_t change_;  // Counted as changes_dropped is.
  std::uint64_t records_ = 0;
};

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
    if (hash_ && *hash_ != next_->content_hash()) {
      return corrupt("the state does not have the hash that it had when it was written");
    }
    return Done{};
  }

  void commit(raft::Index index, machine::ClusterTime time) override {
    ASSERT(complete());
    State& before = *store_.state_;
    ASSERT(before.held.empty());
    ASSERT(!before.deleting);
    next_->applied = index;
    next_->now = time;
    next_->discarded = std::move(before.keys);
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
    if (kind == 'k' || kind == 'c') {
      taken = take_item(bytes, kind == 'k');
    } else if (kind == 't') {
      taken = take_mark(bytes);
    } else if (kind == 'm') {
      taken = take_member(bytes);
    } else if (kind == 'i') {
      taken = take_max_id(bytes);
    } else if (kind == 'p') {
      taken = take_ticket(bytes);
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
    if (head_.revision == 0 || head_.compact_revision > head_.revision) {
      return corrupt("the head's revisions are impossible");
    }
    next_->stats.compact_revision = head_.compact_revision;
    next_->stats.revision = std::max<Revision>(head_.compact_revision, 1);
    begun_ = true;
    return kHeadBytes;
  }

  Result<std::size_t> take_item(ByteView bytes, bool base) {
    if (bytes.size() < kItemBytes) return std::size_t{0};
    const std::size_t key_bytes = load_le<std::uint16_t>(bytes, 1);
    const std::size_t value_bytes = load_le<std::uint32_t>(bytes, 3);
    if (key_bytes == 0 || key_bytes > limits::kKeyBytesMax ||
        value_bytes > limits::kRequestBytesMax) {
      return corrupt(strf("a key of %zu bytes with a value of %zu", key_bytes, value_bytes));
    }
    const std::size_t size = kItemBytes + key_bytes + value_bytes;
    if (bytes.size() < size) return std::size_t{0};
    Version version;
    version.mod = load_le<std::uint64_t>(bytes, 7);
    version.create = load_le<std::uint64_t>(bytes, 15);
    version.version = load_le<std::uint64_t>(bytes, 23);
    const std::string_view key = as_text(bytes.subspan(kItemBytes, key_bytes));
    version.value = Value(as_text(bytes.subspan(kItemBytes + key_bytes, value_bytes)));
    const bool good =
        base ? add_base(key, std::move(version)) : add_change(key, std::move(version));
    if (!good) {
      return corrupt(strf("record %llu, key %s, does not follow from those before",
                          static_cast<unsigned long long>(records_), percent_escape(key).c_str()));
    }
    return size;
  }

  bool add_base(std::string_view key, Version version) {
    State& s = *next_;
    const bool ascending = s.keys.empty() || std::prev(s.keys.end())->first < key;
    const bool possible = version.live() && version.version > 0 && version.create <= version.mod &&
                          version.mod > 1 && version.mod <= head_.compact_revision;
    if (!ascending || !possible || changes_begun_) return false;
    ++s.stats.keys;
    s.stats.bytes += key.size() + version.value.view().size();
    s.hash_sum += hash_of(key, version);
    s.keys.emplace_hint(s.keys.end(), std::string(key), Versions())
        ->second.push(std::move(version));
    return true;
  }

  bool add_change(std::string_view key, Version version) {
    State& s = *next_;
    changes_begun_ = true;
    const bool in_order = version.mod >= s.stats.revision &&
                          version.mod > s.stats.compact_revision && version.mod <= head_.revision &&
                          version.mod <= s.stats.revision + 1;
    if (!in_order) return false;
    const auto found = s.keys.lower_bound(key);
    const bool known = found != s.keys.end() && found->first == key;
    if (known && found->second.newest().mod >= version.mod) return false;
    const Version* present =
        known && found->second.newest().live() ? &found->second.newest() : nullptr;
    if (version.live()) {
      const Revision create = present == nullptr ? version.mod : present->create;
      const std::uint64_t count = present == nullptr ? 1 : present->version + 1;
      if (version.create != create || version.version != count) return false;
    } else if (present == nullptr || version.version != 0 || !version.value.view().empty()) {
      return false;
    }
    s.stats.revision = version.mod;
    if (present != nullptr) {
      --s.stats.keys;
      s.stats.bytes -= key.size() + present->value.view().size();
    }
    if (version.live()) {
      ++s.stats.keys;
      s.stats.bytes += key.size() + version.value.view().size();
    }
    s.add_version(known ? found : s.keys.emplace_hint(found, std::string(key), Versions()),
                  std::move(version));
    return true;
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
  bool begun_ = false;
  bool changes_begun_ = false;
  bool ended_ = false;
};

std::unique_ptr<machine::SnapshotWriter> Store::snapshot() {
  ASSERT(!state_->deleting);
  return std::make_unique<Writer>(*state_);
}

std::unique_ptr<machine::RestoreReader> Store::restore() {
  return std::make_unique<Reader>(*this);
}

}  // namespace raftd::kv
