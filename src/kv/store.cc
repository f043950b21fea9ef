#include "kv/store.h"

#include <algorithm>
#include <typeinfo>

#include "base/digest.h"
#include "base/limits.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "kv/execution.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

template <class T>
std::unique_ptr<machine::Reply> made_of(T&& reply, Spares<std::unique_ptr<WriteReply>>& spares) {
  if constexpr (std::is_same_v<T, WriteReply>) {
    if (std::unique_ptr<WriteReply> spare = spares.take()) {
      *spare = std::move(reply);
      return spare;
    }
  }
  return std::make_unique<T>(std::forward<T>(reply));
}

constexpr std::size_t kReplyTextBytesKept = 1024;  // Of a spare reply: more is rare.

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

Store::State::State(const HistoryLimits& limits) : history(limits) {}
Store::State::~State() = default;

Store::Store(const HistoryLimits& history) : state_(std::make_unique<State>(history)) {}
Store::~Store() = default;

template <class T>
machine::Outcome Store::State::answer(T&& reply, bool reply_wanted) {
  if (written()) raise_revision();
  machine::Outcome outcome;
  if (!reply_wanted) return outcome;
  if constexpr (std::is_base_of_v<StoreReply, T>) {
    if (reply.revision == 0) reply.revision = stats.revision;
  }
  outcome.reply = made_of(std::forward<T>(reply), spare_writes);
  return outcome;
}

machine::Outcome Store::apply(const machine::Applied& applied, bool reply_wanted) {
  State& s = *state_;
  ASSERT(!s.in_slices());
  ASSERT(!s.asker);
  // Each entry once, in order: one left out or applied twice must never go unnoticed.
  ASSERT_CMP(applied.index, ==, s.applied.next());
  ASSERT_CMP(applied.time, >=, s.now);
  s.applied = applied.index;
  s.now = applied.time;
  s.retries.drop_old(s.now);
  if (applied.configuration != nullptr) s.configure(*applied.configuration);
  if (applied.command.empty()) return {};  // A no-op or a configuration.
  if (const std::optional<Put> put = decode_put(applied.command)) {
    return s.ended(s.answer(s.put(*put, reply_wanted), reply_wanted));
  }
  Result<Request> request = decode(applied.command);
  if (!request) {
    machine::Outcome outcome;
    if (reply_wanted) {
      WriteReply reply = bad_command(request.error().message);
      reply.revision = s.stats.revision;
      outcome.reply = std::make_unique<WriteReply>(std::move(reply));
    }
    return outcome;
  }
  s.current = *std::move(request);
  return s.apply(*s.current, reply_wanted);
}

machine::Outcome Store::apply_slice() {
  State& s = *state_;
  ASSERT(s.in_slices());
  return s.ended(s.execution != nullptr ? s.execute_slice() : s.end_slice());
}

namespace {

void keep_memory(std::string& of, std::string& into) {
  into.swap(of);
  clear_text(into, kReplyTextBytesKept);
}

}  // namespace

machine::Outcome Store::State::apply(const Request& request, bool reply_wanted) {
  const Terms& terms = request.terms;
  const std::optional<ReplyKind> kind = terms.none() ? std::nullopt : reply_kind(request.command);
  const bool keep = kind && !terms.idempotency_key.empty();
  if (keep) {
    std::unique_ptr<StoreReply> before =
        answered_before(terms.idempotency_key, terms.request_hash, *kind);
    if (before != nullptr) {
      machine::Outcome outcome;
      if (reply_wanted) outcome.reply = std::move(before);
      return outcome;
    }
    asker = {std::string(terms.idempotency_key), terms.request_hash, reply_wanted};
  }
  for (const Fence& fence : terms.fences) {
    if (!holds(fence, stats.revision)) return ended(fenced(fence, kind, reply_wanted || keep));
  }
  return ended(run(request, reply_wanted || keep));
}

