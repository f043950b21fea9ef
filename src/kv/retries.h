// What requests with an idempotency key were answered, for those who ask again. Part of the
// replicated state, so that the answer is the same on every node, after any failover and restart.
//
// Bounded: at most kRepliesKeptMax answers, the oldest goes first; each for kReplyKeptMs of cluster
// time. What is too old is not found any more, and dropped by the entries that are applied later, a
// few by each: both depend on the log alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "kv/command.h"
#include "kv/reply_codec.h"
#include "machine/state_machine.h"

namespace raftd::kv {

inline constexpr std::uint64_t kReplyKeptMs = 600'000;

struct KeptReply {
  std::string key;  // 1..kIdempotencyKeyBytesMax bytes.
  std::uint64_t request_hash = 0;
  machine::ClusterTime time;  // When it was kept.
  std::uint64_t index = 0;    // Of the entry that was answered.
  Bytes reply;                // encode_reply().
};
std::uint64_t hash_of(const KeptReply& kept);
void append_record(Bytes& out, const KeptReply& kept);  // Of a snapshot: see snapshot.cc.

class Retries {
 public:
  // Entries never change, so that a snapshot writer keeps them as they were at its cut.
  using Handle = std::shared_ptr<const KeptReply>;

  // Null: there is none, or none any more at this time.
  const KeptReply* find(std::string_view key, machine::ClusterTime now) const;
  // Precondition: find() at its time is null.
  void keep(KeptReply kept);
  // The answer to a request that waited in this place of a queue. Nothing, if it is kept no longer.
  void replace(std::string_view key, Revision place, const StoreReply& reply);
  void erase(std::string_view key, Revision place);
  void drop_old(machine::ClusterTime now);  // A bounded number.
  void drop_oldest();                       // Precondition: there is one.

  bool empty() const { return by_key_.empty(); }
  std::size_t size() const { return by_key_.size(); }
  std::uint64_t bytes() const { return bytes_; }  // Of memory, roughly.
  std::uint64_t hash_sum() const { return hash_sum_; }
  std::vector<Handle> entries() const;  // Oldest first.
  // Keeps what append_record() wrote: how many bytes it takes; 0: it is not all there. kCorrupt.
  Result<std::size_t> take_record(ByteView bytes);
  void check_invariants() const;  // Slow.

 private:
  // In the order of their numbers, which are this node's own. What was erased leaves a hole, but
  // never at the front, and never more holes than entries.
  struct Slot {
    std::uint64_t number = 0;
    std::uint64_t hash = 0;  // hash_of(*kept): what goes is out of all caches by then.
    Handle kept;
  };
  using Slots = std::deque<Slot>;
  using ByKey = std::unordered_map<std::string_view, std::uint64_t>;  // To numbers.

  Slots::iterator slot_of(std::uint64_t number);
  Slots::const_iterator slot_of(std::uint64_t number) const;
  ByKey::iterator waiting(std::string_view key, Revision place);  // end(): there is none.
  void fill(Slot& slot, Handle kept);
  void clear(Slot& slot);
  void erase(ByKey::iterator found);
  void close_holes();

  Slots slots_;
  ByKey by_key_;  // Its texts are those of the entries.
  std::uint64_t next_number_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t hash_sum_ = 0;
};

// Nullopt: commands of this kind know no terms.
std::optional<ReplyKind> reply_kind(const Command& command);
// Whether the state decided it; otherwise the request may be tried again.
bool is_final(StoreReply::Result result);

}  // namespace raftd::kv
