#include "base/rng.h"

#include <sys/random.h>

namespace raftd {

std::uint64_t os_entropy() {
  std::uint64_t seed = 0;
  const ssize_t got = getrandom(&seed, sizeof seed, 0);  // Up to 256 bytes are never cut short.
  ASSERT(got == static_cast<ssize_t>(sizeof seed));
  return seed;
}

}  // namespace raftd
