#include "uv/directory_probe.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

namespace raftd::uv {

TEST_CASE("a data directory that has gone is not writable, and is again when it is back") {
  char path[] = "/tmp/raftd-probe-XXXXXX";
  REQUIRE(mkdtemp(path) != nullptr);
  Loop loop;
  DirectoryProbe probe(loop, path);
  const auto ask = [&] {
    probe.begin();
    probe.begin();  // The second one is not asked.
    loop.run();
    return probe.writable();
  };
  CHECK(ask());
  std::filesystem::remove(path);
  CHECK_FALSE(ask());
  std::filesystem::create_directory(path);
  CHECK(ask());
  std::filesystem::remove(path);
}

TEST_CASE("a probe may die while it waits for its answer") {
  Loop loop;
  { DirectoryProbe(loop, "/tmp").begin(); }
}

}  // namespace raftd::uv
