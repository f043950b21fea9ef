#include "config/units.h"

#include <array>
#include <limits>
#include <utility>

#include "base/text.h"

namespace raftd::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Longest names first where one ends with another.
constexpr std::array<Unit, 4> kDurationUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::array<Unit, 5> kSizeUnits = {
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};
constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// Digits, and if fraction is asked for, a point and digits, times factor: exact or refused.
bool parse_scaled(std::string_view number, std::uint64_t factor, std::uint64_t& out) {
  const std::size_t point = number.find('.');
  std::uint64_t whole = 0;
  if (!parse_u64(number.substr(0, point), whole)) return false;
  if (whole > kMax / factor) return false;
  out = whole * factor;
  if (point == std::string_view::npos) return true;
  const std::string_view fraction = number.substr(point + 1);
  if (fraction.empty() || fraction.size() > 9) return false;
  std::uint64_t numerator = 0;
  if (!parse_u64(fraction, numerator)) return false;
  std::uint64_t denominator = 1;
  for (std::size_t i = 0; i < fraction.size(); ++i)
    denominator *= 10;
  if (numerator * factor % denominator != 0) return false;
  const std::uint64_t part = numerator * factor / denominator;
  if (part > kMax - out) return false;
  out += part;
  return true;
}

}  // namespace

bool parse_duration(std::string_view text, std::chrono::milliseconds& duration) {
  std::uint64_t factor = 1000;  // A bare number counts seconds.
  for (const Unit& unit : kDurationUnits) {
    if (!text.ends_with(unit.name)) continue;
    factor = unit.factor;
    text.remove_suffix(unit.name.size());
    break;
  }
  std::uint64_t ms = 0;
  if (!parse_scaled(text, factor, ms)) return false;
  duration = std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  return true;
}

std::string duration_text(std::chrono::milliseconds duration) {
  const auto ms = static_cast<std::uint64_t>(duration.count());
  if (ms == 0) return "0s";
  for (std::size_t i = kDurationUnits.size(); i-- > 0;) {
    const Unit& unit = kDurationUnits[i];
    if (ms % unit.factor == 0) return std::to_string(ms / unit.factor) + std::string(unit.name);
  }
  return "";
}

bool parse_size(std::string_view text, std::uint64_t& bytes) {
  std::uint64_t factor = 1;
  for (const Unit& unit : kSizeUnits) {
    if (!text.ends_with(unit.name)) continue;
    factor = unit.factor;
    text.remove_suffix(unit.name.size());
    break;
  }
  std::uint64_t number = 0;
  if (!parse_u64(text, number) || number > kMax / factor) return false;
  bytes = number * factor;
  return true;
}

std::string size_text(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const Unit& unit : kSizeUnits) {
    if (bytes % unit.factor == 0)
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
  }
  return "";
}

}  // namespace raftd::config
