// A 128-bit digest to tell texts apart (cluster ids). Not cryptographic: it keeps honest mistakes
// apart, not an attacker. Its value is on disk and on the wire and must never change.
//
// Two lanes of FNV-1a over the bytes (Fowler, Noll, Vo), the second over each byte's complement and
// from another offset; then both lanes and the length are mixed with the finalizer of splitmix64.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace raftd {

struct Digest128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Digest128&) const = default;
};

constexpr std::uint64_t digest_mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

constexpr Digest128 digest128(ByteView bytes) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t a = 0xcbf29ce484222325;
  std::uint64_t b = 0x6c62272e07bb0142;
  for (const std::byte byte : bytes) {
    const auto value = static_cast<std::uint64_t>(byte);
    a = (a ^ value) * kPrime;
    b = (b ^ (value ^ 0xff)) * kPrime;
  }
  a = digest_mix(a ^ bytes.size());
  b = digest_mix(b + a);
  return {a, b};
}

}  // namespace raftd
