// Digests to tell texts apart: 128 bits for cluster ids, 64 bits for the items of a state. Not
// cryptographic: they keep honest mistakes apart, not an attacker. Their values are on disk and on
// the wire and must never change.
//
// digest128: two lanes of FNV-1a over the bytes (Fowler, Noll, Vo), the second over each byte's
// complement and from another offset; then both lanes and the length are mixed with the finalizer
// of splitmix64. hash64: four lanes over words of eight bytes, mixed likewise.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/endian.h"

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

// Each step can be undone, so that texts which differ in one word never meet again in their lane.
inline std::uint64_t hash64(ByteView bytes, std::uint64_t seed = 0) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  // Not an array: compilers make two vectors of that, which are multiplied three times as slowly.
  std::uint64_t lane0 = seed;
  std::uint64_t lane1 = seed + kOdd;
  std::uint64_t lane2 = seed + 2 * kOdd;
  std::uint64_t lane3 = seed + 3 * kOdd;
  const auto word_at = [](const std::byte* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  const auto step = [](std::uint64_t& lane, std::uint64_t word) {
    lane = (lane ^ word) * kOdd;
    lane ^= lane >> 29;
  };
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 32; left -= 32, at += 32) {
    step(lane0, word_at(at));
    step(lane1, word_at(at + 8));
    step(lane2, word_at(at + 16));
    step(lane3, word_at(at + 24));
  }
  for (; left >= 8; left -= 8, at += 8)
    step(lane0, word_at(at));
  // The bytes that are left, and zeros: copying a number of them that no compiler knows is a call.
  if (left > 0 && bytes.size() >= 8) {
    step(lane1, word_at(at + left - 8) >> (64 - 8 * left));
  } else if (left > 0) {
    std::uint64_t word = 0;
    for (std::size_t i = left; i-- > 0;)
      word = word << 8 | static_cast<std::uint64_t>(at[i]);
    step(lane1, word);
  }
  std::uint64_t hash = seed ^ bytes.size();
  for (const std::uint64_t lane : {lane0, lane1, lane2, lane3})
    hash = digest_mix(hash ^ lane) + kOdd;
  return hash;
}

}  // namespace raftd
