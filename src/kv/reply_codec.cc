// The bytes of a reply: u8 kind, then numbers in groups of seven bits, the lowest first, the
// highest bit of a byte says that more follow; texts as their length and their bytes.
//
//   all           flags (truncated), result, revision, number, message
//   Write         flags (created, more, has prev), deleted, value (zigzag), lease, ttl; prev
//   Transaction   flags (succeeded), failed guard, failed key, number of results, each:
//                 flags (more, has transaction, has count), Write with what all have, number of
//                 items, items; a count that is not 0; a transaction with what all have
//   Lease         id, ttl, deleted
//   KeepLeases    number, ttls
//   Lock          token, lease, owner, value, remaining, waiters, place
//   an item       key, value, mod, create, version, lease, ttl
#include "kv/reply_codec.h"

#include "base/assert.h"

namespace raftd::kv {
namespace {

using Result = StoreReply::Result;

constexpr std::uint64_t kTruncated = 1;
constexpr std::uint64_t kCreated = 1, kMore = 2, kHasPrev = 4;              // Of a Write.
constexpr std::uint64_t kSucceeded = 1;                                     // Of a Transaction.
constexpr std::uint64_t kListMore = 1, kHasTransaction = 2, kHasCount = 4;  // Of an operation.

constexpr std::size_t kMessageBytesMax = limits::kLockNameBytesMax;

class Writer {
 public:
  // cut: without what may be long.
  Writer(Bytes& bytes, bool cut) : bytes_(bytes), cut_(cut) {}
  bool cut() const { return cut_; }
  // There is more than will be kept: what follows does not matter.
  bool full() const { return !cut_ && bytes_.size() > limits::kReplyKeptBytesMax; }

  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }
  void text(std::string_view value) {
    number(value.size());
    if (!cut_) value = value.substr(0, limits::kReplyKeptBytesMax + 1);
    const ByteView raw = as_bytes(value);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }

 private:
  Bytes& bytes_;
  bool cut_;
};

// Takes what a Writer wrote; `good` stays true while all of it is there.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  void refuse() { good_ = false; }
  bool good() const { return good_; }
  bool good_and_done() const { return good_ && bytes_.empty(); }

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; good_; shift += 7) {
      if (bytes_.empty() || shift > 63) return fail();
      const auto byte = std::to_integer<std::uint64_t>(bytes_[0]);
      bytes_ = bytes_.subspan(1);
      if (shift == 63 && byte > 1) return fail();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return 0;
  }
  std::uint64_t number_within(std::uint64_t max) {
    const std::uint64_t value = number();
    return value <= max ? value : fail();
  }
  std::uint64_t flags(std::uint64_t known) { return number_within(known); }
  // Of things of at least one byte each.
  std::size_t count() {
    const std::uint64_t value = number();  // What is left then bounds it.
    return value <= bytes_.size() ? value : fail();
  }
  std::string text() {
    const std::size_t size = count();
    if (!good_) return {};
    std::string value(as_text(bytes_.first(size)));
    bytes_ = bytes_.subspan(size);
    return value;
  }

 private:
  std::uint64_t fail() {
    good_ = false;
    return 0;
  }

  ByteView bytes_;
  bool good_ = true;
};

void write_common(Writer& writer, const StoreReply& reply) {
  writer.number(reply.truncated || writer.cut() ? kTruncated : 0);
  writer.number(static_cast<std::uint64_t>(reply.result));
  writer.number(reply.revision);
  writer.number(reply.number);
  const std::string_view message = reply.message;
  writer.text(writer.cut() ? message.substr(0, kMessageBytesMax) : message);
}

void read_common(Reader& reader, StoreReply& reply) {
  reply.truncated = reader.flags(kTruncated) != 0;
  reply.result =
      static_cast<Result>(reader.number_within(static_cast<std::uint64_t>(Result::kFuture)));
  reply.revision = reader.number();
  reply.number = reader.number();
  reply.message = reader.text();
}

void write_item(Writer& writer, const Item& item) {
  writer.text(writer.cut() ? std::string_view() : std::string_view(item.key));
  writer.text(writer.cut() ? std::string_view() : std::string_view(item.value));
  for (const std::uint64_t number : {item.mod, item.create, item.version, item.lease, item.ttl_ms})
    writer.number(number);
}

Item read_item(Reader& reader) {
  Item item;
  item.key = reader.text();
  item.value = reader.text();
  for (std::uint64_t* number : {&item.mod, &item.create, &item.version, &item.lease, &item.ttl_ms})
    *number = reader.number();
  return item;
}

