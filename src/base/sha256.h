// SHA-256 (FIPS 180-4), piece by piece: for checksums that people compare with other tools.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace raftd {

class Sha256 {
 public:
  using Sum = std::array<std::byte, 32>;

  void add(ByteView bytes);
  // Of all that was added. Nothing may be added after it.
  Sum finish();

 private:
  void block(ByteView bytes);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> rest_{};  // The beginning of a block.
  std::size_t rest_bytes_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace raftd
