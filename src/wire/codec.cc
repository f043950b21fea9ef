#include "wire/codec.h"

#include <msgpack.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "wire/fields.h"

namespace raftd::wire {
namespace {

enum class Type : std::uint8_t {
  kVoteRequest = 1,
  kVoteReply = 2,
  kAppendRequest = 3,
  kAppendAccepted = 4,
  kAppendRejected = 5,
  kReadIndexRequest = 6,
  kReadIndexReply = 7,
  kTimeoutNow = 8,
  kForwardPropose = 9,
  kForwardTransfer = 10,
  kForwardedAppended = 11,
  kForwardedBegun = 12,
  kForwardedRefused = 13,
  kSnapshotChunk = 14,
  kSnapshotReply = 15,
  kHashQuestion = 16,
  kHashAnswer = 17,
  kForwardChange = 18,
};

// A command begins with room for the leader's time stamp; the leader writes it there unasked.
constexpr std::size_t kCommandBytesMin = 8;

// The numbers on the wire; the enum itself may be sorted anew.
std::uint64_t number_of(Errc code) {
  switch (code) {
    case Errc::kBadInput:
      return 1;
    case Errc::kTooBig:
      return 2;
    case Errc::kBusy:
      return 3;
    case Errc::kNotLeader:
      return 4;
    case Errc::kConflict:
      return 5;
    case Errc::kIo:
      return 6;
    case Errc::kCorrupt:
      return 7;
    case Errc::kDiskFull:
      return 8;
    case Errc::kUnsupported:
      return 9;
    case Errc::kTransferring:
      return 10;
    case Errc::kSuperseded:
      return 11;
    case Errc::kTimeout:
      return 12;
    case Errc::kShuttingDown:
      return 13;
    case Errc::kNotReady:
      return 14;
  }
  PANIC("an error code without a number");
}

constexpr Errc kCodes[] = {
    Errc::kBadInput,   Errc::kTooBig,  Errc::kBusy,         Errc::kNotLeader,   Errc::kConflict,
    Errc::kIo,         Errc::kCorrupt, Errc::kDiskFull,     Errc::kUnsupported, Errc::kTransferring,
    Errc::kSuperseded, Errc::kTimeout, Errc::kShuttingDown, Errc::kNotReady};

// A message is many pieces of a few bytes: they are gathered, and appended together.
class Sink {
 public:
  explicit Sink(Bytes& out) : out_(out) {}
  void write(const char* data, std::size_t size) {
    if (size > gathered_.size() - count_) flush();
    if (size > gathered_.size()) return append(data, size);
    std::copy_n(data, size, gathered_.data() + count_);  // Nothing may be at no address.
    count_ += size;
  }
  void flush() { append(gathered_.data(), std::exchange(count_, 0)); }

 private:
  void append(const char* data, std::size_t size) {
    const auto* raw = reinterpret_cast<const std::byte*>(data);
    out_.insert(out_.end(), raw, raw + size);
  }

  Bytes& out_;
  std::size_t count_ = 0;  // Of gathered_.
  std::array<char, 256> gathered_;
};

class Writer {
 public:
  explicit Writer(Bytes& out) : sink_(out), packer_(sink_) {}
  void finish() { sink_.flush(); }  // Once, at the end.

  // The array header and the three elements that all messages have.
  Writer& begin(std::uint32_t elements, Type type, raft::NodeId from, raft::NodeId to) {
    packer_.pack_array(elements);
    return number(static_cast<std::uint64_t>(type)).id(from).id(to);
  }
  Writer& list(std::size_t count) {
    packer_.pack_array(static_cast<std::uint32_t>(count));
    return *this;
  }
  Writer& number(std::uint64_t value) {
    packer_.pack_uint64(value);
    return *this;
  }
  template <class Tag>
  Writer& id(Strong<Tag> value) {
    return number(value.value);
  }
  Writer& flag(bool value) {
    value ? packer_.pack_true() : packer_.pack_false();
    return *this;
  }
  Writer& nil() {
    packer_.pack_nil();
    return *this;
  }
  Writer& binary(ByteView bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(as_text(bytes).data(), static_cast<std::uint32_t>(bytes.size()));
    return *this;
  }

