// Goal: whoever reads through it gets what the directory gives, in any order of reads, and errors
// of just what was asked for. Method: a directory in memory that keeps count.
#include "storage/read_ahead.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "base/limits.h"
#include "base/rng.h"

namespace raftd::storage {
namespace {

constexpr std::uint64_t kBlock = limits::kReadAheadBlockBytes;

class MemoryDirectory final : public DirectoryReader {
 public:
  Result<std::vector<FileName>> list() override {
    std::vector<FileName> names;
    for (const auto& [name, bytes] : files)
      names.push_back(name);
    return names;
  }
  Result<std::uint64_t> size(const FileName& name) override {
    const auto found = files.find(name);
    if (found == files.end()) return Error{Errc::kIo, "stat " + name};
    return std::uint64_t{found->second.size()};
  }
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) override {
    const auto found = files.find(name);
    if (found == files.end()) return Error{Errc::kIo, "open " + name};
    const Bytes& file = found->second;
    const std::uint64_t end = std::min<std::uint64_t>(offset + bytes, file.size());
    if (offset >= end) return Bytes{};
    read_bytes += end - offset;
    furthest = std::max(furthest.load(), end);
    if (offset <= bad && bad < end) return Error{Errc::kIo, "read " + name};
    return Bytes(file.begin() + static_cast<std::ptrdiff_t>(offset),
                 file.begin() + static_cast<std::ptrdiff_t>(end));
  }

  std::map<FileName, Bytes> files;
  std::uint64_t bad = ~std::uint64_t{0};  // The offset of a byte that cannot be read.
  std::atomic<std::uint64_t> read_bytes = 0;
  std::atomic<std::uint64_t> furthest = 0;
};

Bytes random_bytes(std::uint64_t size, std::uint64_t seed) {
  Rng rng(seed);
  Bytes bytes(size);
  for (std::byte& b : bytes)
    b = static_cast<std::byte>(rng.below(256));
  return bytes;
}

TEST_CASE("a file that is read from its beginning comes whole, and is read once") {
  MemoryDirectory directory;
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, kBlock - 1, kBlock, 5 * kBlock, 5 * kBlock + 17}) {
    CAPTURE(size);
    directory.files["f"] = random_bytes(size, size);
    directory.read_bytes = 0;
    ReadAhead reader(directory);
    Bytes got;
    for (;;) {
      const Result<Bytes> part = reader.read("f", got.size(), kBlock);
      REQUIRE(part);
      if (part->empty()) break;
      got.insert(got.end(), part->begin(), part->end());
    }
    CHECK(got == directory.files["f"]);
    CHECK(directory.read_bytes == size);
    CHECK(reader.read("f", size + 100, 10)->empty());
  }
}

TEST_CASE("reads of any size, in any order, of any file give what is there") {
  MemoryDirectory directory;
  directory.files["a"] = random_bytes(7 * kBlock + 5, 1);
  directory.files["b"] = random_bytes(3 * kBlock, 2);
  directory.files["c"] = {};
  Rng rng(3);
  ReadAhead reader(directory);
  FileName name = "a";
  std::uint64_t offset = 0;
  for (int i = 0; i < 400; ++i) {
    if (rng.below(5) == 0) name = std::string(1, static_cast<char>('a' + rng.below(3)));
    if (rng.below(3) == 0) offset = rng.below(8 * kBlock);
    const std::uint64_t bytes = rng.below(rng.below(4) == 0 ? 6 * kBlock : 5000);
    const Result<Bytes> got = reader.read(name, offset, bytes);
    REQUIRE(got);
    REQUIRE(*got == *directory.read(name, offset, bytes));
    REQUIRE(*reader.size("b") == 3 * kBlock);
    offset += rng.below(bytes + 1);  // On, or a little back as a window that slides does.
  }
  CHECK(reader.list()->size() == 3);
}

TEST_CASE("a byte that cannot be read is an error of the reads that want it, and of no others") {
  MemoryDirectory directory;
  directory.files["f"] = random_bytes(6 * kBlock, 4);
  directory.bad = 2 * kBlock + 100;
  ReadAhead reader(directory);
  for (std::uint64_t offset = 0; offset < 6 * kBlock; offset += 1000) {
    const bool wants = offset <= directory.bad && directory.bad < offset + 1000;
    CHECK(reader.read("f", offset, 1000).operator bool() != wants);
  }
  const Result<Bytes> missing = reader.read("g", 0, 10);
  REQUIRE(!missing);
  CHECK(missing.error().message == "open g");
  CHECK(reader.read("f", 0, 10));
}

TEST_CASE("what is read ahead is bounded") {
  MemoryDirectory directory;
  directory.files["f"] = random_bytes(40 * kBlock, 5);
  for (int life = 0; life < 20; ++life) {
    ReadAhead reader(directory);
    REQUIRE(reader.read("f", 0, 10));
  }
  CHECK(directory.furthest <= 10 + limits::kReadAheadBytes + kBlock);
}

}  // namespace
}  // namespace raftd::storage
