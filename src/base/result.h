// Result<T>: a value or an Error. The surface of std::expected that raftd uses, no more, because
// clang 14 (clang-tidy and the fuzzers) cannot compile libstdc++ 12's <expected>.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace raftd {

enum class Errc : unsigned char {
  kBadInput,      // The peer, the client or the operator sent something malformed.
  kTooBig,        // A limit in base/limits.h was hit.
  kBusy,          // A bounded queue is full: try again later.
  kNotLeader,     // Ask someone else.
  kConflict,      // Based on a state that is no longer the current one: read again, then retry.
  kIo,            // A system call failed.
  kCorrupt,       // A checksum or an invariant of the disk format does not hold.
  kDiskFull,      // No space: reads and deletes of files may help; nothing was appended.
  kUnsupported,   // A format or protocol version that this version does not speak.
  kTransferring,  // Leadership is being handed over: try again in a moment.
  kSuperseded,    // Another entry is committed in its place: it will never happen.
  kTimeout,       // Nothing was done before the deadline.
  kShuttingDown,  // This node stops: ask another.
  kNotReady,      // This node cannot do it at present, another can: ask another.
};

struct Error {
  Errc code{};
  std::string message;  // A full sentence for a person; it names the file, peer or key.
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(*-explicit-*)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*-explicit-*)

  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& operator*() & {
    ASSERT(*this);
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const& {
    ASSERT(*this);
    return *std::get_if<0>(&state_);
  }
  T&& operator*() && {
    ASSERT(*this);
    return std::move(*std::get_if<0>(&state_));
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  const Error& error() const& {
    ASSERT(!*this);
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    ASSERT(!*this);
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

struct Done {};  // Result<Done> is a Result without a value.
using Status = Result<Done>;

}  // namespace raftd

// Return early with the error, or bind the value.
#define TRY_CONCAT_(a, b) a##b
#define TRY_NAME_(line) TRY_CONCAT_(try_result_, line)
#define TRY(decl, expression)                                              \
  auto TRY_NAME_(__LINE__) = (expression);                                 \
  if (!TRY_NAME_(__LINE__)) return std::move(TRY_NAME_(__LINE__)).error(); \
  decl = *std::move(TRY_NAME_(__LINE__))
