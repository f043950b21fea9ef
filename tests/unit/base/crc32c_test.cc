#include "base/crc32c.h"

#include <doctest/doctest.h>

#include "base/rng.h"

namespace raftd {

TEST_CASE("crc32c of 123456789 is the check value of the Castagnoli polynomial") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
  CHECK(crc32c_portable(as_bytes("123456789")) == 0xe3069283);
}

TEST_CASE("crc32c by instruction, by table and in two steps agree on every length") {
  Rng rng(1);
  Bytes bytes;
  for (std::size_t length = 0; length < 300; ++length) {
    const std::uint32_t whole = crc32c(bytes);
    CHECK(whole == crc32c_portable(bytes));
    const ByteView view(bytes);
    const std::size_t cut = rng.below(length + 1);
    CHECK(whole == crc32c(view.subspan(cut), crc32c(view.first(cut))));
    bytes.push_back(static_cast<std::byte>(rng.next()));
  }
}

TEST_CASE("crc32c of large blocks, which are read in parts, is that of the table") {
  Rng rng(2);
  Bytes bytes;
  while (bytes.size() < 20'000)
    bytes.push_back(static_cast<std::byte>(rng.next()));
  for (int round = 0; round < 200; ++round) {
    const std::size_t begin = rng.below(bytes.size());
    const ByteView view = ByteView(bytes).subspan(begin, rng.below(bytes.size() - begin + 1));
    const auto before = static_cast<std::uint32_t>(rng.next());
    CHECK(crc32c(view, before) == crc32c_portable(view, before));
  }
}

}  // namespace raftd