 private:
  Sink sink_;
  msgpack::packer<Sink> packer_;
};

void encode_append(const raft::Message& m, const raft::AppendRequest& body, Writer& w) {
  ASSERT_CMP(body.entries.size(), <=, limits::kAppendEntriesMax);
  w.begin(9, Type::kAppendRequest, m.from, m.to).id(m.term).id(body.prev_index);
  w.id(body.prev_term).id(body.commit).id(body.read_seq).list(body.entries.size());
  raft::Index index = body.prev_index;
  for (const raft::Entry& entry : body.entries) {
    index = index.next();
    ASSERT_CMP(entry.index, ==, index);
    w.list(4).id(entry.index).id(entry.term).number(static_cast<std::uint64_t>(entry.kind));
    w.binary(entry.payload.bytes);
  }
}

void encode_append_reply(const raft::Message& m, const raft::AppendReply& body, Writer& w) {
  std::visit(overloaded{[&](const raft::AppendReply::Accepted& accepted) {
                          w.begin(6, Type::kAppendAccepted, m.from, m.to).id(m.term);
                          w.id(accepted.match);
                        },
                        [&](const raft::AppendReply::Rejected& rejected) {
                          w.begin(9, Type::kAppendRejected, m.from, m.to).id(m.term);
                          w.id(rejected.prev_index).id(rejected.last_index);
                          w.id(rejected.conflict_term).id(rejected.conflict_first);
                        }},
             body.result);
  w.id(body.read_seq);
}

void encode_snapshot_id(const raft::SnapshotId& id, Writer& w) {
  w.id(id.last_index).id(id.last_term).number(id.file_bytes).number(id.digest);
}

void encode_chunk(const raft::Message& m, const raft::SnapshotChunk& body, Writer& w) {
  ASSERT_CMP(body.data.bytes.size(), ==, body.bytes);
  w.begin(12, Type::kSnapshotChunk, m.from, m.to).id(m.term);
  encode_snapshot_id(body.meta.id, w);
  w.id(body.meta.configuration.index);
  w.binary(raft::encode(body.meta.configuration.configuration));
  w.number(body.offset).binary(body.data.bytes);
}

void encode_core(const raft::Message& m, Writer& w) {
  std::visit(
      overloaded{
          [&](const raft::VoteRequest& body) {
            w.begin(8, Type::kVoteRequest, m.from, m.to).id(m.term).id(body.last_index);
            w.id(body.last_term).flag(body.pre_vote).flag(body.transfer);
          },
          [&](const raft::VoteReply& body) {
            w.begin(6, Type::kVoteReply, m.from, m.to).id(m.term);
            w.flag(body.granted).flag(body.pre_vote);
          },
          [&](const raft::AppendRequest& body) { encode_append(m, body, w); },
          [&](const raft::AppendReply& body) { encode_append_reply(m, body, w); },
          [&](const raft::ReadIndexRequest& body) {
            w.begin(6, Type::kReadIndexRequest, m.from, m.to).id(m.term);
            w.id(body.incarnation).number(body.seq);
          },
          [&](const raft::ReadIndexReply& body) {
            w.begin(7, Type::kReadIndexReply, m.from, m.to).id(m.term);
            w.id(body.incarnation).number(body.seq);
            body.at ? w.id(*body.at) : w.nil();
          },
          [&](const raft::TimeoutNow&) { w.begin(4, Type::kTimeoutNow, m.from, m.to).id(m.term); },
          [&](const raft::SnapshotChunk& body) { encode_chunk(m, body, w); },
          [&](const raft::SnapshotReply& body) {
            w.begin(10, Type::kSnapshotReply, m.from, m.to).id(m.term);
            encode_snapshot_id(body.id, w);
            w.number(body.next_offset).flag(body.rejected);
          }},
      m.body);
}

void encode_forward(const node::Forward& m, Writer& w) {
  std::visit(overloaded{[&](const node::Propose& op) {
                          w.begin(6, Type::kForwardPropose, m.from, m.to);
                          w.id(m.id.incarnation).number(m.id.seq).binary(op.command);
                        },
                        [&](const node::Transfer& op) {
                          w.begin(6, Type::kForwardTransfer, m.from, m.to);
                          w.id(m.id.incarnation).number(m.id.seq).id(op.target);
                        },
                        [&](const node::ChangeMembers& op) {
                          w.begin(8, Type::kForwardChange, m.from, m.to);
                          w.id(m.id.incarnation).number(m.id.seq).id(op.based_on);
                          w.binary(raft::encode(op.target)).flag(op.forced);
                        }},
             m.op);
}

void encode_forwarded(const node::Forwarded& m, Writer& w) {
  std::visit(overloaded{[&](const node::Forwarded::Appended& result) {
                          w.begin(7, Type::kForwardedAppended, m.from, m.to).id(m.id.incarnation);
                          w.number(m.id.seq).id(result.index).id(result.term);
                        },
                        [&](const node::Forwarded::Begun&) {
                          w.begin(5, Type::kForwardedBegun, m.from, m.to).id(m.id.incarnation);
                          w.number(m.id.seq);
                        },
                        [&](const node::Forwarded::Refused& result) {
                          w.begin(7, Type::kForwardedRefused, m.from, m.to).id(m.id.incarnation);
                          w.number(m.id.seq).number(number_of(result.code)).id(result.leader);
                        }},
             m.result);
}

void encode_hash_question(const node::HashQuestion& m, Writer& w) {
  w.begin(7, Type::kHashQuestion, m.from, m.to).id(m.term).id(m.index);
  w.number(m.hash).flag(m.agreed);
}

std::uint64_t number_of(node::HashAnswer::State state) {
  switch (state) {
    case node::HashAnswer::State::kServes:
      return 0;
    case node::HashAnswer::State::kDiffers:
      return 1;
    case node::HashAnswer::State::kDamaged:
      return 2;
  }
  PANIC("a state without a number");
}

void encode_hash_answer(const node::HashAnswer& m, Writer& w) {
  w.begin(8, Type::kHashAnswer, m.from, m.to).id(m.term).id(m.index);
  w.number(m.hash).id(m.applied).number(number_of(m.state));
}

// "Every entry is where it says": a list with a gap once corrupted follower logs elsewhere, so the
// sender, the wire, the core and the journal all check it.
void check_entries(const std::vector<raft::Entry>& entries, raft::Index prev_index,
                   raft::Term prev_term, raft::Term term, RowReader& row) {
  raft::Index index = prev_index;
  raft::Term previous = prev_term;
  for (const raft::Entry& entry : entries) {
    index = index.next();
    row.require(entry.index == index, "has an entry that does not follow the one before");
    row.require(entry.term >= previous, "has an entry of an earlier term than the one before");
    row.require(entry.term <= term, "has an entry of a later term than its own");
    const std::size_t bytes = entry.payload.bytes.size();
    switch (entry.kind) {
      case raft::EntryKind::kNoop:
        row.require(bytes == 0, "has a no-op with a payload");
        break;
      case raft::EntryKind::kCommand:
        row.require(bytes >= kCommandBytesMin, "has a command without room for its time stamp");
        row.require(bytes <= limits::kEntryBytesMax, "has a command that is too large");
        break;
      case raft::EntryKind::kConfiguration:
        row.require(bytes <= limits::kConfigurationBytesMax,
                    "has a configuration that is too large");
        row.require(!row.broken() && raft::decode_configuration(entry.payload.bytes),
                    "has a configuration that breaks a rule of configurations");
        break;
    }
    previous = entry.term;
  }
}

// Empty if the row is broken.
raft::Configuration read_configuration(RowReader& row) {
  const ByteView bytes = row.binary("configuration", 1, limits::kConfigurationBytesMax);
  if (row.broken()) return {};
  Result<raft::Configuration> configuration = raft::decode_configuration(bytes);
  row.require(static_cast<bool>(configuration),
              "has a configuration that breaks a rule of configurations");
  return configuration ? *std::move(configuration) : raft::Configuration{};
}

raft::AppendRequest read_append(const Row& values, raft::Term term, RowReader& row) {
  raft::AppendRequest body;
  body.prev_index = {row.number("prev_index", 0, kPositionMax)};
  body.prev_term = {row.number("prev_term", 0, kPositionMax)};
  body.commit = {row.number("commit", 0, kPositionMax)};
  body.read_seq = {row.any("read_seq")};
  if (!row.entries("entries")) return body;
  row.require((body.prev_index.value == 0) == (body.prev_term.value == 0),
              "has a prev_index and a prev_term of which only one is 0");
  row.require(body.prev_term <= term, "has a prev_term later than its own term");
  check_entries(values.entries, body.prev_index, body.prev_term, term, row);
  return body;
}

raft::AppendReply::Rejected read_rejected(RowReader& row) {
  raft::AppendReply::Rejected rejected;
  rejected.prev_index = {row.number("prev_index", 0, kPositionMax)};
  rejected.last_index = {row.number("last_index", 0, kPositionMax)};
  rejected.conflict_term = {row.number("conflict_term", 0, kPositionMax)};
  rejected.conflict_first = {row.number("conflict_first", 0, kPositionMax)};
  return rejected;
}

raft::VoteRequest read_vote(raft::Term term, RowReader& row) {
  raft::VoteRequest body;
  body.last_index = {row.number("last_index", 0, kPositionMax)};
  body.last_term = {row.number("last_term", 0, kPositionMax)};
  body.pre_vote = row.flag("pre_vote");
  body.transfer = row.flag("transfer");
  row.require(body.last_term <= term, "has a last_term later than its own term");
  return body;
}

raft::SnapshotId read_snapshot_id(raft::Term term, RowReader& row) {
  raft::SnapshotId id;
  id.last_index = {row.number("last_index", 1, kPositionMax)};
  id.last_term = {row.number("last_term", 1, kPositionMax)};
  id.file_bytes = row.number("file_bytes", 1, kPositionMax);
  id.digest = static_cast<std::uint32_t>(row.number("digest", 0, 0xffffffff));
  row.require(id.last_term <= term, "has a snapshot of a later term than its own");
  return id;
}

raft::SnapshotChunk read_chunk(raft::Term term, const SharedBytes& owner, RowReader& row) {
  raft::SnapshotChunk body;
  body.meta.id = read_snapshot_id(term, row);
  body.meta.configuration.index = {row.number("configuration_index", 1, kPositionMax)};
  body.meta.configuration.configuration = read_configuration(row);
  body.offset = row.number("offset", 0, kPositionMax);
  const ByteView data = row.binary("data", 1, limits::kSnapshotWireBytes);
  if (row.broken()) return body;
  const std::uint64_t size = body.meta.id.file_bytes;
  row.require(body.offset < size && data.size() <= size - body.offset,
              "has a piece that goes beyond the end of its file");
  row.require(body.meta.configuration.index <= body.meta.id.last_index,
              "has a configuration from behind its snapshot");
  if (row.broken()) return body;
  body.bytes = static_cast<std::uint32_t>(data.size());
  body.data = {owner.owner, data};
  return body;
}

node::ForwardId read_forward_id(RowReader& row) {
  node::ForwardId id;
  id.incarnation = {row.any("incarnation")};
  id.seq = row.any("seq");
  return id;
}

struct Route {
  raft::NodeId from;
  raft::NodeId to;
};

using Decoded = Result<node::PeerMessage>;

// Finishes the row, then hands out what was read from it.
Decoded finish(RowReader& row, const char* name, node::PeerMessage message) {
  TRY([[maybe_unused]] const Done done, row.finish(name));
  return message;
}

template <class Body>
Decoded core(RowReader& row, const char* name, Route route, raft::Term term, Body body) {
  return finish(row, name, raft::Message{route.from, route.to, term, std::move(body)});
}

Decoded decode_hash_question(Route route, RowReader& row) {
  node::HashQuestion message{route.from, route.to, {}, {}, 0, false};
  message.term = {row.number("term", 1, kPositionMax)};
  message.index = {row.number("index", 1, kPositionMax)};
  message.hash = row.any("hash");
  message.agreed = row.flag("agreed");
  return finish(row, "a HashQuestion", message);
}

Decoded decode_hash_answer(Route route, RowReader& row) {
  using State = node::HashAnswer::State;
  constexpr State kStates[] = {State::kServes, State::kDiffers, State::kDamaged};
  node::HashAnswer message{route.from, route.to, {}, {}, 0, {}, State::kServes};
  message.term = {row.number("term", 1, kPositionMax)};
  message.index = {row.number("index", 0, kPositionMax)};
  message.hash = row.any("hash");
  message.applied = {row.number("applied", 0, kPositionMax)};
  const std::uint64_t state = row.number("state", 0, std::size(kStates) - 1);
  if (!row.broken()) message.state = kStates[state];
  return finish(row, "a HashAnswer", message);
}

Decoded decode_snapshot(Type type, Route route, const SharedBytes& owner, RowReader& row) {
  const raft::Term term{row.number("term", 0, kPositionMax)};
  if (type == Type::kSnapshotChunk) {
    return core(row, "a SnapshotChunk", route, term, read_chunk(term, owner, row));
  }
  ASSERT(type == Type::kSnapshotReply);
  raft::SnapshotReply body;
  body.id = read_snapshot_id(term, row);
  body.next_offset = row.number("next_offset", 0, kPositionMax);
  body.rejected = row.flag("rejected");
  row.require(body.next_offset <= body.id.file_bytes, "has an offset behind the end of its file");
  return core(row, "a SnapshotReply", route, term, body);
}

Decoded decode_core(Type type, Route route, Row& values, RowReader& row) {
  const raft::Term term{row.number("term", 0, kPositionMax)};
  if (type == Type::kVoteRequest) {
    return core(row, "a VoteRequest", route, term, read_vote(term, row));
  }
  if (type == Type::kVoteReply) {
    raft::VoteReply body;
    body.granted = row.flag("granted");
    body.pre_vote = row.flag("pre_vote");
    return core(row, "a VoteReply", route, term, body);
  }
  if (type == Type::kAppendRequest) {
    raft::AppendRequest body = read_append(values, term, row);
    body.entries = std::move(values.entries);
    return core(row, "an AppendRequest", route, term, std::move(body));
  }
  if (type == Type::kAppendAccepted) {
    const raft::Index match{row.number("match", 0, kPositionMax)};
    const raft::ReadSeq seq{row.any("read_seq")};
    return core(row, "an AppendReply", route, term,
                raft::AppendReply{raft::AppendReply::Accepted{match}, seq});
  }
  if (type == Type::kAppendRejected) {
    const raft::AppendReply::Rejected rejected = read_rejected(row);
    const raft::ReadSeq seq{row.any("read_seq")};
    return core(row, "an AppendReply", route, term, raft::AppendReply{rejected, seq});
  }
  if (type == Type::kReadIndexRequest) {
    const node::ForwardId id = read_forward_id(row);
    return core(row, "a ReadIndexRequest", route, term,
                raft::ReadIndexRequest{id.incarnation, id.seq});
  }
  if (type == Type::kReadIndexReply) {
    const node::ForwardId id = read_forward_id(row);
    raft::ReadIndexReply body{id.incarnation, id.seq, std::nullopt};
    if (const auto at = row.number_or_nil("at", kPositionMax)) body.at = raft::Index{*at};
    return core(row, "a ReadIndexReply", route, term, body);
  }
  ASSERT(type == Type::kTimeoutNow);
  return core(row, "a TimeoutNow", route, term, raft::TimeoutNow{});
}

Decoded decode_forward(Type type, Route route, RowReader& row) {
  node::Forward message{route.from, route.to, read_forward_id(row), node::Transfer{}};
  if (type == Type::kForwardPropose) {
    const ByteView command = row.binary("command", kCommandBytesMin, limits::kEntryBytesMax);
    message.op = node::Propose{{command.begin(), command.end()}};
  } else if (type == Type::kForwardTransfer) {
    message.op = node::Transfer{{row.number("target", 0, limits::kNodeIdMax)}};
  } else {
    ASSERT(type == Type::kForwardChange);
    const raft::Index based_on{row.number("configuration_index", 1, kPositionMax)};
    raft::Configuration target = read_configuration(row);
    const bool forced = row.flag("forced");
    message.op = node::ChangeMembers{std::move(target), based_on, forced};
  }
  return finish(row, "a Forward", std::move(message));
}

Decoded decode_forwarded(Type type, Route route, RowReader& row) {
  node::Forwarded message{route.from, route.to, read_forward_id(row), node::Forwarded::Begun{}};
  if (type == Type::kForwardedAppended) {
    const raft::Index index{row.number("index", 1, kPositionMax)};
    const raft::Term term{row.number("term", 1, kPositionMax)};
    message.result = node::Forwarded::Appended{index, term};
  } else if (type == Type::kForwardedRefused) {
    const std::uint64_t code = row.number("code", 1, std::size(kCodes));
    const raft::NodeId leader{row.number("leader", 0, limits::kNodeIdMax)};
    message.result = node::Forwarded::Refused{kCodes[code - 1], leader};
  }
  return finish(row, "a Forwarded", std::move(message));
}

}  // namespace

void encode(const node::PeerMessage& message, Bytes& out) {
  Writer writer(out);
  std::visit(overloaded{[&](const raft::Message& m) { encode_core(m, writer); },
                        [&](const node::Forward& m) { encode_forward(m, writer); },
                        [&](const node::Forwarded& m) { encode_forwarded(m, writer); },
                        [&](const node::HashQuestion& m) { encode_hash_question(m, writer); },
                        [&](const node::HashAnswer& m) { encode_hash_answer(m, writer); }},
             message);
  writer.finish();
}

Result<node::PeerMessage> decode(const SharedBytes& body) noexcept {
  Row values;
  const Status parsed = parse_row(body, Strictness::kMessage, values);
  if (!parsed) return Error{Errc::kBadInput, "a message " + parsed.error().message};
  RowReader row(values);
  const auto number = row.number("type", 1, static_cast<std::uint64_t>(Type::kForwardChange));
  const raft::NodeId from{row.number("sender", 1, limits::kNodeIdMax)};
  const raft::NodeId to{row.number("receiver", 1, limits::kNodeIdMax)};
  if (row.broken()) return Error{Errc::kBadInput, row.finish("a message").error().message};
  const auto type = static_cast<Type>(number);
  switch (type) {
    case Type::kVoteRequest:
    case Type::kVoteReply:
    case Type::kAppendRequest:
    case Type::kAppendAccepted:
    case Type::kAppendRejected:
    case Type::kReadIndexRequest:
    case Type::kReadIndexReply:
    case Type::kTimeoutNow:
      return decode_core(type, {from, to}, values, row);
    case Type::kSnapshotChunk:
    case Type::kSnapshotReply:
      return decode_snapshot(type, {from, to}, body, row);
    case Type::kForwardPropose:
    case Type::kForwardTransfer:
    case Type::kForwardChange:
      return decode_forward(type, {from, to}, row);
    case Type::kForwardedAppended:
    case Type::kForwardedBegun:
    case Type::kForwardedRefused:
      return decode_forwarded(type, {from, to}, row);
    case Type::kHashQuestion:
      return decode_hash_question({from, to}, row);
    case Type::kHashAnswer:
      return decode_hash_answer({from, to}, row);
  }
  return Error{Errc::kBadInput, "a message of an unknown type"};
}

}  // namespace raftd::wire
