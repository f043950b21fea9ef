// Bytes as commands: see command_kinds.h for what they are.
#include <array>

#include "base/limits.h"
#include "base/text.h"
#include "kv/command.h"
#include "kv/command_kinds.h"

namespace raftd::kv {
namespace {

using Kind = CommandKind;

// A flat array of numbers and byte strings; everything else is refused while parsing. Most commands
// fit in the room that is there, so that decoding them allocates nothing.
class Fields {
 public:
  struct Field {
    bool is_number = false;
    std::uint64_t number = 0;
    std::string_view text;
  };

  explicit Fields(std::string_view bytes) : left_(bytes) {}

  // Once. False: the bytes are something else, or not only that.
  bool parse() {
    std::size_t count = 0;
    if (!take_array(count) || count > limits::kCommandFieldsMax) return false;
    for (; count_ < count; ++count_) {
      Field field;
      if (!take(field)) return false;
      if (count_ < kRoom) {
        room_[count_] = field;
      } else {
        more_.push_back(field);
      }
    }
    return left_.empty();
  }
  std::size_t count() const { return count_; }
  const Field& at(std::size_t i) const { return i < kRoom ? room_[i] : more_[i - kRoom]; }

 private:
  static constexpr std::size_t kRoom = 12;

  // Big-endian, of so many bytes.
  bool take_number(std::size_t bytes, std::uint64_t& number) {
    if (left_.size() < bytes) return false;
    number = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      number = number << 8 | static_cast<unsigned char>(left_[i]);
    left_.remove_prefix(bytes);
    return true;
  }
  bool take_byte(unsigned& byte) {
    if (left_.empty()) return false;
    byte = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return true;
  }
  bool take_array(std::size_t& count) {
    unsigned type = 0;
    if (!take_byte(type)) return false;
    count = type & kFixedArrayMax;
    if (type - count == kFixedArray) return true;
    std::uint64_t number = 0;
    if (type != kArray16 && type != kArray32) return false;
    if (!take_number(type == kArray16 ? 2 : 4, number)) return false;
    count = number;
    return true;
  }
  bool take(Field& field) {
    unsigned type = 0;
    if (!take_byte(type)) return false;
    if (type <= kFixedMax) {
      field = {true, type, {}};
      return true;
    }
    if (type >= kUint8 && type <= kUint64) {
      field.is_number = true;
      return take_number(std::size_t{1} << (type - kUint8), field.number);
    }
    if (type < kBin8 || type > kBin32) return false;
    std::uint64_t bytes = 0;
    if (!take_number(std::size_t{1} << (type - kBin8), bytes) || bytes > left_.size()) return false;
    field.text = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return true;
  }

