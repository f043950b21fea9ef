#include "kv/retries.h"

#include <algorithm>

#include "base/assert.h"
#include "base/endian.h"
#include "base/overloaded.h"
#include "kv/store_state.h"

namespace raftd::kv {
namespace {

// Each entry of the log keeps at most one reply, so that this many are enough to catch up; and no
// entry after a long pause pays for all.
constexpr std::size_t kDroppedPerEntryMax = 16;

constexpr std::size_t kRecordBytes = 28;  // Without its texts.

bool is_old(const KeptReply& kept, machine::ClusterTime now) {
  return kept.time + kReplyKeptMs <= now;
}

// The entry itself, its slot, its place in the map, and the allocator.
std::uint64_t weight_of(const KeptReply& kept) {
  constexpr std::uint64_t kRoughly = sizeof(KeptReply) + 128;
  return kRoughly + kept.key.size() + kept.reply.size();
}

}  // namespace

const KeptReply* Retries::find(std::string_view key, machine::ClusterTime now) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const KeptReply& kept = *slot_of(found->second)->kept;
  return is_old(kept, now) ? nullptr : &kept;
}

void Retries::keep(KeptReply kept) {
  ASSERT(!kept.key.empty());
  ASSERT_CMP(kept.key.size(), <=, limits::kIdempotencyKeyBytesMax);
  ASSERT_CMP(kept.reply.size(), <=, kEncodedReplyBytesMax);
  ASSERT(find(kept.key, kept.time) == nullptr);
  if (const auto old = by_key_.find(kept.key); old != by_key_.end()) erase(old);
  if (size() == limits::kRepliesKeptMax) drop_oldest();
  slots_.push_back({next_number_++, 0, nullptr});
  fill(slots_.back(), std::make_shared<const KeptReply>(std::move(kept)));
}

void Retries::replace(std::string_view key, Revision place, const StoreReply& reply) {
  const auto found = waiting(key, place);
  if (found == by_key_.end()) return;
  Slot& slot = *slot_of(found->second);
  KeptReply after = *slot.kept;
  after.reply = encode_reply(reply);
  clear(slot);
  fill(slot, std::make_shared<const KeptReply>(std::move(after)));
}

void Retries::erase(std::string_view key, Revision place) {
  const auto found = waiting(key, place);
  if (found != by_key_.end()) erase(found);
}

void Retries::drop_old(machine::ClusterTime now) {
  for (std::size_t i = 0; i < kDroppedPerEntryMax && !empty(); ++i) {
    if (!is_old(*slots_.front().kept, now)) return;
    drop_oldest();
  }
}

void Retries::drop_oldest() {
  ASSERT(!empty());
  erase(by_key_.find(slots_.front().kept->key));
}

std::vector<Retries::Handle> Retries::entries() const {
  std::vector<Handle> all;
  all.reserve(size());
  for (const Slot& slot : slots_) {
    if (slot.kept != nullptr) all.push_back(slot.kept);
  }
  return all;
}

void append_record(Bytes& out, const KeptReply& kept) {
  out.push_back(std::byte{'r'});
  for (const std::uint64_t word : {kept.request_hash, kept.time.value, kept.index})
    append_le(out, word);
  append_le(out, static_cast<std::uint8_t>(kept.key.size()));
  append_le(out, static_cast<std::uint16_t>(kept.reply.size()));
  const ByteView key = as_bytes(kept.key);
  out.insert(out.end(), key.begin(), key.end());
  out.insert(out.end(), kept.reply.begin(), kept.reply.end());
}

