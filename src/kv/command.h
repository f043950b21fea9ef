// What is in a command entry of the key-value store, and its bytes: versioned msgpack behind the
// room for the stamp (machine::kStampBytes). Decoding is bounded and never throws.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace raftd::kv {

// When a write of one key takes effect. Checked at apply, so that nothing can come in between.
struct Condition {
  enum class Kind : std::uint8_t {
    kNone = 0,
    kModIs = 1,  // The key's mod revision is mod (>= 1).
    kExists = 2,
    kAbsent = 3,
  };
  Kind kind = Kind::kNone;
  std::uint64_t mod = 0;
};

// Texts are views: encode's caller and decode's argument must outlive them.
struct Put {
  std::string_view key;
  std::string_view value;
  Condition condition;
  bool want_prev = false;
};
struct Delete {
  std::string_view key;
  Condition condition;
  bool want_prev = false;
};
struct DeletePrefix {
  std::string_view prefix;  // Empty: every key.
  std::uint64_t limit = 0;  // Smallest keys first; 0: all.
};
// What a member says of itself, soon after each start if it differs from what is published.
struct PublishMember {
  std::uint64_t id = 0;
  std::uint64_t instance = 0;  // Of its data directory.
  std::string_view name;
  std::string_view client;   // Client URL.
  std::string_view version;  // raftd's.
};
// History before this revision is given up: reads below it are answered "compacted". It is not in
// the future.
struct Compact {
  std::uint64_t revision = 0;
};
using Command = std::variant<Put, Delete, DeletePrefix, PublishMember, Compact>;

Bytes encode(const Command& command);               // kStampBytes zeros, then the command.
Result<Command> decode(ByteView command) noexcept;  // Without the stamp. kBadInput, kUnsupported.

}  // namespace raftd::kv