std::uint64_t zigzag(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  return value < 0 ? ~(bits << 1) : bits << 1;
}

std::int64_t zagzig(std::uint64_t bits) {
  const std::uint64_t half = bits >> 1;
  return static_cast<std::int64_t>((bits & 1) != 0 ? ~half : half);
}

void write(Writer& writer, const WriteReply& reply) {
  writer.number((reply.created ? kCreated : 0) | (reply.more ? kMore : 0) |
                (reply.prev ? kHasPrev : 0));
  writer.number(reply.deleted);
  writer.number(zigzag(reply.value));
  writer.number(reply.lease);
  writer.number(reply.ttl_ms);
  if (reply.prev) write_item(writer, *reply.prev);
}

void read(Reader& reader, WriteReply& reply) {
  const std::uint64_t flags = reader.flags(kCreated | kMore | kHasPrev);
  reply.created = (flags & kCreated) != 0;
  reply.more = (flags & kMore) != 0;
  reply.deleted = reader.number();
  reply.value = zagzig(reader.number());
  reply.lease = reader.number();
  reply.ttl_ms = reader.number();
  if ((flags & kHasPrev) != 0) reply.prev = read_item(reader);
}

void write(Writer& writer, const TransactionReply& reply);
bool read(Reader& reader, TransactionReply& reply, std::size_t depth);

void write(Writer& writer, const OpReply& reply) {
  writer.number((reply.more ? kListMore : 0) |
                (reply.transaction != nullptr ? kHasTransaction : 0) |
                (reply.count != 0 ? kHasCount : 0));
  write_common(writer, reply.write);
  write(writer, reply.write);
  writer.number(reply.items.size());
  for (const Item& item : reply.items) {
    if (writer.full()) return;
    write_item(writer, item);
  }
  if (reply.count != 0) writer.number(reply.count);
  if (reply.transaction == nullptr) return;
  write_common(writer, *reply.transaction);
  write(writer, *reply.transaction);
}

OpReply read_op(Reader& reader, std::size_t depth) {
  OpReply reply;
  const std::uint64_t flags = reader.flags(kListMore | kHasTransaction | kHasCount);
  reply.more = (flags & kListMore) != 0;
  read_common(reader, reply.write);
  read(reader, reply.write);
  for (std::size_t left = reader.count(); left > 0 && reader.good(); --left)
    reply.items.push_back(read_item(reader));
  if ((flags & kHasCount) != 0 && (reply.count = reader.number()) == 0) reader.refuse();
  if ((flags & kHasTransaction) == 0 || !reader.good()) return reply;
  reply.transaction = std::make_unique<TransactionReply>();
  read_common(reader, *reply.transaction);
  if (!read(reader, *reply.transaction, depth + 1)) reader.refuse();
  return reply;
}

void write(Writer& writer, const TransactionReply& reply) {
  writer.number(reply.succeeded ? kSucceeded : 0);
  writer.number(reply.failed_guard);
  writer.text(reply.failed_key);
  if (writer.cut()) return writer.number(0);
  writer.number(reply.results.size());
  for (const OpReply& result : reply.results) {
    if (writer.full()) return;
    write(writer, result);
  }
}

// Recursion as deep as a transaction may be.
bool read(Reader& reader, TransactionReply& reply, std::size_t depth) {
  if (depth > limits::kTransactionDepthMax) return false;
  reply.succeeded = reader.flags(kSucceeded) != 0;
  reply.failed_guard = reader.number();
  reply.failed_key = reader.text();
  for (std::size_t left = reader.count(); left > 0 && reader.good(); --left)
    reply.results.push_back(read_op(reader, depth));
  return reader.good();
}

void write(Writer& writer, const LeaseReply& reply) {
  for (const std::uint64_t number : {reply.id, reply.ttl_ms, reply.deleted})
    writer.number(number);
}

void read(Reader& reader, LeaseReply& reply) {
  for (std::uint64_t* number : {&reply.id, &reply.ttl_ms, &reply.deleted})
    *number = reader.number();
}

void write(Writer& writer, const KeepLeasesReply& reply) {
  if (writer.cut()) return writer.number(0);
  writer.number(reply.ttls_ms.size());
  for (const std::uint64_t ttl : reply.ttls_ms) {
    if (writer.full()) return;
    writer.number(ttl);
  }
}

void read(Reader& reader, KeepLeasesReply& reply) {
  for (std::size_t left = reader.count(); left > 0 && reader.good(); --left)
    reply.ttls_ms.push_back(reader.number());
}

