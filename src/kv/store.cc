#include "kv/store.h"

#include <algorithm>

#include "base/digest.h"
#include "base/limits.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

WriteReply bad_command(std::string why) {
  WriteReply reply;
  reply.result = WriteReply::Result::kBadCommand;
  reply.message = std::move(why);
  return reply;
}

// For digest() alone: equal states, equal digests; no adversary takes part.
class Digest {
 public:
  void add(std::string_view text) {
    add(text.size());
    add(hash64(as_bytes(text)));
  }
  void add(std::uint64_t value) { value_ = digest_mix(value_ ^ value) + 0x9e3779b97f4a7c15; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

}  // namespace

Item make_item(std::string_view key, const Version& version, bool with_value) {
  Item item;
  item.key = key;
  if (with_value) item.value = version.value.view();
  item.mod = version.mod;
  item.create = version.create;
  item.version = version.version;
  return item;
}

Store::Store(const HistoryLimits& history) : state_(std::make_unique<State>(history)) {}
Store::~Store() = default;

machine::Outcome Store::apply(const machine::Applied& applied, bool reply_wanted) {
  State& s = *state_;
  ASSERT(!s.deleting);
  // Each entry once, in order: one left out or applied twice must never go unnoticed.
  ASSERT_CMP(applied.index, ==, s.applied.next());
  ASSERT_CMP(applied.time, >=, s.now);
  s.applied = applied.index;
  s.now = applied.time;
  if (applied.configuration != nullptr) s.configure(*applied.configuration);
  if (applied.command.empty()) return {};  // A no-op or a configuration.
  const Result<Command> command = decode(applied.command);
  if (!command) {
    machine::Outcome outcome;
    if (reply_wanted) {
      WriteReply reply = bad_command(command.error().message);
      reply.revision = s.stats.revision;
      outcome.reply = std::make_unique<WriteReply>(std::move(reply));
    }
    return outcome;
  }
  return s.apply(*command, reply_wanted);
}

machine::Outcome Store::apply_slice() {
  ASSERT(state_->deleting);
  return state_->delete_slice();
}

machine::Outcome Store::State::apply(const Command& command, bool reply_wanted) {
  WriteReply reply;
  std::optional<MemberReply> member;
  if (const auto* del = std::get_if<DeletePrefix>(&command)) {
    deleting = Deleting();
    deleting->prefix = del->prefix;
    deleting->next = del->prefix;
    deleting->limit = del->limit;
    deleting->reply_wanted = reply_wanted;
    return delete_slice();
  }
  std::visit(overloaded{
                 [&](const Put& body) { reply = put(body, reply_wanted); },
                 [&](const Delete& body) { reply = remove(body, reply_wanted); },
                 [&](const DeletePrefix&) {},
                 [&](const PublishMember& body) { reply = publish(body); },
                 [&](const Compact& body) { reply = compact(body); },
                 [&](const ReserveMember& body) { member = reserve(body); },
                 [&](const ClaimMember& body) { member = claim(body); },
                 [&](const DropTickets& body) { member = drop(body); },
             },
             command);
  machine::Outcome outcome;
  if (!reply_wanted) return outcome;
  if (member) {
    outcome.reply = std::make_unique<MemberReply>(*std::move(member));
    return outcome;
  }
  reply.revision = stats.revision;
  outcome.reply = std::make_unique<WriteReply>(std::move(reply));
  return outcome;
}

// True: the condition does not hold; reply says which.
bool Store::State::refused(const Condition& condition, const Version* present,
                           WriteReply& reply) const {
  switch (condition.kind) {
    case Condition::Kind::kNone:
      return false;
    case Condition::Kind::kModIs:
      if (present != nullptr && present->mod == condition.mod) return false;
      reply.result = WriteReply::Result::kModDiffers;
      return true;
    case Condition::Kind::kExists:
      if (present != nullptr) return false;
      reply.result = WriteReply::Result::kAbsent;
      return true;
    case Condition::Kind::kAbsent:
      if (present == nullptr) return false;
      reply.result = WriteReply::Result::kExists;
      return true;
  }
  return false;
}

void Store::State::add_version(Keys::iterator at, Version version) {
  Versions& versions = at->second;
  const std::uint64_t hash = hash_of(at->first, version);
  hash_sum += hash;
  if (!version.live()) hash_ended += hash;
  if (!versions.empty()) {
    stats.history_bytes += history_weight(versions.newest());
    if (versions.newest().live()) hash_ended += hash_of(at->first, versions.newest());
  }
  stats.history_bytes += sizeof(Change);
  changes.push_back({version.mod, at, hash_ended});
  versions.push(std::move(version));
}

WriteReply Store::State::put(const Put& put, bool reply_wanted) {
  WriteReply reply;
  const auto found = keys.lower_bound(put.key);
  const bool known = found != keys.end() && found->first == put.key;
  const Version* present =
      known && found->second.newest().live() ? &found->second.newest() : nullptr;
  const bool refuse = refused(put.condition, present, reply);
  if (reply_wanted && present != nullptr && (refuse || put.want_prev)) {
    reply.prev = make_item(put.key, *present, true);
  }
  if (refuse) return reply;

  Version next;
  next.mod = stats.revision + 1;
  next.create = present == nullptr ? next.mod : present->create;
  next.version = present == nullptr ? 1 : present->version + 1;
  next.value = Value(put.value);
  reply.created = present == nullptr;
  if (present == nullptr) {
    ++stats.keys;
    stats.bytes += put.key.size();
  } else {
    stats.bytes -= present->value.view().size();
  }
  stats.bytes += put.value.size();
  const auto at = known ? found : keys.emplace_hint(found, std::string(put.key), Versions());
  add_version(at, std::move(next));
  ++stats.revision;
  note_revision();
  return reply;
}

WriteReply Store::State::remove(const Delete& del, bool reply_wanted) {
  WriteReply reply;
  const auto found = keys.find(del.key);
  const Version* present =
      found != keys.end() && found->second.newest().live() ? &found->second.newest() : nullptr;
  const bool refuse = refused(del.condition, present, reply);
  if (reply_wanted && present != nullptr && (refuse || del.want_prev)) {
    reply.prev = make_item(del.key, *present, true);
  }
  if (refuse || present == nullptr) return reply;

  --stats.keys;
  stats.bytes -= found->first.size() + present->value.view().size();
  Version tombstone;
  tombstone.mod = stats.revision + 1;
  add_version(found, std::move(tombstone));
  ++stats.revision;
  note_revision();
  reply.deleted = 1;
  return reply;
}

// At most kApplyKeysPerSliceMax keys; the last slice makes all of it visible at once.
machine::Outcome Store::State::delete_slice() {
  Deleting& d = *deleting;
  std::size_t visited = 0;
  auto it = keys.lower_bound(d.next);
  bool finished = true;
  for (; it != keys.end() && it->first.starts_with(d.prefix); ++it) {
    if (visited++ == limits::kApplyKeysPerSliceMax) {
      finished = false;
      break;
    }
    const Version& newest = it->second.newest();
    if (!newest.live()) continue;
    if (d.limit != 0 && d.deleted == d.limit) {
      d.more = true;
      break;
    }
    ++d.deleted;
    d.deleted_bytes += it->first.size() + newest.value.view().size();
    Version tombstone;
    tombstone.mod = stats.revision + 1;
    add_version(it, std::move(tombstone));
  }
  if (!finished) {
    d.next = it->first;
    machine::Outcome outcome;
    outcome.finished = false;
    return outcome;
  }
  if (d.deleted > 0) {
    ++stats.revision;
    note_revision();
  }
  stats.keys -= d.deleted;
  stats.bytes -= d.deleted_bytes;
  machine::Outcome outcome;
  if (d.reply_wanted) {
    auto reply = std::make_unique<WriteReply>();
    reply->revision = stats.revision;
    reply->deleted = d.deleted;
    reply->more = d.more;
    outcome.reply = std::move(reply);
  }
  deleting.reset();
  return outcome;
}

WriteReply Store::State::compact(const Compact& compact) {
  if (compact.revision > stats.revision) return bad_command("a compaction of the future");
  stats.compact_revision = std::max(stats.compact_revision, compact.revision);
  while (!times.empty() && times.front().revision <= stats.compact_revision) {
    hash_sum -= hash_of(times.front());
    times.pop_front();
  }
  forget_up_to_compacted();
  return {};
}

std::unique_ptr<machine::Reply> Store::query(const machine::Query& query) const {
  if (const auto* get = dynamic_cast<const GetQuery*>(&query)) return state_->get(*get);
  const auto* range = dynamic_cast<const RangeQuery*>(&query);
  ASSERT(range != nullptr);
  return state_->range(*range);
}

void Store::set_history_limits(const HistoryLimits& history) {
  state_->history = history;
}

StoreStats Store::stats() const {
  return state_->stats;
}

// What a reader may see: it does not depend on how far tidy_slice() has come.
std::uint64_t Store::digest() const {
  const State& s = *state_;
  Digest digest;
  digest.add(s.stats.revision);
  digest.add(s.stats.compact_revision);
  const auto add = [&](const std::string& of, const Version& version) {
    digest.add(of);
    digest.add(version.mod);
    digest.add(version.create);
    digest.add(version.version);
    digest.add(version.value.view());
  };
  for (const auto& entry : s.keys) {
    const std::string& key = entry.first;
    const Versions& versions = entry.second;
    if (const Version* base = versions.at(s.stats.compact_revision)) add(key, *base);
    const auto in_window = [&](const Version& version) {
      if (version.mod > s.stats.compact_revision && version.mod <= s.stats.revision) {
        add(key, version);
      }
    };
    for (std::size_t i = 0; i < versions.older_count(); ++i)
      in_window(versions.older(i));
    in_window(versions.newest());
  }
  for (const PublishedMember& member : s.members) {
    digest.add(member.id);
    digest.add(member.instance);
    digest.add(member.name);
    digest.add(member.client);
    digest.add(member.version);
  }
  for (const Ticket& ticket : s.tickets)
    digest.add(hash_of(ticket));
  digest.add(s.max_id);
  return digest.value();
}

void Store::check_invariants() const {
  const State& s = *state_;
  std::uint64_t live = 0;
  std::uint64_t bytes = 0;
  std::uint64_t weight = s.changes.size() * sizeof(State::Change);
  for (const auto& [key, versions] : s.keys) {
    ASSERT(!versions.empty());
    Revision before = 0;
    for (std::size_t i = 0; i < versions.older_count(); ++i) {
      ASSERT_CMP(versions.older(i).mod, >, before);
      before = versions.older(i).mod;
      weight += history_weight(versions.older(i));
    }
    ASSERT_CMP(versions.newest().mod, >, before);
    if (const Version* version = versions.at(s.stats.revision)) {
      ++live;
      bytes += key.size() + version->value.view().size();
    }
  }
  ASSERT_CMP(live, ==, s.stats.keys);
  ASSERT_CMP(bytes, ==, s.stats.bytes);
  ASSERT_CMP(weight, ==, s.stats.history_bytes);
  ASSERT_CMP(s.stats.compact_revision, <=, s.stats.revision);
  ASSERT_CMP(s.hash_sum, ==, s.computed_sum());
  for (const Ticket& ticket : s.tickets)
    ASSERT_CMP(ticket.id, <=, s.max_id);
  Revision before = 0;
  for (const State::Change& change : s.changes) {
    ASSERT_CMP(change.revision, >=, before);
    before = change.revision;
  }
}

}  // namespace raftd::kv
