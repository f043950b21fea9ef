#include "kv/execution.h"

#include <algorithm>

#include "base/limits.h"
#include "base/overloaded.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kItemWeight = 64;  // Of an item in a result, besides its key and value.
constexpr std::string_view kResultBytes = "the bytes of a transaction's results";

bool compare(Guard::Relation relation, std::strong_ordering order) {
  switch (relation) {
    case Guard::Relation::kEqual:
      return order == 0;
    case Guard::Relation::kNotEqual:
      return order != 0;
    case Guard::Relation::kLess:
      return order < 0;
    case Guard::Relation::kGreater:
      return order > 0;
    case Guard::Relation::kLessEqual:
      return order <= 0;
    case Guard::Relation::kGreaterEqual:
      return order >= 0;
  }
  return false;
}

// version: nullptr if the key is absent.
bool satisfies(const Guard& guard, const Version* version) {
  std::uint64_t number = 0;
  switch (guard.target) {
    case Guard::Target::kMod:
      number = version == nullptr ? 0 : version->mod();
      break;
    case Guard::Target::kCreate:
      number = version == nullptr ? 0 : version->create();
      break;
    case Guard::Target::kVersion:
      number = version == nullptr ? 0 : version->version();
      break;
    case Guard::Target::kLease:
      number = version == nullptr ? 0 : version->lease();
      break;
    case Guard::Target::kValue:
      return version != nullptr && compare(guard.relation, version->value() <=> guard.value);
    case Guard::Target::kExists:
      return (version != nullptr) == (guard.number != 0);
    case Guard::Target::kFence:
    case Guard::Target::kElectionFence:
      return false;  // It is not about a key.
  }
  return compare(guard.relation, number <=> guard.number);
}

std::strong_ordering compare(Sort::Target target, const Version& a, const Version& b) {
  switch (target) {
    case Sort::Target::kVersion:
      return a.version() <=> b.version();
    case Sort::Target::kCreate:
      return a.create() <=> b.create();
    case Sort::Target::kMod:
      return a.mod() <=> b.mod();
    case Sort::Target::kValue:
      return a.value() <=> b.value();
    case Sort::Target::kKey:
      break;
  }
  return std::strong_ordering::equal;
}

}  // namespace

// Whether one row stands before another one.
struct Store::State::Execution::Before {
  Sort sort;
  bool operator()(const Row& a, const Row& b) const {
    const std::strong_ordering order = compare(sort.target, *a.version, *b.version);
    if (order != 0) return (order < 0) != sort.descending;
    const bool by_key_down = sort.target == Sort::Target::kKey && sort.descending;
    return by_key_down ? a.key->text() > b.key->text() : a.key->text() < b.key->text();
  }
};

Store::State::Execution::Execution(State& state, const Transaction& transaction, bool reply_wanted)
    : state_(state),
      writer_(&state),
      at_(state.stats.revision + 1),
      guards_at_(at_),
      now_(state.now),
      wanted_(reply_wanted),
      hash_sum_(state.hash_sum),
      ended_(state.ended_so_far),
      keys_(state.stats.keys),
      bytes_(state.stats.bytes),
      lease_counter_(state.lease_counter),
      orphans_(state.orphans.size()) {
  ASSERT(!state.written());
  if (transaction.guards_first) guards_at_ = state.stats.revision;
  frames_.push_back({&transaction, &reply_});
}

Store::State::Execution::Execution(State& state, const DeletePrefix& del, bool reply_wanted)
    : Execution(state, own_, reply_wanted) {
  end_ = prefix_end(del.prefix);
  limit_ = del.limit;
  own_.then.push_back({DeleteSpan{{del.prefix, end_}, false}});
}

Store::State::Execution::Execution(const State& state, const Transaction& transaction, Revision at,
                                   machine::ClusterTime now)
    : state_(state), writer_(nullptr), at_(at), guards_at_(at), now_(now), wanted_(true) {
  frames_.push_back({&transaction, &reply_});
}

bool Store::State::Execution::run(std::size_t keys_max) {
  left_ = keys_max;
  if (paused_) swap_counts();
  const bool finished = advance();
  paused_ = !finished && writer_ != nullptr;
  if (paused_) swap_counts();
  return finished;
}

