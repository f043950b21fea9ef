// Fixed-width little-endian integers in byte buffers; disk and wire formats are little-endian.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"

namespace raftd {

static_assert(std::endian::native == std::endian::little, "port load and store first");

// Precondition: offset + sizeof(T) <= bytes.size().
template <class T>
T load_le(ByteView bytes, std::size_t offset = 0) {
  ASSERT(offset <= bytes.size());
  ASSERT(sizeof(T) <= bytes.size() - offset);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <class T>
void store_le(std::span<std::byte> bytes, std::size_t offset, T value) {
  ASSERT(offset <= bytes.size());
  ASSERT(sizeof(T) <= bytes.size() - offset);
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

template <class T>
void append_le(Bytes& bytes, T value) {
  const std::size_t before = bytes.size();
  bytes.resize(before + sizeof(T));
  std::memcpy(bytes.data() + before, &value, sizeof(T));
}

}  // namespace raftd