Result<std::size_t> Retries::take_record(ByteView bytes) {
  if (bytes.size() < kRecordBytes) return std::size_t{0};
  const std::size_t key_bytes = load_le<std::uint8_t>(bytes, 25);
  const std::size_t reply_bytes = load_le<std::uint16_t>(bytes, 26);
  const std::size_t record_bytes = kRecordBytes + key_bytes + reply_bytes;
  if (bytes.size() < record_bytes) return std::size_t{0};
  KeptReply kept;
  kept.request_hash = load_le<std::uint64_t>(bytes, 1);
  kept.time = {load_le<std::uint64_t>(bytes, 9)};
  kept.index = load_le<std::uint64_t>(bytes, 17);
  kept.key = as_text(bytes.subspan(kRecordBytes, key_bytes));
  const ByteView reply = bytes.subspan(kRecordBytes + key_bytes, reply_bytes);
  kept.reply.assign(reply.begin(), reply.end());
  const bool in_order = slots_.empty() || slots_.back().kept->time <= kept.time;
  const bool possible = key_bytes > 0 && key_bytes <= limits::kIdempotencyKeyBytesMax &&
                        decode_reply(kept.reply) != nullptr;
  if (!in_order || !possible || size() == limits::kRepliesKeptMax || by_key_.contains(kept.key)) {
    return Error{Errc::kCorrupt, "the kept replies are out of order, too many, or impossible"};
  }
  keep(std::move(kept));
  return record_bytes;
}

Retries::Slots::const_iterator Retries::slot_of(std::uint64_t number) const {
  const auto found = std::ranges::lower_bound(slots_, number, {}, &Slot::number);
  ASSERT(found != slots_.end());
  ASSERT_CMP(found->number, ==, number);
  ASSERT(found->kept != nullptr);
  return found;
}

Retries::Slots::iterator Retries::slot_of(std::uint64_t number) {
  const auto found = std::as_const(*this).slot_of(number);
  return slots_.begin() + (found - slots_.cbegin());
}

// After its time a key may have become another request's: the place tells.
Retries::ByKey::iterator Retries::waiting(std::string_view key, Revision place) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return found;
  const auto reply = decode_reply(slot_of(found->second)->kept->reply);
  const auto* lock = dynamic_cast<const LockReply*>(reply.get());
  const bool is_it =
      lock != nullptr && lock->result == StoreReply::Result::kWaiting && lock->place == place;
  return is_it ? found : by_key_.end();
}

void Retries::fill(Slot& slot, Handle kept) {
  slot.hash = hash_of(*kept);
  hash_sum_ += slot.hash;
  bytes_ += weight_of(*kept);
  by_key_.emplace(kept->key, slot.number);
  slot.kept = std::move(kept);
}

void Retries::clear(Slot& slot) {
  hash_sum_ -= slot.hash;
  bytes_ -= weight_of(*slot.kept);
  by_key_.erase(slot.kept->key);
  slot.kept.reset();
}

void Retries::erase(ByKey::iterator found) {
  ASSERT(found != by_key_.end());
  clear(*slot_of(found->second));
  close_holes();
}

void Retries::close_holes() {
  while (!slots_.empty() && slots_.front().kept == nullptr)
    slots_.pop_front();
  if (slots_.size() <= 2 * by_key_.size()) return;
  std::erase_if(slots_, [](const Slot& slot) { return slot.kept == nullptr; });
}

void Retries::check_invariants() const {
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;
  std::size_t count = 0;
  for (const Slot& slot : slots_) {
    if (slot.kept == nullptr) continue;
    ++count;
    bytes += weight_of(*slot.kept);
    sum += hash_of(*slot.kept);
    const auto found = by_key_.find(slot.kept->key);
    ASSERT(found != by_key_.end());
    ASSERT_CMP(found->second, ==, slot.number);
    ASSERT(found->first.data() == slot.kept->key.data());
    ASSERT(decode_reply(slot.kept->reply) != nullptr);
  }
  ASSERT_CMP(count, ==, by_key_.size());
  ASSERT_CMP(count, <=, limits::kRepliesKeptMax);
  ASSERT_CMP(slots_.size(), <=, 2 * count);
  if (!slots_.empty()) ASSERT(slots_.front().kept != nullptr);
  ASSERT_CMP(bytes, ==, bytes_);
  ASSERT_CMP(sum, ==, hash_sum_);
}

