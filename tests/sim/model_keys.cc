// The model's writes of keys: one by one, and many in a transaction.
#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/overloaded.h"
#include "sim/store_model.h"

namespace raftd::sim {
namespace {

using Result = kv::StoreReply::Result;

// What a refused write is answered; nothing: it is done.
std::optional<Result> refusal(const kv::Condition& condition, const ModelKey* present) {
  switch (condition.kind) {
    case kv::Condition::Kind::kNone:
      return std::nullopt;
    case kv::Condition::Kind::kModIs:
      if (present != nullptr && present->mod == condition.mod) return std::nullopt;
      return Result::kModDiffers;
    case kv::Condition::Kind::kExists:
      return present != nullptr ? std::nullopt : std::optional(Result::kAbsent);
    case kv::Condition::Kind::kAbsent:
      return present == nullptr ? std::nullopt : std::optional(Result::kExists);
  }
  return std::nullopt;
}

template <class T>
bool is_related(const T& one, const T& other, kv::Guard::Relation relation) {
  switch (relation) {
    case kv::Guard::Relation::kEqual:
      return one == other;
    case kv::Guard::Relation::kNotEqual:
      return one != other;
    case kv::Guard::Relation::kLess:
      return one < other;
    case kv::Guard::Relation::kGreater:
      return one > other;
    case kv::Guard::Relation::kLessEqual:
      return one <= other;
    case kv::Guard::Relation::kGreaterEqual:
      return one >= other;
  }
  return false;
}

// As the contract has it: -?[0-9]+ between spaces.
std::optional<std::int64_t> number_of(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return std::nullopt;
  text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

kv::Item StoreModel::item(const std::string& name, const ModelKey& key) const {
  kv::Item item;
  item.key = name;
  item.value = shortened(key.value);
  item.mod = key.mod;
  item.create = key.create;
  item.version = key.version;
  item.lease = key.lease;
  if (key.lease != 0) item.ttl_ms = remaining_ms(key.lease);
  return item;
}

std::optional<kv::LeaseId> StoreModel::choose_lease(const kv::LeaseChoice& choice,
                                                    const ModelKey* present,
                                                    kv::WriteReply& reply) {
  kv::LeaseId id = 0;
  switch (choice.kind) {
    case kv::LeaseChoice::Kind::kNone:
      return id;
    case kv::LeaseChoice::Kind::kKeep:
      id = present == nullptr ? 0 : present->lease;
      break;
    case kv::LeaseChoice::Kind::kAttach:
      id = choice.number;
      if (state_.lease(id) == nullptr) {
        reply.result = Result::kLeaseNotFound;
        reply.number = id;
        return std::nullopt;
      }
      break;
    case kv::LeaseChoice::Kind::kPrivate:
      id = state_.new_lease({choice.number, now_ + choice.number, true});
      break;
  }
  reply.lease = id;
  if (id != 0) reply.ttl_ms = state_.lease(id)->ttl_ms;
  return id;
}

kv::WriteReply StoreModel::put(const kv::Put& put) {
  kv::WriteReply reply;
  const std::string key(put.key);
  const ModelKey* present = state_.find(kv::Space::kKeys, key);
  const auto refused = refusal(put.condition, present);
  if (present != nullptr && (refused || put.want_prev)) reply.prev = item(key, *present);
  if (refused) {
    reply.result = *refused;
    return reply;
  }
  const bool leased =
      put.lease.kind != kv::LeaseChoice::Kind::kAttach || state_.lease(put.lease.number) != nullptr;
  if (present == nullptr && (put.must_exist || put.keep_value) && leased) {
    reply.result = Result::kNotFound;
    return reply;
  }
  const auto lease = choose_lease(put.lease, present, reply);
  if (!lease) return reply;
  reply.created = present == nullptr;
  const std::string value(put.keep_value ? std::string_view(present->value) : put.value);
  state_.put(kv::Space::kKeys, key, value, *lease);
  return reply;
}

kv::WriteReply StoreModel::remove(const kv::Delete& del) {
  kv::WriteReply reply;
  const std::string key(del.key);
  const ModelKey* present = state_.find(kv::Space::kKeys, key);
  const auto refused = refusal(del.condition, present);
  if (present != nullptr && (refused || del.want_prev)) reply.prev = item(key, *present);
  if (refused) {
    reply.result = *refused;
  } else if (present != nullptr) {
    state_.erase(kv::Space::kKeys, key, false);
    reply.deleted = 1;
  }
  return reply;
}

kv::WriteReply StoreModel::remove_prefix(const kv::DeletePrefix& del) {
  kv::WriteReply reply;
  for (const std::string& key : state_.keys_in({del.prefix, kv::Span::kEndless})) {
    if (!key.starts_with(del.prefix)) break;
    if (del.limit != 0 && reply.deleted == del.limit) {
      reply.more = true;
      break;
    }
    state_.erase(kv::Space::kKeys, key, false);
    ++reply.deleted;
  }
  return reply;
}

kv::WriteReply StoreModel::increment(const kv::Increment& increment) {
  kv::WriteReply reply;
  const std::string key(increment.key);
  const ModelKey* present = state_.find(kv::Space::kKeys, key);
  if (const auto refused = refusal(increment.condition, present)) {
    reply.result = *refused;
    if (present != nullptr) reply.prev = item(key, *present);
    return reply;
  }
  const auto before =
      present == nullptr ? std::optional<std::int64_t>(0) : number_of(present->value);
  const bool no_lease = increment.lease.kind == kv::LeaseChoice::Kind::kAttach &&
                        state_.lease(increment.lease.number) == nullptr;
  if (!before && !no_lease) {
    reply.result = Result::kNotANumber;
    return reply;
  }
  if (!no_lease && __builtin_add_overflow(*before, increment.by, &reply.value)) {
    reply.result = Result::kOverflow;
    return reply;
  }
  const auto lease = choose_lease(increment.lease, present, reply);
  if (!lease) return reply;
  reply.created = present == nullptr;
  state_.put(kv::Space::kKeys, key, std::to_string(reply.value), *lease);
  return reply;
}

kv::WriteReply StoreModel::touch(const kv::Touch& touch) {
  kv::WriteReply reply;
  const ModelKey* present = state_.find(kv::Space::kKeys, touch.key);
  if (present == nullptr) {
    reply.result = Result::kNotFound;
  } else if (present->lease == 0) {
    reply.result = Result::kNoLease;
  } else if (touch.ttl_ms != 0 && state_.keys_of(present->lease).size() > 1) {
    reply.result = Result::kSharedLease;
  } else {
    ModelLease lease = *state_.lease(present->lease);
    if (touch.ttl_ms != 0) lease.ttl_ms = touch.ttl_ms;
    lease.deadline = now_ + lease.ttl_ms;
    state_.set_lease(present->lease, lease);
    reply.lease = present->lease;
    reply.ttl_ms = lease.ttl_ms;
  }
  return reply;
}

bool StoreModel::is_true(const kv::Guard& guard) const {
  using Target = kv::Guard::Target;
  if (guard.target == Target::kFence || guard.target == Target::kElectionFence) {
    const bool election = guard.target == Target::kElectionFence;
    const kv::Space space = election ? kv::Space::kElections : kv::Space::kKeys;
    return holds({space, guard.span.from, guard.number});
  }
  const std::vector<std::string> keys = state_.keys_in(guard.span);
  if (guard.target == Target::kExists) return keys.empty() == (guard.number == 0);
  const auto holds_for = [&](const ModelKey* key) {
    const auto compared = [&](std::uint64_t field) {
      return is_related(field, guard.number, guard.relation);
    };
    switch (guard.target) {
      case Target::kMod:
        return compared(key == nullptr ? 0 : key->mod);
      case Target::kCreate:
        return compared(key == nullptr ? 0 : key->create);
      case Target::kVersion:
        return compared(key == nullptr ? 0 : key->version);
      case Target::kLease:
        return compared(key == nullptr ? 0 : key->lease);
      case Target::kValue:
        return key != nullptr &&
               is_related(std::string_view(key->value), guard.value, guard.relation);
      case Target::kExists:
      case Target::kFence:
      case Target::kElectionFence:
        break;
    }
    return false;
  };
  if (keys.empty()) return holds_for(nullptr);
  return std::ranges::all_of(
      keys, [&](const std::string& key) { return holds_for(state_.find(kv::Space::kKeys, key)); });
}

kv::TransactionReply StoreModel::transact(const kv::Transaction& transaction) {
  kv::TransactionReply reply;
  state_.begin();
  if (run_branch(transaction, reply, reply)) {
    state_.keep();
    return reply;
  }
  state_.undo();
  reply.results.clear();
  return reply;
}

bool StoreModel::run_branch(const kv::Transaction& transaction, kv::TransactionReply& reply,
                            kv::TransactionReply& whole) {
  const auto failed = std::ranges::find_if_not(
      transaction.guards, [&](const kv::Guard& guard) { return is_true(guard); });
  reply.succeeded = failed == transaction.guards.end();
  if (!reply.succeeded) {
    reply.failed_guard = static_cast<std::size_t>(failed - transaction.guards.begin());
  }
  for (const kv::TransactionOp& op : reply.succeeded ? transaction.then : transaction.otherwise) {
    if (!run_op(op, reply.results.emplace_back(), whole)) return false;
  }
  return true;
}

void StoreModel::list(const kv::List& list, kv::OpReply& reply) const {
  ASSERT_CMP(list.rev, ==, 0U);
  const auto within = [](std::uint64_t revision, std::uint64_t min, std::uint64_t max) {
    return revision >= min && (max == 0 || revision <= max);
  };
  using Row = std::pair<std::string, const ModelKey*>;
  std::vector<Row> rows;
  for (const std::string& name : state_.keys_in(list.span)) {
    const ModelKey* key = state_.find(kv::Space::kKeys, name);
    if (list.count_only || list.count_all) ++reply.count;
    if (!list.count_only && within(key->mod, list.min_mod, list.max_mod) &&
        within(key->create, list.min_create, list.max_create)) {
      rows.emplace_back(name, key);
    }
  }
  const auto sort = [&](const auto& field) {
    std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
      return list.sort.descending ? field(b) < field(a) : field(a) < field(b);
    });
  };
  switch (list.sort.target) {
    case kv::Sort::Target::kKey:
      sort([](const Row& row) -> const std::string& { return row.first; });
      break;
    case kv::Sort::Target::kVersion:
      sort([](const Row& row) { return row.second->version; });
      break;
    case kv::Sort::Target::kCreate:
      sort([](const Row& row) { return row.second->create; });
      break;
    case kv::Sort::Target::kMod:
      sort([](const Row& row) { return row.second->mod; });
      break;
    case kv::Sort::Target::kValue:
      sort([](const Row& row) -> const std::string& { return row.second->value; });
      break;
  }
  reply.more = list.limit != 0 && rows.size() > list.limit;
  if (reply.more) rows.resize(list.limit);
  for (const auto& [name, key] : rows) {
    reply.items.push_back(item(name, *key));
    if (list.keys_only) reply.items.back().value.clear();
  }
}

bool StoreModel::run_op(const kv::TransactionOp& op, kv::OpReply& reply,
                        kv::TransactionReply& whole) {
  const auto wrote = [&](std::string_view key, kv::WriteReply write) {
    if (write.result != Result::kDone) {
      whole.result = write.result;
      whole.number = write.number;
      whole.failed_key = key;
      return false;
    }
    reply.write = std::move(write);
    return true;
  };
  const auto found = [&](const std::string& key) {
    reply.items.push_back(item(key, *state_.find(kv::Space::kKeys, key)));
  };
  return std::visit(overloaded{
                        [&](const kv::Put& body) { return wrote(body.key, put(body)); },
                        [&](const kv::Delete& body) { return wrote(body.key, remove(body)); },
                        [&](const kv::Increment& body) { return wrote(body.key, increment(body)); },
                        [&](const kv::Touch& body) { return wrote(body.key, touch(body)); },
                        [&](const kv::DeleteSpan& body) {
                          for (const std::string& key : state_.keys_in(body.span)) {
                            if (body.want_prev) found(key);
                            state_.erase(kv::Space::kKeys, key, false);
                            ++reply.write.deleted;
                          }
                          return true;
                        },
                        [&](const kv::Get& body) {
                          const std::string key(body.key);
                          if (state_.find(kv::Space::kKeys, key) != nullptr) found(key);
                          return true;
                        },
                        [&](const kv::List& body) {
                          list(body, reply);
                          return true;
                        },
                        [&](const kv::Transaction& body) {
                          reply.transaction = std::make_unique<kv::TransactionReply>();
                          return run_branch(body, *reply.transaction, whole);
                        },
                    },
                    op.op);
}

}  // namespace raftd::sim
