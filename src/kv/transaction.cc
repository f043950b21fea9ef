// Commands that do several things in one: increments, which read and write; transactions, and the
// deletion of a prefix, which is one.
#include <charconv>
#include <limits>

#include "base/limits.h"
#include "kv/execution.h"

namespace raftd::kv {
namespace {

std::string_view without_spaces(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// kDone, kNotANumber or kOverflow.
StoreReply::Result add(std::string_view text, std::int64_t by, std::int64_t& sum) {
  using Limits = std::numeric_limits<std::int64_t>;
  const std::string_view digits = without_spaces(text);
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (read.ptr != digits.data() + digits.size() || read.ec == std::errc::invalid_argument) {
    return StoreReply::Result::kNotANumber;
  }
  const bool over = by > 0 ? value > Limits::max() - by : value < Limits::min() - by;
  if (read.ec != std::errc() || over) return StoreReply::Result::kOverflow;
  sum = value + by;
  return StoreReply::Result::kDone;
}

}  // namespace

WriteReply Store::State::increment(const Increment& increment, bool reply_wanted) {
  WriteReply reply;
  const Keys& keys = in(Space::kKeys);
  const auto at = keys.lower_bound(increment.key);
  const Key* key = known(keys, at, increment.key);
  if (key != nullptr && written_twice(*key, reply)) return reply;
  const Version* present = live(key);
  if (refused(increment.condition, present, reply)) {
    if (reply_wanted && present != nullptr) reply.prev = item(increment.key, *present, true, now);
    return reply;
  }
  // A lease that is not there is told before a value that is no number; a new one is made last.
  const bool makes_lease = increment.lease.kind == LeaseChoice::Kind::kPrivate;
  std::optional<LeaseId> lease;
  if (!makes_lease) {
    lease = choose_lease(increment.lease, present, reply);
    if (!lease) return reply;
  }
  reply.result = add(present == nullptr ? "0" : present->value(), increment.by, reply.value);
  if (reply.result != StoreReply::Result::kDone) return reply;
  if (makes_lease) {
    lease = choose_lease(increment.lease, present, reply);
    if (!lease) return reply;
  }
  reply.created = present == nullptr;
  write(Space::kKeys, at, increment.key, std::to_string(reply.value), *lease);
  return reply;
}

machine::Outcome Store::State::transact(const Transaction& transaction, bool reply_wanted) {
  ASSERT(!execution);
  execution = std::make_unique<Execution>(*this, transaction, reply_wanted);
  return execute_slice();
}

machine::Outcome Store::State::remove_prefix(const DeletePrefix& del, bool reply_wanted) {
  ASSERT(!execution);
  execution = std::make_unique<Execution>(*this, del, reply_wanted);
  return execute_slice();
}

machine::Outcome Store::State::execute_slice() {
  machine::Outcome outcome;
  outcome.finished = execution->run(limits::kApplyKeysPerSliceMax);
  if (!outcome.finished) return outcome;
  execution->settle();
  if (execution->reply_wanted()) {
    TransactionReply& reply = execution->reply();
    if (execution->of_prefix()) {
      ASSERT_CMP(reply.results.size(), ==, 1U);
      auto removed = std::make_unique<WriteReply>(std::move(reply.results.front().write));
      removed->revision = reply.revision;
      outcome.reply = std::move(removed);
    } else {
      outcome.reply = std::make_unique<TransactionReply>(std::move(reply));
    }
  }
  execution.reset();
  return outcome;
}

std::unique_ptr<machine::Reply> Store::State::transaction(const TransactionQuery& query,
                                                          machine::ClusterTime at) const {
  if (query.min_revision > stats.revision) return nullptr;
  auto reply = std::make_unique<TransactionQueryReply>();
  reply->revision = stats.revision;
  reply->compact_revision = stats.compact_revision;
  if (query.rev > stats.revision) {
    reply->result = TransactionQueryReply::Result::kFuture;
    return reply;
  }
  if (query.rev != 0 && query.rev < stats.compact_revision) {
    reply->result = TransactionQueryReply::Result::kCompacted;
    return reply;
  }
  if (query.rev != 0) reply->revision = query.rev;
  const Result<Request> asked = decode(ByteView(query.transaction).subspan(machine::kStampBytes));
  ASSERT(asked);
  Execution reading(*this, std::get<Transaction>(asked->command), reply->revision, at);
  if (!reading.run(limits::kTransactionKeysReadMax)) {
    reading.give_up("the keys that a transaction may visit", limits::kTransactionKeysReadMax);
  }
  reply->transaction = std::move(reading.reply());
  reply->transaction.revision = reply->revision;
  return reply;
}

}  // namespace raftd::kv
