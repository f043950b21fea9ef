// Integers that cannot be mixed up: a Term is not an Index is not a NodeId.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace raftd {

template <class Tag>
struct Strong {
  std::uint64_t value = 0;

  constexpr auto operator<=>(const Strong&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
  constexpr Strong next() const { return {value + 1}; }
  constexpr Strong prev() const { return {value - 1}; }
};

template <class Tag>
constexpr std::uint64_t operator-(Strong<Tag> a, Strong<Tag> b) {
  return a.value - b.value;
}
template <class Tag>
constexpr Strong<Tag> operator+(Strong<Tag> a, std::uint64_t n) {
  return {a.value + n};
}

}  // namespace raftd

template <class Tag>
struct std::hash<raftd::Strong<Tag>> {
  std::size_t operator()(raftd::Strong<Tag> s) const noexcept {
    return std::hash<std::uint64_t>{}(s.value);
  }
};
