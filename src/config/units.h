// Durations and sizes as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace raftd::config {

// "500ms", "30s", "10m", "2h", or a bare number of seconds ("30", "1.5"). One number, one unit; the
// result is a whole number of milliseconds. False: malformed, negative or too large.
bool parse_duration(std::string_view text, std::chrono::milliseconds& duration);
std::string duration_text(std::chrono::milliseconds duration);  // "500ms", in the largest unit.

// "64MiB", "1536KiB", "12B", "12": units B, KiB, MiB, GiB, TiB.
bool parse_size(std::string_view text, std::uint64_t& bytes);
std::string size_text(std::uint64_t bytes);  // "64MiB", in the largest unit that divides.

}  // namespace raftd::config