void write(Writer& writer, const LockReply& reply) {
  writer.number(reply.token);
  writer.number(reply.lease);
  writer.text(reply.owner);
  writer.text(writer.cut() ? std::string_view() : std::string_view(reply.value));
  for (const std::uint64_t number : {reply.remaining_ms, reply.waiters, reply.place})
    writer.number(number);
}

void read(Reader& reader, LockReply& reply) {
  reply.token = reader.number();
  reply.lease = reader.number();
  reply.owner = reader.text();
  reply.value = reader.text();
  for (std::uint64_t* number : {&reply.remaining_ms, &reply.waiters, &reply.place})
    *number = reader.number();
}

// Calls with the reply as what it is.
template <class Reply, class Visitor>
void visit(Reply& reply, const Visitor& visitor) {
  const auto as = [&reply]<class T>(T*) -> auto& {
    using Wanted = std::conditional_t<std::is_const_v<Reply>, const T, T>;
    auto* wanted = dynamic_cast<Wanted*>(&reply);
    ASSERT(wanted != nullptr);
    return *wanted;
  };
  switch (kind_of(reply)) {
    case ReplyKind::kWrite:
      return visitor(as(static_cast<WriteReply*>(nullptr)));
    case ReplyKind::kTransaction:
      return visitor(as(static_cast<TransactionReply*>(nullptr)));
    case ReplyKind::kLease:
      return visitor(as(static_cast<LeaseReply*>(nullptr)));
    case ReplyKind::kKeepLeases:
      return visitor(as(static_cast<KeepLeasesReply*>(nullptr)));
    case ReplyKind::kLock:
      return visitor(as(static_cast<LockReply*>(nullptr)));
  }
}

void write_all(const StoreReply& reply, Bytes& out, bool cut) {
  out.push_back(static_cast<std::byte>(kind_of(reply)));
  Writer writer(out, cut);
  write_common(writer, reply);
  visit(reply, [&writer](const auto& body) { write(writer, body); });
}

}  // namespace

ReplyKind kind_of(const StoreReply& reply) {
  if (dynamic_cast<const WriteReply*>(&reply) != nullptr) return ReplyKind::kWrite;
  if (dynamic_cast<const TransactionReply*>(&reply) != nullptr) return ReplyKind::kTransaction;
  if (dynamic_cast<const LeaseReply*>(&reply) != nullptr) return ReplyKind::kLease;
  if (dynamic_cast<const KeepLeasesReply*>(&reply) != nullptr) return ReplyKind::kKeepLeases;
  ASSERT(dynamic_cast<const LockReply*>(&reply) != nullptr);
  return ReplyKind::kLock;
}

std::unique_ptr<StoreReply> make_reply(ReplyKind kind) {
  switch (kind) {
    case ReplyKind::kWrite:
      return std::make_unique<WriteReply>();
    case ReplyKind::kTransaction:
      return std::make_unique<TransactionReply>();
    case ReplyKind::kLease:
      return std::make_unique<LeaseReply>();
    case ReplyKind::kKeepLeases:
      return std::make_unique<KeepLeasesReply>();
    case ReplyKind::kLock:
      return std::make_unique<LockReply>();
  }
  return nullptr;
}

Bytes encode_reply(const StoreReply& reply) {
  constexpr std::size_t kUsualBytes = 64;
  Bytes out;
  out.reserve(kUsualBytes);
  write_all(reply, out, false);
  if (out.size() > limits::kReplyKeptBytesMax) {
    out.clear();
    write_all(reply, out, true);
  }
  ASSERT_CMP(out.size(), <=, kEncodedReplyBytesMax);
  return out;
}

std::unique_ptr<StoreReply> decode_reply(ByteView bytes) noexcept {
  if (bytes.empty() || bytes.size() > kEncodedReplyBytesMax) return nullptr;
  const auto kind = std::to_integer<std::uint8_t>(bytes[0]);
  if (kind < static_cast<std::uint8_t>(ReplyKind::kWrite) ||
      kind > static_cast<std::uint8_t>(ReplyKind::kLock)) {
    return nullptr;
  }
  std::unique_ptr<StoreReply> reply = make_reply(static_cast<ReplyKind>(kind));
  Reader reader(bytes.subspan(1));
  read_common(reader, *reply);
  bool shallow = true;
  visit(*reply, [&](auto& body) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(body)>, TransactionReply>) {
      shallow = read(reader, body, 1);
    } else {
      read(reader, body);
    }
  });
  return shallow && reader.good_and_done() ? std::move(reply) : nullptr;
}

}  // namespace raftd::kv
