// What the calls of locks and elections share.
#pragma once

#include <string>

#include "api/call.h"
#include "api/read_options.h"
#include "kv/events.h"

namespace raftd::api {

// Locks have no past.
inline constexpr ParamSet kLockReadParams =
    kCommonParams | ParamSet{Param::kConsistency, Param::kMaxStale, Param::kMinRevision};

struct LockName {
  kv::Space space = kv::Space::kLocks;
  std::string name;
  bool is_election() const { return space == kv::Space::kElections; }
  // "lock backup"; for people.
  std::string shown() const;
};

ApiError lock_lost(const LockName& lock);

struct AcquireOptions {
  Instant wait_until;  // In the queue.
  bool keyed = false;  // It has an idempotency key: whoever asks again finds what it got.
  bool minimal = false;
};
std::unique_ptr<Call> make_acquire_call(LockName lock, const AcquireOptions& options);

// GET, when it is read.
http::Response lock_shown(const Site& site, const LockName& lock, const ReadOptions& options,
                          const kv::LockQueryReply& reply, raft::Index at);
// GET /election/{name}?watch, and ?wait (native_election.cc).
Handled watch_election(const Site& site, const Context& context, LockName lock);
Handled poll_election(const Site& site, const Context& context, LockName lock);
// elected, value or vacant. What is known of the present alone, the time that is left and how many
// wait, is as it is now.
void add_election_event(std::string& out, const kv::Store& store, const kv::Event& event);

// What GET says of one: "name", "held" or "elected", and so on, in braces.
void add_lock_json(std::string& json, const kv::LockView& lock, bool is_election);

}  // namespace raftd::api
