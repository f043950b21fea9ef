// The first words on a peer connection: who is there, and whether the two may talk.
//
// The side that dials sends kMagic and a framed hello. The other answers with kMagic and its own
// hello, or with kMagic and a refusal. Then the dialling side sends welcome, or a refusal. A side
// that has sent a refusal closes. The bodies are msgpack arrays as in wire/codec.h:
//
//   100  hello    version, cluster id (bin 16), cluster name (str), node id, expected peer id (0:
//                 unknown), instance, incarnation, priority + 2^31, settings hash, configuration
//                 index, the sender's advertised peer address (str)
//   101  refusal  version, cluster id (bin 16), refusing node id, reason, sentence (str)
//   102  welcome
//
// kMagic, the frame, the type and the version of a hello, and the whole of a refusal are the same
// in every version, so that nodes of two versions can tell each other why they part.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/limits.h"
#include "base/result.h"
#include "raft/types.h"

namespace raftd::wire {

inline constexpr std::string_view kMagic = "RFTDPEER";
inline constexpr std::uint64_t kProtocolVersion = 1;
inline constexpr std::size_t kSentenceBytesMax = 600;

using ClusterId = std::array<std::uint8_t, 16>;

struct Hello {
  std::uint64_t version = kProtocolVersion;
  ClusterId cluster_id{};
  std::string cluster_name;
  raft::NodeId node_id;
  raft::NodeId expected;  // Whom the sender believes to talk to; 0: it does not know yet.
  std::uint64_t instance = 0;
  raft::Incarnation incarnation;
  std::int32_t priority = 0;
  std::uint64_t settings_hash = 0;
  raft::Index configuration;  // Where its newest one is in its log; 0: it has none.
  std::string address;        // "HOST:PORT" at which its peers reach it; empty: it does not say.
};

// The numbers are on the wire.
enum class Reason : std::uint8_t {
  kVersion = 1,    // Another protocol version.
  kCluster = 2,    // Another cluster, or another list of members at the first start.
  kWrongNode = 3,  // The address leads to another node.
  kNotMember = 4,  // The refusing node's configuration does not have this id.
  kOwnId = 5,      // The id is that of the refusing node.
  kDuplicate = 6,  // Another process with this id is connected.
  kInstance = 7,   // The id is known with another data directory: the refused node ends.
  kSettings = 8,   // What must agree everywhere does not.
  kCallBack = 9,   // No fault: the refusing node has the higher id and dials at once.
  kRemoved = 10,   // The id was a member's and never will be again: the refused node ends.
};

struct Refusal {
  ClusterId cluster_id{};
  raft::NodeId node_id;  // Who refuses.
  Reason reason{};
  std::string sentence;  // For the refused node's log; printable.
};

struct Welcome {};

// A hello whose fields are not known here.
struct OtherVersion {
  std::uint64_t version = 0;
};

using Handshake = std::variant<Hello, Refusal, Welcome, OtherVersion>;

// Appends a whole frame (without kMagic). The cluster name has at most kNameBytesMax bytes.
void encode(const Hello& hello, Bytes& out);
void encode(const Refusal& refusal, Bytes& out);
void encode(const Welcome& welcome, Bytes& out);

// A frame's body. kBadInput: the first rule that does not hold.
Result<Handshake> decode_handshake(const SharedBytes& body) noexcept;
// Whether a body is a hello, a refusal or a welcome, and not a message.
bool is_handshake(ByteView body);

// What the own node knows of whoever says hello.
struct Expectation {
  raft::NodeId dialled;         // Whom the own node has dialled; 0: the other one has dialled.
  bool member = false;          // The id is in the own configuration, or that is empty.
  std::uint64_t published = 0;  // The instance that the member has published; 0: none yet.
  bool removed = false;         // It was a member, and is none any more, for good.
};

// Why the own node must not talk to the other one; nullopt: it may. Whoever has a newer
// configuration may be a member: this node was away while the members changed, and those that it
// does not know are who tells it.
std::optional<Refusal> check_hello(const Hello& own, const Hello& theirs,
                                   const Expectation& expectation);
Refusal refuse_version(const Hello& own, std::uint64_t version);
// What a node hears from a member that knows its removal to be committed.
Refusal refuse_removed(const Hello& own, raft::NodeId removed);

// Whose first bytes are these, if they are not kMagic?
enum class Stranger : std::uint8_t { kSilent, kHttp, kTls, kJson, kOther };
Stranger classify(ByteView first_bytes);
// "speaks HTTP; clients belong on client.listen": the end of a sentence that tells what to do.
const char* describe(Stranger stranger);

}  // namespace raftd::wire
