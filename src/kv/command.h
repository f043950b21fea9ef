// What is in a command entry of the key-value store, and its bytes: versioned msgpack behind the
// room for the stamp (machine::kStampBytes). Decoding is bounded and never throws.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace raftd::kv {

inline constexpr std::size_t kTokenHashBytes = 32;

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
// A member id that nobody has had is kept for whoever comes with the token.
struct ReserveMember {
  std::string_view token_hash;  // SHA-256 of the token.
  std::string_view name;        // Empty: it has none yet.
  bool voter = true;            // Once it has caught up; else it stays a learner.
  std::uint64_t replaces = 0;   // Who leaves when it becomes a voter; 0: nobody.
  std::uint64_t ttl_ms = 0;     // Of cluster time.
};
// A node wants to become the member: with a ticket, or, without a token, under an id that nobody
// has had. Afterwards the id belongs to this instance, and the members may be changed.
struct ClaimMember {
  std::uint64_t id = 0;
  std::string_view token_hash;  // Empty: without a ticket.
  std::uint64_t instance = 0;   // Of its data directory; 0: not known.
  std::string_view name;        // Empty: the ticket's.
  std::string_view client;
  bool voter = true;           // False: a learner, whatever the ticket says.
  std::uint64_t replaces = 0;  // 0: as the ticket says.
};
// A ticket that nobody may use any more.
struct DropTickets {
  std::uint64_t id = 0;  // 0: all that have expired unused.
};
using Command = std::variant<Put, Delete, DeletePrefix, PublishMember, Compact, ReserveMember,
                             ClaimMember, DropTickets>;

Bytes encode(const Command& command);               // kStampBytes zeros, then the command.
Result<Command> decode(ByteView command) noexcept;  // Without the stamp. kBadInput, kUnsupported.

}  // namespace raftd::kv