// Between two slices the counts are those of what everybody sees.
void Store::State::Execution::swap_counts() {
  std::swap(writer_->stats.keys, keys_);
  std::swap(writer_->stats.bytes, bytes_);
}

bool Store::State::Execution::advance() {
  while (!failed_ && !frames_.empty()) {
    const Frame& frame = frames_.back();
    if (frame.branch != nullptr && frame.next == frame.branch->size()) {
      frames_.pop_back();
      continue;
    }
    const bool finished = frame.branch == nullptr ? choose() : step();
    if (!finished) return false;
  }
  if (!failed_ && unreadable_) fail(*unreadable_, {});
  return true;
}

bool Store::State::Execution::choose() {
  Frame& frame = frames_.back();
  const std::vector<Guard>& guards = frame.transaction->guards;
  while (frame.next < guards.size()) {
    const std::optional<bool> decided = holds(guards[frame.next]);
    if (!decided) return false;
    if (!*decided) break;
    ++frame.next;
  }
  const bool succeeded = frame.next == guards.size();
  frame.branch = succeeded ? &frame.transaction->then : &frame.transaction->otherwise;
  if (frame.reply != nullptr) {
    frame.reply->succeeded = succeeded;
    frame.reply->failed_guard = succeeded ? 0 : frame.next;
    if (wanted_) frame.reply->results.reserve(frame.branch->size());
  }
  frame.next = 0;
  return true;
}

std::optional<bool> Store::State::Execution::holds(const Guard& guard) {
  if (guard.is_fence()) {
    const bool election = guard.target == Guard::Target::kElectionFence;
    return state_.holds(
        {election ? Space::kElections : Space::kKeys, guard.span.from, guard.number}, guards_at_);
  }
  const bool first_decides = guard.target == Guard::Target::kExists;
  bool satisfied = true;
  const bool finished = walk(guard.span, guards_at_, [&](Key&, const Version& version) {
    satisfied = satisfies(guard, &version);
    return satisfied && !first_decides;
  });
  if (!finished) return std::nullopt;
  return seen_ == 0 ? satisfies(guard, nullptr) : satisfied;
}

bool Store::State::Execution::step() {
  Frame& frame = frames_.back();
  const TransactionOp& op = (*frame.branch)[frame.next];
  if (const auto* nested = std::get_if<Transaction>(&op.op)) {
    ++frame.next;
    TransactionReply* reply = nullptr;
    if (wanted_) {
      OpReply& result = frame.reply->results.emplace_back();
      result.transaction = std::make_unique<TransactionReply>();
      reply = result.transaction.get();
    }
    frames_.push_back({nested, reply});
    return true;
  }
  if (!carry_out(op)) return false;
  ++frame.next;
  if (wanted_ && !failed_) frame.reply->results.push_back(std::move(op_));
  op_ = OpReply();
  return true;
}

bool Store::State::Execution::carry_out(const TransactionOp& op) {
  const bool reads = std::holds_alternative<Get>(op.op) || std::holds_alternative<List>(op.op);
  ASSERT(reads || writer_ != nullptr);
  return std::visit(overloaded{
                        [&](const Put& body) {
                          put(body);
                          return true;
                        },
                        [&](const Increment& body) {
                          increment(body);
                          return true;
                        },
                        [&](const Touch& body) {
                          touch(body);
                          return true;
                        },
                        [&](const Delete& body) {
                          const Version* present = body.want_prev ? find(body.key) : nullptr;
                          if (present != nullptr && !charge(body.key, present->value())) {
                            return true;
                          }
                          op_.write = writer_->remove(body, wanted_);
                          check_written(body.key);
                          return true;
                        },
                        [&](const DeleteSpan& body) { return remove(body); },
                        [&](const Get& body) {
                          const Version* present = find(body.key);
                          if (present == nullptr) return true;
                          if (!charge(body.key, present->value()) || !wanted_) return true;
                          op_.items.push_back(state_.item(body.key, *present, true, now_));
                          return true;
                        },
                        [&](const List& body) { return list(body); },
                        [&](const Transaction&) { return true; },  // A frame of its own.
                    },
                    op.op);
}

