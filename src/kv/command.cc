// A command is a msgpack array: [version, kind, fields...].
//
// | kind | command       | fields                                           |
// | ---- | ------------- | ------------------------------------------------ |
// | 1    | Put           | key bin, value bin, condition u8, mod, want_prev |
// | 2    | Delete        | key bin, condition u8, mod, want_prev            |
// | 3    | DeletePrefix  | prefix bin, limit                                |
// | 4    | PublishMember | id, instance, name bin, client bin, version bin  |
// | 5    | Compact       | revision                                         |
// | 6    | ReserveMember | token hash bin, name bin, voter, replaces, ttl   |
// | 7    | ClaimMember   | id, token hash bin, instance, name bin, client   |
// |      |               | bin, voter, replaces                             |
// | 8    | DropTickets   | id                                               |
#include "kv/command.h"

#include <array>
#include <cstring>
#include <msgpack.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "machine/state_machine.h"

namespace raftd::kv {
namespace {

constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kFieldsMax = 9;

enum class Kind : std::uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeletePrefix = 3,
  kPublishMember = 4,
  kCompact = 5,
  kReserveMember = 6,
  kClaimMember = 7,
  kDropTickets = 8,
};

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
  Writer(Bytes& bytes, Kind kind, std::uint32_t fields) : sink_{bytes}, packer_(sink_) {
    packer_.pack_array(fields + 2);
    number(kVersion);
    number(static_cast<std::uint64_t>(kind));
  }
  void number(std::uint64_t value) { packer_.pack_uint64(value); }
  void text(std::string_view value) {
    packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
    packer_.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  void condition(const Condition& value) {
    number(static_cast<std::uint64_t>(value.kind));
    number(value.mod);
  }

 private:
  Sink sink_;
  msgpack::packer<Sink> packer_;
};

// A flat array of numbers and byte strings; everything else is refused while parsing, before
// anything is allocated.
struct Fields : msgpack::null_visitor {
  struct Field {
    bool is_number = false;
    std::uint64_t number = 0;
    std::string_view text;
  };
  std::array<Field, kFieldsMax> fields;
  std::size_t expected = 0;
  std::size_t count = 0;
  bool in_array = false;

  bool start_array(std::uint32_t size) {
    if (in_array || size > kFieldsMax) return false;
    in_array = true;
    expected = size;
    return true;
  }
  bool visit_positive_integer(std::uint64_t value) {
    if (!in_array || count == kFieldsMax) return false;
    fields[count++] = {true, value, {}};
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    if (!in_array || count == kFieldsMax) return false;
    fields[count++] = {false, 0, {data, size}};
    return true;
  }
  static bool visit_nil() { return false; }
  static bool visit_boolean(bool) { return false; }
  static bool visit_negative_integer(std::int64_t) { return false; }
  static bool visit_float32(float) { return false; }
  static bool visit_float64(double) { return false; }
  static bool visit_str(const char*, std::uint32_t) { return false; }
  static bool visit_ext(const char*, std::uint32_t) { return false; }
  static bool start_map(std::uint32_t) { return false; }
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
  bool good_and_done() const { return good_ && at_ == fields_.count; }