  std::string_view left_;
  std::size_t count_ = 0;
  std::array<Field, kRoom> room_;
  std::vector<Field> more_;
};

// Takes fields in order; `good` stays true while each is there and of its kind.
class Reader {
 public:
  explicit Reader(const Fields& fields) : fields_(fields) {}
  std::uint64_t number() {
    const Fields::Field* field = next(true);
    return field == nullptr ? 0 : field->number;
  }
  std::string_view text() {
    const Fields::Field* field = next(false);
    return field == nullptr ? std::string_view() : field->text;
  }
  bool flag() {
    const std::uint64_t value = number();
    good_ = good_ && value <= 1;
    return value == 1;
  }
  Condition condition() {
    const std::uint64_t kind = number();
    const std::uint64_t mod = number();
    const bool wants_mod = kind == static_cast<std::uint64_t>(Condition::Kind::kModIs);
    if (kind > static_cast<std::uint64_t>(Condition::Kind::kAbsent) || wants_mod != (mod != 0)) {
      good_ = false;
      return {};
    }
    return {static_cast<Condition::Kind>(kind), mod};
  }
  LeaseChoice lease() {
    using Choice = LeaseChoice::Kind;
    const auto kind = word(Choice::kPrivate);
    const std::uint64_t value = number();
    const bool wants_number = kind == Choice::kAttach || kind == Choice::kPrivate;
    const std::uint64_t max =
        kind == Choice::kAttach ? limits::kLeaseIdMax : limits::kLeaseTtlMsMax;
    good_ = good_ && wants_number == (value != 0) && value <= max;
    return {kind, value};
  }
  // One of an enumeration that begins with 0 and ends with last.
  template <class Enum>
  Enum word(Enum last) {
    const std::uint64_t value = number_within(static_cast<std::uint64_t>(last));
    return good_ ? static_cast<Enum>(value) : Enum{};
  }
  Span span() {
    const std::string_view from = text_within(limits::kKeyBytesMax);
    const std::string_view to = text_within(limits::kKeyBytesMax);
    good_ = good_ && (!from.empty() || !to.empty());
    return {from, to};
  }
  Space lock_space() {
    const Space space = word(Space::kElections);
    good_ = good_ && space != Space::kKeys;
    return space;
  }
  std::string_view lock_name() {
    const std::string_view name = text_within(limits::kLockNameBytesMax);
    good_ = good_ && !name.empty();
    return name;
  }
  LeaseId lease_id(bool may_be_zero) {
    const std::uint64_t id = number_within(limits::kLeaseIdMax);
    good_ = good_ && (may_be_zero || id != 0);
    return id;
  }
  std::uint64_t ttl(bool may_be_zero) {
    const std::uint64_t ms = number_within(limits::kLeaseTtlMsMax);
    good_ = good_ && (may_be_zero || ms != 0);
    return ms;
  }
  // How many things follow, each of at least one field.
  std::size_t count() {
    const std::uint64_t count = number();
    good_ = good_ && count <= fields_.count() - at_;
    return good_ ? count : 0;
  }
  std::size_t left() const { return fields_.count() - at_; }
  void refuse() { good_ = false; }
  std::string_view key() {
    const std::string_view key = text();
    good_ = good_ && !key.empty() && key.size() <= limits::kKeyBytesMax;
    return key;
  }
  std::string_view text_within(std::size_t bytes_max) {
    const std::string_view value = text();
    good_ = good_ && value.size() <= bytes_max;
    return value;
  }
  std::uint64_t number_within(std::uint64_t max) {
    const std::uint64_t value = number();
    good_ = good_ && value <= max;
    return value;
  }
  std::uint64_t node_id() {
    const std::uint64_t id = number_within(limits::kNodeIdMax);
    good_ = good_ && id >= 1;
    return id;
  }
  std::string_view token_hash(bool may_be_empty) {
    const std::string_view hash = text();
    good_ = good_ && (hash.size() == kTokenHashBytes || (may_be_empty && hash.empty()));
    return hash;
  }
  bool good() const { return good_; }
  bool good_and_done() const { return good_ && at_ == fields_.count(); }

