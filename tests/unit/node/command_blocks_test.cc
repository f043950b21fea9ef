#include "node/command_blocks.h"

#include <doctest/doctest.h>

namespace raftd::node {

TEST_CASE("small commands lie one after the other, and stay as they are until all are dropped") {
  CommandBlocks blocks;
  Bytes command = to_bytes("first");
  const SharedBytes first = blocks.share(command);
  CHECK(as_text(command) == "first");  // The caller may use its memory again.
  command = to_bytes("second");
  const SharedBytes second = blocks.share(command);
  CHECK(second.bytes.data() == first.bytes.data() + first.bytes.size());
  CHECK(second.owner == first.owner);
  SharedBytes last;
  for (int i = 0; i < 1000; ++i)
    last = blocks.share(command);
  CHECK(last.owner != first.owner);
  CHECK(as_text(first.bytes) == "first");
  CHECK(as_text(second.bytes) == "second");
  CHECK(as_text(last.bytes) == "second");
  CHECK(first.owner.use_count() == 2);  // The block is nobody else's any more.
}

TEST_CASE("a long command is not copied") {
  CommandBlocks blocks;
  Bytes command(100'000, std::byte{1});
  const std::byte* const bytes = command.data();
  const SharedBytes shared = blocks.share(command);
  CHECK(shared.bytes.data() == bytes);
  CHECK(shared.bytes.size() == 100'000);
}

}  // namespace raftd::node
