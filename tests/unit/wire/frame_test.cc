#include "wire/frame.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/endian.h"
#include "base/rng.h"
#include "base/text.h"

namespace raftd::wire {
namespace {

constexpr std::size_t kBlock = 64 * limits::kKiB;

Bytes frame_of(std::string_view body) {
  Bytes out;
  const std::size_t begin = begin_frame(out);
  const Bytes raw = to_bytes(body);
  out.insert(out.end(), raw.begin(), raw.end());
  end_frame(out, begin);
  return out;
}

FrameReader reader() {
  return {kBlock, limits::kWireMessageBytesMax};
}

// As a socket would: in pieces of at most `piece` bytes. Returns how many bytes were taken.
void feed(FrameReader& r, ByteView bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> space = r.space();
    const std::size_t n = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), n);
    r.received(n);
    bytes = bytes.subspan(n);
  }
}

std::string next_text(FrameReader& r) {
  auto frame = r.next();
  if (!frame) return "error: " + frame.error().message;
  if (!*frame) return "nothing";
  return std::string(as_text((*frame)->bytes));
}

TEST_CASE("[row 70] a frame has exactly these bytes") {
  CHECK(to_hex(frame_of("123456789")) ==
        "09000000"
        "78d21757"
        "313233343536373839");
}

TEST_CASE("frames are cut out of the stream, however it arrives") {
  Bytes stream;
  Rng rng(7);
  std::vector<std::string> bodies;
  for (int i = 0; i < 200; ++i) {
    std::string body(1 + rng.below(rng.one_in(20) ? 200'000 : 300), 'a');
    for (char& c : body)
      c = static_cast<char>('a' + rng.below(26));
    const Bytes frame = frame_of(body);
    stream.insert(stream.end(), frame.begin(), frame.end());
    bodies.push_back(std::move(body));
  }
  for (const std::size_t piece : {1UL, 7UL, 4096UL, 65536UL, 10'000'000UL}) {
    FrameReader r = reader();
    std::vector<SharedBytes> kept;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      feed(r, ByteView(stream).subspan(at, std::min(piece, stream.size() - at)));
      for (;;) {
        auto frame = r.next();
        REQUIRE(frame);
        if (!*frame) break;
        kept.push_back(std::move(**frame));
      }
    }
    REQUIRE(kept.size() == bodies.size());
    // Checked after the fact: later bytes must not have overwritten earlier frames.
    for (std::size_t i = 0; i < kept.size(); ++i)
      REQUIRE(as_text(kept[i].bytes) == bodies[i]);
    CHECK(r.pending().empty());
  }
}

TEST_CASE("a large body is not copied out of the buffer it was received in") {
  FrameReader r = reader();
  const Bytes frame = frame_of(std::string(20'000, 'x'));
  const std::span<std::byte> space = r.space();
  REQUIRE(space.size() >= frame.size());
  std::memcpy(space.data(), frame.data(), frame.size());
  r.received(frame.size());
  auto body = r.next();
  REQUIRE(body);
  REQUIRE(*body);
  CHECK((*body)->bytes.data() == space.data() + kFrameHeaderBytes);
}

TEST_CASE("a small body does not keep the block alive") {
  FrameReader r = reader();
  feed(r, frame_of("small"));
  auto body = r.next();
  REQUIRE(body);
  REQUIRE(*body);
  const std::byte* block = r.space().data();
  CHECK(r.space().data() == block);  // Rewound: nobody shares it.
  CHECK(as_text((*body)->bytes) == "small");
}

TEST_CASE("a flipped bit anywhere in a frame is found") {
  const Bytes good = frame_of("the quick brown fox");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    FrameReader r = reader();
    feed(r, bad);
    const std::string got = next_text(r);
    // A length that grew waits for more bytes; nothing else than that or an error may come.
    CHECK_MESSAGE((got == "nothing" || got.starts_with("error: a frame of ")), got);
    if (got == "nothing") CHECK(bit < 32);
  }
}

TEST_CASE("[CP-12] [SR-7] an impossible length is refused before anything is allocated for it") {
  for (const std::uint32_t length :
       {0U, static_cast<std::uint32_t>(limits::kWireMessageBytesMax + 1), 0x7fffffffU, 0x80000000U,
        0xffffffffU}) {
    FrameReader r = reader();
    Bytes header(8);
    store_le(std::span(header), 0, length);
    feed(r, header);
    CHECK(next_text(r) ==
          strf("error: a frame of %u bytes, which is not within 1 and 4194304", length));
    CHECK(r.capacity() == kBlock);
  }
}

TEST_CASE("[SR-7] memory follows what has arrived, not what a length announces") {
  FrameReader r = reader();
  Bytes header(8);
  store_le(std::span(header), 0, static_cast<std::uint32_t>(limits::kWireMessageBytesMax));
  feed(r, header);
  const Bytes some(1000, std::byte{1});
  std::size_t arrived = header.size();
  for (int i = 0; i < 4000; ++i) {
    CHECK(next_text(r) == "nothing");
    feed(r, some);
    arrived += some.size();
    REQUIRE(r.capacity() <= std::max(kBlock, 2 * arrived));
  }
}

TEST_CASE("before the hello only a hello's bytes are held") {
  FrameReader r(limits::kHelloBytesMax, limits::kHelloBytesMax - 8);
  CHECK(r.space().size() == limits::kHelloBytesMax);
  feed(r, frame_of(std::string(limits::kHelloBytesMax, 'x')));
  CHECK(next_text(r).starts_with("error: a frame of 1024 bytes"));
}

TEST_CASE("what was needed for a large frame is given back") {
  FrameReader r = reader();
  feed(r, frame_of(std::string(3 * limits::kMiB, 'x')));
  CHECK(r.next());
  CHECK(r.capacity() > kBlock);
  CHECK(r.space().size() == kBlock);
}

}  // namespace
}  // namespace raftd::wire