machine::Outcome Store::State::fenced(const Fence& fence, std::optional<ReplyKind> kind,
                                      bool reply_wanted) const {
  machine::Outcome outcome;
  if (!reply_wanted) return outcome;
  std::unique_ptr<StoreReply> reply = make_reply(kind.value_or(ReplyKind::kWrite));
  reply->result = StoreReply::Result::kFenced;
  reply->revision = stats.revision;
  reply->message = fence.name;
  reply->number = fence.token;
  outcome.reply = std::move(reply);
  return outcome;
}

machine::Outcome Store::State::ended(machine::Outcome outcome) {
  if (!outcome.finished) return outcome;
  ASSERT(ended_locks.empty());
  sweep_orphans();
  if (asker) keep_reply(outcome);
  return outcome;
}

machine::Outcome Store::State::run(const Request& request, bool reply_wanted) {
  const auto answer = [&]<class T>(T&& reply) {
    return this->answer(std::forward<T>(reply), reply_wanted);
  };
  return std::visit(
      overloaded{
          [&](const Put& body) { return answer(put(body, reply_wanted)); },
          [&](const Delete& body) { return answer(remove(body, reply_wanted)); },
          [&](const DeletePrefix& body) { return remove_prefix(body, reply_wanted); },
          [&](const PublishMember& body) { return answer(publish(body)); },
          [&](const Compact& body) { return answer(compact(body)); },
          [&](const ReserveMember& body) { return answer(reserve(body)); },
          [&](const ClaimMember& body) { return answer(claim(body)); },
          [&](const DropTickets& body) { return answer(drop(body)); },
          [&](const Increment& body) { return answer(increment(body, reply_wanted)); },
          [&](const Touch& body) { return answer(touch(body)); },
          [&](const Transaction& body) { return transact(body, reply_wanted); },
          [&](const GrantLease& body) { return answer(grant(body)); },
          [&](const KeepLeases& body) { return answer(keep(body)); },
          [&](const RevokeLease& body) { return revoke(body, reply_wanted); },
          [&](const ExpireLeases&) { return expire(reply_wanted); },
          [&](const Acquire& body) { return answer(acquire(body, request.terms.idempotency_key)); },
          [&](const KeepLock& body) { return answer(keep_lock(body)); },
          [&](const Release& body) { return answer(release(body)); },
          [&](const Proclaim& body) { return answer(proclaim(body)); },
          [&](const LeaveQueue& body) { return answer(leave_queue(body)); },
      },
      request.command);
}

