// write_json: tables in their order; a stack of open messages in place of recursion.
#include <array>
#include <charconv>

#include "base/assert.h"
#include "base/limits.h"
#include "etcd/json.h"
#include "http/base64.h"
#include "http/json.h"

namespace raftd::etcd {

namespace {

template <class Number>
void add_number(std::string& out, Number number) {
  char digits[24];
  const auto result = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, static_cast<std::size_t>(result.ptr - digits));
}

template <class Number>
void add_quoted(std::string& out, Number number) {
  out += '"';
  add_number(out, number);
  out += '"';
}

void add_named(std::string& out, const Field& field, std::int64_t number) {
  for (const EnumValue& candidate : field.values) {
    if (candidate.number != number) continue;
    out += '"';
    out += candidate.name;
    out += '"';
    return;
  }
  add_number(out, number);
}

// Anything but a message.
void add_value(std::string& out, const Field& field, const void* message, std::size_t at) {
  switch (field.kind) {
    case Kind::kFlag:
      out += field.value(message, at) != 0 ? "true" : "false";
      return;
    case Kind::kInt64:
      return add_quoted(out, static_cast<std::int64_t>(field.value(message, at)));
    case Kind::kUint64:
      return add_quoted(out, field.value(message, at));
    case Kind::kUint32:
      return add_number(out, field.value(message, at));
    case Kind::kBytes:
      out += '"';
      http::base64_append(out, field.text(message, at));
      out += '"';
      return;
    case Kind::kText:
      http::JsonWriter(out).value(std::string_view(field.text(message, at)));
      return;
    case Kind::kNamed:
      return add_named(out, field, static_cast<std::int64_t>(field.value(message, at)));
    case Kind::kMessage:
      break;
  }
  PANIC("a message is no value");
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void write(const Description& description, const void* message) {
    begin_message(description, message);
    while (depth_ > 0)
      step();
  }

 private:
  struct Frame {
    const Description* description = nullptr;
    const void* message = nullptr;
    std::size_t field = 0;  // Of the table: the next one, or the one whose item is open.
    std::size_t item = 0;   // The next one.
    bool needs_comma = false;
  };

  void begin_message(const Description& description, const void* message) {
    ASSERT(depth_ < frames_.size());
    frames_[depth_++] = {.description = &description, .message = message};
    out_ += '{';
  }

  // One item of a field.
  void step() {
    Frame& frame = frames_[depth_ - 1];
    if (frame.field == frame.description->fields.size()) {
      out_ += '}';
      --depth_;
      return;
    }
    const Field& field = frame.description->fields[frame.field];
    const std::size_t count = field.count(frame.message);
    if (frame.item == count) {
      if (field.repeated && count > 0) out_ += ']';
      ++frame.field;
      frame.item = 0;
      return;
    }
    if (frame.item == 0) {
      begin_field(frame, field);
    } else {
      out_ += ',';
    }
    const std::size_t at = frame.item++;
    if (field.kind == Kind::kMessage) {
      begin_message(field.description(), field.part(frame.message, at));
    } else {
      add_value(out_, field, frame.message, at);
    }
  }

  void begin_field(Frame& frame, const Field& field) {
    if (frame.needs_comma) out_ += ',';
    frame.needs_comma = true;
    out_ += '"';
    out_ += field.name;
    out_ += field.repeated ? "\":[" : "\":";
  }

  std::string& out_;  // Outlives it.
  // What was read as JSON is not deeper, and an answer has no more levels than its request.
  std::array<Frame, limits::kJsonDepthMax> frames_;
  std::size_t depth_ = 0;
};

}  // namespace

void write_json(std::string& out, const Description& description, const void* message) {
  Writer(out).write(description, message);
}

}  // namespace raftd::etcd
