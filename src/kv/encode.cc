// Commands as bytes: see command_kinds.h for what they are.
#include <type_traits>

#include "base/assert.h"
#include "base/overloaded.h"
#include "kv/command.h"
#include "kv/command_kinds.h"
#include "machine/state_machine.h"

namespace raftd::kv {
namespace {

using Kind = CommandKind;

// Numbers and lengths in the fewest bytes, big-endian.
class Packer {
 public:
  explicit Packer(Bytes& out) : out_(out) {}

  void array(std::size_t count) {
    if (count <= kFixedArrayMax) return put(kFixedArray + static_cast<unsigned>(count));
    if (count <= 0xffff) return put(kArray16, count, 2);
    put(kArray32, count, 4);
  }
  void number(std::uint64_t value) {
    if (value <= kFixedMax) return put(static_cast<unsigned>(value));
    const unsigned size = size_of(value);
    put(kUint8 + size, value, std::size_t{1} << size);
  }
  void binary(std::string_view bytes) {
    ASSERT_CMP(bytes.size(), <=, 0xffffffffU);
    const unsigned size = size_of(bytes.size());
    put(kBin8 + size, bytes.size(), std::size_t{1} << size);
    const ByteView raw = as_bytes(bytes);
    out_.insert(out_.end(), raw.begin(), raw.end());
  }

 private:
  // 1, 2, 4, 8 bytes are 0, 1, 2, 3.
  static unsigned size_of(std::uint64_t value) {
    if (value <= 0xff) return 0;
    if (value <= 0xffff) return 1;
    return value <= 0xffffffff ? 2 : 3;
  }
  void put(unsigned byte) { out_.push_back(static_cast<std::byte>(byte)); }
  void put(unsigned type, std::uint64_t value, std::size_t bytes) {
    put(type);
    for (std::size_t i = bytes; i-- > 0;)
      out_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }

  Bytes& out_;
};

// How many fields of the array a part of a command is.
template <class T>
constexpr std::size_t fields_of() {
  constexpr bool is_pair =
      std::is_same_v<T, Condition> || std::is_same_v<T, LeaseChoice> || std::is_same_v<T, Span>;
  return is_pair ? 2 : 1;
}

class Writer {
 public:
  Writer(Bytes& bytes, const Terms& terms) : bytes_(bytes), terms_(terms), packer_(bytes) {}

  template <class... Parts>
  void command(Kind kind, const Parts&... parts) {
    begin(kind, (std::size_t{0} + ... + fields_of<Parts>()));
    add(parts...);
  }
  void begin(Kind kind, std::size_t fields) {
    const std::size_t extra = terms_.none() ? 0 : 3 + 3 * terms_.fences.size();
    packer_.array(fields + extra + 2);
    begun(kind);
  }
  // Where the number of fields is known at the end alone: finish() puts it in its place.
  void begin(Kind kind) {
    array_at_ = bytes_.size();
    bytes_.push_back(std::byte{kArray32});
    bytes_.insert(bytes_.end(), 4, std::byte{0});
    begun(kind);
  }
  void finish() {
    for (std::size_t i = 0; i < 4; ++i)
      bytes_[array_at_ + 1 + i] = static_cast<std::byte>(fields_ >> (24 - 8 * i));
  }

  template <class... Parts>
  void add(const Parts&... parts) {
    (one(parts), ...);
  }

 private:
  template <class Number>
  requires std::is_integral_v<Number> || std::is_enum_v<Number>
  void one(Number value) {
    ++fields_;
    packer_.number(static_cast<std::uint64_t>(value));
  }
  void one(std::string_view value) {
    ++fields_;
    packer_.binary(value);
  }
  void one(const Condition& value) { add(value.kind, value.mod); }
  void one(const LeaseChoice& value) { add(value.kind, value.number); }
  void one(const Span& value) { add(value.from, value.to); }

  void begun(Kind kind) {
    if (terms_.none()) return add(kPlainCommand, kind);
    add(kCommandOnTerms, terms_.idempotency_key, terms_.request_hash, terms_.fences.size());
    for (const Fence& fence : terms_.fences)
      add(fence.space, fence.name, fence.token);
    add(kind);
  }