std::unique_ptr<StoreReply> Store::State::answered_before(std::string_view idempotency_key,
                                                          std::uint64_t request_hash,
                                                          ReplyKind kind) const {
  const KeptReply* kept = retries.find(idempotency_key, now);
  if (kept == nullptr) return nullptr;
  std::unique_ptr<StoreReply> reply = decode_reply(kept->reply);
  ASSERT(reply != nullptr);
  // The kind, too: an API of another version may make another command of the same request.
  if (kept->request_hash != request_hash || kind_of(*reply) != kind) {
    reply = make_reply(kind);
    reply->result = StoreReply::Result::kMismatch;
    reply->revision = stats.revision;
    return reply;
  }
  reply->replayed = true;
  reply->index = kept->index;
  return reply;
}

void Store::State::keep_reply(machine::Outcome& outcome) {
  const auto* reply = dynamic_cast<const StoreReply*>(outcome.reply.get());
  ASSERT(reply != nullptr);
  if (is_final(reply->result)) {
    retries.keep({std::move(asker->idempotency_key), asker->request_hash, now, applied.value,
                  encode_reply(*reply)});
  }
  if (!asker->reply_wanted) outcome.reply.reset();
  asker.reset();
}

std::optional<ReplyKind> reply_kind(const Command& command) {
  using Kind = std::optional<ReplyKind>;
  return std::visit(overloaded{
                        [](const Put&) -> Kind { return ReplyKind::kWrite; },
                        [](const Delete&) -> Kind { return ReplyKind::kWrite; },
                        [](const DeletePrefix&) -> Kind { return ReplyKind::kWrite; },
                        [](const Increment&) -> Kind { return ReplyKind::kWrite; },
                        [](const Touch&) -> Kind { return ReplyKind::kWrite; },
                        [](const Transaction&) -> Kind { return ReplyKind::kTransaction; },
                        [](const GrantLease&) -> Kind { return ReplyKind::kLease; },
                        [](const RevokeLease&) -> Kind { return ReplyKind::kLease; },
                        [](const KeepLeases&) -> Kind { return ReplyKind::kKeepLeases; },
                        [](const Acquire&) -> Kind { return ReplyKind::kLock; },
                        [](const KeepLock&) -> Kind { return ReplyKind::kLock; },
                        [](const Release&) -> Kind { return ReplyKind::kLock; },
                        [](const Proclaim&) -> Kind { return ReplyKind::kLock; },
                        [](const LeaveQueue&) -> Kind { return ReplyKind::kLock; },
                        // Housekeeping, and answers that contain a secret.
                        [](const PublishMember&) -> Kind { return std::nullopt; },
                        [](const Compact&) -> Kind { return std::nullopt; },
                        [](const ReserveMember&) -> Kind { return std::nullopt; },
                        [](const ClaimMember&) -> Kind { return std::nullopt; },
                        [](const DropTickets&) -> Kind { return std::nullopt; },
                        [](const ExpireLeases&) -> Kind { return std::nullopt; },
                    },
                    command);
}

bool is_final(StoreReply::Result result) {
  using Result = StoreReply::Result;
  switch (result) {
    case Result::kDone:
    case Result::kModDiffers:
    case Result::kExists:
    case Result::kAbsent:
    case Result::kFenced:
    case Result::kNotFound:
    case Result::kNotANumber:
    case Result::kOverflow:
    case Result::kLeaseNotFound:
    case Result::kLeaseExists:
    case Result::kNoLease:
    case Result::kSharedLease:
    case Result::kLocked:
    case Result::kWaiting:
    case Result::kLockLost:
    case Result::kCompacted:
      return true;
    case Result::kBadCommand:
    case Result::kMismatch:
    case Result::kTooManyLeases:
    case Result::kTooLarge:
    case Result::kFuture:
      return false;
  }
  return false;
}

}  // namespace raftd::kv
