// libFuzzer: any bytes as a stream of frames and as a message. Proves: what is accepted as a
// message can be encoded, and means the same when it is read back.
#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace {

using namespace raftd;

void as_message(const SharedBytes& body) {
  const auto message = wire::decode(body);
  if (!message) {
    ASSERT(!message.error().message.empty());
    return;
  }
  Bytes first;
  wire::encode(*message, first);
  const auto again = wire::decode(share(first));
  ASSERT(again);
  Bytes second;
  wire::encode(*again, second);
  ASSERT(first == second);
}

void as_stream(ByteView bytes) {
  wire::FrameReader reader(256, 64 * limits::kKiB);
  while (!bytes.empty()) {
    const std::span<std::byte> space = reader.space();
    const std::size_t n = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), n, space.begin());
    reader.received(n);
    bytes = bytes.subspan(n);
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return;
      if (!*frame) break;
      as_message(**frame);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  const ByteView bytes(begin, size);
  const SharedBytes body = share(Bytes(bytes.begin(), bytes.end()));
  as_message(body);
  as_stream(bytes);
  return 0;
}
