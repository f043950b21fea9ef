// Deterministic random numbers from a seed (splitmix64; Steele, Lea, Flood 2014). The daemon seeds
// from the operating system once, the simulator from the run's seed.
#pragma once

#include <cstdint>

#include "base/assert.h"

namespace raftd {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without modulo bias. Precondition: bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    ASSERT(bound > 0);
    const std::uint64_t unbiased = -bound % bound;  // 2^64 mod bound values are one too many.
    for (;;) {
      const std::uint64_t draw = next();
      if (draw >= unbiased) return draw % bound;
    }
  }

  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

// A seed from the operating system. Called by main.cc and uv/ only.
std::uint64_t os_entropy();

}  // namespace raftd