  Bytes& bytes_;
  const Terms& terms_;
  Packer packer_;
  std::size_t array_at_ = 0;
  std::uint32_t fields_ = 0;
};

bool keeps(const Put& put) {
  return put.keep_value || put.must_exist;
}

void write(Writer& to, const Put& put) {
  if (keeps(put)) {
    return to.command(Kind::kPutKeeping, put.key, put.value, put.condition, put.want_prev,
                      put.lease, put.keep_value, put.must_exist);
  }
  if (put.lease.kind == LeaseChoice::Kind::kNone) {
    return to.command(Kind::kPut, put.key, put.value, put.condition, put.want_prev);
  }
  to.command(Kind::kPut, put.key, put.value, put.condition, put.want_prev, put.lease);
}

void write(Writer& to, const Delete& del) {
  to.command(Kind::kDelete, del.key, del.condition, del.want_prev);
}

void write(Writer& to, const DeletePrefix& del) {
  to.command(Kind::kDeletePrefix, del.prefix, del.limit);
}

void write(Writer& to, const PublishMember& member) {
  to.command(Kind::kPublishMember, member.id, member.instance, member.name, member.client,
             member.version);
}

void write(Writer& to, const Compact& compact) {
  to.command(Kind::kCompact, compact.revision);
}

void write(Writer& to, const ReserveMember& reserve) {
  to.command(Kind::kReserveMember, reserve.token_hash, reserve.name, reserve.voter,
             reserve.replaces, reserve.ttl_ms);
}

void write(Writer& to, const ClaimMember& claim) {
  to.command(Kind::kClaimMember, claim.id, claim.token_hash, claim.instance, claim.name,
             claim.client, claim.voter, claim.replaces);
}

void write(Writer& to, const DropTickets& drop) {
  to.command(Kind::kDropTickets, drop.id);
}

void write(Writer& to, const Increment& increment) {
  to.command(Kind::kIncrement, increment.key, increment.by, increment.condition, increment.lease);
}

void write(Writer& to, const Touch& touch) {
  to.command(Kind::kTouch, touch.key, touch.ttl_ms);
}

void add_transaction(Writer& to, const Transaction& transaction);

bool is_plain(const List& list) {
  return list.rev == 0 && !list.count_only && !list.count_all && list.min_mod == 0 &&
         list.max_mod == 0 && list.min_create == 0 && list.max_create == 0 && list.sort == Sort{};
}

void add_list(Writer& to, const List& list) {
  const bool plain = is_plain(list);
  to.add(plain ? OpKind::kList : OpKind::kListBy, list.span, list.limit, list.keys_only);
  if (plain) return;
  to.add(list.rev, list.count_only, list.count_all, list.min_mod, list.max_mod, list.min_create,
         list.max_create, list.sort.target, list.sort.descending);
}

void add_op(Writer& to, const TransactionOp& op) {
  std::visit(
      overloaded{
          [&](const Put& put) {
            to.add(keeps(put) ? OpKind::kPutKeeping : OpKind::kPut, put.key, put.value,
                   put.want_prev, put.lease);
            if (keeps(put)) to.add(put.keep_value, put.must_exist);
          },
          [&](const Delete& del) { to.add(OpKind::kDelete, del.key, del.want_prev); },
          [&](const DeleteSpan& del) { to.add(OpKind::kDeleteSpan, del.span, del.want_prev); },
          [&](const Get& get) { to.add(OpKind::kGet, get.key); },
          [&](const List& list) { add_list(to, list); },
          [&](const Increment& increment) {
            to.add(OpKind::kIncrement, increment.key, increment.by, increment.lease);
          },
          [&](const Touch& touch) { to.add(OpKind::kTouch, touch.key, touch.ttl_ms); },
          [&](const Transaction& nested) {
            to.add(OpKind::kTransaction);
            add_transaction(to, nested);
          },
      },
      op.op);
}

void add_transaction(Writer& to, const Transaction& transaction) {
  to.add(transaction.guards.size());
  for (const Guard& guard : transaction.guards)
    to.add(guard.target, guard.relation, guard.span, guard.number, guard.value);
  for (const auto* branch : {&transaction.then, &transaction.otherwise}) {
    to.add(branch->size());
    for (const TransactionOp& op : *branch)
      add_op(to, op);
  }
}

void write(Writer& to, const Transaction& transaction) {
  to.begin(transaction.guards_first ? Kind::kTransactionGuardsFirst : Kind::kTransaction);
  add_transaction(to, transaction);
  to.finish();
}

void write(Writer& to, const GrantLease& grant) {
  to.command(Kind::kGrantLease, grant.id, grant.ttl_ms);
}

void write(Writer& to, const KeepLeases& keep) {
  to.begin(Kind::kKeepLeases, keep.ids.size());
  for (const LeaseId id : keep.ids)
    to.add(id);
}

void write(Writer& to, const RevokeLease& revoke) {
  to.command(Kind::kRevokeLease, revoke.id);
}

void write(Writer& to, const ExpireLeases&) {
  to.command(Kind::kExpireLeases);
}

void write(Writer& to, const Acquire& acquire) {
  to.command(Kind::kAcquire, acquire.space, acquire.name, acquire.ttl_ms, acquire.owner,
             acquire.value, acquire.wait);
}

void write(Writer& to, const KeepLock& keep) {
  to.command(Kind::kKeepLock, keep.space, keep.name, keep.token, keep.ttl_ms);
}

void write(Writer& to, const Release& release) {
  to.command(Kind::kRelease, release.space, release.name, release.token);
}

void write(Writer& to, const Proclaim& proclaim) {
  to.command(Kind::kProclaim, proclaim.name, proclaim.token, proclaim.value);
}

void write(Writer& to, const LeaveQueue& leave) {
  to.command(Kind::kLeaveQueue, leave.space, leave.name, leave.place);
}

}  // namespace

Bytes encode(const Command& command, const Terms& terms) {
  Bytes out;
  encode(command, terms, out);
  return out;
}

void encode(const Command& command, const Terms& terms, Bytes& out) {
  out.clear();
  if (const auto* put = std::get_if<Put>(&command)) {
    out.reserve(machine::kStampBytes + put->key.size() + put->value.size() + 64);
  }
  out.resize(machine::kStampBytes);
  Writer writer(out, terms);
  std::visit([&](const auto& body) { write(writer, body); }, command);
}

}  // namespace raftd::kv
