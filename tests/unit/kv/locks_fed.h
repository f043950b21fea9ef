// A store that is asked for locks, and what it says of them.
#pragma once

#include <string>

#include "unit/kv/fixture.h"

namespace raftd::kv {

struct LocksFed : Fed {
  using Result = StoreReply::Result;

  template <class T>
  T ask(const Command& command, const Terms& terms = {}) {
    const Bytes bytes = encode(command, terms);
    machine::Outcome outcome = start(ByteView(bytes).subspan(machine::kStampBytes));
    while (!outcome.finished)
      outcome = store.apply_slice();
    const auto* reply = dynamic_cast<const T*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    return *reply;
  }
  LockReply acquire(std::string_view name, std::string_view owner, bool wait = false,
                    std::uint64_t ttl_ms = 30'000) {
    return ask<LockReply>(Acquire{Space::kLocks, name, ttl_ms, owner, "", wait});
  }
  LockReply campaign(std::string_view name, std::string_view owner, std::string_view value,
                     bool wait = false) {
    return ask<LockReply>(Acquire{Space::kElections, name, 30'000, owner, value, wait});
  }
  LockReply release(std::string_view name, Revision token, Space space = Space::kLocks) {
    return ask<LockReply>(Release{space, name, token});
  }
  LockReply leave(std::string_view name, Revision place) {
    return ask<LockReply>(LeaveQueue{Space::kLocks, name, place});
  }
  Result put_fenced(Space space, std::string_view name, Revision token) {
    return ask<StoreReply>(Put{"k", "v", {}, false}, Terms{"", 0, {{space, name, token}}}).result;
  }
  bool fence_holds(Space space, std::string_view name, Revision token) {
    return put_fenced(space, name, token) == Result::kDone;
  }
  // What happens when the lease of a lock, or of a place, ends before its time.
  LeaseReply revoke(LeaseId id) { return ask<LeaseReply>(RevokeLease{id}); }

  LockView view(std::string_view name, Space space = Space::kLocks) const {
    LockQuery query;
    query.space = space;
    query.name = name;
    const auto reply = store.query(query, {time});
    REQUIRE(reply != nullptr);
    return dynamic_cast<const LockQueryReply&>(*reply).lock;
  }
  // nullopt: somebody waits there still.
  std::optional<Revision> came_of(std::string_view name, Revision place) const {
    PlaceQuery query;
    query.name = name;
    query.place = place;
    const auto reply = store.query(query, {time});
    REQUIRE(reply != nullptr);
    const auto& place_reply = dynamic_cast<const PlaceReply&>(*reply);
    if (place_reply.waits) return std::nullopt;
    return place_reply.token;
  }
};

}  // namespace raftd::kv
