// Goal: blocks do not overlap, and memory that was of one size serves others. Method: blocks are
// filled and read again, and the pages counted.
#include "kv/pool.h"

#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/rng.h"

namespace raftd::kv {
namespace {

struct Block {
  char* at = nullptr;
  std::size_t bytes = 0;
  char mark = 0;
};

// Blocks of about `bytes` each, so many as make `total`.
std::vector<Block> fill(Pool& pool, std::size_t bytes, std::size_t total) {
  std::vector<Block> blocks;
  for (std::size_t made = 0; made < total; made += bytes)
    blocks.push_back({static_cast<char*>(pool.allocate(bytes)), bytes});
  return blocks;
}

void release(Pool& pool, const std::vector<Block>& blocks) {
  for (const Block& block : blocks)
    pool.release(block.at, block.bytes);
}

}  // namespace

TEST_CASE("a block holds what was written to it until it is given back") {
  Pool pool;
  Rng rng(3);
  std::vector<Block> blocks;
  for (int step = 0; step < 20'000; ++step) {
    const bool grows = step / 5000 % 2 == 0;
    if (blocks.empty() || rng.below(4) < (grows ? 3 : 1)) {
      Block block;
      block.bytes = 1 + rng.below(rng.one_in(10) ? 2000 : 150);
      block.at = static_cast<char*>(pool.allocate(block.bytes));
      block.mark = static_cast<char>(rng.below(256));
      std::memset(block.at, block.mark, block.bytes);
      CHECK(reinterpret_cast<std::uintptr_t>(block.at) % Pool::kGrain == 0);
      blocks.push_back(block);
      continue;
    }
    Block& gone = blocks[rng.below(blocks.size())];
    CHECK(std::string(gone.at, gone.bytes) == std::string(gone.bytes, gone.mark));
    pool.release(gone.at, gone.bytes);
    gone = blocks.back();
    blocks.pop_back();
  }
  release(pool, blocks);
}

TEST_CASE("pages that are empty serve blocks of another size, and most are given back") {
  constexpr std::size_t kTotal = 4 << 20;
  Pool pool;
  const std::vector<Block> small = fill(pool, 24, kTotal);
  const std::size_t most = pool.pages();
  release(pool, small);
  CHECK(pool.pages() <= Pool::kEmptiesMin);
  for (std::size_t bytes = 32; bytes <= Pool::kPooledBytesMax; bytes += 40) {
    const std::vector<Block> others = fill(pool, bytes, kTotal);
    CHECK(pool.pages() <= most + most / 8);
    release(pool, others);
  }
  CHECK(pool.pages() <= Pool::kEmptiesMin);
}

}  // namespace raftd::kv
