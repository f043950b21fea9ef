// CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the SSE4.2 instruction where the processor
// has it. Check value of "123456789": 0xe3069283.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace raftd {

// Continues from the checksum of the bytes before; 0 to begin.
std::uint32_t crc32c(ByteView bytes, std::uint32_t before = 0) noexcept;

// The table version, for processors without the instruction; tests compare the two.
std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t before = 0) noexcept;

}  // namespace raftd