void Store::State::Execution::put(const Put& put) {
  const Version* present = put.want_prev ? find(put.key) : nullptr;
  if (present != nullptr && !charge(put.key, present->value())) return;
  op_.write = writer_->put(put, wanted_);
  note_lease(put.lease);
  check_written(put.key);
}

void Store::State::Execution::increment(const Increment& increment) {
  op_.write = writer_->increment(increment, wanted_);
  note_lease(increment.lease);
  check_written(increment.key);
}

void Store::State::Execution::touch(const Touch& touch) {
  if (const Version* present = find(touch.key)) {
    const LeaseId id = present->lease();
    if (const Lease* lease = state_.find_lease(id)) {
      leases_.push_back({id, false, lease->ttl_ms, lease->deadline});
    }
  }
  op_.write = writer_->touch(touch);
  check_written(touch.key);
}

bool Store::State::Execution::remove(const DeleteSpan& del) {
  return walk(del.span, at_, [&](Key& key, const Version& present) {
    if (limit_ != 0 && op_.write.deleted == limit_) {
      op_.write.more = true;
      return false;
    }
    if (writer_->written_twice(key, op_.write)) {
      check_written(key.text());
      return false;
    }
    if (del.want_prev) {
      if (!charge(key.text(), present.value())) return false;
      if (wanted_) op_.items.push_back(state_.item(key.text(), present, true, now_));
    }
    ++op_.write.deleted;
    writer_->erase(key, 0);
    return true;
  });
}

bool Store::State::Execution::list(const List& list) {
  if (!can_read(list.rev)) return true;
  if (!interrupted_) rows_ = 0;
  const bool finished =
      walk(list.span, list.rev == 0 ? at_ : list.rev,
           [&](const Key& key, const Version& version) { return visit(list, key, version); });
  if (!finished || failed_) return finished;
  if (list.count_only || list.count_all) op_.count = seen_;
  std::ranges::sort_heap(sorted_, Before{list.sort});
  for (const Row& row : std::exchange(sorted_, {})) {
    if (!failed_) add_row(list, row);
  }
  return true;
}

// False: what is left of the span does not matter.
bool Store::State::Execution::visit(const List& list, const Key& key, const Version& version) {
  if (list.count_only || !within_bounds(list, version)) return true;
  if (list.sort != Sort{}) {
    sort_in(list, {&key, &version});
    return !failed_;
  }
  if (list.limit != 0 && rows_ == list.limit) {
    op_.more = true;
    return list.count_all;
  }
  ++rows_;
  add_row(list, {&key, &version});
  return !failed_;
}

// What the rows will weigh is known at the end; before that there are no more than can pass then.
void Store::State::Execution::sort_in(const List& list, const Row& row) {
  const Before before{list.sort};
  if (list.limit != 0 && sorted_.size() == list.limit) {
    op_.more = true;
    if (!before(row, sorted_.front())) return;
    std::ranges::pop_heap(sorted_, before);
    sorted_.back() = row;
  } else if (sorted_.size() == limits::kTransactionResultBytesMax / kItemWeight) {
    return give_up(kResultBytes, limits::kTransactionResultBytesMax);
  } else {
    sorted_.push_back(row);
  }
  std::ranges::push_heap(sorted_, before);
}

void Store::State::Execution::add_row(const List& list, const Row& row) {
  const std::string_view key = row.key->text();
  if (!charge(key, list.keys_only ? std::string_view() : row.version->value())) return;
  if (wanted_) op_.items.push_back(state_.item(key, *row.version, !list.keys_only, now_));
}

// False: not, and the transaction fails: at its end, so that a put which cannot be done is told
// first, as in etcd. Nothing of it stays, whatever was done before.
bool Store::State::Execution::can_read(Revision rev) {
  const Revision newest = state_.stats.revision;
  const Revision oldest = state_.stats.compact_revision;
  if (rev == 0 || (rev >= oldest && rev <= newest)) return true;
  if (unreadable_) return false;
  unreadable_.emplace();
  unreadable_->result = rev > newest ? StoreReply::Result::kFuture : StoreReply::Result::kCompacted;
  unreadable_->number = oldest;
  return false;
}

