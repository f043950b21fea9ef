#include "sim/requests.h"

#include "base/text.h"

namespace raftd::sim {
namespace {

constexpr std::uint64_t kKeys = 8;
constexpr std::uint64_t kCounters = 2;
constexpr std::uint64_t kLocks = 2;
constexpr std::size_t kHeardOfMax = 6;
constexpr std::uint64_t kLeaseIds = 4;  // That clients choose, far above those of the store.
constexpr kv::LeaseId kFirstChosenLease = 1'000'000'000;
constexpr int kDepthMax = 3;

unsigned long long number(std::uint64_t value) {
  return value;
}

template <class T>
T pick(Rng& rng, const std::deque<T>& from, T otherwise) {
  return from.empty() || rng.one_in(10) ? otherwise : from[rng.below(from.size())];
}

template <class T>
void remember(std::deque<T>& what, T one) {
  what.push_back(std::move(one));
  if (what.size() > kHeardOfMax) what.pop_front();
}

}  // namespace

void Requests::heard(const Request& request, const kv::StoreReply& reply) {
  using Result = kv::StoreReply::Result;
  const bool done = reply.result == Result::kDone;
  const auto* lease = dynamic_cast<const kv::LeaseReply*>(&reply);
  if (lease != nullptr && done && lease->ttl_ms != 0) remember(leases_, lease->id);
  const auto* write = dynamic_cast<const kv::WriteReply*>(&reply);
  if (write != nullptr && done && write->lease != 0) remember(leases_, write->lease);
  const auto* lock = dynamic_cast<const kv::LockReply*>(&reply);
  if (lock == nullptr || request.name.empty()) return;
  if (done || reply.result == Result::kWaiting) remember(leases_, lock->lease);
  if (done) remember(held_, {request.space, request.name, lock->token});
  if (reply.result == Result::kWaiting) {
    remember(waiters_, {request.space, request.name, lock->place});
  }
}

std::string_view Requests::keep(std::string text) {
  return texts_.emplace_back(std::move(text));
}

std::string_view Requests::key(Rng& rng) {
  return keep(strf("s-%llu", number(rng.below(kKeys))));
}

// Drawn one after the other: the order of two draws among arguments is the compiler's choice.
std::string_view Requests::make_value(Rng& rng) {
  const std::uint64_t value = rng.below(9);
  return keep(strf(rng.one_in(3) ? "%llu" : "w%llu", number(value)));
}

std::uint64_t Requests::ttl_ms(Rng& rng) {
  return 100 + rng.below(rng.one_in(4) ? 10'000 : 2000);
}

kv::LeaseId Requests::some_lease(Rng& rng) const {
  return pick(rng, leases_, kFirstChosenLease + rng.below(kLeaseIds));
}

HeldLock Requests::some_lock(Rng& rng) const {
  return pick(rng, held_, {kv::Space::kLocks, "lock-0", 1 + rng.below(20)});
}

kv::Condition Requests::make_condition(Rng& rng) {
  switch (rng.below(8)) {
    case 0:
      return {kv::Condition::Kind::kExists, 0};
    case 1:
      return {kv::Condition::Kind::kAbsent, 0};
    case 2:
      return {kv::Condition::Kind::kModIs, 1 + rng.below(revision_)};
    default:
      return {};
  }
}

kv::LeaseChoice Requests::make_choice(Rng& rng) {
  switch (rng.below(5)) {
    case 0:
      return {};
    case 1:
      return {kv::LeaseChoice::Kind::kKeep, 0};
    case 2:
      return {kv::LeaseChoice::Kind::kAttach, some_lease(rng)};
    default:
      return {kv::LeaseChoice::Kind::kPrivate, ttl_ms(rng)};
  }
}

kv::Guard Requests::make_guard(Rng& rng) {
  using Target = kv::Guard::Target;
  kv::Guard guard;
  guard.target = static_cast<Target>(rng.below(8));
  guard.relation = static_cast<kv::Guard::Relation>(rng.below(6));
  guard.span.from = key(rng);
  if (rng.one_in(4)) guard.span = {"s-", rng.one_in(2) ? "s-5" : "s."};
  switch (guard.target) {
    case Target::kMod:
    case Target::kCreate:
      guard.number = rng.one_in(4) ? 0 : 1 + rng.below(revision_);
      break;
    case Target::kVersion:
      guard.number = rng.below(6);
      break;
    case Target::kLease:
      guard.number = rng.one_in(2) ? 0 : some_lease(rng);
      break;
    case Target::kValue:
      guard.value = rng.one_in(2) ? "w5" : "7";
      break;
    case Target::kExists:
      guard.relation = kv::Guard::Relation::kEqual;
      guard.number = rng.below(2);
      break;
    case Target::kFence:
    case Target::kElectionFence: {
      const HeldLock held = some_lock(rng);
      guard.relation = kv::Guard::Relation::kEqual;
      guard.span = {keep(held.name), {}};
      guard.number = held.token;
      break;
    }
  }
  return guard;
}

// What it has beside its limit depends on the revision heard of last: it takes no draw of its own.
kv::List Requests::make_list(Rng& rng) const {
  kv::List list{{"s-", "s."}, rng.below(4), rng.one_in(2)};
  list.sort = {static_cast<kv::Sort::Target>(revision_ % 5), revision_ % 2 == 0};
  list.count_all = revision_ % 3 == 0;
  list.count_only = revision_ % 13 == 0;
  if (revision_ % 7 == 0) list.min_mod = revision_ / 2;
  if (revision_ % 11 == 0) list.max_create = revision_ / 2;
  return list;
}

// written: keys that the transaction writes already, which nothing may write twice.
kv::TransactionOp Requests::make_op(Rng& rng, int depth, std::set<std::string>& written) {
  const std::string_view name = key(rng);
  if (rng.one_in(3)) return {kv::Get{name}};
  if (rng.one_in(6)) return {make_list(rng)};
  if (depth < kDepthMax && rng.one_in(6)) return {make_transaction(rng, depth + 1, written)};
  if (rng.one_in(10) && written.empty()) {
    for (std::uint64_t i = 0; i < kKeys; ++i)
      written.insert(strf("s-%llu", number(i)));
    return {kv::DeleteSpan{{"s-", rng.one_in(2) ? "s-3" : "s."}}};
  }
  if (!written.insert(std::string(name)).second) return {kv::Get{name}};
  switch (rng.below(6)) {
    case 0:
      return {kv::Delete{.key = name, .condition = {}, .want_prev = rng.one_in(2)}};
    case 1:
      return {kv::Increment{.key = name, .by = static_cast<std::int64_t>(rng.below(9)) - 4}};
    case 2:
      return {kv::Touch{name, rng.one_in(2) ? ttl_ms(rng) : 0}};
    default:
      break;
  }
  kv::Put put{name, make_value(rng), {}, rng.one_in(3), make_choice(rng)};
  put.must_exist = revision_ % 8 == 0;
  put.keep_value = revision_ % 8 == 4;
  if (put.keep_value) put.value = {};
  return {put};
}

kv::Transaction Requests::make_transaction(Rng& rng, int depth, std::set<std::string>& written) {
  kv::Transaction transaction;
  for (std::uint64_t i = rng.below(3); i > 0; --i)
    transaction.guards.push_back(make_guard(rng));
  // Each branch is a path of its own, but what it has written stays taken behind it.
  std::set<std::string> then = written;
  std::set<std::string> otherwise = written;
  for (std::uint64_t i = rng.below(5); i > 0; --i)
    transaction.then.push_back(make_op(rng, depth, then));
  for (std::uint64_t i = rng.below(3); i > 0; --i)
    transaction.otherwise.push_back(make_op(rng, depth, otherwise));
  written.insert(then.begin(), then.end());
  written.insert(otherwise.begin(), otherwise.end());
  return transaction;
}

void Requests::make_write(Rng& rng, kv::Command& command, Request& request) {
  const std::string_view name = key(rng);
  switch (rng.below(10)) {
    case 0:
    case 1:
    case 2: {
      request.counter = strf("n-%llu", number(rng.below(kCounters)));
      command = kv::Increment{.key = keep(request.counter)};
      break;
    }
    case 3:
      command = kv::Increment{.key = name,
                              .by = static_cast<std::int64_t>(rng.below(9)) - 4,
                              .condition = make_condition(rng),
                              .lease = make_choice(rng)};
      break;
    case 4:
      command = kv::Touch{name, rng.one_in(2) ? ttl_ms(rng) : 0};
      break;
    case 5:
      command = kv::Delete{name, make_condition(rng), rng.one_in(2)};
      break;
    case 6:
      if (rng.one_in(3)) {
        command = kv::DeletePrefix{"s-", rng.below(4)};
        break;
      }
      [[fallthrough]];
    default:
      command =
          kv::Put{name, make_value(rng), make_condition(rng), rng.one_in(3), make_choice(rng)};
  }
}

void Requests::make_lease(Rng& rng, kv::Command& command) {
  const std::uint64_t choice = rng.below(10);
  if (choice < 3) {
    command =
        kv::GrantLease{rng.one_in(2) ? 0 : kFirstChosenLease + rng.below(kLeaseIds), ttl_ms(rng)};
  } else if (choice < 9) {
    kv::KeepLeases keep;
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i)
      keep.ids.push_back(some_lease(rng));
    command = keep;
  } else {
    command = kv::RevokeLease{some_lease(rng)};
  }
}

void Requests::make_lock(Rng& rng, kv::Command& command, Request& request) {
  const std::uint64_t choice = rng.below(10);
  const HeldLock held = some_lock(rng);
  const std::string_view name = keep(held.name);
  if (choice < 4) {
    const bool election = rng.one_in(2);
    request.space = election ? kv::Space::kElections : kv::Space::kLocks;
    request.name = strf(election ? "elected-%llu" : "lock-%llu", number(rng.below(kLocks)));
    command = kv::Acquire{request.space,
                          keep(request.name),
                          ttl_ms(rng),
                          keep(strf("owner-%llu", number(rng.below(4)))),
                          election ? keep(strf("here-%llu", number(rng.below(4)))) : "",
                          rng.one_in(2)};
  } else if (choice < 6) {
    command = kv::KeepLock{held.space, name, held.token, rng.one_in(2) ? ttl_ms(rng) : 0};
  } else if (choice < 8) {
    command = kv::Release{held.space, name, rng.one_in(10) ? 0 : held.token};
  } else if (choice < 9) {
    command = kv::Proclaim{name, held.token, keep(strf("there-%llu", number(rng.below(4))))};
  } else {
    const WaitingPlace waiter = pick(rng, waiters_, {kv::Space::kLocks, "lock-0", 1});
    command = kv::LeaveQueue{waiter.space, keep(waiter.name), waiter.place};
  }
}

Request Requests::make(Rng& rng, const std::string& client, std::uint64_t serial,
                       kv::Revision revision) {
  texts_.clear();
  revision_ = revision;
  Request request;
  kv::Command command;
  kv::Terms terms;
  const std::uint64_t choice = rng.below(10);
  if (choice < 4) {
    make_write(rng, command, request);
  } else if (choice < 6) {
    std::set<std::string> written;
    command = make_transaction(rng, 0, written);
  } else if (choice < 7) {
    make_lease(rng, command);
  } else {
    make_lock(rng, command, request);
  }
  const auto* acquire = std::get_if<kv::Acquire>(&command);
  const bool waits = acquire != nullptr && acquire->wait;
  if (!request.counter.empty() || waits || rng.one_in(3)) {
    request.idempotency_key = strf("%s-%llu", client.c_str(), number(serial));
    terms.idempotency_key = request.idempotency_key;
    terms.request_hash = serial;
  }
  if (choice < 6 && request.counter.empty() && !held_.empty() && rng.one_in(3)) {
    const HeldLock held = some_lock(rng);
    request.fence = held.name;
    request.token = held.token;
    const kv::Space said = rng.one_in(2) ? kv::Space::kKeys : held.space;
    terms.fences.push_back({said, keep(held.name), held.token});
  }
  request.command = kv::encode(command, terms);
  return request;
}

Request Requests::misuse(const Request& of) {
  constexpr std::uint64_t kHash = 0;  // No serial.
  Request request;
  request.idempotency_key = of.idempotency_key;
  request.command =
      kv::encode(kv::Put{"s-0", "misused", {}, true}, {request.idempotency_key, kHash, {}});
  return request;
}

}  // namespace raftd::sim
