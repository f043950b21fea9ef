// Transactions on a store, and everything that must be as before when one has failed.
#pragma once

#include "unit/kv/fixture.h"

namespace raftd::kv {

inline TransactionReply finish(Fed& fed, machine::Outcome outcome) {
  while (!outcome.finished) {
    fed.store.check_invariants();
    outcome = fed.store.apply_slice();
  }
  auto* reply = dynamic_cast<TransactionReply*>(outcome.reply.get());
  REQUIRE(reply != nullptr);
  return std::move(*reply);
}

inline TransactionReply transact(Fed& fed, const Transaction& transaction) {
  return finish(fed, fed.start(Command{transaction}));
}

inline TransactionQueryReply ask(const Fed& fed, const Transaction& transaction, Revision rev = 0) {
  TransactionQuery query;
  query.transaction = encode(transaction);
  query.rev = rev;
  const auto reply = fed.store.query(query, {fed.time});
  REQUIRE(reply != nullptr);
  return std::move(dynamic_cast<TransactionQueryReply&>(*reply));
}

inline Span key(std::string_view name) {
  return {name, {}};
}

inline Transaction all_of(std::vector<TransactionOp> ops) {
  Transaction transaction;
  transaction.then = std::move(ops);
  return transaction;
}

// Everything that must be as before when a transaction has failed.
struct Trace {
  explicit Trace(const Fed& fed)
      : digest(fed.store.digest()), hash(fed.store.state_hash()), stats(fed.store.stats()) {}
  void check(const Fed& fed) const {
    fed.store.check_invariants();
    CHECK(fed.store.digest() == digest);
    CHECK(fed.store.state_hash() == hash);
    CHECK(fed.revision() == stats.revision);
    CHECK(fed.store.stats().keys == stats.keys);
    CHECK(fed.store.stats().bytes == stats.bytes);
    CHECK(fed.store.stats().leases == stats.leases);
    CHECK(fed.store.stats().history_bytes == stats.history_bytes);
  }
  std::uint64_t digest;
  std::uint64_t hash;
  StoreStats stats;
};

}  // namespace raftd::kv