// Calls visit(key, version) for each live key of the span, until it says false.
template <class Visit>
bool Store::State::Execution::walk(const Span& span, Revision at_revision, Visit&& visit) {
  const Keys& keys = state_.in(Space::kKeys);
  if (!interrupted_) seen_ = 0;
  auto at = keys.lower_bound(interrupted_ ? std::string_view(next_) : span.from);
  interrupted_ = false;
  for (; at != keys.end() && span.contains(at->text()); ++at) {
    if (left_ == 0) {
      interrupted_ = true;
      next_ = at->text();
      return false;
    }
    --left_;
    const Version* version = at->at(at_revision);
    if (version == nullptr) continue;
    ++seen_;
    if (!visit(*at, *version)) break;
  }
  return true;
}

const Version* Store::State::Execution::find(std::string_view key) const {
  const Keys& keys = state_.in(Space::kKeys);
  const auto found = keys.find(key);
  return found == keys.end() ? nullptr : found->at(at_);
}

// False: the results become too large, and the transaction has failed.
bool Store::State::Execution::charge(std::string_view key, std::string_view value) {
  reply_.result_bytes += key.size() + value.size() + kItemWeight;
  if (reply_.result_bytes <= limits::kTransactionResultBytesMax) return true;
  give_up(kResultBytes, limits::kTransactionResultBytesMax);
  return false;
}

void Store::State::Execution::give_up(std::string_view limit, std::uint64_t max) {
  StoreReply why;
  why.result = StoreReply::Result::kTooLarge;
  why.message = limit;
  why.number = max;
  fail(why, {});
}

void Store::State::Execution::check_written(std::string_view key) {
  if (op_.write.result != StoreReply::Result::kDone) fail(op_.write, key);
}

void Store::State::Execution::note_lease(const LeaseChoice& choice) {
  if (choice.kind != LeaseChoice::Kind::kPrivate || op_.write.lease == 0) return;
  leases_.push_back({.id = op_.write.lease, .made = true});
}

void Store::State::Execution::fail(const StoreReply& why, std::string_view key) {
  ASSERT(!failed_);
  failed_ = true;
  reply_.result = why.result;
  reply_.message = why.message;
  reply_.number = why.number;
  reply_.failed_key = key;
  reply_.results.clear();
  reply_.result_bytes = 0;
}

void Store::State::Execution::settle() {
  if (failed_) {
    take_back();
  } else if (writer_->written()) {
    writer_->raise_revision();
  }
  reply_.revision = writer_->stats.revision;
}

void Store::State::Execution::take_back() {
  State& s = *writer_;
  while (s.written())
    take_back_change();
  for (auto before = leases_.rbegin(); before != leases_.rend(); ++before) {
    if (before->made) {
      s.drop_lease(before->id);
      continue;
    }
    Lease* lease = s.find_lease(before->id);
    ASSERT(lease != nullptr);
    s.deadlines.erase({lease->deadline, before->id});
    lease->ttl_ms = before->ttl_ms;
    lease->deadline = before->deadline;
    s.deadlines.emplace(lease->deadline, before->id);
  }
  s.lease_counter = lease_counter_;
  s.orphans.resize(orphans_);
  s.stats.keys = keys_;
  s.stats.bytes = bytes_;
  s.hash_sum = hash_sum_;
  s.ended_so_far = ended_;
}

// The opposite of add_version(), but for what it has summed up.
void Store::State::Execution::take_back_change() {
  State& s = *writer_;
  const Change change = s.changes.back();
  if (s.marked(s.changes.size() - 1)) s.ended_marks.pop_back();
  s.changes.pop_back();
  s.stats.history_bytes -= kChangeWeight;
  Key& key = *change.key;
  ASSERT_CMP(key.newest().mod(), ==, change.revision);
  const LeaseId lease = key.newest().live() ? key.newest().lease() : 0;
  if (lease != 0) s.detach(lease, key);
  Keys& keys = s.in(key.space());
  keys.pop(key);
  if (key.empty()) {
    keys.erase(key);
    return;
  }
  const Version& before = key.newest();
  s.stats.history_bytes -= history_weight(before);
  if (before.live() && before.lease() != 0) s.attach(before.lease(), key);
}

}  // namespace raftd::kv
