// write_json: tables in their order; a stack of open messages in place of recursion.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/assert.h"
#include "base/limits.h"
#include "etcd/json.h"
#include "http/base64.h"
#include "http/json.h"

namespace raftd::etcd {

namespace {

// Small pieces are put together aside and appended at once, before what is longer and at the end.
class Output {
 public:
  explicit Output(std::string& out) : out_(out) {}
  ~Output() { flush(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void add(char c) {
    if (used_ == pieces_.size()) flush();
    pieces_[used_++] = c;
  }
  void add(std::string_view piece) {
    ASSERT(piece.size() <= pieces_.size());  // Names and words of tables.
    char* const to = room(piece.size());
    std::copy_n(piece.data(), piece.size(), to);
    used_ += piece.size();
  }
  template <class Number>
  void add_number(Number number) {
    constexpr std::size_t kDigitsMax = 20;  // Or a sign and 19.
    char* const to = room(kDigitsMax);
    used_ += static_cast<std::size_t>(std::to_chars(to, to + kDigitsMax, number).ptr - to);
  }
  // For what may be long. Good until the next piece.
  std::string& text() {
    flush();
    return out_;
  }

 private:
  char* room(std::size_t bytes) {
    if (pieces_.size() - used_ < bytes) flush();
    return pieces_.data() + used_;
  }
  void flush() {
    out_.append(pieces_.data(), used_);
    used_ = 0;
  }

  std::string& out_;
  std::size_t used_ = 0;
  std::array<char, 256> pieces_;
};

template <class Number>
void add_quoted(Output& out, Number number) {
  out.add('"');
  out.add_number(number);
  out.add('"');
}

void add_named(Output& out, const Field& field, std::int64_t number) {
  for (const EnumValue& candidate : field.values) {
    if (candidate.number != number) continue;
    out.add('"');
    out.add(candidate.name);
    out.add('"');
    return;
  }
  out.add_number(number);
}

// Anything but a message.
void add_value(Output& out, const Field& field, const void* message, std::size_t at) {
  switch (field.kind) {
    case Kind::kFlag:
      return out.add(field.value(message, at) != 0 ? "true" : "false");
    case Kind::kInt64:
      return add_quoted(out, static_cast<std::int64_t>(field.value(message, at)));
    case Kind::kUint64:
      return add_quoted(out, field.value(message, at));
    case Kind::kUint32:
      return out.add_number(field.value(message, at));
    case Kind::kBytes:
      out.add('"');
      http::base64_append(out.text(), field.text(message, at));
      return out.add('"');
    case Kind::kText:
      http::JsonWriter(out.text()).value(std::string_view(field.text(message, at)));
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
  // Without values of its own: most of an array of these is never used, and not written.
  struct Frame {
    const Description* description;
    const void* message;
    std::size_t field;  // Of the table: the next one, or the one whose item is open.
    std::size_t item;   // The next one.
    bool needs_comma;
  };

  void begin_message(const Description& description, const void* message) {
    ASSERT(depth_ < frames_.size());
    frames_[depth_++] = {&description, message, 0, 0, false};
    out_.add('{');
  }

  // One item of a field.
  void step() {
    Frame& frame = frames_[depth_ - 1];
    if (frame.field == frame.description->fields.size()) {
      out_.add('}');
      --depth_;
      return;
    }
    const Field& field = frame.description->fields[frame.field];
    const std::size_t count = field.count(frame.message);
    if (frame.item == count) {
      if (field.repeated && count > 0) out_.add(']');
      ++frame.field;
      frame.item = 0;
      return;
    }
    if (frame.item == 0) {
      begin_field(frame, field);
    } else {
      out_.add(',');
    }
    const std::size_t at = frame.item++;
    if (field.kind == Kind::kMessage) {
      begin_message(field.description(), field.part(frame.message, at));
    } else {
      add_value(out_, field, frame.message, at);
    }
  }

  void begin_field(Frame& frame, const Field& field) {
    if (frame.needs_comma) out_.add(',');
    frame.needs_comma = true;
    out_.add('"');
    out_.add(field.name);
    out_.add('"');
    out_.add(':');
    if (field.repeated) out_.add('[');
  }

  Output out_;
  // What was read as JSON is not deeper, and an answer has no more levels than its request.
  std::array<Frame, limits::kJsonDepthMax> frames_;
  std::size_t depth_ = 0;
};

}  // namespace

void write_json(std::string& out, const Description& description, const void* message) {
  Writer(out).write(description, message);
}

}  // namespace raftd::etcd