 private:
  const Fields::Field* next(bool is_number) {
    if (!good_ || at_ == fields_.count || fields_.fields[at_].is_number != is_number) {
      good_ = false;
      return nullptr;
    }
    return &fields_.fields[at_++];
  }
  const Fields& fields_;
  std::size_t at_ = 0;
  bool good_ = true;
};

void write(Bytes& out, const Put& put) {
  out.reserve(out.size() + put.key.size() + put.value.size() + 48);
  Writer writer(out, Kind::kPut, 5);
  writer.text(put.key);
  writer.text(put.value);
  writer.condition(put.condition);
  writer.number(put.want_prev ? 1 : 0);
}

void write(Bytes& out, const Delete& del) {
  Writer writer(out, Kind::kDelete, 4);
  writer.text(del.key);
  writer.condition(del.condition);
  writer.number(del.want_prev ? 1 : 0);
}

void write(Bytes& out, const DeletePrefix& del) {
  Writer writer(out, Kind::kDeletePrefix, 2);
  writer.text(del.prefix);
  writer.number(del.limit);
}

void write(Bytes& out, const PublishMember& member) {
  Writer writer(out, Kind::kPublishMember, 5);
  writer.number(member.id);
  writer.number(member.instance);
  writer.text(member.name);
  writer.text(member.client);
  writer.text(member.version);
}

void write(Bytes& out, const Compact& compact) {
  Writer writer(out, Kind::kCompact, 1);
  writer.number(compact.revision);
}

void write(Bytes& out, const ReserveMember& reserve) {
  Writer writer(out, Kind::kReserveMember, 5);
  writer.text(reserve.token_hash);
  writer.text(reserve.name);
  writer.number(reserve.voter ? 1 : 0);
  writer.number(reserve.replaces);
  writer.number(reserve.ttl_ms);
}

void write(Bytes& out, const ClaimMember& claim) {
  Writer writer(out, Kind::kClaimMember, 7);
  writer.number(claim.id);
  writer.text(claim.token_hash);
  writer.number(claim.instance);
  writer.text(claim.name);
  writer.text(claim.client);
  writer.number(claim.voter ? 1 : 0);
  writer.number(claim.replaces);
}

void write(Bytes& out, const DropTickets& drop) {
  Writer writer(out, Kind::kDropTickets, 1);
  writer.number(drop.id);
}

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

Result<Command> read(Kind kind, Reader& reader) {
  Command command;
  switch (kind) {
    case Kind::kPut: {
      Put put;
      put.key = reader.key();
      put.value = reader.text();
      put.condition = reader.condition();
      put.want_prev = reader.flag();
      command = put;
      break;
    }
    case Kind::kDelete: {
      Delete del;
      del.key = reader.key();
      del.condition = reader.condition();
      del.want_prev = reader.flag();
      command = del;
      break;
    }
    case Kind::kDeletePrefix: {
      DeletePrefix del;
      del.prefix = reader.text_within(limits::kKeyBytesMax);
      del.limit = reader.number();
      command = del;
      break;
    }
    case Kind::kPublishMember: {
      PublishMember member;
      member.id = reader.node_id();
      member.instance = reader.number();
      member.name = reader.text_within(limits::kNameBytesMax);
      member.client = reader.text_within(limits::kAddressBytesMax);
      member.version = reader.text_within(limits::kNameBytesMax);
      command = member;
      break;
    }
    case Kind::kCompact:
      command = Compact{reader.number()};
      break;
    case Kind::kReserveMember:
      command = read_reserve(reader);
      break;
    case Kind::kClaimMember:
      command = read_claim(reader);
      break;
    case Kind::kDropTickets:
      command = DropTickets{reader.number_within(limits::kNodeIdMax)};
      break;
  }
  if (!reader.good_and_done()) {
    return Error{Errc::kBadInput, strf("a command of kind %d has other fields than it should, or "
                                       "they are out of bounds",
                                       static_cast<int>(kind))};
  }
  return command;
}

}  // namespace

Bytes encode(const Command& command) {
  Bytes out(machine::kStampBytes);
  std::visit([&](const auto& kind) { write(out, kind); }, command);
  return out;
}

Result<Command> decode(ByteView command) noexcept {
  Fields fields;
  std::size_t parsed = 0;
  const std::string_view text = as_text(command);
  if (text.empty() || !msgpack::parse(text.data(), text.size(), parsed, fields) ||
      parsed != text.size() || fields.count != fields.expected || fields.count < 2 ||
      !fields.fields[0].is_number || !fields.fields[1].is_number) {
    return Error{Errc::kBadInput, "a command that is not an array of numbers and byte strings"};
  }
  Reader reader(fields);
  const std::uint64_t version = reader.number();
  const std::uint64_t kind = reader.number();
  if (version != kVersion || kind < static_cast<std::uint64_t>(Kind::kPut) ||
      kind > static_cast<std::uint64_t>(Kind::kDropTickets)) {
    return Error{
        Errc::kUnsupported,
        strf("a command of version %llu and kind %llu, which this version of raftd does "
             "not know",
             static_cast<unsigned long long>(version), static_cast<unsigned long long>(kind))};
  }
  return read(static_cast<Kind>(kind), reader);
}

}  // namespace raftd::kv
