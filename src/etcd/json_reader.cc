// read_json: a message is filled by its table while the text is read; nothing of the text is kept
// aside.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/limits.h"
#include "base/text.h"
#include "etcd/json.h"
#include "http/base64.h"
#include "http/json.h"

namespace raftd::etcd {

namespace {

// "range_end" is also spelled "rangeEnd".
bool is_camel_case_of(std::string_view name, std::string_view given) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < name.size(); ++i, ++at) {
    char c = name[i];
    if (c == '_' && i + 1 < name.size()) {
      c = name[++i];
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    if (at == given.size() || given[at] != c) return false;
  }
  return at == given.size();
}

const Field* find(const Description& description, std::string_view name) {
  for (const Field& field : description.fields) {
    if (field.name == name) return &field;
  }
  for (const Field& field : description.fields) {
    if (is_camel_case_of(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view wanted(const Field& field) {
  switch (field.kind) {
    case Kind::kFlag:
      return "true or false";
    case Kind::kInt64:
      return "an int64";
    case Kind::kUint64:
      return "a uint64";
    case Kind::kUint32:
      return "a uint32";
    case Kind::kBytes:
      return "bytes as base64";
    case Kind::kText:
      return "a text";
    case Kind::kNamed:
      return "a name or its number";
    case Kind::kMessage:
      return "an object";
  }
  PANIC("a field has no kind");
}

template <class Number>
bool holds(std::uint64_t value) {
  return value <= static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
}

class Reader final : public http::JsonEvents {
 public:
  Reader(const Description& description, void* message)
      : root_(description), root_message_(message) {}

  bool null() override;
  bool boolean(bool value) override;
  bool whole(std::uint64_t value) override;
  bool negative(std::int64_t value) override;
  bool real(double value) override;
  bool text(std::string_view value) override;
  bool begin_object() override;
  bool name(std::string_view name) override;
  bool end_object() override;
  bool begin_array() override;
  bool end_array() override;

  std::string take_problem() override { return std::move(problem_); }

 private:
  // An object that is open, and the field of it whose value is next or open.
  // Without values of its own: most of an array of these is never used, and not written.
  struct Frame {
    const Description* description;
    void* message;
    const Field* field;  // nullptr: nobody knows it.
    bool in_list;
    std::size_t items;  // In the list.
  };

  Frame& top() { return frames_[depth_ - 1]; }
  bool skips() { return skipped_ > 0 || (depth_ > 0 && top().field == nullptr); }
  // Makes room for a value; false: there can be none, problem_ says why.
  bool prepare(bool (*fits)(Kind));
  bool put(std::uint64_t value);
  bool take_text(std::string_view value);
  bool take_bytes(std::string_view value);
  bool take_number(std::string_view value);
  bool take_name(std::string_view value);
  bool refuse(std::string_view problem);
  bool refuse_kind();

  const Description& root_;
  void* root_message_;
  std::array<Frame, limits::kJsonDepthMax> frames_;
  std::size_t depth_ = 0;
  std::size_t skipped_ = 0;  // Objects and lists that are open in what nobody knows.
  std::string problem_;
};

bool Reader::null() {
  if (depth_ == 0 || skips()) return true;
  Frame& frame = top();
  const Field& field = *frame.field;
  if (!frame.in_list) {
    field.clear(frame.message);
    return true;
  }
  // As long as it was given, each item at its place.
  if (field.add_value != nullptr) return put(0);
  if (field.add_text != nullptr) {
    field.add_text(frame.message);
  } else {
    field.add_part(frame.message);
  }
  ++frame.items;
  return true;
}

bool Reader::boolean(bool value) {
  if (skips()) return true;
  return prepare([](Kind kind) { return kind == Kind::kFlag; }) && put(value ? 1 : 0);
}

bool Reader::whole(std::uint64_t value) {
  if (skips()) return true;
  const auto is_number = [](Kind kind) {
    return kind == Kind::kInt64 || kind == Kind::kUint64 || kind == Kind::kUint32 ||
           kind == Kind::kNamed;
  };
  if (!prepare(is_number)) return false;
  const Kind kind = top().field->kind;
  if (kind == Kind::kInt64 && !holds<std::int64_t>(value)) return refuse_kind();
  if (kind == Kind::kUint32 && !holds<std::uint32_t>(value)) return refuse_kind();
  if (kind == Kind::kNamed && !holds<std::int32_t>(value)) return refuse_kind();
  return put(value);
}

bool Reader::negative(std::int64_t value) {
  if (skips()) return true;
  const auto is_signed = [](Kind kind) { return kind == Kind::kInt64 || kind == Kind::kNamed; };
  if (!prepare(is_signed)) return false;
  if (top().field->kind == Kind::kNamed && value < std::numeric_limits<std::int32_t>::min()) {
    return refuse_kind();
  }
  return put(static_cast<std::uint64_t>(value));
}

bool Reader::real(double) {
  return skips() || prepare([](Kind) { return false; });
}

bool Reader::text(std::string_view value) {
  if (skips()) return true;
  const auto is_text = [](Kind kind) { return kind != Kind::kFlag && kind != Kind::kMessage; };
  if (!prepare(is_text)) return false;
  switch (top().field->kind) {
    case Kind::kBytes:
      return take_bytes(value);
    case Kind::kText:
      return take_text(value);
    case Kind::kNamed:
      return take_name(value);
    case Kind::kInt64:
    case Kind::kUint64:
    case Kind::kUint32:
      return take_number(value);
    case Kind::kFlag:
    case Kind::kMessage:
      break;
  }
  PANIC("a text for a field that holds none");
}

bool Reader::begin_object() {
  if (skips()) {
    ++skipped_;
    return true;
  }
  Frame next{&root_, root_message_, nullptr, false, 0};
  if (depth_ > 0) {
    if (!prepare([](Kind kind) { return kind == Kind::kMessage; })) return false;
    const Frame& frame = top();
    next.description = &frame.field->description();
    next.message = frame.field->add_part(frame.message);
  }
  ASSERT(depth_ < frames_.size());
  frames_[depth_++] = next;
  return true;
}

bool Reader::name(std::string_view name) {
  if (skipped_ == 0) top().field = find(*top().description, name);
  return true;
}

bool Reader::end_object() {
  if (skipped_ > 0) {
    --skipped_;
    return true;
  }
  ASSERT(depth_ > 0);
  if (--depth_ > 0) ++top().items;
  return true;
}

bool Reader::begin_array() {
  if (skips()) {
    ++skipped_;
    return true;
  }
  if (depth_ == 0) return refuse("expected an object");
  Frame& frame = top();
  if (!frame.field->repeated || frame.in_list) return refuse_kind();
  frame.field->clear(frame.message);
  frame.in_list = true;
  frame.items = 0;
  return true;
}

bool Reader::end_array() {
  if (skipped_ > 0) {
    --skipped_;
    return true;
  }
  top().in_list = false;
  return true;
}

bool Reader::prepare(bool (*fits)(Kind)) {
  if (depth_ == 0) return refuse("expected an object");
  Frame& frame = top();
  const Field& field = *frame.field;
  if (field.repeated && !frame.in_list) return refuse("expected a list");
  if (!fits(field.kind)) return refuse_kind();
  if (field.one_of) {
    for (const Field& sibling : frame.description->fields) {
      if (sibling.one_of && sibling.count(frame.message) > 0) sibling.clear(frame.message);
    }
  } else if (field.kind == Kind::kMessage && !field.repeated) {
    field.clear(frame.message);
  }
  return true;
}

bool Reader::put(std::uint64_t value) {
  Frame& frame = top();
  frame.field->add_value(frame.message, value);
  ++frame.items;
  return true;
}

bool Reader::take_text(std::string_view value) {
  Frame& frame = top();
  frame.field->add_text(frame.message) = value;
  ++frame.items;
  return true;
}

bool Reader::take_bytes(std::string_view value) {
  Frame& frame = top();
  if (!http::base64_decode_any(value, frame.field->add_text(frame.message))) {
    return refuse("illegal base64 data");
  }
  ++frame.items;
  return true;
}

bool Reader::take_number(std::string_view value) {
  const bool is_negative = value.starts_with('-');
  const std::string_view digits = value.substr(is_negative ? 1 : 0);
  if (digits.empty() || (digits[0] == '0' && digits.size() > 1)) return refuse_kind();
  const char* end = value.data() + value.size();
  std::uint64_t number = 0;
  std::int64_t below_zero = 0;
  const std::from_chars_result result = is_negative ? std::from_chars(value.data(), end, below_zero)
                                                    : std::from_chars(value.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return refuse_kind();
  return below_zero < 0 ? negative(below_zero) : whole(number);
}

bool Reader::take_name(std::string_view value) {
  for (const EnumValue& candidate : top().field->values) {
    if (candidate.name == value) {
      return put(static_cast<std::uint64_t>(std::int64_t{candidate.number}));
    }
  }
  return refuse("unknown name " + percent_escape(value));
}

// "success[0].request_put.value: what is wrong".
bool Reader::refuse(std::string_view problem) {
  for (std::size_t i = 0; i < depth_; ++i) {
    const Frame& frame = frames_[i];
    if (i > 0) problem_ += '.';
    problem_ += frame.field->name;
    if (frame.in_list) problem_ += strf("[%zu]", frame.items);
  }
  if (depth_ > 0) problem_ += ": ";
  problem_ += problem;
  return false;
}

bool Reader::refuse_kind() {
  return refuse(std::string("expected ").append(wanted(*top().field)));
}

}  // namespace

Status read_json(std::string_view json, const Description& description, void* message) {
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos) return Done{};
  Reader reader(description, message);
  return http::parse_json_events(json, reader);
}

}  // namespace raftd::etcd