 private:
  const Fields::Field* next(bool is_number) {
    if (!good_ || at_ == fields_.count() || fields_.at(at_).is_number != is_number) {
      good_ = false;
      return nullptr;
    }
    return &fields_.at(at_++);
  }
  const Fields& fields_;
  std::size_t at_ = 0;
  bool good_ = true;
};

ReserveMember read_reserve(Reader& reader) {
  ReserveMember reserve;
  reserve.token_hash = reader.token_hash(false);
  reserve.name = reader.text_within(limits::kNameBytesMax);
  reserve.voter = reader.flag();
  reserve.replaces = reader.number_within(limits::kNodeIdMax);
  reserve.ttl_ms = reader.number_within(limits::kTicketTtlMsMax);
  return reserve;
}

ClaimMember read_claim(Reader& reader) {
  ClaimMember claim;
  claim.id = reader.node_id();
  claim.token_hash = reader.token_hash(true);
  claim.instance = reader.number();
  claim.name = reader.text_within(limits::kNameBytesMax);
  claim.client = reader.text_within(limits::kAddressBytesMax);
  claim.voter = reader.flag();
  claim.replaces = reader.number_within(limits::kNodeIdMax);
  return claim;
}

PublishMember read_publish(Reader& reader) {
  PublishMember member;
  member.id = reader.node_id();
  member.instance = reader.number();
  member.name = reader.text_within(limits::kNameBytesMax);
  member.client = reader.text_within(limits::kAddressBytesMax);
  member.version = reader.text_within(limits::kNameBytesMax);
  return member;
}

Put read_put(Reader& reader) {
  Put put;
  put.key = reader.key();
  put.value = reader.text();
  put.condition = reader.condition();
  put.want_prev = reader.flag();
  if (reader.left() > 0) put.lease = reader.lease();
  return put;
}

void read_keeping(Reader& reader, Put& put) {
  put.keep_value = reader.flag();
  put.must_exist = reader.flag();
  if (put.keep_value ? !put.value.empty() : !put.must_exist) reader.refuse();
}

Put read_put_keeping(Reader& reader) {
  Put put = read_put(reader);
  read_keeping(reader, put);
  return put;
}

Delete read_delete(Reader& reader) {
  Delete del;
  del.key = reader.key();
  del.condition = reader.condition();
  del.want_prev = reader.flag();
  return del;
}

DeletePrefix read_delete_prefix(Reader& reader) {
  DeletePrefix del;
  del.prefix = reader.text_within(limits::kKeyBytesMax);
  del.limit = reader.number();
  return del;
}

std::int64_t read_signed(Reader& reader) {
  return static_cast<std::int64_t>(reader.number());
}

Increment read_increment(Reader& reader) {
  Increment increment;
  increment.key = reader.key();
  increment.by = read_signed(reader);
  increment.condition = reader.condition();
  increment.lease = reader.lease();
  return increment;
}

Touch read_touch(Reader& reader) {
  Touch touch;
  touch.key = reader.key();
  touch.ttl_ms = reader.ttl(true);
  return touch;
}

Guard read_guard(Reader& reader) {
  Guard guard;
  guard.target = reader.word(Guard::Target::kElectionFence);
  guard.relation = reader.word(Guard::Relation::kGreaterEqual);
  guard.span = reader.span();
  guard.number = reader.number();
  guard.value = reader.text();
  const bool yes_or_no = guard.target == Guard::Target::kExists || guard.is_fence();
  if (yes_or_no && guard.relation != Guard::Relation::kEqual) reader.refuse();
  return guard;
}

List read_list(Reader& reader, OpKind kind) {
  List list;
  list.span = reader.span();
  list.limit = reader.number();
  list.keys_only = reader.flag();
  if (kind == OpKind::kList) return list;
  list.rev = reader.number();
  list.count_only = reader.flag();
  list.count_all = reader.flag();
  for (Revision* bound : {&list.min_mod, &list.max_mod, &list.min_create, &list.max_create})
    *bound = reader.number();
  list.sort.target = reader.word(Sort::Target::kValue);
  list.sort.descending = reader.flag();
  return list;
}

Transaction read_transaction(Reader& reader, std::size_t depth);

TransactionOp read_op(Reader& reader, std::size_t depth) {
  const OpKind kind = reader.word(OpKind::kListBy);
  switch (kind) {
    case OpKind::kPut:
    case OpKind::kPutKeeping: {
      Put put;
      put.key = reader.key();
      put.value = reader.text();
      put.want_prev = reader.flag();
      put.lease = reader.lease();
      if (kind == OpKind::kPutKeeping) read_keeping(reader, put);
      return {put};
    }
    case OpKind::kDelete: {
      Delete del;
      del.key = reader.key();
      del.want_prev = reader.flag();
      return {del};
    }
    case OpKind::kDeleteSpan: {
      DeleteSpan del;
      del.span = reader.span();
      del.want_prev = reader.flag();
      return {del};
    }
    case OpKind::kGet:
      return {Get{reader.key()}};
    case OpKind::kList:
    case OpKind::kListBy:
      return {read_list(reader, kind)};
    case OpKind::kIncrement: {
      Increment increment;
      increment.key = reader.key();
      increment.by = read_signed(reader);
      increment.lease = reader.lease();
      return {increment};
    }
    case OpKind::kTouch:
      return {read_touch(reader)};
    case OpKind::kTransaction:
      if (depth < limits::kTransactionDepthMax) return {read_transaction(reader, depth + 1)};
      break;
  }
  reader.refuse();
  return {Get{}};
}

Transaction read_transaction(Reader& reader, std::size_t depth) {
  Transaction transaction;
  for (std::size_t left = reader.count(); left > 0 && reader.good(); --left)
    transaction.guards.push_back(read_guard(reader));
  for (auto* branch : {&transaction.then, &transaction.otherwise}) {
    for (std::size_t left = reader.count(); left > 0 && reader.good(); --left)
      branch->push_back(read_op(reader, depth));
  }
  return transaction;
}

KeepLeases read_keep_leases(Reader& reader) {
  KeepLeases keep;
  if (reader.left() > limits::kLeasesKeptMax) reader.refuse();
  while (reader.good() && reader.left() > 0)
    keep.ids.push_back(reader.lease_id(false));
  return keep;
}

Acquire read_acquire(Reader& reader) {
  Acquire acquire;
  acquire.space = reader.lock_space();
  acquire.name = reader.lock_name();
  acquire.ttl_ms = reader.ttl(false);
  acquire.owner = reader.text_within(limits::kLockOwnerBytesMax);
  acquire.value = reader.text_within(limits::kRequestBytesMax);
  acquire.wait = reader.flag();
  return acquire;
}

KeepLock read_keep_lock(Reader& reader) {
  KeepLock keep;
  keep.space = reader.lock_space();
  keep.name = reader.lock_name();
  keep.token = reader.number();
  keep.ttl_ms = reader.ttl(true);
  return keep;
}

Proclaim read_proclaim(Reader& reader) {
  Proclaim proclaim;
  proclaim.name = reader.lock_name();
  proclaim.token = reader.number();
  proclaim.value = reader.text_within(limits::kRequestBytesMax);
  return proclaim;
}

// Of Release and LeaveQueue: whose lock, and a number.
template <class T>
T read_named(Reader& reader, std::uint64_t T::*number) {
  T command;
  command.space = reader.lock_space();
  command.name = reader.lock_name();
  command.*number = reader.number();
  return command;
}

Command read_body(Kind kind, Reader& reader) {
  switch (kind) {
    case Kind::kPut:
      return read_put(reader);
    case Kind::kDelete:
      return read_delete(reader);
    case Kind::kDeletePrefix:
      return read_delete_prefix(reader);
    case Kind::kPublishMember:
      return read_publish(reader);
    case Kind::kCompact:
      return Compact{reader.number()};
    case Kind::kReserveMember:
      return read_reserve(reader);
    case Kind::kClaimMember:
      return read_claim(reader);
    case Kind::kDropTickets:
      return DropTickets{reader.number_within(limits::kNodeIdMax)};
    case Kind::kIncrement:
      return read_increment(reader);
    case Kind::kTouch:
      return read_touch(reader);
    case Kind::kTransaction:
      return read_transaction(reader, 1);
    case Kind::kGrantLease: {
      GrantLease grant;
      grant.id = reader.lease_id(true);
      grant.ttl_ms = reader.ttl(false);
      return grant;
    }
    case Kind::kKeepLeases:
      return read_keep_leases(reader);
    case Kind::kRevokeLease:
      return RevokeLease{reader.lease_id(false)};
    case Kind::kExpireLeases:
      return ExpireLeases{};
    case Kind::kAcquire:
      return read_acquire(reader);
    case Kind::kKeepLock:
      return read_keep_lock(reader);
    case Kind::kRelease:
      return read_named<Release>(reader, &Release::token);
    case Kind::kProclaim:
      return read_proclaim(reader);
    case Kind::kLeaveQueue:
      return read_named<LeaveQueue>(reader, &LeaveQueue::place);
    case Kind::kPutKeeping:
      return read_put_keeping(reader);
    case Kind::kTransactionGuardsFirst: {
      Transaction transaction = read_transaction(reader, 1);
      transaction.guards_first = true;
      return transaction;
    }
  }
  return ExpireLeases{};
}

Terms read_terms(Reader& reader) {
  Terms terms;
  terms.idempotency_key = reader.text_within(limits::kIdempotencyKeyBytesMax);
  terms.request_hash = reader.number();
  for (std::size_t left = reader.count(); left > 0 && reader.good(); --left) {
    Fence fence;
    fence.space = reader.word(Space::kElections);
    fence.name = reader.lock_name();
    fence.token = reader.number();
    terms.fences.push_back(fence);
  }
  return terms;
}

}  // namespace

Result<Request> decode(ByteView command) noexcept {
  Fields fields(as_text(command));
  if (!fields.parse()) {
    return Error{Errc::kBadInput, "a command that is not an array of numbers and byte strings"};
  }
  Reader reader(fields);
  Result<Request> result{Request{}};
  Request& request = *result;
  const std::uint64_t version = reader.number();
  if (version == kCommandOnTerms) request.terms = read_terms(reader);
  const std::uint64_t kind = reader.number();
  if (!reader.good()) return Error{Errc::kBadInput, "a command whose beginning is none"};
  if ((version != kPlainCommand && version != kCommandOnTerms) ||
      kind < static_cast<std::uint64_t>(Kind::kPut) ||
      kind > static_cast<std::uint64_t>(Kind::kTransactionGuardsFirst)) {
    return Error{
        Errc::kUnsupported,
        strf("a command of version %llu and kind %llu, which this version of raftd does "
             "not know",
             static_cast<unsigned long long>(version), static_cast<unsigned long long>(kind))};
  }
  request.command = read_body(static_cast<Kind>(kind), reader);
  if (!reader.good_and_done()) {
    return Error{Errc::kBadInput, strf("a command of kind %d has other fields than it should, or "
                                       "they are out of bounds",
                                       static_cast<int>(kind))};
  }
  return result;
}

namespace {

// Takes a byte string from the front whose length is one or two bytes; false: it is none.
bool take_short_text(std::string_view& from, std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(from[i]); };
  if (from.size() < 3) return false;
  std::size_t head = 2;
  std::size_t bytes = byte(1);
  if (byte(0) == kBin8 + 1) {
    head = 3;
    bytes = bytes << 8 | byte(2);
  } else if (byte(0) != kBin8) {
    return false;
  }
  if (from.size() - head < bytes) return false;
  text = from.substr(head, bytes);
  from.remove_prefix(head + bytes);
  return true;
}

}  // namespace

std::optional<Put> decode_put(ByteView command) noexcept {
  // Version, kind, key, value, the two of the condition, want_prev.
  constexpr std::array<char, 3> kBegin = {static_cast<char>(kFixedArray + 7),
                                          static_cast<char>(kPlainCommand),
                                          static_cast<char>(Kind::kPut)};
  std::string_view left = as_text(command);
  if (!left.starts_with({kBegin.data(), kBegin.size()})) return std::nullopt;
  left.remove_prefix(kBegin.size());
  Put put;
  if (!take_short_text(left, put.key) || !take_short_text(left, put.value)) return std::nullopt;
  if (put.key.empty() || put.key.size() > limits::kKeyBytesMax) return std::nullopt;
  if (left.size() != 3 || left[0] != 0 || left[1] != 0) return std::nullopt;
  if (left[2] != 0 && left[2] != 1) return std::nullopt;
  put.want_prev = left[2] == 1;
  return put;
}

}  // namespace raftd::kv
