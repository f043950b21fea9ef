// The bytes of a fuzzer taken apart, front to back; what is not there reads as zero, so that every
// input means something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace raftd::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    const ByteView taken = bytes(1);
    return taken.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(taken[0]);
  }
  bool flag() { return (byte() & 1) != 0; }
  std::uint64_t below(std::uint64_t bound) {
    std::uint64_t number = byte();
    if (bound > 256) number = number << 8 | byte();
    if (bound > 65536) number = number << 8 | byte();
    return number % bound;
  }
  // At most that many.
  ByteView bytes(std::size_t count) {
    const ByteView taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteView rest() { return bytes(rest_.size()); }

 private:
  ByteView rest_;
};

}  // namespace raftd::fuzz
