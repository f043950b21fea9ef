// One msgpack array read as a flat row of fields. Internal to wire/: the only place that parses.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/result.h"
#include "raft/types.h"

namespace raftd::wire {

enum class Shape : std::uint8_t { kNil, kFlag, kNumber, kText, kBinary, kEntries };

struct Field {
  Shape shape = Shape::kNil;
  std::uint64_t number = 0;  // kNumber, kFlag.
  ByteView bytes;            // kText, kBinary: a view into what was parsed.
};

inline constexpr std::size_t kFieldsMax = 16;
inline constexpr std::size_t kDepthMax = 8;

struct Row {
  std::array<Field, kFieldsMax> fields{};
  std::size_t count = 0;
  std::vector<raft::Entry> entries;  // Of the one field of shape kEntries.
};

enum class Strictness : std::uint8_t {
  kMessage,  // Scalars and one list of entries; anything else breaks a rule.
  kHello,    // Scalars are kept up to kFieldsMax; what a future version may have added is skipped.
};

// Fills an empty row, in place: it is large. Payloads of entries share body's owner. kBadInput: the
// rule that does not hold, as the end of a sentence. Allocates nothing but the entries, of which
// there are fewer than bytes.
Status parse_row(const SharedBytes& body, Strictness strictness, Row& row) noexcept;

// Takes the fields of a row one after the other and remembers the first that is not as it must be.
class RowReader {
 public:
  explicit RowReader(const Row& row) : row_(row) {}

  std::uint64_t number(const char* name, std::uint64_t min, std::uint64_t max);
  std::uint64_t any(const char* name) { return number(name, 0, ~0ULL); }
  bool flag(const char* name);
  std::optional<std::uint64_t> number_or_nil(const char* name, std::uint64_t max);
  ByteView binary(const char* name, std::size_t bytes_min, std::size_t bytes_max);
  std::string_view text(const char* name, std::size_t bytes_max);
  bool entries(const char* name);
  // A rule between fields.
  void require(bool holds, const char* rule);

  bool broken() const { return !broken_.empty(); }

  // After the last field: nothing may be left over.
  Status finish(const char* message);

 private:
  const Field* take(const char* name, Shape shape);
  void fail(std::string rule);

  const Row& row_;
  std::size_t next_ = 0;
  std::string broken_;  // Empty: none so far.
};

}  // namespace raftd::wire
