// Byte strings: owned, shared, and views between bytes and text.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raftd {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

// Immutable bytes with a shared owner: entry payloads are shared, never copied. The entries of one
// received message may be parts of its one buffer, so that an entry costs no allocation.
struct SharedBytes {
  std::shared_ptr<const void> owner;
  ByteView bytes;
};

inline SharedBytes share(Bytes bytes) {
  auto owner = std::make_shared<const Bytes>(std::move(bytes));
  const ByteView view(*owner);
  return {std::move(owner), view};
}

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline Bytes to_bytes(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

}  // namespace raftd
