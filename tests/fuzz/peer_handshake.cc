// libFuzzer: any bytes as what a stranger sends first on a peer connection. Proves: nothing is held
// beyond the largest hello; what is read as a hello or a refusal is written back to the same; no
// name in it can break a log line; whoever is let in shares cluster, version and settings.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/text.h"
#include "fuzz/input.h"
#include "wire/frame.h"
#include "wire/hello.h"

namespace {

using namespace raftd;

void check_printable(std::string_view text) {
  ASSERT(is_utf8(text));
  for (const char c : text)
    ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

wire::Hello own_hello() {
  wire::Hello own;
  own.cluster_id.fill(7);
  own.cluster_name = "raftd";
  own.node_id = {1};
  own.instance = 11;
  own.incarnation = {12};
  own.settings_hash = 13;
  return own;
}

template <class Message>
Bytes body_of(const Message& message) {
  Bytes frame;
  wire::encode(message, frame);
  ASSERT_CMP(frame.size(), <=, limits::kHelloBytesMax);
  Bytes body(frame.begin() + wire::kFrameHeaderBytes, frame.end());
  ASSERT(wire::is_handshake(body));
  return body;
}

template <class Message>
void check_written_back(const Message& message) {
  const Bytes body = body_of(message);
  const auto again = wire::decode_handshake(share(body));
  ASSERT(again);
  const auto* same = std::get_if<Message>(&*again);
  ASSERT(same != nullptr);
  ASSERT(body_of(*same) == body);
}

void check_judged(const wire::Hello& theirs, const wire::Expectation& expectation) {
  const wire::Hello own = own_hello();
  const auto refusal = wire::check_hello(own, theirs, expectation);
  if (refusal) {
    ASSERT(!refusal->sentence.empty());
    check_printable(refusal->sentence);
    body_of(*refusal);
    return;
  }
  ASSERT(theirs.cluster_id == own.cluster_id);
  ASSERT(theirs.cluster_name == own.cluster_name);
  ASSERT(theirs.node_id != own.node_id);
  ASSERT(!theirs.expected || theirs.expected == own.node_id);
  ASSERT_CMP(theirs.settings_hash, ==, own.settings_hash);
  ASSERT(expectation.member || theirs.configuration > own.configuration);
}

void as_handshake(const SharedBytes& body) {
  const auto handshake = wire::decode_handshake(body);
  if (!handshake) {
    check_printable(handshake.error().message);
    return;
  }
  if (const auto* hello = std::get_if<wire::Hello>(&*handshake)) {
    check_written_back(*hello);
    for (const std::uint64_t dialled : {0UL, 2UL})
      check_judged(*hello, {{dialled},
                            hello->node_id.value < 4,
                            hello->node_id.value == 3 ? 5U : 0U,
                            hello->node_id.value == 9});
  } else if (const auto* refusal = std::get_if<wire::Refusal>(&*handshake)) {
    check_printable(refusal->sentence);
  } else if (const auto* other = std::get_if<wire::OtherVersion>(&*handshake)) {
    ASSERT_CMP(other->version, !=, wire::kProtocolVersion);
    body_of(wire::refuse_version(own_hello(), other->version));
  }
}

// As a connection reads it before it knows its peer.
void as_stream(ByteView bytes) {
  const std::string_view magic = as_text(bytes.first(std::min(bytes.size(), wire::kMagic.size())));
  if (magic != wire::kMagic) {
    ASSERT(wire::describe(wire::classify(bytes)) != nullptr);
    return;
  }
  bytes = bytes.subspan(wire::kMagic.size());
  wire::FrameReader reader(limits::kHelloBytesMax, limits::kHelloBytesMax);
  while (!bytes.empty()) {
    const std::span<std::byte> space = reader.space();
    ASSERT(!space.empty());
    const std::size_t n = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), n, space.begin());
    reader.received(n);
    ASSERT_CMP(reader.capacity(), <=, 2 * limits::kHelloBytesMax);
    bytes = bytes.subspan(n);
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return check_printable(frame.error().message);
      if (!*frame) break;
      as_handshake(**frame);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const ByteView bytes = input.rest();
  as_stream(bytes);
  as_handshake(share(Bytes(bytes.begin(), bytes.end())));
  return 0;
}
