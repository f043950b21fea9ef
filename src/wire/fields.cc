#include "wire/fields.h"

#include <msgpack.hpp>

#include "base/limits.h"
#include "base/text.h"

namespace raftd::wire {
namespace {

constexpr std::size_t kEntryFields = 4;
constexpr std::size_t kEntryWireBytesMin = 6;  // Array header, three small numbers, bin header.

// Called by the parser for each token. Returning false stops it; `broken` then says why. The
// parser checks that a bin or str is there as a whole before it calls, and keeps no bytes itself.
class Visitor : public msgpack::null_visitor {
 public:
  Visitor(const SharedBytes& body, Strictness strictness, Row& row)
      : body_(body), strictness_(strictness), row_(row) {}

  const char* broken() const { return broken_; }

  bool visit_nil() { return scalar({}); }
  bool visit_boolean(bool value) { return scalar({Shape::kFlag, value ? 1U : 0U, {}}); }
  bool visit_positive_integer(std::uint64_t value) { return scalar({Shape::kNumber, value, {}}); }
  bool visit_negative_integer(std::int64_t) { return odd("has a negative number"); }
  bool visit_float32(float) { return odd("has a floating point number"); }
  bool visit_float64(double) { return odd("has a floating point number"); }
  bool visit_str(const char* data, std::uint32_t size) {
    return scalar({Shape::kText, 0, as_bytes({data, size})});
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return scalar({Shape::kBinary, 0, as_bytes({data, size})});
  }
  bool visit_ext(const char*, std::uint32_t) { return odd("has an extension type"); }
  bool start_map(std::uint32_t) {
    if (strictness_ == Strictness::kMessage || depth_ == 0) return stop("has a map");
    return deeper();
  }
  bool end_map() { return shallower(); }

  bool start_array(std::uint32_t count) {
    if (count > body_.bytes.size()) return stop("has a list that is longer than the message");
    if (strictness_ == Strictness::kMessage) {
      if (depth_ == 0 && count > kFieldsMax) return stop("has too many elements");
      if (depth_ == 1 && !start_entries(count)) return false;
      if (depth_ == 2 && count != kEntryFields) return stop("has an entry without four elements");
      if (depth_ > 2) return stop("is nested too deeply");
    }
    if (depth_ == 2) entry_fields_ = 0;
    return deeper();
  }
  bool end_array() { return shallower(); }

  void parse_error(std::size_t, std::size_t) { stop("is not msgpack"); }
  void insufficient_bytes(std::size_t, std::size_t) { stop("ends too early"); }

 private:
  bool stop(const char* rule) {
    if (broken_ == nullptr) broken_ = rule;
    return false;
  }

  // What no message of this version has: a hello of a later one may.
  bool odd(const char* rule) {
    if (strictness_ == Strictness::kMessage || depth_ == 0) return stop(rule);
    return depth_ > 1 || keep({});
  }

  bool deeper() {
    if (depth_ >= kDepthMax) return stop("is nested too deeply");
    if (strictness_ == Strictness::kHello && depth_ == 1 && !keep({})) return false;
    ++depth_;
    return true;
  }

  bool shallower() {
    ASSERT(depth_ > 0);
    --depth_;
    return true;
  }

  bool start_entries(std::uint32_t count) {
    if (have_entries_) return stop("has two lists");
    if (count > limits::kAppendEntriesMax) return stop("has more entries than are allowed");
    if (count * kEntryWireBytesMin > body_.bytes.size()) {
      return stop("has a list that is longer than the message");
    }
    have_entries_ = true;
    row_.entries.reserve(count);
    return keep({Shape::kEntries, count, {}});
  }

  bool keep(const Field& field) {
    if (row_.count == kFieldsMax) {
      return strictness_ == Strictness::kHello || stop("has too many elements");
    }
    row_.fields[row_.count++] = field;
    return true;
  }

  bool scalar(const Field& field) {
    if (depth_ == 0) return stop("is not a list");
    if (depth_ == 1) return keep(field);
    if (strictness_ == Strictness::kHello) return true;
    if (depth_ == 2) return stop("has an entry that is not a list");
    return entry_field(field);
  }

