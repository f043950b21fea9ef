#include "wire/hello.h"

#include <algorithm>
#include <array>
#include <msgpack.hpp>

#include "base/text.h"
#include "wire/fields.h"
#include "wire/frame.h"

namespace raftd::wire {
namespace {

constexpr std::uint64_t kHelloType = 100;
constexpr std::uint64_t kRefusalType = 101;
constexpr std::uint64_t kWelcomeType = 102;
constexpr std::int64_t kPriorityBias = 1LL << 31;
constexpr std::uint64_t kReasonMax = static_cast<std::uint64_t>(Reason::kRemoved);

struct Sink {
  Bytes& out;
  void write(const char* data, std::size_t size) {
    const auto* raw = reinterpret_cast<const std::byte*>(data);
    out.insert(out.end(), raw, raw + size);
  }
};

void pack_id(msgpack::packer<Sink>& packer, const ClusterId& id) {
  packer.pack_bin(static_cast<std::uint32_t>(id.size()));
  packer.pack_bin_body(reinterpret_cast<const char*>(id.data()),
                       static_cast<std::uint32_t>(id.size()));
}

void pack_text(msgpack::packer<Sink>& packer, std::string_view text) {
  packer.pack_str(static_cast<std::uint32_t>(text.size()));
  packer.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}

ClusterId read_id(RowReader& row) {
  ClusterId id{};
  const ByteView bytes = row.binary("cluster id", id.size(), id.size());
  if (bytes.size() == id.size()) {
    std::transform(bytes.begin(), bytes.end(), id.begin(),
                   [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  }
  return id;
}

Result<Handshake> read_hello(RowReader& row) {
  Hello hello;
  hello.cluster_id = read_id(row);
  hello.cluster_name = row.text("cluster name", limits::kNameBytesMax);
  hello.node_id = {row.number("node id", 1, limits::kNodeIdMax)};
  hello.expected = {row.number("expected node id", 0, limits::kNodeIdMax)};
  hello.instance = row.any("instance");
  hello.incarnation = {row.any("incarnation")};
  const std::uint64_t biased = row.number("priority", 0, 0xffffffff);
  hello.priority = static_cast<std::int32_t>(static_cast<std::int64_t>(biased) - kPriorityBias);
  hello.settings_hash = row.any("settings hash");
  hello.configuration = {row.any("configuration index")};
  hello.address = row.text("address", limits::kAddressBytesMax);
  TRY([[maybe_unused]] const Done done, row.finish("a hello"));
  return Handshake(std::move(hello));
}

Result<Handshake> read_refusal(RowReader& row) {
  Refusal refusal;
  row.any("version");
  refusal.cluster_id = read_id(row);
  refusal.node_id = {row.number("node id", 1, limits::kNodeIdMax)};
  refusal.reason = static_cast<Reason>(row.number("reason", 1, kReasonMax));
  // It goes to a log: a peer must not be able to write lines of its own there.
  refusal.sentence = percent_escape(row.text("sentence", kSentenceBytesMax));
  TRY([[maybe_unused]] const Done done, row.finish("a refusal"));
  return Handshake(std::move(refusal));
}

std::string quoted(const std::string& name) {
  return "\"" + percent_escape(name) + "\"";
}

unsigned long long ull(std::uint64_t value) {
  return value;
}

// Clusters differ by name, or by the list of members that the id was made of.
std::string cluster_sentence(const Hello& own, const Hello& theirs) {
  if (own.cluster_name != theirs.cluster_name) {
    return strf(
        "node %llu belongs to cluster %s, node %llu to cluster %s; check [cluster] name "
        "and the peer addresses",
        ull(theirs.node_id.value), quoted(theirs.cluster_name).c_str(), ull(own.node_id.value),
        quoted(own.cluster_name).c_str());
  }
  return strf(
      "nodes %llu and %llu were first started with different lists of members of cluster "
      "%s; start the wrong one anew, with an empty data directory and the right list",
      ull(theirs.node_id.value), ull(own.node_id.value), quoted(own.cluster_name).c_str());
}

std::string wrong_node_sentence(raft::NodeId expected, raft::NodeId found) {
  return strf(
      "the address that is known for node %llu leads to node %llu; check the peer addresses",
      ull(expected.value), ull(found.value));
}

std::string own_id_sentence(const Hello& own, const Hello& theirs) {
  if (theirs.incarnation == own.incarnation) {
    return strf("node %llu reaches itself at the address of a peer; check the peer addresses",
                ull(own.node_id.value));
  }
  return strf("two processes run as node %llu; stop one of them and give it an id of its own",
              ull(own.node_id.value));
}

std::string instance_sentence(const Hello& theirs) {
  return strf(
      "node %llu is known to the cluster with another data directory than the one that it "
      "runs on; remove the member, add it again",
      ull(theirs.node_id.value));
}

}  // namespace

void encode(const Hello& hello, Bytes& out) {
  ASSERT_CMP(hello.cluster_name.size(), <=, limits::kNameBytesMax);
  ASSERT_CMP(hello.address.size(), <=, limits::kAddressBytesMax);
  const std::size_t begin = begin_frame(out);
  Sink sink{out};
  msgpack::packer<Sink> packer(sink);
  packer.pack_array(12);
  packer.pack_uint64(kHelloType);
  packer.pack_uint64(hello.version);
  pack_id(packer, hello.cluster_id);
  pack_text(packer, hello.cluster_name);
  packer.pack_uint64(hello.node_id.value);
  packer.pack_uint64(hello.expected.value);
  packer.pack_uint64(hello.instance);
  packer.pack_uint64(hello.incarnation.value);
  packer.pack_uint64(static_cast<std::uint64_t>(hello.priority + kPriorityBias));
  packer.pack_uint64(hello.settings_hash);
  packer.pack_uint64(hello.configuration.value);
  pack_text(packer, hello.address);
  end_frame(out, begin);
}

void encode(const Refusal& refusal, Bytes& out) {
  const std::size_t begin = begin_frame(out);
  Sink sink{out};
  msgpack::packer<Sink> packer(sink);
  packer.pack_array(6);
  packer.pack_uint64(kRefusalType);
  packer.pack_uint64(kProtocolVersion);
  pack_id(packer, refusal.cluster_id);
  packer.pack_uint64(refusal.node_id.value);
  packer.pack_uint64(static_cast<std::uint64_t>(refusal.reason));
  pack_text(packer, std::string_view(refusal.sentence).substr(0, kSentenceBytesMax));
  end_frame(out, begin);
}

void encode(const Welcome&, Bytes& out) {
  const std::size_t begin = begin_frame(out);
  Sink sink{out};
  msgpack::packer<Sink> packer(sink);
  packer.pack_array(1);
  packer.pack_uint64(kWelcomeType);
  end_frame(out, begin);
}

bool is_handshake(ByteView body) {
  // Array header (at most 15 elements: one byte), then the type as a positive fixint.
  if (body.size() < 2) return false;
  const auto type = std::to_integer<std::uint64_t>(body[1]);
  return type >= kHelloType && type <= kWelcomeType;
}

Result<Handshake> decode_handshake(const SharedBytes& body) noexcept {
  Row values;
  const Status parsed = parse_row(body, Strictness::kHello, values);
  if (!parsed) return Error{Errc::kBadInput, "a hello " + parsed.error().message};
  RowReader row(values);
  const std::uint64_t type = row.number("type", kHelloType, kWelcomeType);
  if (row.broken()) return Error{Errc::kBadInput, row.finish("a hello").error().message};
  if (type == kRefusalType) return read_refusal(row);
  if (type == kWelcomeType) {
    TRY([[maybe_unused]] const Done done, row.finish("a welcome"));
    return Handshake(Welcome{});
  }
  const std::uint64_t version = row.any("version");
  if (!row.broken() && version != kProtocolVersion) return Handshake(OtherVersion{version});
  return read_hello(row);
}

Refusal refuse_version(const Hello& own, std::uint64_t version) {
  return {own.cluster_id, own.node_id, Reason::kVersion,
          strf("node %llu speaks version %llu of the peer protocol, the other side version %llu; "
               "run versions of raftd that may work together",
               ull(own.node_id.value), ull(own.version), ull(version))};
}

Refusal refuse_removed(const Hello& own, raft::NodeId removed) {
  return {own.cluster_id, own.node_id, Reason::kRemoved,
          strf("node %llu was removed from the cluster", ull(removed.value))};
}

std::optional<Refusal> check_hello(const Hello& own, const Hello& theirs,
                                   const Expectation& expectation) {
  const auto refuse = [&](Reason reason, std::string sentence) {
    return Refusal{own.cluster_id, own.node_id, reason, std::move(sentence)};
  };
  if (theirs.version != own.version) return refuse_version(own, theirs.version);
  if (theirs.cluster_id != own.cluster_id || theirs.cluster_name != own.cluster_name) {
    return refuse(Reason::kCluster, cluster_sentence(own, theirs));
  }
  if (theirs.node_id == own.node_id) {
    return refuse(Reason::kOwnId, own_id_sentence(own, theirs));
  }
  if (expectation.dialled && theirs.node_id != expectation.dialled) {
    return refuse(Reason::kWrongNode, wrong_node_sentence(expectation.dialled, theirs.node_id));
  }
  if (theirs.expected && theirs.expected != own.node_id) {
    return refuse(Reason::kWrongNode, wrong_node_sentence(theirs.expected, own.node_id));
  }
  if (!expectation.member && theirs.configuration <= own.configuration) {
    if (expectation.removed) return refuse_removed(own, theirs.node_id);
    return refuse(Reason::kNotMember,
                  strf("node %llu is not a member, as node %llu knows it; add it first",
                       ull(theirs.node_id.value), ull(own.node_id.value)));
  }
  if (expectation.published != 0 && theirs.instance != expectation.published) {
    return refuse(Reason::kInstance, instance_sentence(theirs));
  }
  if (theirs.settings_hash != own.settings_hash) {
    return refuse(Reason::kSettings,
                  strf("nodes %llu and %llu differ in settings that must be the same on all nodes "
                       "(formats and limits of replicated data)",
                       ull(theirs.node_id.value), ull(own.node_id.value)));
  }
  return std::nullopt;
}

Stranger classify(ByteView first_bytes) {
  const std::string_view text = as_text(first_bytes);
  if (text.empty()) return Stranger::kSilent;
  constexpr std::array<std::string_view, 10> kMethods{"GET ",    "PUT ",     "POST ",  "HEAD ",
                                                      "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ",
                                                      "TRACE ",  "PRI * "};
  for (const std::string_view method : kMethods) {
    if (text.starts_with(method)) return Stranger::kHttp;
  }
  if (text.starts_with("HTTP/")) return Stranger::kHttp;  // An answer: a server was dialled.
  // A TLS record: handshake or alert, then major version 3.
  const bool tls_record = text[0] == '\x16' || text[0] == '\x15';
  if (tls_record && (text.size() == 1 || text[1] == '\x03')) return Stranger::kTls;
  const std::size_t word = text.find_first_not_of(" \t\r\n");
  if (word != std::string_view::npos && (text[word] == '{' || text[word] == '[')) {
    return Stranger::kJson;
  }
  return Stranger::kOther;
}

const char* describe(Stranger stranger) {
  switch (stranger) {
    case Stranger::kSilent:
      return "says nothing; it is no raftd, or it hangs";
    case Stranger::kHttp:
      return "speaks HTTP; clients belong on client.listen, not on peer.listen";
    case Stranger::kTls:
      return "speaks TLS, which this port does not";
    case Stranger::kJson:
      return "speaks JSON; it is no raftd";
    case Stranger::kOther:
      return "does not speak raftd's peer protocol";
  }
  return "is unknown";
}

}  // namespace raftd::wire
