// What clients ask of a store: everything there is, in every combination that keeps to the
// contract, and names few enough that they meet.
#pragma once

#include <deque>
#include <set>
#include <string>

#include "base/rng.h"
#include "base/time.h"
#include "kv/command.h"
#include "kv/query.h"

namespace raftd::sim {

// The same bytes however often they are asked for.
struct Request {
  Bytes command;
  std::string idempotency_key;
  std::string counter;  // Not empty: it adds one to this.
  std::string fence;    // Not empty: it is done only while this is held with token.
  kv::Revision token = 0;
  kv::Space space = kv::Space::kLocks;  // Of a lock that it wants:
  std::string name;                     //   this one, if not empty.
  Instant called{};                     // For the first time.
};

struct HeldLock {
  kv::Space space;
  std::string name;
  kv::Revision token = 0;
};
struct WaitingPlace {
  kv::Space space;
  std::string name;
  kv::Revision place = 0;
};

class Requests {
 public:
  // client and serial make its idempotency key; revision: the newest that is known.
  Request make(Rng& rng, const std::string& client, std::uint64_t serial, kv::Revision revision);
  // Another request under the key of that one: it is refused while the answer of that is kept. The
  // same for all of one key.
  static Request misuse(const Request& of);
  // What was answered is the matter of later requests.
  void heard(const Request& request, const kv::StoreReply& reply);

 private:
  void make_write(Rng& rng, kv::Command& command, Request& request);
  void make_lease(Rng& rng, kv::Command& command);
  void make_lock(Rng& rng, kv::Command& command, Request& request);
  kv::List make_list(Rng& rng) const;
  kv::Transaction make_transaction(Rng& rng, int depth, std::set<std::string>& written);
  kv::TransactionOp make_op(Rng& rng, int depth, std::set<std::string>& written);
  kv::Guard make_guard(Rng& rng);
  kv::Condition make_condition(Rng& rng);
  kv::LeaseChoice make_choice(Rng& rng);
  std::string_view key(Rng& rng);
  std::string_view make_value(Rng& rng);
  std::string_view keep(std::string text);  // As long as a request is being made.
  kv::LeaseId some_lease(Rng& rng) const;
  HeldLock some_lock(Rng& rng) const;
  static std::uint64_t ttl_ms(Rng& rng);

  kv::Revision revision_ = 1;
  std::deque<std::string> texts_;   // keep().
  std::deque<kv::LeaseId> leases_;  // Heard of lately, and perhaps gone; so are these:
  std::deque<HeldLock> held_;
  std::deque<WaitingPlace> waiters_;
};

}  // namespace raftd::sim