  bool entry_field(const Field& field) {
    const std::size_t at = entry_fields_++;
    ASSERT(at < kEntryFields);
    if (at == 0) row_.entries.emplace_back();
    raft::Entry& entry = row_.entries.back();
    if (at == 3) {
      if (field.shape != Shape::kBinary) return stop("has an entry whose payload is not bin");
      entry.payload = {field.bytes.empty() ? nullptr : body_.owner, field.bytes};
      return true;
    }
    if (field.shape != Shape::kNumber) return stop("has an entry with something not a number");
    if (at == 0) entry.index = {field.number};
    if (at == 1) entry.term = {field.number};
    if (at == 2) {
      if (field.number < 1 || field.number > 3) return stop("has an entry of an unknown kind");
      entry.kind = static_cast<raft::EntryKind>(field.number);
    }
    return true;
  }

  const SharedBytes& body_;
  const Strictness strictness_;
  Row& row_;
  std::size_t depth_ = 0;
  std::size_t entry_fields_ = 0;
  bool have_entries_ = false;
  const char* broken_ = nullptr;
};

Error bad(std::string rule) {
  return {Errc::kBadInput, std::move(rule)};
}

}  // namespace

Status parse_row(const SharedBytes& body, Strictness strictness, Row& row) noexcept {
  ASSERT_CMP(row.count, ==, 0U);
  Visitor visitor(body, strictness, row);
  const std::string_view text = as_text(body.bytes);
  std::size_t end = 0;
  try {
    if (!msgpack::parse(text.data(), text.size(), end, visitor)) {
      return bad(visitor.broken() != nullptr ? visitor.broken() : "is not msgpack");
    }
  } catch (const msgpack::unpack_error&) {
    return bad("has a length that no message can have");  // An ext of 2^32 - 1 bytes.
  }
  if (visitor.broken() != nullptr) return bad(visitor.broken());
  if (end != text.size()) return bad("has bytes after its end");
  if (row.count == 0) return bad("is empty");
  return Done{};
}

void RowReader::fail(std::string rule) {
  if (broken_.empty()) broken_ = std::move(rule);
}

const Field* RowReader::take(const char* name, Shape shape) {
  if (!broken_.empty()) return nullptr;
  if (next_ >= row_.count) {
    fail(strf("has no %s", name));
    return nullptr;
  }
  const Field& field = row_.fields[next_++];
  if (field.shape != shape) {
    fail(strf("has a %s of another type", name));
    return nullptr;
  }
  return &field;
}

std::uint64_t RowReader::number(const char* name, std::uint64_t min, std::uint64_t max) {
  const Field* field = take(name, Shape::kNumber);
  if (field == nullptr) return min;
  if (field->number < min || field->number > max) {
    fail(strf("has %s %llu, which is not within %llu and %llu", name,
              static_cast<unsigned long long>(field->number), static_cast<unsigned long long>(min),
              static_cast<unsigned long long>(max)));
    return min;
  }
  return field->number;
}

bool RowReader::flag(const char* name) {
  const Field* field = take(name, Shape::kFlag);
  return field != nullptr && field->number != 0;
}

std::optional<std::uint64_t> RowReader::number_or_nil(const char* name, std::uint64_t max) {
  if (next_ < row_.count && row_.fields[next_].shape == Shape::kNil) {
    ++next_;
    return std::nullopt;
  }
  return number(name, 0, max);
}

ByteView RowReader::binary(const char* name, std::size_t bytes_min, std::size_t bytes_max) {
  const Field* field = take(name, Shape::kBinary);
  if (field == nullptr) return {};
  if (field->bytes.size() < bytes_min || field->bytes.size() > bytes_max) {
    fail(strf("has a %s of %zu bytes, which is not within %zu and %zu", name, field->bytes.size(),
              bytes_min, bytes_max));
    return {};
  }
  return field->bytes;
}

std::string_view RowReader::text(const char* name, std::size_t bytes_max) {
  const Field* field = take(name, Shape::kText);
  if (field == nullptr) return {};
  if (field->bytes.size() > bytes_max) {
    fail(strf("has a %s of %zu bytes, more than %zu", name, field->bytes.size(), bytes_max));
    return {};
  }
  return as_text(field->bytes);
}

bool RowReader::entries(const char* name) {
  return take(name, Shape::kEntries) != nullptr;
}

void RowReader::require(bool holds, const char* rule) {
  if (!holds) fail(rule);
}

Status RowReader::finish(const char* message) {
  if (broken_.empty() && next_ != row_.count) fail("has more elements than it should");
  if (!broken_.empty()) return bad(strf("%s %s", message, broken_.c_str()));
  return Done{};
}

}  // namespace raftd::wire
