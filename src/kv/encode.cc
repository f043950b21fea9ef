// Commands as bytes: see command_kinds.h for what they are.
#include <msgpack.hpp>

#include "base/overloaded.h"
#include "kv/command.h"
#include "kv/command_kinds.h"
#include "machine/state_machine.h"

namespace raftd::kv {
namespace {

using Kind = CommandKind;

// What the packer writes to: one buffer that is grown once.
struct Sink {
  Bytes& bytes;
  void write(const char* data, std::size_t size) {
    const auto* raw = reinterpret_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), raw, raw + size);
  }
};

class Writer {
 public:
  explicit Writer(Bytes& bytes) : bytes_(bytes), sink_{bytes}, packer_(sink_) {}

  void begin(Kind kind, const Terms& terms, std::size_t fields) {
    const std::size_t extra = terms.none() ? 0 : 3 + 3 * terms.fences.size();
    packer_.pack_array(static_cast<std::uint32_t>(fields + extra + 2));
    begun(kind, terms);
  }
  // Where the number of fields is known at the end alone: finish() puts it in its place.
  void begin(Kind kind, const Terms& terms) {
    array_at_ = bytes_.size();
    bytes_.push_back(std::byte{0xdd});
    bytes_.insert(bytes_.end(), 4, std::byte{0});
    begun(kind, terms);
  }
  void finish() {
    for (std::size_t i = 0; i < 4; ++i)
      bytes_[array_at_ + 1 + i] = static_cast<std::byte>(fields_ >> (24 - 8 * i));
  }