// True: the condition does not hold; reply says which.
bool Store::State::refused(const Condition& condition, const Version* present,
                           WriteReply& reply) const {
  switch (condition.kind) {
    case Condition::Kind::kNone:
      return false;
    case Condition::Kind::kModIs:
      if (present != nullptr && present->mod() == condition.mod) return false;
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

bool Store::State::written_twice(const Key& key, WriteReply& reply) const {
  if (key.newest().mod() <= stats.revision) return false;
  reply = bad_command("a transaction that writes a key twice");
  return true;
}

namespace {

std::uint64_t live_bytes(const Key& key, const Version& version) {
  return version.live() ? key.text().size() + version.value().size() : 0;
}

}  // namespace

void Store::State::add_version(Key& key, const VersionFields& fields) {
  Keys& keys = in(key.space());
  const bool lock = key.space() != Space::kKeys;
  const Version* before = key.empty() ? nullptr : &key.newest();
  const Version& version = keys.push(key, fields);
  const std::uint64_t text = hash_of_text(key);
  const std::uint64_t hash = hash_of(key, text, version);
  hash_sum += hash;
  stats.history_bytes += kChangeWeight;
  ended_so_far.bytes += kChangeWeight;
  if (!version.live()) ended_so_far += {hash, history_weight(version)};
  if (before != nullptr) {
    stats.history_bytes += history_weight(*before);
    if (before->live()) ended_so_far += {hash_of(key, text, *before), history_weight(*before)};
    if (before->live() && before->lease() != 0) detach(before->lease(), key);
    if (lock) stats.lock_bytes -= live_bytes(key, *before);
  }
  if (lock) stats.lock_bytes += live_bytes(key, version);
  if (version.live() && version.lease() != 0) attach(version.lease(), key);
  if (key.space() == Space::kWaiters) note_waiter(key, version.live());
  changes.push_back({version.mod(), &key});
  if (marked(changes.size() - 1)) ended_marks.push_back(ended_so_far);
}

const Version* Store::State::live(const Key* key) {
  if (key == nullptr || !key->newest().live()) return nullptr;
  return &key->newest();
}

void Store::State::write(Space space, Keys::Iterator at, std::string_view key,
                         std::string_view value, LeaseId lease) {
  Keys& keys = in(space);
  Key* present = known(keys, at, key);
  write(present != nullptr ? *present : keys.insert(at, space, key), value, lease);
}

void Store::State::write(Key& key, std::string_view value, LeaseId lease) {
  const Version* present = key.empty() || !key.newest().live() ? nullptr : &key.newest();
  VersionFields next;
  next.mod = next_revision();
  next.create = present == nullptr ? next.mod : present->create();
  next.version = present == nullptr ? 1 : present->version() + 1;
  next.lease = lease;
  next.value = value;
  if (key.space() == Space::kKeys) {
    if (present == nullptr) {
      ++stats.keys;
      stats.bytes += key.text().size();
    } else {
      stats.bytes -= present->value().size();
    }
    stats.bytes += value.size();
  }
  add_version(key, next);
}

void Store::State::erase(Key& key, LeaseId ended_with) {
  const Version& present = key.newest();
  ASSERT(present.live());
  if (key.space() == Space::kKeys) {
    const std::size_t bytes = key.text().size() + present.value().size();
    if (ending) {
      ++ending->deleted;
      ending->deleted_bytes += bytes;
    } else {
      --stats.keys;
      stats.bytes -= bytes;
    }
  }
  if (key.space() != Space::kKeys) note_end(key);
  VersionFields tombstone;
  tombstone.mod = next_revision();
  tombstone.lease = ended_with;
  add_version(key, tombstone);
}

void Store::State::raise_revision() {
  if (ending) {
    ++ending->revisions;
    return;
  }
  ++stats.revision;
  note_revision();
}

WriteReply Store::State::put(const Put& put, bool reply_wanted) {
  WriteReply reply;
  Keys& keys = in(Space::kKeys);
  const auto at = keys.lower_bound(put.key);
  Key* key = known(keys, at, put.key);
  if (key != nullptr) key->expect_newest();
  if (key != nullptr && written_twice(*key, reply)) return reply;
  const Version* present = live(key);
  const bool refuse = refused(put.condition, present, reply);
  if (reply_wanted && present != nullptr && (refuse || put.want_prev)) {
    reply.prev = item(put.key, *present, true, now);
  }
  if (refuse) return reply;
  // As etcd has it: of a lease that is absent a client is told before it is told of the key.
  const bool leased =
      put.lease.kind != LeaseChoice::Kind::kAttach || find_lease(put.lease.number) != nullptr;
  if (present == nullptr && (put.must_exist || put.keep_value) && leased) {
    reply.result = StoreReply::Result::kNotFound;
    return reply;
  }
  const std::optional<LeaseId> lease = choose_lease(put.lease, present, reply);
  if (!lease) return reply;
  reply.created = present == nullptr;
  if (key == nullptr) key = &keys.insert(at, Space::kKeys, put.key);
  write(*key, put.keep_value ? present->value() : put.value, *lease);
  return reply;
}

WriteReply Store::State::remove(const Delete& del, bool reply_wanted) {
  WriteReply reply;
  Keys& keys = in(Space::kKeys);
  Key* key = known(keys, del.key);
  if (key != nullptr && written_twice(*key, reply)) return reply;
  const Version* present = live(key);
  const bool refuse = refused(del.condition, present, reply);
  if (reply_wanted && present != nullptr && (refuse || del.want_prev)) {
    reply.prev = item(del.key, *present, true, now);
  }
  if (refuse || present == nullptr) return reply;
  erase(*key, 0);
  reply.deleted = 1;
  return reply;
}

WriteReply Store::State::compact(const Compact& compact) {
  if (compact.revision > stats.revision || compact.revision <= stats.compact_revision) {
    using Result = StoreReply::Result;
    WriteReply reply;
    reply.result = compact.revision > stats.revision ? Result::kFuture : Result::kCompacted;
    reply.number = stats.compact_revision;
    return reply;
  }
  stats.compact_revision = compact.revision;
  while (!times.empty() && times.front().revision <= stats.compact_revision) {
    hash_sum -= hash_of(times.front());
    times.pop_front();
  }
  forget_up_to_compacted();
  return {};
}

std::unique_ptr<machine::Reply> Store::query(const machine::Query& query,
                                             machine::ClusterTime now) const {
  const State& s = *state_;
  const machine::ClusterTime at = std::max(now, s.now);
  // Nearly all are of this kind: asked for first, and more cheaply than the others.
  if (typeid(query) == typeid(GetQuery)) return s.get(static_cast<const GetQuery&>(query), at);
  if (typeid(query) == typeid(SpanQuery)) return s.span(static_cast<const SpanQuery&>(query), at);
  if (const auto* lease = dynamic_cast<const LeaseQuery*>(&query)) return s.lease(*lease, at);
  if (const auto* all = dynamic_cast<const LeasesQuery*>(&query)) return s.list_leases(*all, at);
  if (const auto* lock = dynamic_cast<const LockQuery*>(&query)) return s.lock(*lock, at);
  if (const auto* locks = dynamic_cast<const LocksQuery*>(&query)) return s.list_locks(*locks, at);
  if (const auto* place = dynamic_cast<const PlaceQuery*>(&query)) return s.place(*place);
  if (const auto* range = dynamic_cast<const RangeQuery*>(&query)) return s.range(*range, at);
  if (const auto* hash = dynamic_cast<const HashQuery*>(&query)) return s.hash(*hash);
  if (const auto* retry = dynamic_cast<const RetryQuery*>(&query)) {
    auto reply = std::make_unique<RetryReply>();
    reply->reply = s.answered_before(retry->idempotency_key, retry->request_hash, retry->kind);
    return reply;
  }
  const auto* transaction = dynamic_cast<const TransactionQuery*>(&query);
  ASSERT(transaction != nullptr);
  return s.transaction(*transaction, at);
}

void Store::take_back(std::unique_ptr<machine::Reply> reply) {
  ASSERT(reply != nullptr);
  State& s = *state_;
  machine::Reply& read = *reply;
  if (typeid(read) == typeid(WriteReply)) {
    std::unique_ptr<WriteReply> spare(static_cast<WriteReply*>(reply.release()));
    *spare = WriteReply();  // Frees its texts.
    s.spare_writes.give(std::move(spare));
  } else if (typeid(read) == typeid(GetReply)) {
    std::unique_ptr<GetReply> spare(static_cast<GetReply*>(reply.release()));
    GetReply empty;
    keep_memory(spare->item.key, empty.item.key);
    keep_memory(spare->item.value, empty.item.value);
    *spare = std::move(empty);
    s.spare_gets.give(std::move(spare));
  }
}

void Store::set_history_limits(const HistoryLimits& history) {
  state_->history = history;
}

const HistoryLimits& Store::history_limits() const {
  return state_->history;
}

StoreStats Store::stats() const {
  StoreStats stats = state_->stats;
  stats.replies = state_->retries.size();
  stats.reply_bytes = state_->retries.bytes();
  return stats;
}

// What a reader may see: it does not depend on how far tidy_slice() has come.
std::uint64_t Store::digest() const {
  const State& s = *state_;
  Digest digest;
  digest.add(s.stats.revision);
  digest.add(s.stats.compact_revision);
  const auto add = [&](const Key& of, const Version& version) {
    digest.add(static_cast<std::uint64_t>(of.space()));
    digest.add(of.text());
    digest.add(version.lease());
    digest.add(version.mod());
    digest.add(version.create());
    digest.add(version.version());
    digest.add(version.value());
  };
  for (const Keys& keys : s.spaces) {
    for (const Key& key : keys) {
      if (const Version* base = key.at(s.stats.compact_revision)) add(key, *base);
      const auto in_window = [&](const Version& version) {
        if (version.mod() > s.stats.compact_revision && version.mod() <= s.stats.revision) {
          add(key, version);
        }
      };
      for (std::size_t k = 0; k < key.older_count(); ++k)
        in_window(key.older(k));
      in_window(key.newest());
    }
  }
  for (const auto& [id, lease] : s.leases)
    digest.add(hash_of(id, lease));
  digest.add(s.lease_counter);
  for (const PublishedMember& member : s.members) {
    digest.add(member.id);
    digest.add(member.instance);
    digest.add(member.name);
    digest.add(member.client);
    digest.add(member.version);
  }
  for (const Ticket& ticket : s.tickets)
    digest.add(hash_of(ticket));
  for (const Retries::Handle& kept : s.retries.entries())
    digest.add(hash_of(*kept));
  digest.add(s.max_id);
  return digest.value();
}

void Store::check_invariants() const {
  const State& s = *state_;
  std::uint64_t live = 0;
  std::uint64_t bytes = 0;
  std::uint64_t weight = s.changes.size() * kChangeWeight;
  std::size_t leased = 0;
  std::uint64_t lock_bytes = 0;
  for (std::size_t space = 0; space < kSpaces; ++space) {
    s.spaces[space].check_invariants();
    for (const Key& key : s.spaces[space]) {
      ASSERT_CMP(static_cast<std::size_t>(key.space()), ==, space);
      ASSERT(!key.empty());
      Revision before = 0;
      for (std::size_t i = 0; i < key.older_count(); ++i) {
        ASSERT_CMP(key.older(i).mod(), >, before);
        before = key.older(i).mod();
        weight += history_weight(key.older(i));
      }
      ASSERT_CMP(key.newest().mod(), >, before);
      if (key.newest().live() && key.newest().lease() != 0) ++leased;
      if (key.space() != Space::kKeys) lock_bytes += live_bytes(key, key.newest());
      const Version* version = key.at(s.stats.revision);
      if (version == nullptr || key.space() != Space::kKeys) continue;
      ++live;
      bytes += live_bytes(key, *version);
    }
  }
  std::size_t attached = 0;
  for (const auto& [id, lease] : s.leases) {
    ASSERT(s.deadlines.contains({lease.deadline, id}));
    attached += lease.keys.size();
    lease.keys.visit_from({}, [&, of = id](const Key& key) {
      ASSERT_CMP(key.newest().lease(), ==, of);
      return true;
    });
    if (lease.owned) ASSERT(!lease.keys.empty());
  }
  ASSERT_CMP(leased, ==, attached);
  ASSERT_CMP(s.leases.size(), ==, s.deadlines.size());
  ASSERT_CMP(s.leases.size(), ==, s.stats.leases);
  s.check_locks();
  ASSERT_CMP(live, ==, s.stats.keys);
  ASSERT_CMP(bytes, ==, s.stats.bytes);
  ASSERT_CMP(lock_bytes, ==, s.stats.lock_bytes);
  ASSERT_CMP(weight, ==, s.stats.history_bytes);
  ASSERT_CMP(s.stats.compact_revision, <=, s.stats.revision);
  ASSERT_CMP(s.hash_sum, ==, s.computed_sum());
  for (const Ticket& ticket : s.tickets)
    ASSERT_CMP(ticket.id, <=, s.max_id);
  s.retries.check_invariants();
  Revision before = 0;
  std::size_t marks = 0;
  const std::size_t window_begin = s.window_begin();
  std::uint64_t window_bytes = 0;
  for (std::size_t i = 0; i < s.changes.size(); ++i) {
    ASSERT_CMP(s.changes[i].revision, >=, before);
    before = s.changes[i].revision;
    if (s.marked(i)) ++marks;
    if (i >= window_begin) window_bytes += s.ended_by(s.changes[i]).bytes;
  }
  ASSERT_CMP(marks, ==, s.ended_marks.size());
  ASSERT_CMP(window_bytes, ==, s.window_bytes());
}

}  // namespace raftd::kv