  void number(std::uint64_t value) {
    ++fields_;
    packer_.pack_uint64(value);
  }
  void number(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
  void flag(bool value) { number(std::uint64_t{value ? 1U : 0U}); }
  template <class Enum>
  void word(Enum value) {
    number(static_cast<std::uint64_t>(value));
  }
  void text(std::string_view value) {
    ++fields_;
    packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
    packer_.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  void condition(const Condition& value) {
    word(value.kind);
    number(value.mod);
  }
  void lease(const LeaseChoice& value) {
    word(value.kind);
    number(value.number);
  }
  void span(const Span& value) {
    text(value.from);
    text(value.to);
  }

 private:
  void begun(Kind kind, const Terms& terms) {
    number(terms.none() ? kPlainCommand : kCommandOnTerms);
    if (!terms.none()) {
      text(terms.idempotency_key);
      number(terms.request_hash);
      number(std::uint64_t{terms.fences.size()});
      for (const Fence& fence : terms.fences) {
        word(fence.space);
        text(fence.name);
        number(fence.token);
      }
    }
    word(kind);
  }

  Bytes& bytes_;
  Sink sink_;
  msgpack::packer<Sink> packer_;
  std::size_t array_at_ = 0;
  std::uint32_t fields_ = 0;
};

void write(Writer& writer, const Terms& terms, const Put& put) {
  const bool leased = put.lease.kind != LeaseChoice::Kind::kNone;
  writer.begin(Kind::kPut, terms, leased ? 7 : 5);
  writer.text(put.key);
  writer.text(put.value);
  writer.condition(put.condition);
  writer.flag(put.want_prev);
  if (leased) writer.lease(put.lease);
}

void write(Writer& writer, const Terms& terms, const Delete& del) {
  writer.begin(Kind::kDelete, terms, 4);
  writer.text(del.key);
  writer.condition(del.condition);
  writer.flag(del.want_prev);
}

void write(Writer& writer, const Terms& terms, const DeletePrefix& del) {
  writer.begin(Kind::kDeletePrefix, terms, 2);
  writer.text(del.prefix);
  writer.number(del.limit);
}

void write(Writer& writer, const Terms& terms, const PublishMember& member) {
  writer.begin(Kind::kPublishMember, terms, 5);
  writer.number(member.id);
  writer.number(member.instance);
  writer.text(member.name);
  writer.text(member.client);
  writer.text(member.version);
}

void write(Writer& writer, const Terms& terms, const Compact& compact) {
  writer.begin(Kind::kCompact, terms, 1);
  writer.number(compact.revision);
}

void write(Writer& writer, const Terms& terms, const ReserveMember& reserve) {
  writer.begin(Kind::kReserveMember, terms, 5);
  writer.text(reserve.token_hash);
  writer.text(reserve.name);
  writer.flag(reserve.voter);
  writer.number(reserve.replaces);
  writer.number(reserve.ttl_ms);
}

void write(Writer& writer, const Terms& terms, const ClaimMember& claim) {
  writer.begin(Kind::kClaimMember, terms, 7);
  writer.number(claim.id);
  writer.text(claim.token_hash);
  writer.number(claim.instance);
  writer.text(claim.name);
  writer.text(claim.client);
  writer.flag(claim.voter);
  writer.number(claim.replaces);
}

void write(Writer& writer, const Terms& terms, const DropTickets& drop) {
  writer.begin(Kind::kDropTickets, terms, 1);
  writer.number(drop.id);
}

void write(Writer& writer, const Terms& terms, const Increment& increment) {
  writer.begin(Kind::kIncrement, terms, 6);
  writer.text(increment.key);
  writer.number(increment.by);
  writer.condition(increment.condition);
  writer.lease(increment.lease);
}

void write(Writer& writer, const Terms& terms, const Touch& touch) {
  writer.begin(Kind::kTouch, terms, 2);
  writer.text(touch.key);
  writer.number(touch.ttl_ms);
}

void write_transaction(Writer& writer, const Transaction& transaction);

void write_op(Writer& writer, const TransactionOp& op) {
  std::visit(overloaded{
                 [&](const Put& put) {
                   writer.word(OpKind::kPut);
                   writer.text(put.key);
                   writer.text(put.value);
                   writer.flag(put.want_prev);
                   writer.lease(put.lease);
                 },
                 [&](const Delete& del) {
                   writer.word(OpKind::kDelete);
                   writer.text(del.key);
                   writer.flag(del.want_prev);
                 },
                 [&](const DeleteSpan& del) {
                   writer.word(OpKind::kDeleteSpan);
                   writer.span(del.span);
                   writer.flag(del.want_prev);
                 },
                 [&](const Get& get) {
                   writer.word(OpKind::kGet);
                   writer.text(get.key);
                 },
                 [&](const List& list) {
                   writer.word(OpKind::kList);
                   writer.span(list.span);
                   writer.number(list.limit);
                   writer.flag(list.keys_only);
                 },
                 [&](const Increment& increment) {
                   writer.word(OpKind::kIncrement);
                   writer.text(increment.key);
                   writer.number(increment.by);
                   writer.lease(increment.lease);
                 },
                 [&](const Touch& touch) {
                   writer.word(OpKind::kTouch);
                   writer.text(touch.key);
                   writer.number(touch.ttl_ms);
                 },
                 [&](const Transaction& nested) {
                   writer.word(OpKind::kTransaction);
                   write_transaction(writer, nested);
                 },
             },
             op.op);
}

void write_transaction(Writer& writer, const Transaction& transaction) {
  writer.number(std::uint64_t{transaction.guards.size()});
  for (const Guard& guard : transaction.guards) {
    writer.word(guard.target);
    writer.word(guard.relation);
    writer.span(guard.span);
    writer.number(guard.number);
    writer.text(guard.value);
  }
  for (const auto* branch : {&transaction.then, &transaction.otherwise}) {
    writer.number(std::uint64_t{branch->size()});
    for (const TransactionOp& op : *branch)
      write_op(writer, op);
  }
}

void write(Writer& writer, const Terms& terms, const Transaction& transaction) {
  writer.begin(Kind::kTransaction, terms);
  write_transaction(writer, transaction);
  writer.finish();
}

void write(Writer& writer, const Terms& terms, const GrantLease& grant) {
  writer.begin(Kind::kGrantLease, terms, 2);
  writer.number(grant.id);
  writer.number(grant.ttl_ms);
}

void write(Writer& writer, const Terms& terms, const KeepLeases& keep) {
  writer.begin(Kind::kKeepLeases, terms, keep.ids.size());
  for (const LeaseId id : keep.ids)
    writer.number(id);
}

void write(Writer& writer, const Terms& terms, const RevokeLease& revoke) {
  writer.begin(Kind::kRevokeLease, terms, 1);
  writer.number(revoke.id);
}

void write(Writer& writer, const Terms& terms, const ExpireLeases&) {
  writer.begin(Kind::kExpireLeases, terms, 0);
}

void write(Writer& writer, const Terms& terms, const Acquire& acquire) {
  writer.begin(Kind::kAcquire, terms, 6);
  writer.word(acquire.space);
  writer.text(acquire.name);
  writer.number(acquire.ttl_ms);
  writer.text(acquire.owner);
  writer.text(acquire.value);
  writer.flag(acquire.wait);
}

void write(Writer& writer, const Terms& terms, const KeepLock& keep) {
  writer.begin(Kind::kKeepLock, terms, 4);
  writer.word(keep.space);
  writer.text(keep.name);
  writer.number(keep.token);
  writer.number(keep.ttl_ms);
}

void write(Writer& writer, const Terms& terms, const Release& release) {
  writer.begin(Kind::kRelease, terms, 3);
  writer.word(release.space);
  writer.text(release.name);
  writer.number(release.token);
}

void write(Writer& writer, const Terms& terms, const Proclaim& proclaim) {
  writer.begin(Kind::kProclaim, terms, 3);
  writer.text(proclaim.name);
  writer.number(proclaim.token);
  writer.text(proclaim.value);
}

void write(Writer& writer, const Terms& terms, const LeaveQueue& leave) {
  writer.begin(Kind::kLeaveQueue, terms, 3);
  writer.word(leave.space);
  writer.text(leave.name);
  writer.number(leave.place);
}
}  // namespace

Bytes encode(const Command& command, const Terms& terms) {
  Bytes out(machine::kStampBytes);
  if (const auto* put = std::get_if<Put>(&command)) {
    out.reserve(out.size() + put->key.size() + put->value.size() + 64);
  }
  Writer writer(out);
  std::visit([&](const auto& body) { write(writer, terms, body); }, command);
  return out;
}

}  // namespace raftd::kv
